"""What a model learns from: functions on offer, and questions about them with their answers. Text; token ids are made in `classroom`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Exchange:
    """A question and the answer to give."""

    question: str
    answer: str


@dataclass(frozen=True)
class Lesson:
    """Questions that share their functions. Each is asked as the first one: no answer sees another question."""

    tools: tuple[dict[str, Any], ...]
    exchanges: tuple[Exchange, ...]
