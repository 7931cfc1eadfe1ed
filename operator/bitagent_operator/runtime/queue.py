"""A keyed work queue: a key is never worked on twice at once, a burst of events is one run, failures back off.

A key runs at most every `pace` seconds, so that all changes in between cause one pass and one write. Of the keys that
are due those with the lowest `rank` come first, so that a few important ones do not wait behind many others.
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
    """Queue of keys to process, for use inside one event loop.

    `expected` errors are logged without a traceback, and the same one of a key only once in a row. `workers` bounds the
    passes that wait for requests at the same time.
    """

    def __init__(
        self,
        work: Work[K],
        *,
        rank: Callable[[K], int] = lambda _key: 0,
        workers: int = 16,
        pace: float = 0.25,
        backoff: tuple[float, float] = (0.2, 60.0),
        expected: tuple[type[Exception], ...] = (OSError,),
    ) -> None:
        self._work, self._rank, self._workers, self._pace = work, rank, workers, pace
        self._expected = expected
        self._first_delay, self._longest_delay = backoff
        self._due: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []  # an entry counts only while `_due` says the same
        self._ready: list[tuple[int, float, int, K]] = []  # likewise; these are due
        self._order = itertools.count()
        self._busy: set[K] = set()
        self._fails: dict[K, tuple[int, str]] = {}  # how often in a row, and why last
        self._last: dict[K, float] = {}
        self._wake = asyncio.Event()

    def __len__(self) -> int:
        return len(self._due) + len(self._busy)

    @property
    def backing_off(self) -> int:
        """The number of keys that failed and wait for the next try."""
        return sum(key in self._due for key in self._fails)

    def oldest_seconds(self) -> float:
        """Return how long the key has waited that has been due the longest; 0 if none is due."""
        now = asyncio.get_running_loop().time()
        return max((now - due for key, due in self._due.items() if due <= now and key not in self._busy), default=0.0)

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
            while self._heap and self._heap[0][0] <= loop.time() + _EARLY:
                due, order, key = heapq.heappop(self._heap)
                heapq.heappush(self._ready, (self._rank(key), due, order, key))
            while self._ready:
                _, due, _, key = heapq.heappop(self._ready)
                if key not in self._busy and self._due.get(key) == due:
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
        known, text = isinstance(error, self._expected), f"{type(error).__name__}: {error}"
        fails, before = self._fails.get(key, (0, ""))
        self._fails[key] = fails + 1, text
        delay = min(self._longest_delay, self._first_delay * float(2 ** min(fails, 30)))
        level = logging.WARNING if not known else logging.DEBUG if text == before else logging.INFO
        log.log(level, "%s: failed %d times, again in %.1f s: %s", key, fails + 1, delay, error, exc_info=not known)
        return delay
