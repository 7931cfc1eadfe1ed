"""Types of other conventions by BFCL's names, and which arguments are required."""

from __future__ import annotations

from typing import Any

import pytest

from bitagent_evaluator.tasks.rows.base import RowSkipped, RowSkipReason
from bitagent_evaluator.tasks.rows.functions import convert_functions

ANY = {"type": "any"}
TYPES: dict[str, tuple[Any, dict[str, Any]]] = {
    "number": ({"type": "number"}, {"type": "float"}),
    "str": ({"type": "str"}, {"type": "string"}),
    "int": ({"type": "int"}, {"type": "integer"}),
    "bool": ({"type": "bool"}, {"type": "boolean"}),
    "capitals": ({"type": "STRING"}, {"type": "string"}),
    "list of ints": ({"type": "List[int]"}, {"type": "array", "items": {"type": "integer"}}),
    "list of lists": (
        {"type": "List[List[float]]"},
        {"type": "array", "items": {"type": "array", "items": {"type": "float"}}},
    ),
    "dict with types": ({"type": "Dict[str, int]"}, {"type": "dict"}),
    "tuple with types": ({"type": "Tuple[float, float]"}, {"type": "tuple", "items": {"type": "float"}}),
    "optional": ({"type": "str, optional"}, {"type": "string"}),
    "Optional": ({"type": "Optional[int]"}, {"type": "integer"}),
    "or None": ({"type": "str | None"}, {"type": "string"}),
    "null among types": ({"type": ["null", "integer"]}, {"type": "integer"}),
    "any of": ({"anyOf": [{"type": "null"}, {"type": "number"}]}, {"type": "float"}),
    "of two types": ({"type": ["integer", "string"]}, ANY),
    "of two types or null": ({"anyOf": [{"type": "integer"}, {"type": "string"}, {"type": "null"}]}, ANY),
    "of one type in two ways": ({"oneOf": [{"type": "string", "enum": ["a"]}, {"type": "str"}]}, {"type": "string"}),
    "all of": ({"allOf": [{"description": "x"}, {"type": "integer"}]}, {"type": "integer"}),
    "all of nothing known": ({"allOf": [{"description": "x"}]}, ANY),
    "array without items": ({"type": "array"}, {"type": "array", "items": ANY}),
    "items by place": ({"type": "array", "items": [{"type": "number"}]}, {"type": "array", "items": {"type": "float"}}),
    "object in a list": (
        {"type": "array", "items": {"type": "object", "properties": {"k": {"type": "number"}}}},
        {"type": "array", "items": {"type": "dict", "properties": {"k": {"type": "float"}}}},
    ),
    "no type but members": (
        {"properties": {"k": {"type": "int"}}},
        {"type": "dict", "properties": {"k": {"type": "integer"}}},
    ),
    "no type but items": ({"items": {"type": "int"}}, {"type": "array", "items": {"type": "integer"}}),
    "no type": ({"description": "x"}, {"type": "any", "description": "x"}),
    "unknown type": ({"type": "Callable"}, ANY),
    "what else it says": (
        {"type": "str", "enum": ["a"], "default": "a"},
        {"type": "string", "enum": ["a"], "default": "a"},
    ),
    "description of another type": ({"type": "str", "description": 3}, {"type": "string", "description": "3"}),
}


def converted(schema: Any) -> dict[str, Any]:
    (function,) = convert_functions([{"name": "f", "parameters": {"type": "object", "properties": {"a": schema}}}])
    return dict(function["parameters"]["properties"]["a"])


@pytest.mark.parametrize(("schema", "expected"), TYPES.values(), ids=TYPES)
def test_types(schema: Any, expected: dict[str, Any]) -> None:
    assert converted(schema) == expected
    assert converted(expected) == expected


@pytest.mark.parametrize("name", ["arguments", "input_schema", "inputSchema", "params", "args"])
def test_parameters_by_other_names(name: str) -> None:
    """A function that is shown without its parameters is another one."""
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    (function,) = convert_functions([{"name": "f", name: schema}])
    assert function["parameters"] == {"type": "dict", "properties": {"a": {"type": "integer"}}, "required": ["a"]}


REQUIRED: dict[str, tuple[Any, list[str]]] = {
    "by schema": ({"properties": {"a": {}, "b": {}}, "required": ["b"]}, ["b"]),
    "of nothing": ({"properties": {"a": {}}, "required": ["x", 3, "a", "a"]}, ["a"]),
    "null": ({"properties": {"a": {}}, "required": None}, []),
    "by argument": ({"a": {"required": True}, "b": {"required": False}}, ["a"]),
    "by default": ({"a": {"type": "int"}, "b": {"type": "int", "default": 3}}, ["a"]),
    "by optional": ({"a": {"type": "int"}, "b": {"type": "int, optional"}}, ["a"]),
    "an argument called properties": ({"properties": {"type": "str", "required": True}}, ["properties"]),
    "an argument called type": ({"type": {"type": "str", "required": True}}, ["type"]),
    "nothing": ({}, []),
    "no parameters": (None, []),
}


@pytest.mark.parametrize(("parameters", "required"), REQUIRED.values(), ids=REQUIRED)
def test_required(parameters: Any, required: list[str]) -> None:
    (function,) = convert_functions([{"name": "f", "parameters": parameters}])
    assert function["parameters"]["required"] == required
    assert "required" not in {key for schema in function["parameters"]["properties"].values() for key in schema}


@pytest.mark.parametrize(
    "data",
    ["{", 3, [3], [{}], [{"name": " "}], [{"name": "f", "parameters": 3}], [{"name": "f", "parameters": {"a": 3}}]],
)
def test_what_is_no_description(data: Any) -> None:
    with pytest.raises(RowSkipped, match=RowSkipReason.BAD_FUNCTIONS):
        convert_functions(data)


def test_deep_types_end() -> None:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(200):
        schema = {"type": "array", "items": schema}
    with pytest.raises(RowSkipped, match=RowSkipReason.BAD_FUNCTIONS):
        converted(schema)
