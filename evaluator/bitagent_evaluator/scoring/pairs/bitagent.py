"""Lines `bitagent`: an expected call, tools, and an answer with its transport, judged by one of the subnet's rule sets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum
from functools import cache
from typing import Any

from pydantic import BaseModel

from bitagent_evaluator.scoring.bitagent import Answer, Expected, RuleSet, rule_set
from bitagent_evaluator.scoring.pairs.line import BadLine, read_lines


class RuleSetName(StrEnum):
    """How lines name the rule sets."""

    V2024_11 = "v2024_11"
    V2025_04 = "v2025_04"


class ArgumentLine(BaseModel):
    """An argument's description."""

    required: bool = False


class ToolLine(BaseModel):
    """A tool's description."""

    name: str
    arguments: dict[str, ArgumentLine] = {}


class ExpectedLine(BaseModel):
    """The expected call."""

    name: str
    arguments: dict[str, Any]
    is_ground_truth: bool = False


class BitAgentLine(BaseModel):
    """A task and an answer."""

    id: str
    ruleset: RuleSetName
    with_default: bool
    expected: ExpectedLine | None
    tools: list[ToolLine]
    response: str
    timeout: float = 0.0
    process_time: float | None = None
    axon_status: int | None = None
    dendrite_status: int | None = None


class BitAgentPairs:
    """See the module."""

    def judge(self, lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
        """`{"id", "criteria", "total", "possible", "normalized"}` per line."""
        for number, line in read_lines(lines, BitAgentLine):
            yield _judged(number, line)


def _judged(number: int, line: BitAgentLine) -> dict[str, Any]:
    expected = None
    if line.expected is not None:
        expected = Expected(line.expected.name, line.expected.arguments, line.expected.is_ground_truth)
        if expected.is_ground_truth and not all(isinstance(allowed, list) for allowed in expected.arguments.values()):
            raise BadLine(
                f"line {number}: expected.arguments: a ground truth lists the allowed values of each argument"
            )
    scored = _rules(line.ruleset).score(
        expected,
        {tool.name: frozenset(name for name, of in tool.arguments.items() if of.required) for tool in line.tools},
        Answer(line.response, line.timeout, line.process_time, line.axon_status, line.dendrite_status),
        with_default=line.with_default,
    )
    return {
        "id": line.id,
        "criteria": [list(points) for points in scored.criteria.values()],
        "total": scored.total,
        "possible": scored.possible,
        "normalized": scored.normalized,
    }


@cache
def _rules(name: RuleSetName) -> RuleSet:
    return rule_set(name.removeprefix("v").replace("_", "-"))
