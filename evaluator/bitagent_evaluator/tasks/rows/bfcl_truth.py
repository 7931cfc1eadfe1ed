"""Answers in the form of BFCL's possible answers, `{"f": {"a": [1, 2]}}`: a list of allowed values for each argument.

Only the descriptions tell these from plain calls, `{"f": {"a": 1}}`: an argument that is a list has a list of lists,
and one that is a list of lists (a matrix) has them one level deeper.
Where both readings fit, the answer is refused, since one of them would judge right answers as wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bitagent_evaluator.tasks.rows.base import RowSkipped, RowSkipReason
from bitagent_evaluator.tasks.rows.calls import GroundTruth, PlainCall
from bitagent_evaluator.tasks.rows.notation import parse_value

_LISTS = frozenset({"array", "tuple"})
_OMITTED = ""


def named_arguments(data: Any, functions: Sequence[Mapping[str, Any]]) -> list[dict[str, dict[str, Any]]] | None:
    """Return an answer whose calls are objects with the function's name as their only member; None for any other.

    Raises RowSkipped for allowed values of a function that is not described.
    """
    if isinstance(data, str):
        try:
            data = parse_value(data)
        except ValueError:
            return None
    items = [{name: of} for name, of in data.items()] if isinstance(data, Mapping) else data
    names = {function["name"] for function in functions}
    if not isinstance(items, list) or not items:
        return None
    if not all(isinstance(item, Mapping) and len(item) == 1 for item in items):
        return None
    calls = [(name, of) for item in items for name, of in item.items()]
    if not all(name in names and isinstance(of, Mapping) for name, of in calls):
        if all(
            isinstance(of, Mapping) and of and all(isinstance(each, list) for each in of.values()) for _, of in calls
        ):
            raise RowSkipped(RowSkipReason.UNKNOWN_FUNCTION)
        return None
    return [{name: dict(of) for name, of in item.items()} for item in items]


def allowed_values(
    answer: Sequence[Mapping[str, Mapping[str, Any]]], functions: Sequence[Mapping[str, Any]]
) -> GroundTruth | None:
    """Return an answer of named arguments as allowed values; None if it has one value for each argument.

    Raises RowSkipped if it may be either, or is neither.
    """
    properties = {function["name"]: function["parameters"]["properties"] for function in functions}
    arguments = [
        (values, properties[name].get(argument, {}))
        for call in answer
        for name, of in call.items()
        for argument, values in of.items()
    ]
    if not all(isinstance(values, list) and values for values, _ in arguments):
        return None
    allowed = all(value == _OMITTED or _may_be(value, schema) for values, schema in arguments for value in values)
    plain = bool(arguments) and all(_may_be(values, schema) for values, schema in arguments)
    if plain and not allowed:
        return None
    if plain or not allowed:
        raise RowSkipped(RowSkipReason.BAD_CALL)
    return [{name: {key: list(values) for key, values in of.items()} for name, of in call.items()} for call in answer]


def _may_be(value: Any, schema: Mapping[str, Any]) -> bool:
    """Whether a value has lists where its description has them, however deep; a value of any type may be one."""
    kind = schema.get("type")
    if kind in (None, "any"):
        return True
    if kind in _LISTS:
        items = schema.get("items")
        return isinstance(value, list) and all(
            _may_be(item, items if isinstance(items, Mapping) else {}) for item in value
        )
    return not isinstance(value, list) and (value != _OMITTED or kind == "string")


def first_calls(truth: GroundTruth, functions: Sequence[Mapping[str, Any]]) -> list[PlainCall]:
    """Return calls with the first allowed value of each argument; one that is omitted first is left out."""
    properties = {function["name"]: function["parameters"]["properties"] for function in functions}
    return [
        PlainCall(
            name,
            {
                argument: _plain(values[0], properties[name].get(argument, {}))
                for argument, values in of.items()
                if values[0] != _OMITTED
            },
        )
        for call in truth
        for name, of in call.items()
    ]


def _plain(value: Any, schema: Mapping[str, Any]) -> Any:
    kind = schema.get("type")
    if kind == "dict" and isinstance(value, Mapping):
        return _first_members(value)
    items = schema.get("items")
    if kind in _LISTS and isinstance(value, list) and isinstance(items, Mapping) and items.get("type") == "dict":
        return [_first_members(item) if isinstance(item, Mapping) else item for item in value]
    return value


def _first_members(value: Mapping[str, Any]) -> dict[str, Any]:
    firsts = {name: values[0] if isinstance(values, list) and values else values for name, values in value.items()}
    return {name: first for name, first in firsts.items() if first != _OMITTED}
