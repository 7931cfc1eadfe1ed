"""The rules of April 2025.

Every criterion but the one for irrelevant tasks first removes blanks and one pair of outer brackets from the answer,
for itself and for the criteria after it, and fails if the answer was empty or the rest is not Python. So each criterion
removes one pair of brackets, and the criterion for irrelevant tasks reads what the ones before it left. Values of a
ground truth are compared as if the list of allowed values were the value: an ordinary right answer gets no points for
them.
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

MISPLACED_CALL_POINTS = -1.0


_CallRule: TypeAlias = Callable[[ExpectedCall, Tools, PythonCall], Points]


class Rules202504:
    """The rule set of April 2025."""

    def score(
        self, expected: ExpectedCall | None, tools: Tools, answer: MinerResponse, *, with_default: bool
    ) -> CriteriaPoints:
        """Return the points of an answer, as RuleSet says."""
        own = () if expected is None else (Criterion.FORMAT, *_CALL_RULES)
        default = (Criterion.DOES_NOT_ERROR, Criterion.SPEED) if with_default else ()
        text, points = answer.response, {}
        for criterion in (*default, *own):
            is_empty, text = not text.strip(), without_brackets(text.strip()).strip()
            tree = None if is_empty else parse_module(text)
            points[criterion] = (
                FAILED if tree is None else _points(criterion, expected, tools, answer, text=text, tree=tree)
            )
        if expected is None:
            is_python = parse_module(text) is not None
            points[Criterion.IRRELEVANT] = (MISPLACED_CALL_POINTS if is_python else CALL_POINTS, CALL_POINTS)
        return CriteriaPoints(points)

    def score_call(self, expected: ExpectedCall, tools: Tools, call: PythonCall) -> CriteriaPoints:
        """Return the points of a call, as RuleSet says."""
        own = {criterion: _applied(rule, expected, tools, call) for criterion, rule in _CALL_RULES.items()}
        return CriteriaPoints({Criterion.FORMAT: (FORMAT_POINTS, FORMAT_POINTS), **own})


def _points(
    criterion: Criterion,
    expected: ExpectedCall | None,
    tools: Tools,
    answer: MinerResponse,
    *,
    text: str,
    tree: ast.Module,
) -> Points:
    if criterion is Criterion.DOES_NOT_ERROR:
        return does_not_error(answer)
    if criterion is Criterion.SPEED:
        return speed(answer)
    if expected is None or criterion is Criterion.FORMAT:
        return FORMAT_POINTS, FORMAT_POINTS
    try:
        return _CALL_RULES[criterion](expected, tools, read_call(text))
    except CriterionFailed:
        return FAILED


def _applied(rule: _CallRule, expected: ExpectedCall, tools: Tools, call: PythonCall) -> Points:
    try:
        return rule(expected, tools, call)
    except CriterionFailed:
        return FAILED


def _name(expected: ExpectedCall, tools: Tools, call: PythonCall) -> Points:
    if call.name is None:
        raise CriterionFailed("what is called has no name")
    return (CALL_POINTS if call.name == expected.name.strip() else WRONG_NAME_POINTS), CALL_POINTS


def _argument_names(expected: ExpectedCall, tools: Tools, call: PythonCall) -> Points:
    given, expects = call.values.keys(), expected.arguments.keys()
    required = set(expected.required(tools)) if expects else set()
    if required - given:
        return 0.0, CALL_POINTS
    extra = given - expects
    if None in extra and len(extra) > 1:  # the subnet's validators sorted them
        raise CriterionFailed("surplus arguments with and without a name")
    wrong = len(extra) + len(expects - required - given)
    return max(0.0, CALL_POINTS - wrong), CALL_POINTS


def _argument_values(expected: ExpectedCall, tools: Tools, call: PythonCall) -> Points:
    """Return the share of the expected arguments that are right; nothing if a required one is wrong.

    That holds even if another one cannot be compared; in the subnet's validators it was a matter of luck which of the
    two was found first.
    """
    required, given = set(expected.required(tools)), call.values
    judged = not expected.is_ground_truth or expected.accepts_list
    right, not_comparable = 0, None
    for name in expected.arguments.keys() & given.keys():
        try:
            is_right = judged and _is_same(name, expected.arguments[name], given)
        except CriterionFailed as error:
            not_comparable = error
            continue
        right += is_right
        if not is_right and name in required:
            return 0.0, CALL_POINTS
    if not_comparable is not None:
        raise not_comparable
    return (CALL_POINTS * (right / len(expected.arguments)) if expected.arguments else 0.0), CALL_POINTS


_ORDERED, _ORDER = "items", ("sort_order", "size_asc")
"""The argument whose order counts, and the one that says so."""


def _is_same(name: str, expected: Any, values: Mapping[str | None, Any]) -> bool:
    """Compare a value by its type first; then texts without case, lists as sets, dicts by their members.

    Texts in lists, and in the first level of dicts, are compared without case too. Raises CriterionFailed if lists or
    dicts in a list would have to be compared, which includes those that a ground truth allows.
    """
    given = values[name]
    if type(expected) is not type(given):
        return False
    if isinstance(expected, list):
        order, ascending = _ORDER
        if name == _ORDERED and values.get(order) == ascending:
            return [_folded(item) for item in expected] == [_folded(item) for item in given]
        return _as_set(expected) == _as_set(given)
    if isinstance(expected, dict):
        return {key: _folded(value) for key, value in expected.items()} == {
            key: _folded(value) for key, value in given.items()
        }
    return bool(_folded(expected) == _folded(given))


def _folded(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _as_set(items: list[Any]) -> set[Any]:
    try:
        return {_folded(item) for item in items}
    except TypeError:
        raise CriterionFailed("a list of lists or dicts cannot be compared as a set") from None


_CALL_RULES: Mapping[Criterion, _CallRule] = {
    Criterion.FUNCTION_NAME: _name,
    Criterion.ARGUMENT_NAMES: _argument_names,
    Criterion.ARGUMENT_VALUES: _argument_values,
}
