"""Nonces that were used, as long as a request with them would still be recent; bounded in all and for each hotkey."""

from __future__ import annotations

import heapq
from collections import Counter
from enum import StrEnum

MAXIMUM = 65_536
PER_HOTKEY = MAXIMUM // 64
"""A subnet has up to 64 hotkeys with a permit: a part of them cannot fill the memory for the others."""


class Use(StrEnum):
    """What is known about a nonce."""

    FIRST = "First"
    REPEATED = "Repeated"
    FULL = "Full"
    """The memory is full: whether it is repeated could not be known later, so that it must not be accepted."""


class ReplayMemory:
    """Nonces by hotkey, of verified requests only: what anyone may send must not fill it."""

    def __init__(self, *, maximum: int = MAXIMUM, per_hotkey: int = PER_HOTKEY) -> None:
        self._maximum, self._per_hotkey = maximum, per_hotkey
        self._seen: set[tuple[str, str]] = set()
        self._ends: list[tuple[int, str, str]] = []
        self._count: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._seen)

    def use(self, hotkey: str, nonce: str, *, until: int, now: int) -> Use:
        """Remember a nonce until a time, in nanoseconds, and return what was known about it."""
        while self._ends and self._ends[0][0] < now:
            _, old_hotkey, old_nonce = heapq.heappop(self._ends)
            self._seen.discard((old_hotkey, old_nonce))
            self._count[old_hotkey] -= 1
            if not self._count[old_hotkey]:
                del self._count[old_hotkey]
        if (hotkey, nonce) in self._seen:
            return Use.REPEATED
        if len(self._seen) >= self._maximum or self._count[hotkey] >= self._per_hotkey:
            return Use.FULL
        self._seen.add((hotkey, nonce))
        heapq.heappush(self._ends, (until, hotkey, nonce))
        self._count[hotkey] += 1
        return Use.FIRST
