"""What the rule sets share: their vocabulary, and the two criteria that look at the transport, not at the answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias

Points: TypeAlias = tuple[float, float]
"""Points given, which may be negative, and points possible."""

Tools: TypeAlias = Mapping[str, frozenset[str]]
"""Required arguments by function name; the criteria use nothing else of a tool's description."""

_LEFT_OUT = ""
"""Among a ground truth's allowed values: the argument may be left out."""
OK_STATUS = 200
ERROR_FREE_POINTS = 0.25
SPEED_POINTS = 0.5
FORMAT_POINTS = 1.0
CALL_POINTS = 3.0
"""Possible points of each criterion about the call itself."""
WRONG_NAME_POINTS = -0.5
FAILED: Points = (-0.5, 1.0)
"""Points of a criterion that cannot be applied to the answer. Fewer points are possible then, so the denominator is
smaller too."""


class Criterion(StrEnum):
    """Names of the criteria, in their order."""

    DOES_NOT_ERROR = "does_not_error"
    SPEED = "speed"
    FORMAT = "format"
    FUNCTION_NAME = "function_name"
    ARGUMENT_NAMES = "argument_names"
    ARGUMENT_VALUES = "argument_values"
    IRRELEVANT = "irrelevant"


class CriterionFailed(Exception):
    """Raised when a criterion cannot be applied to the answer."""


@dataclass(frozen=True)
class ExpectedCall:
    """The expected call."""

    name: str
    arguments: Mapping[str, Any]
    """Value by argument; with `is_ground_truth`, the list of allowed values."""
    is_ground_truth: bool = False
    accepts_list: bool = True
    """Whether the whole list of allowed values counts as a right value too, as in the subnet's validators."""

    def required(self, tools: Tools) -> list[str]:
        """Return the required arguments: all those that the tool requires, also ones that are not expected; of a ground
        truth all, except those that can only be left out, whatever the tools.

        Raises CriterionFailed if the tool is not there.
        """
        if self.is_ground_truth:
            return [name for name, allowed in self.arguments.items() if allowed != [_LEFT_OUT]]
        if self.name not in tools:
            raise CriterionFailed("the expected function is not among the tools")
        return sorted(tools[self.name])


@dataclass(frozen=True)
class MinerResponse:
    """A miner's answer and its transport. The defaults are for a model that is evaluated here, without transport."""

    response: str
    timeout: float = 0.0
    """Seconds allowed."""
    process_time: float | None = None
    """Seconds taken."""
    axon_status: int | None = OK_STATUS
    dendrite_status: int | None = OK_STATUS


@dataclass(frozen=True)
class CriteriaPoints:
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
        """Points given as a share of those possible; negative for a bad answer."""
        return self.total / self.possible


def does_not_error(answer: MinerResponse) -> Points:
    """Return full points if both ends of the request reported success, else none."""
    fine = answer.axon_status == OK_STATUS and answer.dendrite_status == OK_STATUS
    return ERROR_FREE_POINTS if fine else 0.0, ERROR_FREE_POINTS


def speed(answer: MinerResponse) -> Points:
    """Return full points within 1/1.75 of the time allowed, half within 1/1.25, a fifth in time, else none.

    An unknown time gives none.
    """
    seconds = answer.process_time
    if not seconds or seconds > answer.timeout:
        return 0.0, SPEED_POINTS
    if seconds <= answer.timeout / 1.75:
        return SPEED_POINTS, SPEED_POINTS
    return (0.25 if seconds <= answer.timeout / 1.25 else 0.1), SPEED_POINTS
