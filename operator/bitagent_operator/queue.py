"""A keyed work queue: a key is never worked on twice at once, a burst of events is one run, failures back off.

A key runs at most every `pace` seconds, so that what happens meanwhile is one pass and one write.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
Work = Callable[[K], Awaitable[float | None]]
"""Does the work of a key; returns after how many seconds to run it again, None: when something happens."""

_EARLY = 1e-3
"""Timers may fire a little early; comparing exactly would spin until they are due."""

log = logging.getLogger(__name__)


class WorkQueue(Generic[K]):
    """Keys that wait for work. Made and used inside one event loop."""

    def __init__(
        self, work: Work[K], *, workers: int = 4, pace: float = 0.25, backoff: tuple[float, float] = (0.2, 60.0)
    ) -> None:
        self._work, self._workers, self._pace = work, workers, pace
        self._first_delay, self._longest_delay = backoff
        self._due: dict[K, float] = {}
        self._busy: set[K] = set()
        self._fails: dict[K, int] = {}
        self._last: dict[K, float] = {}
        self._wake = asyncio.Event()

    def __len__(self) -> int:
        return len(self._due) + len(self._busy)

    @property
    def ready(self) -> int:
        """Keys that are due now and wait for a worker."""
        now = asyncio.get_running_loop().time()
        return sum(due <= now for due in self._due.values())

    def add(self, key: K, *, delay: float = 0.0) -> None:
        """Run the key, after `delay` seconds. An event never shortens the back-off of a failure."""
        if key in self._fails and key in self._due:
            return
        now = asyncio.get_running_loop().time()
        at = max(now + delay, self._last.get(key, -self._pace) + self._pace)
        self._due[key] = min(at, self._due.get(key, at))
        self._wake.set()

    def forget(self, key: K) -> None:
        """Drop what is remembered of a key whose object is gone."""
        for table in (self._fails, self._last):
            table.pop(key, None)

    async def run(self) -> None:
        """Work for ever."""
        slots = asyncio.Semaphore(self._workers)
        async with asyncio.TaskGroup() as group:
            while True:
                await slots.acquire()
                group.create_task(self._one(await self._next(), slots))

    async def _next(self) -> K:
        loop = asyncio.get_running_loop()
        while True:
            self._wake.clear()
            first = min((k for k in self._due if k not in self._busy), key=self._due.__getitem__, default=None)
            if first is not None and self._due[first] <= loop.time() + _EARLY:
                del self._due[first]
                self._busy.add(first)
                return first
            try:
                async with asyncio.timeout_at(None if first is None else self._due[first]):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _one(self, key: K, slots: asyncio.Semaphore) -> None:
        loop = asyncio.get_running_loop()
        again: float | None = None
        self._last[key] = loop.time()
        try:
            again = await self._work(key)
            self._fails.pop(key, None)
        except Exception as error:  # one bad object must not stop the others: logged here, and tried again
            fails = self._fails[key] = self._fails.get(key, 0) + 1
            again = min(self._longest_delay, self._first_delay * 2 ** (fails - 1))
            known = isinstance(error, OSError) or type(error).__name__ == "ApiError"
            log.warning("%s: failed %d times, again in %.1f s: %s", key, fails, again, error, exc_info=not known)
        finally:
            self._busy.discard(key)
            slots.release()
            if again is not None:
                self._due[key] = min(loop.time() + again, self._due.get(key, float("inf")))
            self._wake.set()
