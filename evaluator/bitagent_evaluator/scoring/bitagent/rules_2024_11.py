"""The rules of November 2024.

Only the last line of an answer is read, without outer brackets: each criterion removes two pairs, for itself and for
the criteria after it. The format criterion always passes: a text that is not Python reads as no call, and fails the
others. One that is Python, but not one call, cannot be judged by them. Only required arguments earn points; the more
arguments there are, the less each is worth. An irrelevant task is passed by an answer that is not Python, even an empty
one.
"""

from __future__ import annotations

import ast

from bitagent_evaluator.scoring.bitagent.criteria import (
    CALL_POINTS,
    FAILED,
    FORMAT_POINTS,
    WRONG_NAME_POINTS,
    CriteriaPoints,
    Criterion,
    CriterionFailed,
    ExpectedCall,
    MinerResponse,
    Points,
    Tools,
    does_not_error,
    speed,
)
from bitagent_evaluator.scoring.bitagent.reading import NO_CALL, PythonCall, first_call, parse_module, without_brackets

MISPLACED_CALL_POINTS = -0.5


class Rules202411:
    """The rule set of November 2024."""

    def score(
        self, expected: ExpectedCall | None, tools: Tools, answer: MinerResponse, *, with_default: bool
    ) -> CriteriaPoints:
        """Return the points of an answer, as RuleSet says."""
        default = {Criterion.DOES_NOT_ERROR: does_not_error(answer), Criterion.SPEED: speed(answer)}
        own = _irrelevant(answer.response) if expected is None else self._tool(expected, tools, answer.response)
        return CriteriaPoints(default | own if with_default else own)

    def score_call(self, expected: ExpectedCall, tools: Tools, call: PythonCall) -> CriteriaPoints:
        """Return the points of a call, as RuleSet says."""
        return CriteriaPoints(_of_call(expected, tools, call, readable=True))

    def _tool(self, expected: ExpectedCall, tools: Tools, response: str) -> dict[Criterion, Points]:
        points = {Criterion.FORMAT: (FORMAT_POINTS, FORMAT_POINTS)}
        text = _reduced(response)
        for criterion in _CALL_CRITERIA:
            text = _reduced(text)
            tree = parse_module(text) if text else None
            try:
                call = NO_CALL if tree is None else first_call(tree)
            except CriterionFailed:
                points[criterion] = FAILED
            else:
                points[criterion] = _of_call(expected, tools, call, readable=tree is not None)[criterion]
        return points


_CALL_CRITERIA = (Criterion.FUNCTION_NAME, Criterion.ARGUMENT_NAMES, Criterion.ARGUMENT_VALUES)


def _reduced(text: str) -> str:
    """Return the last line without two pairs of outer brackets."""
    for _ in range(2):
        text = without_brackets(text.strip().split("\n")[-1].strip())
    return text.strip()


def _read(response: str) -> ast.Module | None:
    text = _reduced(response)
    return parse_module(text) if text else None


def _irrelevant(response: str) -> dict[Criterion, Points]:
    is_call = _read(response) is not None
    return {Criterion.IRRELEVANT: (MISPLACED_CALL_POINTS if is_call else CALL_POINTS, CALL_POINTS)}


def _of_call(expected: ExpectedCall, tools: Tools, call: PythonCall, *, readable: bool) -> dict[Criterion, Points]:
    return {
        Criterion.FORMAT: (FORMAT_POINTS, FORMAT_POINTS),
        Criterion.FUNCTION_NAME: _name(expected, call),
        **_arguments(expected, tools, call, readable=readable),
    }


def _name(expected: ExpectedCall, call: PythonCall) -> Points:
    if call.name is None:
        return FAILED
    return (CALL_POINTS if call.name == expected.name else WRONG_NAME_POINTS), CALL_POINTS


def _arguments(expected: ExpectedCall, tools: Tools, call: PythonCall, *, readable: bool) -> dict[Criterion, Points]:
    count = max(len(call.arguments), len(expected.arguments))
    if count == 0:
        points = CALL_POINTS if readable else 0.0
        return dict.fromkeys((Criterion.ARGUMENT_NAMES, Criterion.ARGUMENT_VALUES), (points, CALL_POINTS))
    try:
        required = expected.required(tools)
    except CriterionFailed:
        return dict.fromkeys((Criterion.ARGUMENT_NAMES, Criterion.ARGUMENT_VALUES), FAILED)
    given = call.values
    present = [name for name in required if name in given]
    right = [name for name in present if _is_right(expected, name, given[name])]
    penalty = CALL_POINTS / len(required) * (len(required) - len(present)) if required else 0.0
    each = CALL_POINTS / count
    return {
        Criterion.ARGUMENT_NAMES: (each * len(present) - penalty, CALL_POINTS),
        Criterion.ARGUMENT_VALUES: (each * len(right) - penalty, CALL_POINTS),
    }


def _is_right(expected: ExpectedCall, name: str, value: object) -> bool:
    right = expected.arguments[name]
    if not expected.is_ground_truth:
        return bool(value == right)
    return bool((expected.accepts_list and value == right) or value in right)
