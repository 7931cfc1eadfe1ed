"""One pod at a time acts for a hotkey on a subnet: a Lease, as client-go's leader election uses it.

The holder renews; others take over when the record they see has not changed for its whole duration by their own clock,
so that clocks need not agree. A holder that could not renew for `RENEW_DEADLINE` ends its process, well before
anyone else may act, and with it a submission under way.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from bitagent_validator.kube import CONFLICT, Api, ApiError, Obj, path, time_text

log = logging.getLogger(__name__)

DURATION = 30.0
"""Seconds after which an unrenewed Lease may be taken."""
RENEW_DEADLINE = 20.0
RETRY = 5.0
"""Seconds between two attempts to renew or to take it."""
API_VERSION = "coordination.k8s.io/v1"


class LeaseLost(Exception):
    """Someone else may act now: this process must not."""


def lease_name(netuid: int, hotkey: str) -> str:
    """The Lease of a hotkey on a subnet. Names are lower case and addresses are not, hence the digest."""
    digest = hashlib.sha256(hotkey.encode()).hexdigest()[:8]
    return f"bitagent-{netuid}-{hotkey[:20].lower()}-{digest}"


class Lease:
    """The hold of one process on a Lease."""

    def __init__(self, api: Api, *, name: str, namespace: str, identity: str, owner: Obj) -> None:
        self.name = name
        self._api = api
        self._namespace = namespace
        self._at = path(API_VERSION, "leases", namespace=namespace, name=name)
        self._identity = identity
        self._owner = owner
        """ownerReference of a new Lease, so that it goes with its Validator."""
        self._seen: tuple[str, float] = ("", 0.0)
        """The last record seen, by its version, and when it was first seen."""

    async def acquire(self, *, waiting: Callable[[str], None]) -> None:
        """Return when the Lease is held. `waiting` is told, at each attempt, who holds it meanwhile."""
        while True:
            try:
                holder = await self._attempt()
                if holder == self._identity:
                    log.info("lease %s is held", self.name)
                    return
            except ApiError as error:
                log.warning("lease %s: %s", self.name, error)
                holder = "unknown"
            waiting(holder)
            await asyncio.sleep(RETRY)

    async def keep(self) -> None:
        """Renew until cancelled.

        Raises:
            LeaseLost: Someone else took it, or it could not be renewed in time.
        """
        loop = asyncio.get_running_loop()
        renewed = loop.time()
        while True:
            await asyncio.sleep(RETRY)
            began, deadline = loop.time(), renewed + RENEW_DEADLINE
            try:
                if began > deadline:
                    raise TimeoutError
                async with asyncio.timeout_at(deadline):
                    holder = await self._attempt()
            except ApiError as error:
                log.warning("lease %s was not renewed: %s", self.name, error)
            except TimeoutError:
                raise LeaseLost(f"lease {self.name} was not renewed for {RENEW_DEADLINE:g} s") from None
            else:
                if holder != self._identity:
                    raise LeaseLost(f"lease {self.name} is held by {holder}")
                renewed = began

    async def release(self) -> None:
        """Let the next pod take over at once. Best effort: an unreleased Lease ends by itself."""
        try:
            current = await self._api.get(self._at)
            if current and current["spec"].get("holderIdentity") == self._identity:
                current["spec"] |= {"holderIdentity": "", "leaseDurationSeconds": 1}
                await self._api.replace(self._at, current)
        except ApiError as error:
            log.warning("lease %s was not released: %s", self.name, error)

    async def _attempt(self) -> str:
        """Take or renew the Lease if that is allowed; returns its holder."""
        current = await self._api.get(self._at)
        now = time_text(datetime.now(UTC), micro=True)
        try:
            if current is None:
                collection = path(API_VERSION, "leases", namespace=self._namespace)
                await self._api.create(collection, self._manifest(now))
                return self._identity
            holder = str(current["spec"].get("holderIdentity") or "")
            if holder not in ("", self._identity) and not self._expired(current):
                return holder
            await self._api.replace(self._at, current | {"spec": self._spec(now, previous=current["spec"])})
        except ApiError as error:
            if error.status != CONFLICT:
                raise
            return "someone who was faster"
        return self._identity

    def _expired(self, current: Obj) -> bool:
        now = asyncio.get_running_loop().time()
        version = current["metadata"]["resourceVersion"]
        if self._seen[0] != version:
            self._seen = (version, now)
        return now - self._seen[1] > float(current["spec"].get("leaseDurationSeconds") or DURATION)

    def _manifest(self, now: str) -> Obj:
        metadata = {"name": self.name, "namespace": self._namespace, "ownerReferences": [self._owner]}
        return {"apiVersion": API_VERSION, "kind": "Lease", "metadata": metadata, "spec": self._spec(now, previous={})}

    def _spec(self, now: str, *, previous: dict[str, Any]) -> Obj:
        mine = previous.get("holderIdentity") == self._identity
        return {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": int(DURATION),
            "acquireTime": previous.get("acquireTime", now) if mine else now,
            "renewTime": now,
            "leaseTransitions": int(previous.get("leaseTransitions") or 0) + (not mine),
        }
