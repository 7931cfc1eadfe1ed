"""The rules of November 2024.

Only the last line of an answer is read, and two pairs of outer brackets are taken off it. The format criterion always passes: a text that
is not Python reads as no call, and fails the others. Only required arguments earn points; the more arguments there are, the less each is
worth. An irrelevant task is passed by an answer that is not Python, an empty one included.
"""

from __future__ import annotations

import ast

from bitagent_evaluator.scoring.bitagent.criteria import (
    CALL_POINTS,
    FAILED,
    FORMAT_POINTS,
    WRONG_NAME_POINTS,
    Answer,
    Criterion,
    CriterionFailed,
    Expected,
    Points,
    Score,
    Tools,
    does_not_error,
    speed,
)
from bitagent_evaluator.scoring.bitagent.reading import NO_CALL, Call, call_of, parse, without_brackets

MISPLACED_CALL_POINTS = -0.5


class Rules202411:
    """See the module."""

    def score(self, expected: Expected | None, tools: Tools, answer: Answer, *, with_default: bool) -> Score:
        """See RuleSet."""
        default = {Criterion.DOES_NOT_ERROR: does_not_error(answer), Criterion.SPEED: speed(answer)}
        own = _irrelevant(answer.response) if expected is None else self._tool(expected, tools, answer.response)
        return Score(default | own if with_default else own)

    def score_call(self, expected: Expected, tools: Tools, call: Call) -> Score:
        """See RuleSet."""
        return Score(_of_call(expected, tools, call, readable=True))

    def _tool(self, expected: Expected, tools: Tools, response: str) -> dict[Criterion, Points]:
        tree = _read(response)
        try:
            call = NO_CALL if tree is None else call_of(tree)
        except CriterionFailed:
            return {
                Criterion.FORMAT: (FORMAT_POINTS, FORMAT_POINTS),
                Criterion.FUNCTION_NAME: FAILED,
                Criterion.ARGUMENT_NAMES: FAILED,
                Criterion.ARGUMENT_VALUES: FAILED,
            }
        return _of_call(expected, tools, call, readable=tree is not None)


def _read(response: str) -> ast.Module | None:
    text = response
    for _ in range(2):
        text = without_brackets(text.strip().split("\n")[-1].strip())
    text = text.strip()
    return parse(text) if text else None


def _irrelevant(response: str) -> dict[Criterion, Points]:
    is_call = _read(response) is not None
    return {Criterion.IRRELEVANT: (MISPLACED_CALL_POINTS if is_call else CALL_POINTS, CALL_POINTS)}


def _of_call(expected: Expected, tools: Tools, call: Call, *, readable: bool) -> dict[Criterion, Points]:
    return {
        Criterion.FORMAT: (FORMAT_POINTS, FORMAT_POINTS),
        Criterion.FUNCTION_NAME: _name(expected, call),
        **_arguments(expected, tools, call, readable=readable),
    }


def _name(expected: Expected, call: Call) -> Points:
    if call.name is None:
        return FAILED
    return (CALL_POINTS if call.name == expected.name else WRONG_NAME_POINTS), CALL_POINTS


def _arguments(expected: Expected, tools: Tools, call: Call, *, readable: bool) -> dict[Criterion, Points]:
    count = max(len(call.arguments), len(expected.arguments))
    if count == 0:
        points = CALL_POINTS if readable else 0.0
        return dict.fromkeys((Criterion.ARGUMENT_NAMES, Criterion.ARGUMENT_VALUES), (points, CALL_POINTS))
    required = expected.required(tools)
    given = call.values
    present = [name for name in required if name in given]
    right = [name for name in present if _is_right(expected, name, given[name])]
    penalty = CALL_POINTS / len(required) * (len(required) - len(present)) if required else 0.0
    each = CALL_POINTS / count
    return {
        Criterion.ARGUMENT_NAMES: (each * len(present) - penalty, CALL_POINTS),
        Criterion.ARGUMENT_VALUES: (each * len(right) - penalty, CALL_POINTS),
    }


def _is_right(expected: Expected, name: str, value: object) -> bool:
    wanted = expected.arguments[name]
    return bool(value == wanted or (expected.is_ground_truth and value in wanted))
