"""A collection of the API server in memory, kept current by list and watch.

A watch that ends is resumed from the last resourceVersion that it brought. When the server no longer has that version
(410), or reports another error of its own, the collection is listed again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import aclosing
from http import HTTPStatus
from typing import Generic, TypeVar

from bitagent_kube.cache import ObjectCache
from bitagent_kube.client import Client
from bitagent_kube.errors import ApiError
from bitagent_kube.objects import Obj, version_of
from bitagent_kube.resources import ApiResource
from bitagent_kube.retry import Backoff
from bitagent_kube.watch import EventType, WatchEvent

T = TypeVar("T")

SHORTEST_WATCH_SECONDS = 1.0
"""A watch that ends sooner without a change counts as failed, as in client-go: it is resumed after a pause."""
STEADY_WATCH_SECONDS = 30.0
"""A watch that is interrupted after this time, as proxies do to quiet ones, is not one more failure in a row."""
_RESUMABLE = frozenset({0, HTTPStatus.TOO_MANY_REQUESTS})
"""Codes after which the watch is resumed; after any other the collection is listed again."""

log = logging.getLogger(__name__)


class Informer(Generic[T]):
    """Recent state of the objects of one kind. The absence of an object proves nothing: it may be too new.

    `parse` reads one object (see `ObjectCache`); `changed` is called after every change. With `page_size` a list is
    taken in by pages of so many objects, so that large ones are not in memory together.
    """

    def __init__(
        self,
        client: Client,
        resource: ApiResource,
        *,
        parse: Callable[[Obj], T],
        changed: Callable[[], None],
        labels: str = "",
        fields: str = "",
        backoff: Backoff | None = None,
        page_size: int | None = None,
    ) -> None:
        self._client, self._resource, self._page_size = client, resource, page_size
        self._labels, self._fields = labels, fields
        self._changed = changed
        self._cache = ObjectCache(resource.kind, parse)
        self._synced = False
        self._backoff = backoff or Backoff(first=1.0, longest=15.0)
        self._version = ""
        """Where to resume the watch; empty: list first."""

    @property
    def synced(self) -> bool:
        """Whether the collection was listed at least once."""
        return self._synced

    @property
    def objects(self) -> Mapping[str, T]:
        """The objects by name."""
        return self._cache.by_name()

    def put(self, obj: Obj) -> None:
        """Take in an object that the API server just returned, ahead of its event."""
        self._cache.put(obj)

    def drop(self, uid: str) -> None:
        """Remove an object that was just deleted, ahead of its event."""
        self._cache.drop(uid)

    async def run(self) -> None:
        """Follow the collection until cancelled."""
        while True:
            try:
                if not self._version:
                    await self._list()
                await self._watch()
            except ApiError as error:
                if error.code not in _RESUMABLE:
                    self._version = ""
                delay = self._backoff.next()
                log.warning("%s: %s; next attempt in %.1f s", self._resource.plural, error, delay)
                await asyncio.sleep(delay)

    async def _list(self) -> None:
        known = self._cache.begin_list()
        if self._page_size is None:
            listing = await self._client.listing(self._resource, labels=self._labels, fields=self._fields)
            self._cache.listed_at(listing.version)
            self._cache.replace(listing.items, known=known)
            self._version = listing.version
        else:
            self._version = await self._list_pages(known, self._page_size)
        self._synced = True
        self._changed()

    async def _list_pages(self, known: frozenset[str], size: int) -> str:
        """Take in the collection page by page; return the version to watch it from."""
        listed, version = set[str](), ""
        pages = self._client.pages(self._resource, labels=self._labels, fields=self._fields, size=size)
        async with aclosing(pages):
            async for page in pages:
                if not version:
                    self._cache.listed_at(page.version)
                for obj in page.items:
                    listed.add(obj["metadata"]["uid"])
                    self._cache.put(obj)
                version = page.version
        self._cache.replace((), known=known - listed)
        return version

    async def _watch(self) -> None:
        clock = asyncio.get_running_loop().time
        began, changed = clock(), False
        events = self._client.watch(self._resource, version=self._version, labels=self._labels, fields=self._fields)
        try:
            async with aclosing(events):
                async for event in events:
                    if self._take_in(event):
                        changed = True
                        self._backoff.reset()
                        self._changed()
        finally:
            if clock() - began >= STEADY_WATCH_SECONDS:
                self._backoff.reset()
        if not changed and clock() - began < SHORTEST_WATCH_SECONDS:
            raise ApiError(code=0, reason="ShortWatch", message="the watch ended as soon as it had begun")
        self._backoff.reset()

    def _take_in(self, event: WatchEvent) -> bool:
        """Update the cache; whether anything changed."""
        self._version = event.object["metadata"]["resourceVersion"]
        if event.type is EventType.BOOKMARK:
            return False
        if event.type is EventType.DELETED:
            return self._cache.drop(event.object["metadata"]["uid"], version=version_of(event.object)).changed
        return self._cache.put(event.object).changed
