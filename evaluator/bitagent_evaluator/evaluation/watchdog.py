"""A thread that notices an engine whose step never returns.

Such a step blocks the main thread outside Python, so nothing there can look at the clock, and no signal handler runs.
Without the thread a pod would hold its GPU until its deadline, and leave no summary that names the hardware.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Self

STALL_SECONDS = 600.0
"""Time without a finished step after which an engine hangs; the longest steps of large models take seconds."""


class Watchdog:
    """Calls `on_stall` in a thread of its own if there is no `beat` for some seconds. A context manager."""

    def __init__(self, on_stall: Callable[[str], None], seconds: float = STALL_SECONDS) -> None:
        """`on_stall` gets the cause in words, and is called once at most."""
        self._on_stall, self._seconds = on_stall, seconds
        self._last = time.monotonic()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def __enter__(self) -> Self:
        self.beat()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def beat(self) -> None:
        """Report that a step has ended."""
        self._last = time.monotonic()

    def _watch(self) -> None:
        while (left := self._last + self._seconds - time.monotonic()) > 0:
            if self._ended.wait(left):
                return
        self._on_stall(f"the engine has not ended a step for {self._seconds:g} s")
