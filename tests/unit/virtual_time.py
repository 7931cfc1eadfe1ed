"""An event loop whose clock is not the machine's: tests of time limits end at once, on a busy machine too."""

from __future__ import annotations

import asyncio
import selectors


class _Selector(selectors.DefaultSelector):
    """Lets the time that the loop would wait for its next timer pass at once."""

    passed = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = super().select(0 if timeout is not None else None)
        if not found and timeout is not None:
            self.passed += max(timeout, 0.0)
        return found


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """A loop in which time passes only while everything waits for it."""

    def __init__(self) -> None:
        self._clock = _Selector()
        super().__init__(self._clock)

    def time(self) -> float:
        """Return the seconds that passed so far."""
        return self._clock.passed


class VirtualTimePolicy(asyncio.DefaultEventLoopPolicy):
    """Makes such loops; a test module returns it from its fixture `event_loop_policy`."""

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        return VirtualTimeLoop()
