"""References in function descriptions: replaced by what they name, in bounds."""

from __future__ import annotations

from typing import Any

import pytest

from bitagent_evaluator.tasks.rows.base import RowSkipped, RowSkipReason
from bitagent_evaluator.tasks.rows.functions import convert_functions
from bitagent_evaluator.tasks.rows.references import without_references

PLACE = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def schema(reference: Any, **definitions: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"x": reference}, "$defs": definitions}


def resolved(reference: Any, **definitions: Any) -> Any:
    return without_references(schema(reference, **definitions))["properties"]["x"]


CASES: dict[str, tuple[Any, dict[str, Any], Any]] = {
    "a definition": ({"$ref": "#/$defs/Place"}, {"Place": PLACE}, PLACE),
    "with a description": (
        {"$ref": "#/$defs/Place", "description": "Where."},
        {"Place": PLACE},
        {**PLACE, "description": "Where."},
    ),
    "in a list": (
        {"type": "array", "items": {"$ref": "#/$defs/Place"}},
        {"Place": PLACE},
        {"type": "array", "items": PLACE},
    ),
    "in alternatives": (
        {"anyOf": [{"$ref": "#/$defs/Place"}, {"type": "null"}]},
        {"Place": PLACE},
        {"anyOf": [PLACE, {"type": "null"}]},
    ),
    "of a reference": ({"$ref": "#/$defs/A"}, {"A": {"$ref": "#/$defs/Place"}, "Place": PLACE}, PLACE),
    "of itself": (
        {"$ref": "#/$defs/Tree"},
        {"Tree": {"type": "object", "properties": {"left": {"$ref": "#/$defs/Tree"}}}},
        {"type": "object", "properties": {"left": {"type": "object"}}},
    ),
    "an escaped name": ({"$ref": "#/$defs/a~1b"}, {"a/b": {"type": "string"}}, {"type": "string"}),
    "a parameter of this name": ({"$ref": {"type": "string"}}, {}, {"$ref": {"type": "string"}}),
}


@pytest.mark.parametrize(("reference", "definitions", "expected"), CASES.values(), ids=CASES)
def test_references_are_replaced(reference: Any, definitions: dict[str, Any], expected: Any) -> None:
    assert resolved(reference, **definitions) == expected


DOUBLING = {f"D{n}": {"properties": {part: {"$ref": f"#/$defs/D{n + 1}"} for part in "ab"}} for n in range(40)}
REFUSED: dict[str, tuple[Any, dict[str, Any]]] = {
    "an unknown definition": ({"$ref": "#/$defs/Place"}, {}),
    "another document": ({"$ref": "https://example.org/place.json"}, {}),
    "the whole schema": ({"$ref": "#"}, {}),
    "what is not a schema": ({"$ref": "#/$defs/Place"}, {"Place": "string"}),
}


@pytest.mark.parametrize(("reference", "definitions"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_replaced_is_skipped(reference: Any, definitions: dict[str, Any]) -> None:
    with pytest.raises(RowSkipped) as caught:
        resolved(reference, **definitions)
    assert caught.value.reason == RowSkipReason.BAD_FUNCTIONS


LONG = {"type": "string", "description": "x" * 4000}
LARGE: dict[str, tuple[Any, dict[str, Any]]] = {
    "definitions that double at each level": ({"$ref": "#/$defs/D0"}, {**DOUBLING, "D40": {"type": "string"}}),
    "a long description, many times": (
        {"type": "object", "properties": {f"p{n}": {"$ref": "#/$defs/L"} for n in range(100)}},
        {"L": LONG},
    ),
    "long names, many times": (
        {"type": "object", "properties": {f"p{n}": {"$ref": "#/$defs/L"} for n in range(100)}},
        {"L": {"properties": {"x" * 4000: {}}}},
    ),
    "many values, many times": (
        {"type": "object", "properties": {f"p{n}": {"$ref": "#/$defs/L"} for n in range(100)}},
        {"L": {"enum": list(range(4000))}},
    ),
    "a long definition of definitions": (
        {"$ref": "#/$defs/A"},
        {"A": {"properties": {f"p{n}": {"$ref": "#/$defs/L"} for n in range(100)}}, "L": LONG},
    ),
}


@pytest.mark.parametrize(("reference", "definitions"), LARGE.values(), ids=LARGE)
def test_a_function_that_references_make_too_large_is_named(reference: Any, definitions: dict[str, Any]) -> None:
    with pytest.raises(RowSkipped) as caught:
        convert_functions([{"name": "plan", "parameters": schema(reference, **definitions)}])
    assert (caught.value.reason, caught.value.example) == (RowSkipReason.TOO_MANY_REFERENCES, "'plan'")


def test_a_long_description_without_references_is_the_rows_own() -> None:
    long = {f"p{n}": LONG for n in range(100)}
    assert without_references({"properties": long, "$defs": {"L": LONG}})["properties"] == long


def test_a_function_shows_what_was_named() -> None:
    (function,) = convert_functions([{"name": "f", "parameters": schema({"$ref": "#/$defs/Place"}, Place=PLACE)}])
    assert function["parameters"]["properties"] == {
        "x": {"type": "dict", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    }


def test_an_argument_may_be_called_definitions() -> None:
    (function,) = convert_functions([{"name": "f", "parameters": {"definitions": {"type": "str"}}}])
    assert list(function["parameters"]["properties"]) == ["definitions"]
