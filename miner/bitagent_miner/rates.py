"""How often a hotkey may ask: a bucket for each, filled steadily. Only verified hotkeys are counted."""

from __future__ import annotations

import time
from collections.abc import Callable

HOTKEYS_MAX = 4096
"""More than a subnet has."""


class RateLimit:
    """Counts requests by hotkey."""

    def __init__(self, *, per_minute: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._burst, self._clock = per_minute / 60, burst, clock
        self._buckets: dict[str, tuple[float, float]] = {}

    def allows(self, hotkey: str) -> bool:
        """Count a request, and return whether it is within the limit."""
        now = self._clock()
        left, since = self._buckets.pop(hotkey, (float(self._burst), now))
        left = min(float(self._burst), left + (now - since) * self._rate)
        allowed = left >= 1
        self._buckets[hotkey] = (left - 1 if allowed else left, now)
        if len(self._buckets) > HOTKEYS_MAX:
            # The one that has asked the longest time ago.
            del self._buckets[next(iter(self._buckets))]
        return allowed
