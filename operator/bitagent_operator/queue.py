"""A keyed work queue: a key is never worked on twice at once, a burst of events is one run, failures back off.

A key runs at most every `pace` seconds, so that all changes in between cause one pass and one write.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
Work = Callable[[K], Awaitable[float | None]]
"""Processes a key; returns the seconds until it must be processed again, or None to wait for an event."""

_EARLY = 1e-3
"""Timers may fire a little early; comparing exactly would spin until they are due."""

log = logging.getLogger(__name__)


class WorkQueue(Generic[K]):
    """Queue of keys to process, for use inside one event loop. `expected` errors are logged without a traceback."""

    def __init__(
        self,
        work: Work[K],
        *,
        workers: int = 4,
        pace: float = 0.25,
        backoff: tuple[float, float] = (0.2, 60.0),
        expected: tuple[type[Exception], ...] = (OSError,),
    ) -> None:
        self._work, self._workers, self._pace, self._expected = work, workers, pace, expected
        self._first_delay, self._longest_delay = backoff
        self._due: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []  # an entry counts only while `_due` says the same
        self._order = itertools.count()
        self._busy: set[K] = set()
        self._fails: dict[K, int] = {}
        self._last: dict[K, float] = {}
        self._wake = asyncio.Event()

    def __len__(self) -> int:
        return len(self._due) + len(self._busy)

    def add(self, key: K, *, delay: float = 0.0) -> None:
        """Schedule the key in `delay` seconds. This never shortens the back-off of a failure."""
        if key in self._fails and key in self._due:
            return
        now = asyncio.get_running_loop().time()
        at = max(now + delay, self._last.get(key, now - self._pace) + self._pace)
        if at < self._due.get(key, float("inf")):
            self._schedule(key, at)

    async def run(self) -> None:
        """Process keys until cancelled."""
        slots = asyncio.Semaphore(self._workers)
        async with asyncio.TaskGroup() as group:
            while True:
                await slots.acquire()
                group.create_task(self._one(await self._next(), slots))

    def _schedule(self, key: K, at: float) -> None:
        self._due[key] = at
        if key not in self._busy:  # else when its present run ends
            heapq.heappush(self._heap, (at, next(self._order), key))
            self._wake.set()

    async def _next(self) -> K:
        loop = asyncio.get_running_loop()
        while True:
            self._wake.clear()
            while self._heap and (
                self._heap[0][2] in self._busy or self._due.get(self._heap[0][2]) != self._heap[0][0]
            ):
                heapq.heappop(self._heap)
            if self._heap and self._heap[0][0] <= loop.time() + _EARLY:
                key = heapq.heappop(self._heap)[2]
                del self._due[key]
                self._busy.add(key)
                return key
            try:
                async with asyncio.timeout_at(self._heap[0][0] if self._heap else None):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _one(self, key: K, slots: asyncio.Semaphore) -> None:
        loop = asyncio.get_running_loop()
        began = self._last[key] = loop.time()
        try:
            requeue_after = await self._work(key)
            self._fails.pop(key, None)
            due = self._due.get(key, float("inf"))
            if requeue_after is not None:
                due = min(due, max(loop.time() + requeue_after, began + self._pace))
        except Exception as error:  # noqa: BLE001 - one bad object must not stop the others: logged and retried
            due = loop.time() + self._failed(key, error)
        finally:
            self._busy.discard(key)
            slots.release()
            loop.call_later(self._pace, self._last.pop, key, None)  # no longer needed to keep the pace
        if due < float("inf"):
            self._schedule(key, due)

    def _failed(self, key: K, error: Exception) -> float:
        """Count and log a failure; return the seconds until the next try."""
        fails = self._fails[key] = self._fails.get(key, 0) + 1
        delay = min(self._longest_delay, self._first_delay * float(2 ** min(fails - 1, 30)))
        known = isinstance(error, self._expected)
        log.warning("%s: failed %d times, again in %.1f s: %s", key, fails, delay, error, exc_info=not known)
        return delay
