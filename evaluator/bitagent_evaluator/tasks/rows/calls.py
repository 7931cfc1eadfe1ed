"""Plain calls, `{"name", "arguments"}`, and the ground truth that they are.

A plain call allows one value for each argument. The official checker wants allowed values as lists, and inside a dict a list for each member;
how deep that goes follows from the declared type alone, because that is how the checker walks.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bitagent_evaluator.answers import AnswerError, decode
from bitagent_evaluator.tasks.rows.reader import Reason, RowSkipped

GroundTruth = list[dict[str, dict[str, list[Any]]]]
_LEFT_OUT = ""
"""Among allowed values: the argument may be left out."""


@dataclass(frozen=True)
class Call:
    """One call."""

    name: str
    arguments: dict[str, Any]


def calls_of(data: Any) -> list[Call]:
    """The calls in a list or a single call, each `{"name", "arguments"}` or OpenAI's `{"function": {...}}`, as objects or JSON text.

    Text that is no JSON may be Python calls, `[f(a=1)]`. Raises RowSkipped.
    """
    if isinstance(data, str):
        data = _from_text(data)
    if isinstance(data, Mapping):
        data = data["tool_calls"] if isinstance(data.get("tool_calls"), list) else [data]
    if data is None:
        return []
    if not isinstance(data, list):
        raise RowSkipped(Reason.BAD_CALL)
    return [call_of(item) for item in data]


def call_of(data: Any) -> Call:
    """One call. Raises RowSkipped."""
    if isinstance(data, str):
        data = _json(data)
    if isinstance(data, Mapping) and isinstance(data.get("function"), Mapping):
        data = data["function"]
    if not isinstance(data, Mapping) or not isinstance(data.get("name"), str) or not data["name"].strip():
        raise RowSkipped(Reason.BAD_CALL)
    arguments = data.get("arguments")
    if isinstance(arguments, str):
        arguments = _json(arguments) if arguments.strip() else {}
    if arguments is None:
        arguments = {}
    if not isinstance(arguments, dict):
        raise RowSkipped(Reason.BAD_CALL)
    return Call(data["name"].strip(), arguments)


def fitting(calls: Sequence[Call], functions: Sequence[Mapping[str, Any]]) -> list[Call]:
    """The calls with lists of numbers all of one kind: the checker finds no answer equal to `[0.5, 1]`, but `[0.5, 1.0]` to itself."""
    declared = {function["name"]: function["parameters"]["properties"] for function in functions}
    return [
        Call(
            call.name,
            {
                name: _of_one_kind(value, declared.get(call.name, {}).get(name, {}))
                for name, value in call.arguments.items()
            },
        )
        for call in calls
    ]


def _of_one_kind(value: Any, schema: Mapping[str, Any]) -> Any:
    items = schema.get("items")
    is_floats = isinstance(items, Mapping) and items.get("type") == "float"
    if not is_floats or not isinstance(value, list) or not any(isinstance(item, float) for item in value):
        return value
    return [float(item) if type(item) is int else item for item in value]


def ground_truth(calls: Sequence[Call], functions: Sequence[Mapping[str, Any]]) -> GroundTruth:
    """The calls as allowed values of the functions' arguments. Raises RowSkipped where a call does not fit its description."""
    parameters = {function["name"]: function["parameters"] for function in functions}
    return [{call.name: _allowed(call, parameters)} for call in calls]


def _allowed(call: Call, parameters: Mapping[str, Mapping[str, Any]]) -> dict[str, list[Any]]:
    if call.name not in parameters:
        raise RowSkipped(Reason.UNKNOWN_FUNCTION)
    properties, required = parameters[call.name]["properties"], parameters[call.name]["required"]
    if any(argument not in properties for argument in call.arguments):
        raise RowSkipped(Reason.UNKNOWN_ARGUMENT)
    # An empty string among allowed values says "may be left out", so it can be no required value.
    if any(call.arguments.get(argument, _LEFT_OUT) == _LEFT_OUT for argument in required):
        raise RowSkipped(Reason.NO_ARGUMENT)
    allowed = {argument: [_shaped(value, properties[argument])] for argument, value in call.arguments.items()}
    for argument, value in call.arguments.items():
        if value is None and argument not in required:  # null means left out
            allowed[argument].append(_LEFT_OUT)
    return allowed


def _shaped(value: Any, schema: Mapping[str, Any]) -> Any:
    kind = schema.get("type")
    if kind == "dict" and isinstance(value, dict):
        return _members(value)
    if kind in ("array", "tuple") and isinstance(value, list) and (schema.get("items") or {}).get("type") == "dict":
        return [_members(item) if isinstance(item, dict) else item for item in value]
    return value


def _members(value: Mapping[str, Any]) -> dict[str, list[Any]]:
    return {name: [member] for name, member in value.items()}


def _from_text(text: str) -> Any:
    try:
        return json.loads(text) if text.strip() else []
    except (ValueError, RecursionError):
        try:
            calls = decode(text)
        except AnswerError:
            raise RowSkipped(Reason.BAD_CALL) from None
    return [{"name": name, "arguments": arguments} for call in calls for name, arguments in call.items()]


def _json(text: str) -> Any:
    try:
        return json.loads(text, strict=False)
    except (ValueError, RecursionError):
        raise RowSkipped(Reason.BAD_CALL) from None
