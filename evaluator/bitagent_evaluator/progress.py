"""How far a long piece of work is, told to whoever wants to show it."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import Protocol

_log = logging.getLogger(__name__)


@dataclass
class Pace:
    """Says when enough time has passed for another line, or another sync."""

    seconds: float = 5.0
    _last: float = field(default_factory=time.monotonic)

    def due(self) -> bool:
        """True at most once every `seconds`."""
        now = time.monotonic()
        if now - self._last < self.seconds:
            return False
        self._last = now
        return True


class Progress(Protocol):
    """Shows an evaluation."""

    def phase(self, name: str) -> None:
        """A new phase began; `name` is a short description for people."""
        ...

    def answered(self, done: int, total: int) -> None:
        """That many of all tasks have an answer now."""
        ...


class LogProgress:
    """Log lines, a few a minute."""

    def __init__(self) -> None:
        self._pace = Pace()
        self._started: tuple[float, int] | None = None

    def phase(self, name: str) -> None:
        """Log the phase."""
        _log.info("%s", name)

    def answered(self, done: int, total: int) -> None:
        """Log count and rate now and then, and at the end."""
        now = time.monotonic()
        if self._started is None:
            self._started = (now, done)
        if self._pace.due() or done == total:
            since, first = self._started
            _log.info("%d of %d answers, %.1f a second", done, total, (done - first) / max(1e-3, now - since))
