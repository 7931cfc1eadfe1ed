"""What each prompt format makes of a task."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitagent_crds.fields import PromptFormat
from bitagent_crds.results import Expects, Language, Task
from bitagent_evaluator.formats import Chat, prompt_format
from bitagent_evaluator.formats.chat_template import json_schema
from bitagent_evaluator.registry import UnknownName

FORMATS = [PromptFormat.BFCL, PromptFormat.BITAGENT, PromptFormat.CHAT_TEMPLATE]
QUESTION = {"role": "user", "content": "Add 1 and 2, {please}."}
SYSTEM = {"role": "system", "content": "Be brief."}


def task(
    *, messages: list[dict[str, Any]] | None = None, language: Language = Language.PYTHON, **properties: Any
) -> Task:
    parameters = {
        "type": "dict",
        "properties": properties or {"a": {"type": "float", "description": "It."}},
        "required": ["a"],
    }
    return Task(
        id="t",
        source="test",
        category="c",
        messages=messages or [QUESTION],
        functions=[{"name": "calc.add", "description": "Adds.", "parameters": parameters}],
        expects=Expects.NO_CALL,
        language=language,
    )


def chat(name: PromptFormat, of: Task) -> Chat:
    return prompt_format(name).chat(of)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("language", Language)
def test_the_task_stays_as_it_was(name: PromptFormat, language: Language) -> None:
    given_task = task(language=language, a={"type": "any", "description": "It."})
    before = copy.deepcopy(given_task)
    chat(name, given_task)
    assert given_task == before


@pytest.mark.parametrize("name", [PromptFormat.BFCL, PromptFormat.BITAGENT])
def test_functions_are_in_the_system_message(name: PromptFormat) -> None:
    made = chat(name, task())
    assert made.tools is None
    assert [message["role"] for message in made.messages] == ["system", "user"]
    assert made.messages[1] == QUESTION
    assert '"name": "calc.add"' in made.messages[0]["content"]


@pytest.mark.parametrize("name", [PromptFormat.BFCL, PromptFormat.BITAGENT])
def test_a_system_message_of_the_question_follows_ours(name: PromptFormat) -> None:
    made = chat(name, task(messages=[SYSTEM, QUESTION]))
    alone = chat(name, task())
    assert made.messages == [{"role": "system", "content": alone.messages[0]["content"] + "\n\nBe brief."}, QUESTION]


def test_bitagent_asks_in_the_subnets_words() -> None:
    system = chat(PromptFormat.BITAGENT, task()).messages[0]["content"]
    assert system.startswith("You are an expert in composing functions. You are given a question")
    assert (
        "MUST put it in the format of [func_name(params_name1=params_value1, params_name2=params_value2...)]" in system
    )
    shown = json.loads(system.splitlines()[-1])
    assert shown == task().functions


def test_chat_template_leaves_messages_alone_and_gives_openai_tools() -> None:
    made = chat(PromptFormat.CHAT_TEMPLATE, task(messages=[SYSTEM, QUESTION]))
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
        {"type": "array", "items": {"type": "array", "items": {"type": "dict", "properties": {"k": {"type": "tuple", "items": {"type": "dict"}}}}}},
        {"type": "array", "items": {"type": "array", "items": {"type": "object", "properties": {"k": {"type": "array", "items": {"type": "object"}}}}}},
    ),
    "a property called type": (
        {"type": "dict", "properties": {"type": {"type": "any"}}},
        {"type": "object", "properties": {"type": {"type": "string"}}},
    ),
}  # fmt: skip


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


@pytest.mark.parametrize("name", FORMATS)
def test_java_types_are_shown_in_words(name: PromptFormat) -> None:
    java = task(language=Language.JAVA, a={"type": "ArrayList", "description": "It.", "items": {"type": "String"}})
    made = chat(name, java)
    shown = json.dumps(made.tools) if made.tools else made.messages[0]["content"]
    assert (
        "It. This is Java ArrayList type parameter in string representation. The list elements are of type String"
        in shown
    )
    assert '"ArrayList"' not in shown
    assert "Java 8 SDK" in shown


def test_auto_is_no_format() -> None:
    with pytest.raises(ValueError, match="Auto is a choice still to be made"):
        prompt_format(PromptFormat.AUTO)


def test_an_unknown_format_lists_the_known() -> None:
    with pytest.raises(UnknownName, match="Bfcl, BitAgent, ChatTemplate"):
        prompt_format("Alpaca")
