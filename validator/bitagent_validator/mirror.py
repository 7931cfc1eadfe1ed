"""A collection of the API server, kept in memory by list and watch."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from typing import Generic, TypeVar

from bitagent_validator.kube import GONE, Api, ApiError, Obj

log = logging.getLogger(__name__)

T = TypeVar("T")

BACKOFF_SECONDS = (0.5, 15.0)


class Mirror(Generic[T]):
    """What the API server held a moment ago, by name. Nothing final may be concluded from an object's absence here."""

    def __init__(
        self, api: Api, at: str, *, parse: Callable[[Obj], T], changed: Callable[[], None], **selectors: str
    ) -> None:
        self.objects: dict[str, T] = {}
        self.synced = False
        """Whether the collection was listed at least once."""
        self._api = api
        self._at = at
        self._parse = parse
        self._changed = changed
        self._selectors = selectors

    def put(self, obj: Obj) -> None:
        """Take an object that the API server just returned, ahead of its event."""
        self.objects[obj["metadata"]["name"]] = self._parse(obj)

    def drop(self, name: str) -> None:
        """Forget an object that was just deleted, ahead of its event."""
        self.objects.pop(name, None)

    async def run(self) -> None:
        """Follow the collection until cancelled."""
        failures = 0
        while True:
            try:
                version = await self._list()
                failures = 0
                await self._watch(version)
            except ApiError as error:
                if error.status == GONE:
                    continue
                failures += 1
                longest = min(BACKOFF_SECONDS[1], BACKOFF_SECONDS[0] * 2**failures)
                log.warning("%s; trying again within %.0f s", error, longest)
                await asyncio.sleep(random.uniform(longest / 2, longest))

    async def _list(self) -> str:
        items, version = await self._api.list(self._at, **self._selectors)
        self.objects = {item["metadata"]["name"]: self._parse(item) for item in items}
        self.synced = True
        self._changed()
        return version

    async def _watch(self, version: str) -> None:
        async for event in self._api.watch(self._at, version=version, **self._selectors):
            obj = event["object"]
            if event["type"] == "ERROR":
                raise ApiError(f"watch of {self._at}: {obj.get('message', '')}", status=int(obj.get("code", 0)))
            if event["type"] == "DELETED":
                self.drop(obj["metadata"]["name"])
            else:
                self.put(obj)
            self._changed()
