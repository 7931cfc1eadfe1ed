"""Defaults: none that the API server writes into the items of a list, and rules that read absent fields."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from bitagent_crds.defaults import given, without_defaults_of_items
from bitagent_crds.generate import KINDS
from bitagent_crds.schema import Resource, manifest

Schema = dict[str, Any]


def of_items(schema: Schema, path: str, *, listed: bool = False) -> Iterator[tuple[str, Schema]]:
    """The nodes below `items`, by path."""
    if listed:
        yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from of_items(child, f"{path}.{name}", listed=listed)
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from of_items(schema[key], f"{path}[]", listed=listed or key == "items")


def root(kind: type[Resource]) -> Schema:
    found: Schema = manifest(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return found


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.crd.kind)
def test_the_server_writes_no_default_into_items_of_lists(kind: type[Resource]) -> None:
    found = dict(of_items(root(kind), ""))
    assert found, "no list"
    assert not [path for path, schema in found.items() if "default" in schema]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.crd.kind)
def test_rules_of_items_ask_whether_an_optional_field_is_there(kind: type[Resource]) -> None:
    rules = [
        (path, field, rule["rule"])
        for path, schema in of_items(root(kind), "")
        for rule in schema.get("x-kubernetes-validations", ())
        for field in schema.get("properties", {}).keys() - set(schema.get("required", ()))
        if re.search(rf"\bself\.{field}\b", rule["rule"])
    ]
    assert not [each for each in rules if f"has(self.{each[1]})" not in each[2]]


def test_a_default_of_an_item_is_described_and_one_of_a_map_stays() -> None:
    size = {"type": "integer", "default": 3, "description": "size of it."}
    inner = {"type": "object", "default": {}, "properties": {"size": size}}
    schema = {"properties": {"one": inner, "many": {"type": "array", "default": [], "items": inner}}}
    found = without_defaults_of_items(schema)
    assert found["properties"]["one"] == inner
    assert found["properties"]["many"] == {
        "type": "array",
        "default": [],
        "items": {
            "type": "object",
            "properties": {"size": {"type": "integer", "description": "size of it. Default: 3."}},
        },
    }
    assert inner["properties"]["size"] is size
    assert size["default"] == 3, "the argument was changed"


@pytest.mark.parametrize(
    ("path", "default", "rule"),
    [
        pytest.param("policy", "BitAgent", "(has(self.policy) ? self.policy : 'BitAgent')", id="text"),
        pytest.param("a.b", 7, "(has(self.a) && has(self.a.b) ? self.a.b : 7)", id="number of an inner object"),
    ],
)
def test_a_rule_reads_a_default(path: str, default: str | int, rule: str) -> None:
    assert given(path, default) == rule
