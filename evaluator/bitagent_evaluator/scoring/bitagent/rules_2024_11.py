"""The rules of November 2024.

Each criterion first reduces the answer, for itself and for the criteria after it: to its last line, without one pair of
outer brackets, and to nothing if the rest is not Python. So the format criterion always passes: a text that is not
Python reads as no call, and fails the others. One that is Python, but not one call, cannot be judged by them. Only the
required arguments earn points; the more arguments there are, the less each is worth. An irrelevant task is passed by an
answer that is not Python, even an empty one.
"""

from __future__ import annotations

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
from bitagent_evaluator.scoring.bitagent.reading import PythonCall, parse_module, read_call, without_brackets

MISPLACED_CALL_POINTS = -0.5


class Rules202411:
    """The rule set of November 2024."""

    def score(
        self, expected: ExpectedCall | None, tools: Tools, answer: MinerResponse, *, with_default: bool
    ) -> CriteriaPoints:
        """Return the points of an answer, as RuleSet says."""
        points: dict[Criterion, Points] = {}
        text = answer.response
        if with_default:
            points = {Criterion.DOES_NOT_ERROR: does_not_error(answer), Criterion.SPEED: speed(answer)}
            text = _reduced(_reduced(text))
        text = _reduced(text)
        if expected is None:
            irrelevant = MISPLACED_CALL_POINTS if text else CALL_POINTS
            return CriteriaPoints(points | {Criterion.IRRELEVANT: (irrelevant, CALL_POINTS)})
        points[Criterion.FORMAT] = FORMAT_POINTS, FORMAT_POINTS
        for criterion in _CALL_CRITERIA:
            text = _reduced(text)
            try:
                call = read_call(text)
            except CriterionFailed:
                points[criterion] = FAILED
            else:
                points[criterion] = _of_call(expected, tools, call)[criterion]
        return CriteriaPoints(points)

    def score_call(self, expected: ExpectedCall, tools: Tools, call: PythonCall) -> CriteriaPoints:
        """Return the points of a call, as RuleSet says."""
        return CriteriaPoints(
            {Criterion.FORMAT: (FORMAT_POINTS, FORMAT_POINTS)} | _of_call(expected, tools, call),
        )


_CALL_CRITERIA = (Criterion.FUNCTION_NAME, Criterion.ARGUMENT_NAMES, Criterion.ARGUMENT_VALUES)


def _reduced(text: str) -> str:
    """Return the last line without one pair of outer brackets; nothing if that is not Python."""
    text = without_brackets(text.strip().split("\n")[-1]).strip()
    return text if parse_module(text) is not None else ""


def _of_call(expected: ExpectedCall, tools: Tools, call: PythonCall) -> dict[Criterion, Points]:
    return {
        Criterion.FUNCTION_NAME: _name(expected, call),
        Criterion.ARGUMENT_NAMES: _argument_names(expected, tools, call),
        Criterion.ARGUMENT_VALUES: _argument_values(expected, tools, call),
    }


def _name(expected: ExpectedCall, call: PythonCall) -> Points:
    if call.name is None:
        return FAILED
    return (CALL_POINTS if call.name == expected.name.strip() else WRONG_NAME_POINTS), CALL_POINTS


def _has_no_arguments(expected: ExpectedCall, call: PythonCall) -> bool:
    """Return whether there is a call without arguments, as is expected."""
    return not expected.arguments and not call.arguments and call.name != ""


def _argument_names(expected: ExpectedCall, tools: Tools, call: PythonCall) -> Points:
    if not expected.arguments:
        return (CALL_POINTS if _has_no_arguments(expected, call) else 0.0), CALL_POINTS
    try:
        required = expected.required(tools)
    except CriterionFailed:
        return FAILED
    present = [name for name in required if name in call.values]
    return _points(len(present), required, missing=len(required) - len(present), expected=expected, call=call)


def _argument_values(expected: ExpectedCall, tools: Tools, call: PythonCall) -> Points:
    if _has_no_arguments(expected, call):
        return CALL_POINTS, CALL_POINTS
    try:
        required = expected.required(tools)
    except CriterionFailed:
        return FAILED
    given = call.values
    present = [name for name in required if name in given]
    if any(name not in expected.arguments for name in present):  # nothing to compare the value with
        return FAILED
    right = sum(_is_right(expected, name, given[name]) for name in present)
    return _points(right, required, missing=len(required) - len(present), expected=expected, call=call)


def _points(count: int, required: list[str], *, missing: int, expected: ExpectedCall, call: PythonCall) -> Points:
    each = CALL_POINTS / max(len(call.arguments), len(expected.arguments), 1)
    penalty = CALL_POINTS / len(required) * missing if required else 0.0
    return each * count - penalty, CALL_POINTS


def _is_right(expected: ExpectedCall, name: str, value: object) -> bool:
    right = expected.arguments[name]
    if not expected.is_ground_truth:
        return bool(value == right)
    return bool((expected.accepts_list and value == right) or value in right)
