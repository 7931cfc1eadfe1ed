"""Progress of long work: the interface, its form for logs, and a clock for things done now and then."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import Protocol

_log = logging.getLogger(__name__)


@dataclass
class Pace:
    """A clock that is due at most once in a number of seconds, such as for a log line or a sync of a file."""

    seconds: float = 5.0
    _last: float = field(default_factory=time.monotonic)

    def due(self) -> bool:
        """Whether `seconds` have passed since it was last due, or since it was made."""
        now = time.monotonic()
        if now - self._last < self.seconds:
            return False
        self._last = now
        return True


class Progress(Protocol):
    """Shows how far an evaluation is."""

    def start_phase(self, name: str) -> None:
        """Show that a phase begins; `name` is a short description of it."""
        ...

    def update(self, done: int, total: int) -> None:
        """Show that `done` of `total` tasks are answered."""
        ...


class LogProgress:
    """Progress as log lines, at most one every five seconds and one at the end."""

    def __init__(self) -> None:
        self._pace = Pace()
        self._started: tuple[float, int] | None = None

    def start_phase(self, name: str) -> None:
        """Log the phase."""
        _log.info("%s", name)

    def update(self, done: int, total: int) -> None:
        """Log the count and the rate."""
        now = time.monotonic()
        if self._started is None:
            self._started = (now, done)
        if self._pace.due() or done == total:
            since, first = self._started
            _log.info("%d of %d answers, %.1f per second", done, total, (done - first) / max(1e-3, now - since))
