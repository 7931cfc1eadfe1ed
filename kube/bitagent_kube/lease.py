"""One active process at a time: a Lease, as client-go's leader election uses it.

The holder renews. Another process may take the Lease when it has seen the same record for the Lease's whole duration
by its own clock, so that clocks need not agree. A holder that could not renew for `Timing.renew_deadline` seconds
may not act, well before another may, and raises `LeaseLost` after `Timing.give_up` seconds. While the API server is
slow the Lease is written for longer, up to `Timing.longest`, so that its renewals come in time.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bitagent_kube.client import Client
from bitagent_kube.errors import ApiError
from bitagent_kube.objects import Obj, ObjectReference, micro_time
from bitagent_kube.resources import LEASES
from bitagent_kube.retry import Backoff

RELEASE_SECONDS = 5.0
"""The end of the process is not delayed by more than this."""
SLOW_RELEASE_SECONDS = 15.0
"""Nor by more than this where requests are known to take long; half of what a pod is given to end."""
_EARLY = 0.01
"""Timers may fire a little early."""
SLOWNESS = 5.0
"""How many times as long as a renewal a Lease lasts at least: two of them, the second twice as slow, end in time."""
FORGETS = 0.8
"""What of a slow renewal counts after the next one: a server that is slow now and then changes little."""
PATIENCE = 4.0
"""How many times as long as the one before an attempt may take after that was too short."""
UNKNOWN = "unknown"
"""In place of a holder that could not be read."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Timing:
    """How long a Lease lasts, and how often it is renewed; all in seconds."""

    duration: float = 30.0
    """After which a Lease that is not renewed may be taken; a whole number."""
    renew_deadline: float = 20.0
    """After which a holder that could not renew it may not act."""
    give_up: float | None = None
    """After which it raises LeaseLost; None: at once. Until then it waits for a server that is slow or away: what it
    does need not begin again if no other process acted meanwhile."""
    longest: float | None = None
    """The most that a Lease lasts, where renewals take long; None: always `duration`."""
    attempt: float = 7.0
    """Time limit of one attempt to take or renew the Lease: a request that hangs, as on a connection to an API server
    that was shut down, must leave time for another. It grows when it was too short, up to the longest deadline, and
    follows how long attempts take: an API server may be slow."""
    retry: float = 5.0
    """Between two renewals."""
    retry_failed: float = 1.0
    """At most the time between an attempt that failed and the next; it doubles with each further one, up to `retry` for
    the holder and up to `look` for a process that waits for the Lease."""
    look: float = 5.0
    """Between two looks of a process that waits for the Lease; it also looks at the moment at which the Lease ends."""

    def deadline(self, duration: float) -> float:
        """Return the seconds for which the holder of a Lease of this duration may act after it was renewed."""
        return duration * self.renew_deadline / self.duration

    def lasting(self, renewal: float) -> int:
        """Return the duration of a Lease whose renewals take so long: whole seconds."""
        return math.ceil(min(max(self.duration, SLOWNESS * renewal), max(self.duration, self.longest or 0.0)))

    @property
    def longest_attempt(self) -> float:
        """The most that one attempt may take."""
        return self.deadline(max(self.duration, self.longest or 0.0))


class LeaseLost(Exception):
    """Another process may act now: this one must not."""


FindOwner = Callable[[], Awaitable[ObjectReference | None]]
"""Reads the owner whenever the Lease is created or taken: Kubernetes deletes what has an owner that is gone."""


