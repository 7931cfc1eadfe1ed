"""Format ChatTemplate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitagent_crds.task_set import Task
from bitagent_evaluator.prompts.chat_formats import ChatTemplate, json_schema

MakeTask = Callable[..., Task]
QUESTION = {"role": "user", "content": "Add 1 and 2, {please}."}

SYSTEM = {"role": "system", "content": "Be brief."}


def test_chat_template_leaves_messages_alone_and_gives_openai_tools(task: MakeTask) -> None:
    made = ChatTemplate().build_prompt(task(messages=[SYSTEM, QUESTION]))
    assert made.messages == [SYSTEM, QUESTION]
    assert made.tools == [
        {
            "type": "function",
            "function": {
                "name": "calc.add",
                "description": "Adds. Note that the provided function is in Python 3 syntax.",
                "parameters": {
                    "type": "object",
                    "properties": {
                        "a": {"type": "number", "format": "float", "description": "It. This is a float type value."}
                    },
                    "required": ["a"],
                },
            },
        }
    ]


SCHEMAS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "string": ({"type": "string"}, {"type": "string"}),
    "integer": ({"type": "integer", "default": 3}, {"type": "integer", "default": 3}),
    "dict": ({"type": "dict"}, {"type": "object"}),
    "tuple": ({"type": "tuple", "items": {"type": "any"}}, {"type": "array", "items": {"type": "string"}}),
    "any": ({"type": "any"}, {"type": "string"}),
    "no type": ({"description": "x"}, {"description": "x", "type": "string"}),
    "unknown type": ({"type": "thing"}, {"type": "string"}),
    "enum": ({"type": "string", "enum": ["a"]}, {"type": "string", "enum": ["a"]}),
    "deep": (
        {
            "type": "array",
            "items": {
                "type": "array",
                "items": {"type": "dict", "properties": {"k": {"type": "tuple", "items": {"type": "dict"}}}},
            },
        },
        {
            "type": "array",
            "items": {
                "type": "array",
                "items": {"type": "object", "properties": {"k": {"type": "array", "items": {"type": "object"}}}},
            },
        },
    ),
    "a property called type": (
        {"type": "dict", "properties": {"type": {"type": "any"}}},
        {"type": "object", "properties": {"type": {"type": "string"}}},
    ),
}


@pytest.mark.parametrize(("bfcl", "openai"), SCHEMAS.values(), ids=SCHEMAS)
def test_json_schema(bfcl: dict[str, Any], openai: dict[str, Any]) -> None:
    assert json_schema(bfcl) == openai


BFCL_SCHEMAS: st.SearchStrategy[dict[str, Any]] = st.recursive(
    st.sampled_from(["string", "integer", "float", "boolean", "any", "dict", "String", "HashMap"]).map(
        lambda kind: {"type": kind}
    ),
    lambda inner: (
        inner.map(lambda items: {"type": "array", "items": items})
        | st.dictionaries(st.text(max_size=4), inner, max_size=3).map(
            lambda properties: {"type": "dict", "properties": properties}
        )
    ),
    max_leaves=8,
)


@given(BFCL_SCHEMAS)
def test_only_json_schemas_types_are_left(schema: dict[str, Any]) -> None:
    def types(node: dict[str, Any]) -> set[str]:
        below = [*node.get("properties", {}).values(), *([node["items"]] if "items" in node else [])]
        return {node["type"]}.union(*map(types, below))

    assert types(json_schema(schema)) <= {"string", "integer", "number", "boolean", "array", "object"}
