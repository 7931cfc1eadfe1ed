"""One active process at a time: a Lease, as client-go's leader election uses it.

The holder renews. Another process may take the Lease when it has seen the same record for the Lease's whole duration
by its own clock, so that clocks need not agree. A holder that could not renew for `RENEW_DEADLINE` seconds raises
`LeaseLost`, well before another may act.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from bitagent_kube.client import Client
from bitagent_kube.errors import ApiError
from bitagent_kube.objects import Obj, ObjectReference, micro_time
from bitagent_kube.resources import LEASES

DURATION = 30.0
"""Seconds after which a Lease that is not renewed may be taken."""
RENEW_DEADLINE = 20.0
ATTEMPT_SECONDS = 7.0
"""Time limit of one attempt to take or renew the Lease: a request that hangs, as on a connection to an API server that
was shut down, must leave time for another."""
RETRY = 5.0
"""Seconds between two attempts to renew or to take it."""
RETRY_FAILED = 1.0
"""Seconds between a failed attempt to renew it and the next."""
RELEASE_SECONDS = 5.0
"""The end of the process is not delayed by more than this."""
UNKNOWN = "unknown"
"""In place of a holder that could not be read."""

log = logging.getLogger(__name__)


class LeaseLost(Exception):
    """Another process may act now: this one must not."""


class Lease:
    """A Lease and this process as its possible holder.

    A Lease that does not exist is created, and deleted with its `owner`.
    """

    def __init__(self, client: Client, *, name: str, identity: str, owner: ObjectReference) -> None:
        self.name = name
        self._client = client
        self._identity = identity
        self._owner = owner
        self._seen: tuple[str, float] = ("", 0.0)
        """The resourceVersion seen last, and when it was first seen."""
        self._renewed = 0.0
        """When the last successful attempt to take or renew the Lease began."""

    async def acquire(self, *, waiting: Callable[[str], None]) -> None:
        """Return when the Lease is held. `waiting` is called after each failed attempt, with the present holder."""
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                async with asyncio.timeout(ATTEMPT_SECONDS):
                    holder = await self._attempt()
                if holder == self._identity:
                    self._renewed = began
                    log.info("lease %s is held", self.name)
                    return
            except (ApiError, TimeoutError) as error:
                log.warning("lease %s: %r", self.name, error)
                holder = UNKNOWN
            waiting(holder)
            await asyncio.sleep(RETRY)

    async def keep(self) -> None:
        """Renew the acquired Lease until cancelled.

        Raises LeaseLost if another process took the Lease, or it could not be renewed in time.
        """
        loop, pause = asyncio.get_running_loop(), RETRY
        while True:
            await asyncio.sleep(pause)
            began, deadline = loop.time(), self._renewed + RENEW_DEADLINE
            if began >= deadline:
                raise LeaseLost(f"lease {self.name} was not renewed for {RENEW_DEADLINE:g} s")
            try:
                async with asyncio.timeout_at(min(deadline, began + ATTEMPT_SECONDS)):
                    holder = await self._attempt()
            except (ApiError, TimeoutError) as error:
                log.warning("lease %s was not renewed: %r", self.name, error)
                pause = min(RETRY_FAILED, max(0.0, deadline - loop.time()))
            else:
                if holder != self._identity:
                    raise LeaseLost(f"lease {self.name} is held by {holder}")
                self._renewed, pause = began, RETRY

    async def release(self) -> None:
        """Let the next process take the Lease at once. Best effort: a Lease that is not released expires."""
        try:
            async with asyncio.timeout(RELEASE_SECONDS):
                current = await self._client.get(LEASES, self.name)
                if current and current["spec"].get("holderIdentity") == self._identity:
                    current["spec"] |= {"holderIdentity": "", "leaseDurationSeconds": 1}
                    await self._client.replace(current)
        except (ApiError, TimeoutError) as error:
            log.warning("lease %s was not released: %r", self.name, error)

    async def _attempt(self) -> str:
        """Take or renew the Lease if that is allowed; return its holder, UNKNOWN if it was deleted meanwhile."""
        current = await self._client.get(LEASES, self.name)
        now = micro_time(datetime.now(UTC))
        try:
            if current is None:
                await self._client.create(self._manifest(now))
                return self._identity
            holder = str(current["spec"].get("holderIdentity") or "")
            if holder not in ("", self._identity) and not self._expired(current):
                return holder
            await self._client.replace(current | {"spec": self._spec(now, previous=current["spec"])})
        except ApiError as error:
            if not error.conflict:
                raise
            # Another process was faster, or an earlier attempt of this request was carried out: read which.
            current = await self._client.get(LEASES, self.name)
            return str(current["spec"].get("holderIdentity") or UNKNOWN) if current else UNKNOWN
        return self._identity

    def _expired(self, current: Obj) -> bool:
        now = asyncio.get_running_loop().time()
        version = current["metadata"]["resourceVersion"]
        if self._seen[0] != version:
            self._seen = (version, now)
        return now - self._seen[1] > float(current["spec"].get("leaseDurationSeconds") or DURATION)

    def _manifest(self, now: str) -> Obj:
        metadata = {"name": self.name, "namespace": self._client.namespace, "ownerReferences": [self._owner.as_owner()]}
        return {
            "apiVersion": LEASES.api_version,
            "kind": LEASES.kind,
            "metadata": metadata,
            "spec": self._spec(now, previous={}),
        }

    def _spec(self, now: str, *, previous: Mapping[str, Any]) -> Obj:
        mine = previous.get("holderIdentity") == self._identity
        return {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": int(DURATION),
            "acquireTime": previous.get("acquireTime", now) if mine else now,
            "renewTime": now,
            "leaseTransitions": int(previous.get("leaseTransitions") or 0) + (not mine),
        }