class Lease:
    """A Lease and this process as its possible holder.

    A Lease that does not exist is created. It is deleted with the `owner` of its last holder, if that has one.
    """

    def __init__(
        self,
        client: Client,
        *,
        name: str,
        identity: str,
        owner: ObjectReference | FindOwner | None,
        timing: Timing = Timing(),
    ) -> None:
        self.name = name
        self._client = client
        self._identity = identity
        self._owner = owner
        self._timing = timing
        self._mine = False
        self._written: Obj | None = None
        """The record as this process wrote it last."""
        self._seen: tuple[str, float] = ("", 0.0)
        """The resourceVersion of another's record that was seen last, and when that record ends."""
        self._renewed = 0.0
        """When the last successful write of the Lease began."""
        self._until = 0.0
        """Until when this process may act, if it holds the Lease."""
        self._sent = 0.0
        """When the present attempt began, or its write if that has succeeded."""
        self._lasts = int(timing.duration)
        """Duration of the Lease as the present attempt writes it."""
        self._slow = 0.0
        """How long renewals take, as far as that is known."""
        self._patience = timing.attempt
        """Time limit of the next attempt."""

    @property
    def held(self) -> bool:
        """Whether this process may act: it has renewed the Lease within the deadline, whoever ran late since."""
        return self._mine and asyncio.get_running_loop().time() < self._until

    async def acquire(self, *, waiting: Callable[[str], None]) -> None:
        """Return when the Lease is held. `waiting` is called after each failed attempt, with the present holder."""
        loop, logged = asyncio.get_running_loop(), ""
        failed = Backoff(first=self._timing.retry_failed, longest=self._timing.look)
        while True:
            began = loop.time()
            try:
                async with asyncio.timeout(self._patience):
                    holder = await self._attempt()
                if holder == self._identity:
                    self._count(self._sent)
                    self._mine = True
                    self._follow(loop.time() - began)
                    log.info("lease %s is held", self.name)
                    return
            except (ApiError, TimeoutError) as error:
                self._follow(loop.time() - began, failed=True)
                if repr(error) != logged:
                    log.warning("lease %s: %r", self.name, error)
                logged = repr(error)
                waiting(UNKNOWN)
                await asyncio.sleep(failed.next())
                continue
            failed.reset()
            waiting(holder)
            await asyncio.sleep(self._until_next_look())

    async def keep(self) -> None:
        """Renew the acquired Lease until cancelled.

        Raises LeaseLost if another process took the Lease, or it could not be renewed in time.
        """
        loop, pause, logged = asyncio.get_running_loop(), self._timing.retry, ""
        failed = Backoff(first=self._timing.retry_failed, longest=self._timing.retry)
        while True:
            await asyncio.sleep(pause)
            began, ends = loop.time(), self._ends()
            if began >= ends:
                raise self._lost(f"was not renewed for {ends - self._renewed:g} s")
            acted = self.held
            try:
                async with asyncio.timeout_at(min(ends, began + self._patience)):
                    holder = await self._attempt()
            except (ApiError, TimeoutError) as error:
                self._follow(loop.time() - began, failed=True)
                if repr(error) != logged:
                    log.warning("lease %s was not renewed: %r", self.name, error)
                logged = repr(error)
                pause = min(failed.next(), max(0.0, ends - loop.time()))
                continue
            if holder != self._identity:
                raise self._lost(f"is held by {holder}")
            took = loop.time() - began
            self._follow(took)
            self._count(self._sent)
            failed.reset()
            pause, logged = max(0.0, self._timing.retry - took), ""
            if not acted:
                log.info("lease %s is renewed, in %.1f s", self.name, took)

    def _ends(self) -> float:
        """Return when this holder gives up, if it does not renew the Lease."""
        return max(self._until, self._renewed + (self._timing.give_up or 0.0))

    def _count(self, sent: float) -> None:
        """Take the Lease for renewed by what was sent then."""
        self._renewed, self._until = sent, sent + self._timing.deadline(self._lasts)

    def _follow(self, took: float, *, failed: bool = False) -> None:
        """Give the next attempt more time than this one took, within bounds, and the Lease time for such renewals."""
        times = PATIENCE if failed else 2
        self._patience = min(max(self._timing.attempt, times * took), self._timing.longest_attempt)
        self._slow = max(took, FORGETS * self._slow)

    def _lost(self, why: str) -> LeaseLost:
        self._mine = False
        return LeaseLost(f"lease {self.name} {why}")

    async def release(self) -> None:
        """Let the next process take the Lease at once. Best effort: a Lease that is not released expires."""
        self._mine = False
        try:
            async with asyncio.timeout(max(RELEASE_SECONDS, min(2 * self._slow, SLOW_RELEASE_SECONDS))):
                await self._free()
        except (ApiError, TimeoutError) as error:
            log.warning("lease %s was not released: %r", self.name, error)

    async def _free(self) -> None:
        for known in (self._written, None):
            current = known or await self._client.get(LEASES, self.name)
            if current is None or current["spec"].get("holderIdentity") != self._identity:
                return
            free = {"holderIdentity": "", "leaseDurationSeconds": 1}
            try:
                await self._client.replace(current | {"spec": current["spec"] | free})
            except ApiError as error:
                if known is None or not (error.conflict or error.not_found):
                    raise
            else:
                return

    async def _attempt(self) -> str:
        """Take or renew the Lease if that is allowed; return its holder, UNKNOWN if it was deleted meanwhile.

        A renewal first replaces what this process wrote last: if another one has written since, it conflicts.
        """
        loop, now = asyncio.get_running_loop(), micro_time(datetime.now(UTC))
        self._sent, self._lasts = loop.time(), self._timing.lasting(self._slow)
        if self._mine:  # what is sent now may be what others see, even if its answer never comes
            self._until = min(self._until, self._sent + self._timing.deadline(self._lasts))
        last, self._written = self._written, None
        if last is not None:
            try:
                self._written = await self._client.replace(last | {"spec": self._spec(now, previous=last["spec"])})
            except ApiError as error:
                if not (error.conflict or error.not_found):
                    raise
            else:
                return self._identity
        current = await self._client.get(LEASES, self.name)
        try:
            if current is None:
                manifest, sent = self._manifest(now, await self._owners()), loop.time()
                self._written, self._sent = await self._client.create(manifest), sent
                return self._identity
            holder = str(current["spec"].get("holderIdentity") or "")
            if self._mine and holder != self._identity:
                return holder or UNKNOWN  # another process has acted meanwhile, even if it has given it up since
            if holder not in ("", self._identity) and not self._expired(current):
                return holder
            metadata = current["metadata"] | await self._owners()
            taken, sent = (
                current | {"metadata": metadata, "spec": self._spec(now, previous=current["spec"])},
                loop.time(),
            )
            self._written, self._sent = await self._client.replace(taken), sent
        except ApiError as error:
            if not error.conflict:
                raise
            # Another process was faster, or an earlier attempt of this request was carried out: read which.
            current = await self._client.get(LEASES, self.name)
            if current is None:
                return UNKNOWN
            self._lasts = min(self._lasts, int(current["spec"].get("leaseDurationSeconds") or self._lasts))
            return str(current["spec"].get("holderIdentity") or UNKNOWN)
        return self._identity

    def _expired(self, current: Obj) -> bool:
        version = current["metadata"]["resourceVersion"]
        if self._seen[0] != version:
            duration = float(current["spec"].get("leaseDurationSeconds") or self._timing.duration)
            self._seen = (version, asyncio.get_running_loop().time() + duration)
        return asyncio.get_running_loop().time() > self._seen[1]

    def _until_next_look(self) -> float:
        """Return the seconds until the Lease that was seen last ends, at most the time between two looks."""
        ends_in = self._seen[1] + _EARLY - asyncio.get_running_loop().time()
        return min(self._timing.look, ends_in) if ends_in > 0 else self._timing.look

    def _manifest(self, now: str, owners: Obj) -> Obj:
        metadata = {"name": self.name, "namespace": self._client.namespace, **owners}
        return {
            "apiVersion": LEASES.api_version,
            "kind": LEASES.kind,
            "metadata": metadata,
            "spec": self._spec(now, previous={}),
        }

    async def _owners(self) -> Obj:
        owner = await self._owner() if callable(self._owner) else self._owner
        return {"ownerReferences": [owner.as_owner()]} if owner is not None else {}

    def _spec(self, now: str, *, previous: Mapping[str, Any]) -> Obj:
        mine = previous.get("holderIdentity") == self._identity
        return {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": self._lasts,
            "acquireTime": previous.get("acquireTime", now) if mine else now,
            "renewTime": now,
            "leaseTransitions": int(previous.get("leaseTransitions") or 0) + (not mine),
        }
