"""What the rule sets share: their vocabulary, the criteria by name, and the two that look at the transport instead of the answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias

Points: TypeAlias = tuple[float, float]
"""Points given, which may be negative, and points possible."""

Tools: TypeAlias = Mapping[str, frozenset[str]]
"""Required arguments by function name: all that the criteria ask of a tool's description."""

OK_STATUS = 200
ERROR_FREE_POINTS = 0.25
SPEED_POINTS = 0.5
FORMAT_POINTS = 1.0
CALL_POINTS = 3.0
"""Possible points of each criterion about the call itself."""
WRONG_NAME_POINTS = -0.5
FAILED: Points = (-0.5, 1.0)
"""A criterion that cannot be applied to the answer. Fewer points are possible then, so it also shrinks the denominator."""


class Criterion(StrEnum):
    """What is judged, in the order of the criteria."""

    DOES_NOT_ERROR = "does_not_error"
    SPEED = "speed"
    FORMAT = "format"
    FUNCTION_NAME = "function_name"
    ARGUMENT_NAMES = "argument_names"
    ARGUMENT_VALUES = "argument_values"
    IRRELEVANT = "irrelevant"


class CriterionFailed(Exception):
    """A criterion cannot be applied to the answer."""


@dataclass(frozen=True)
class Expected:
    """The expected call."""

    name: str
    arguments: Mapping[str, Any]
    """Value by argument; with `is_ground_truth` the list of allowed values."""
    is_ground_truth: bool = False

    def required(self, tools: Tools) -> list[str]:
        """Arguments that must be there: all of a ground truth's, else those that the tool requires."""
        needed = frozenset(self.arguments) if self.is_ground_truth else tools.get(self.name, frozenset())
        return [name for name in self.arguments if name in needed]


@dataclass(frozen=True)
class Answer:
    """What came back. Without transport (a model answering here) the defaults stand."""

    response: str
    timeout: float = 0.0
    """Seconds that were allowed."""
    process_time: float | None = None
    """Seconds that it took."""
    axon_status: int | None = OK_STATUS
    dendrite_status: int | None = OK_STATUS


@dataclass(frozen=True)
class Score:
    """Points by criterion."""

    criteria: dict[Criterion, Points] = field(default_factory=dict)

    @property
    def total(self) -> float:
        """Points given."""
        return sum(given for given, _ in self.criteria.values())

    @property
    def possible(self) -> float:
        """Points possible."""
        return sum(most for _, most in self.criteria.values())

    @property
    def normalized(self) -> float:
        """Points given as a share of those possible; below 0 for a bad answer."""
        return self.total / self.possible


def does_not_error(answer: Answer) -> Points:
    """Whether both ends of the request reported success."""
    fine = answer.axon_status == OK_STATUS and answer.dendrite_status == OK_STATUS
    return ERROR_FREE_POINTS if fine else 0.0, ERROR_FREE_POINTS


def speed(answer: Answer) -> Points:
    """All points within 1/1.75 of the time allowed, half within 1/1.25, a fifth in time, none later or when the time is unknown."""
    seconds = answer.process_time
    if not seconds or seconds > answer.timeout:
        return 0.0, SPEED_POINTS
    if seconds <= answer.timeout / 1.75:
        return SPEED_POINTS, SPEED_POINTS
    return (0.25 if seconds <= answer.timeout / 1.25 else 0.1), SPEED_POINTS
