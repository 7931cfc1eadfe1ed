"""The rules of April 2025.

Every criterion but the one for irrelevant tasks first takes blanks and one pair of outer brackets off the answer, for itself and for the
criteria after it, and fails when the answer was empty or what is left is not Python. So one pair of brackets goes per criterion, and the
criterion for irrelevant tasks sees what the ones before it left. Values of a ground truth are compared as if the list of allowed values
were the value: an ordinary right answer gets no points for them.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

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
from bitagent_evaluator.scoring.bitagent.reading import Call, call_of, parse, without_brackets

MISPLACED_CALL_POINTS = -1.0


_CallRule: TypeAlias = Callable[[Expected, Tools, Call], Points]


class Rules202504:
    """See the module."""

    def score(self, expected: Expected | None, tools: Tools, answer: Answer, *, with_default: bool) -> Score:
        """See RuleSet."""
        own = () if expected is None else (Criterion.FORMAT, *_CALL_RULES)
        default = (Criterion.DOES_NOT_ERROR, Criterion.SPEED) if with_default else ()
        text, points = answer.response, {}
        for criterion in (*default, *own):
            is_empty, text = not text.strip(), without_brackets(text.strip()).strip()
            tree = None if is_empty else parse(text)
            points[criterion] = FAILED if tree is None else _judged(criterion, expected, tools, answer, tree)
        if expected is None:
            is_python = parse(text) is not None
            points[Criterion.IRRELEVANT] = (MISPLACED_CALL_POINTS if is_python else CALL_POINTS, CALL_POINTS)
        return Score(points)

    def score_call(self, expected: Expected, tools: Tools, call: Call) -> Score:
        """See RuleSet."""
        own = {criterion: _applied(rule, expected, tools, call) for criterion, rule in _CALL_RULES.items()}
        return Score({Criterion.FORMAT: (FORMAT_POINTS, FORMAT_POINTS), **own})


def _judged(criterion: Criterion, expected: Expected | None, tools: Tools, answer: Answer, tree: ast.Module) -> Points:
    if criterion is Criterion.DOES_NOT_ERROR:
        return does_not_error(answer)
    if criterion is Criterion.SPEED:
        return speed(answer)
    if expected is None or criterion is Criterion.FORMAT:
        return FORMAT_POINTS, FORMAT_POINTS
    try:
        call = call_of(tree)
    except CriterionFailed:
        return FAILED
    return _applied(_CALL_RULES[criterion], expected, tools, call)


def _applied(rule: _CallRule, expected: Expected, tools: Tools, call: Call) -> Points:
    try:
        return rule(expected, tools, call)
    except CriterionFailed:
        return FAILED


def _name(expected: Expected, tools: Tools, call: Call) -> Points:
    if call.name is None:
        raise CriterionFailed("what is called has no name")
    return (CALL_POINTS if call.name == expected.name else WRONG_NAME_POINTS), CALL_POINTS


def _argument_names(expected: Expected, tools: Tools, call: Call) -> Points:
    given = call.values
    if any(name not in given for name in expected.required(tools)):
        return 0.0, CALL_POINTS
    wrong = len(given.keys() ^ expected.arguments.keys())
    return max(0.0, CALL_POINTS - wrong), CALL_POINTS


def _argument_values(expected: Expected, tools: Tools, call: Call) -> Points:
    given = call.values
    present = [name for name in expected.arguments if name in given]
    wrong = {name for name in present if not _is_same(expected.arguments[name], given[name])}
    if not expected.arguments or wrong.intersection(expected.required(tools)):
        return 0.0, CALL_POINTS
    return CALL_POINTS * ((len(present) - len(wrong)) / len(expected.arguments)), CALL_POINTS


def _is_same(wanted: Any, given: Any) -> bool:
    """Strings without regard to case, lists as sets, all else by type and value."""
    if isinstance(wanted, list):
        items = _as_set(wanted)
        return isinstance(given, list) and items == _as_set(given)
    if isinstance(wanted, str) and isinstance(given, str):
        return wanted.lower() == given.lower()
    return type(wanted) is type(given) and bool(wanted == given)


def _as_set(items: list[Any]) -> set[Any]:
    try:
        return set(items)
    except TypeError:
        raise CriterionFailed("a list of lists or dicts cannot be compared as a set") from None


_CALL_RULES: Mapping[Criterion, _CallRule] = {
    Criterion.FUNCTION_NAME: _name,
    Criterion.ARGUMENT_NAMES: _argument_names,
    Criterion.ARGUMENT_VALUES: _argument_values,
}
