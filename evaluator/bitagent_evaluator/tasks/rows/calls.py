"""Plain calls, `{"name", "arguments"}`, and the ground truth that follows from them.

A plain call allows one value for each argument. The official checker expects a list of allowed values for each
argument, and inside a dict for each member; how deep these lists go depends on the declared type only, as in the
checker.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bitagent_evaluator.parsing import AnswerError, parse_bfcl
from bitagent_evaluator.tasks.rows.base import RowSkipped, RowSkipReason
from bitagent_evaluator.tasks.rows.notation import parse_value

GroundTruth = list[dict[str, dict[str, list[Any]]]]
_ARGUMENTS = ("arguments", "parameters", "input", "args", "kwargs", "params", "tool_input")
"""Names of the arguments of a call in different conventions, the usual ones first."""
_NAMES = ("name", "function", "function_name", "tool_name", "toolName", "tool")
_MAX_ENCODINGS = 2
"""How often arguments may be JSON text within JSON text."""
_OF_MESSAGES = frozenset({"tool_calls", "role", "id", "type", "index", "finish_reason", "created"})
"""Members of a message that have no call, beside the list of calls."""
_NOT_CALLING = frozenset({"system", "developer", "user", "human", "tool", "function", "observation", "ipython"})
"""Roles whose messages make no calls, whatever their texts look like."""
_WITHOUT_NAME = r"(?<![\w.]){name}\(\s{{0,16}}(?![\s)]|\w{{1,64}}\s{{0,4}}=(?!=))"
"""A call of a function whose first argument has no name."""
_OMITTED = ""
"""Among allowed values, this means that the argument may be omitted."""


@dataclass(frozen=True)
class PlainCall:
    """One call with one value for each argument."""

    name: str
    arguments: dict[str, Any]


def parse_calls(data: Any) -> list[PlainCall]:
    """Return the calls in `data`: a list or a single call, as objects or JSON text, or Python calls, `[f(a=1)]`.

    A call is `{"name", "arguments"}` or OpenAI's `{"function": {...}}`. A list may have messages that make calls, and
    thoughts of a model beside them. An empty list is an answer without calls;
    nothing at all is not an answer. Raises RowSkipped if there is none, or a call is malformed, as is a message without
    calls that has a text or anything else: the call may be in that.
    """
    if isinstance(data, str):
        data = _parse_text(data)
    if isinstance(data, Mapping):
        listed = data.get("tool_calls")
        if listed == [] and any(value for name, value in data.items() if name not in _OF_MESSAGES):
            raise RowSkipped(RowSkipReason.BAD_CALL)
        data = listed if isinstance(listed, list) else [data]
    if data is None:
        raise RowSkipped(RowSkipReason.NO_ANSWER)
    if not isinstance(data, list):
        raise RowSkipped(RowSkipReason.BAD_CALL)
    items = [item for item in data if not _is_thought(item)]
    if data and not items:
        raise RowSkipped(RowSkipReason.NO_ANSWER)
    return [call for item in items for call in _calls_of(item)]


def _is_thought(item: Any) -> bool:
    return isinstance(item, Mapping) and item.get("type") in ("reasoning", "thinking")


def _calls_of(item: Any) -> list[PlainCall]:
    """Return the calls of an item of a list, of which a text may be a Python call."""
    if isinstance(item, Mapping) and isinstance(item.get("role"), str) and not any(name in item for name in _NAMES):
        if item["role"].strip().lower() in _NOT_CALLING:
            raise RowSkipped(RowSkipReason.BAD_CALL)
        item = item.get("tool_calls") or item.get("content")
    if isinstance(item, str) and item.strip():
        item = _parse_text(item)
    return [parse_call(each) for each in item] if isinstance(item, list) else [parse_call(item)]


def parse_call(data: Any) -> PlainCall:
    """Return one call. Raises RowSkipped if it is malformed."""
    if isinstance(data, str):
        data = _parse_json(data)
    if isinstance(data, Mapping) and isinstance(data.get("function"), Mapping):
        data = data["function"]
    if not isinstance(data, Mapping):
        raise RowSkipped(RowSkipReason.BAD_CALL)
    name = next((data[name] for name in _NAMES if isinstance(data.get(name), str) and data[name].strip()), None)
    if name is None:
        raise RowSkipped(RowSkipReason.BAD_CALL)
    arguments = next((data[name] for name in _ARGUMENTS if data.get(name) is not None), None)
    for _ in range(_MAX_ENCODINGS):
        if isinstance(arguments, str):
            arguments = _parse_json(arguments) if arguments.strip() else {}
    if arguments is None:
        arguments = {}
    if not isinstance(arguments, dict):
        raise RowSkipped(RowSkipReason.BAD_CALL)
    return PlainCall(name.strip(), arguments)


def as_described(calls: Sequence[PlainCall], functions: Sequence[Mapping[str, Any]]) -> list[PlainCall]:
    """Return the calls with numbers as they are declared, and without nulls of arguments that are not.

    Tables give every object the members of all rows, those of other functions as null. To the checker no answer equals
    `[0.5, 1]`, but `[0.5, 1.0]` equals itself. `3.0` is an integer to JSON Schema, and what tables make of `3` in a
    column where others have no value.
    """
    declared = {function["name"]: function["parameters"]["properties"] for function in functions}
    return [
        PlainCall(
            call.name,
            {
                name: _unify(value, declared.get(call.name, {}).get(name, {}))
                for name, value in call.arguments.items()
                if value is not None or name in declared.get(call.name, {})
            },
        )
        for call in calls
    ]


def _unify(value: Any, schema: Mapping[str, Any]) -> Any:
    if schema.get("type") == "integer" and isinstance(value, float) and value.is_integer():
        return int(value)
    items = schema.get("items")
    is_floats = isinstance(items, Mapping) and items.get("type") == "float"
    if not is_floats or not isinstance(value, list) or not any(isinstance(item, float) for item in value):
        return value
    return [float(item) if type(item) is int else item for item in value]


def to_ground_truth(calls: Sequence[PlainCall], functions: Sequence[Mapping[str, Any]]) -> GroundTruth:
    """Return the calls as allowed values. Raises RowSkipped if a call does not fit the description of its function."""
    parameters = {function["name"]: function["parameters"] for function in functions}
    return [{call.name: _allowed_values(call, parameters)} for call in calls]


def _allowed_values(call: PlainCall, parameters: Mapping[str, Mapping[str, Any]]) -> dict[str, list[Any]]:
    if call.name not in parameters:
        raise RowSkipped(RowSkipReason.UNKNOWN_FUNCTION)
    properties, required = parameters[call.name]["properties"], parameters[call.name]["required"]
    if any(argument not in properties for argument in call.arguments):
        raise RowSkipped(RowSkipReason.UNKNOWN_ARGUMENT)
    # An empty string among allowed values means that the argument may be omitted, so it cannot be a required value.
    if any(call.arguments.get(argument, _OMITTED) in (_OMITTED, None) for argument in required):
        raise RowSkipped(RowSkipReason.NO_ARGUMENT)
    if not all(_fits(value, properties[argument]) for argument, value in call.arguments.items()):
        raise RowSkipped(RowSkipReason.WRONG_TYPE)
    allowed = {argument: [_shape_value(value, properties[argument])] for argument, value in call.arguments.items()}
    for argument, value in call.arguments.items():
        if value is None and argument not in required:  # null means omitted
            allowed[argument].append(_OMITTED)
    return allowed


_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "float": (int, float),
    "boolean": (bool,),
    "array": (list, tuple),
    "tuple": (list, tuple),
    "dict": (dict,),
}
"""JSON types of a value by the declared type; a type that is not here is not checked."""


def _fits(value: Any, schema: Mapping[str, Any]) -> bool:
    """Return whether a value, with what is in it, is of the declared type. Null fits: it stands for none."""
    kind = schema.get("type")
    expected = _TYPES.get(kind) if isinstance(kind, str) else None
    if value is None or expected is None:
        return True
    if isinstance(value, bool) != (kind == "boolean") or not isinstance(value, expected):
        return False
    items, properties = schema.get("items"), schema.get("properties")
    if isinstance(value, dict) and isinstance(properties, Mapping):
        described = ((member, properties.get(name)) for name, member in value.items())
        return all(_fits(member, of) for member, of in described if isinstance(of, Mapping))
    return (
        not isinstance(value, list | tuple)
        or not isinstance(items, Mapping)
        or all(_fits(item, items) for item in value)
    )


def _shape_value(value: Any, schema: Mapping[str, Any]) -> Any:
    kind = schema.get("type")
    if kind == "dict" and isinstance(value, dict):
        return _list_members(value)
    if kind in ("array", "tuple") and isinstance(value, list) and (schema.get("items") or {}).get("type") == "dict":
        return [_list_members(item) if isinstance(item, dict) else item for item in value]
    return value


def _list_members(value: Mapping[str, Any]) -> dict[str, list[Any]]:
    return {name: [member] if member is not None else [None, _OMITTED] for name, member in value.items()}


def check_keywords(text: str, names: Iterable[str]) -> None:
    """Raise RowSkipped if a text calls one of these functions with an argument that has no name.

    The readers of Python calls drop such arguments, as the official decoder does.
    """
    if any(re.search(_WITHOUT_NAME.format(name=re.escape(name)), text) for name in names):
        raise RowSkipped(RowSkipReason.BAD_CALL)


def _parse_text(text: str) -> Any:
    try:
        return parse_value(text) if text.strip() else None
    except ValueError:
        try:
            calls = parse_bfcl(text)
        except AnswerError:
            raise RowSkipped(RowSkipReason.BAD_CALL) from None
    check_keywords(text, (name for call in calls for name in call))
    return [{"name": name, "arguments": arguments} for call in calls for name, arguments in call.items()]


def _parse_json(text: str) -> Any:
    try:
        return parse_value(text)
    except ValueError:
        raise RowSkipped(RowSkipReason.BAD_CALL) from None
