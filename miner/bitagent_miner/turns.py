"""The order in which requests reach the model: a bounded queue, by stake and then by arrival."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


class QueueFull(Exception):
    """All places are held by requests of at least this priority, or one of more priority took this one's place."""


@dataclass(order=True)
class _Waiter:
    key: tuple[float, int]
    turn: asyncio.Future[None] = field(compare=False)


class Turns:
    """Lets `parallel` requests run at once, and `waiting` wait."""

    def __init__(self, *, parallel: int, waiting: int) -> None:
        self._free, self._places = parallel, waiting
        self._waiters: list[_Waiter] = []
        self._arrivals = itertools.count()

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiters)

    @asynccontextmanager
    async def turn(self, priority: float) -> AsyncIterator[None]:
        """Wait for a turn, and hold it. Raises QueueFull, and CancelledError if the caller waits no longer."""
        await self._wait(priority)
        try:
            yield
        finally:
            self._release()

    async def _wait(self, priority: float) -> None:
        if self._free:
            self._free -= 1
            return
        waiter = _Waiter((-priority, next(self._arrivals)), asyncio.get_running_loop().create_future())
        if len(self._waiters) >= self._places:
            last = max(self._waiters, default=None)
            if last is None or last < waiter:
                raise QueueFull
            self._remove(last)
            last.turn.set_exception(QueueFull())
        heapq.heappush(self._waiters, waiter)
        try:
            await waiter.turn
        except asyncio.CancelledError:
            if waiter.turn.done() and not waiter.turn.cancelled() and waiter.turn.exception() is None:
                self._release()  # it had got its turn already
            else:
                self._remove(waiter)
            raise

    def _release(self) -> None:
        if not self._waiters:
            self._free += 1
            return
        heapq.heappop(self._waiters).turn.set_result(None)

    def _remove(self, waiter: _Waiter) -> None:
        self._waiters = [each for each in self._waiters if each is not waiter]
        heapq.heapify(self._waiters)
