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
from bitagent_evaluator.answers import AnswerSyntax, decode_any
from bitagent_evaluator.answers.answer import SYNTAXES
from bitagent_evaluator.formats import Chat, RawPrompt, prompt_format
from bitagent_evaluator.formats.chat_template import json_schema
from bitagent_evaluator.formats.layout import Conversation, Exchange, conversation
from bitagent_evaluator.registry import UnknownName

RAW = [PromptFormat.ALPACA, PromptFormat.VICUNA, PromptFormat.CHATML, PromptFormat.LLAMA2]
FORMATS = [name for name in PromptFormat if name is not PromptFormat.AUTO]
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
    made = prompt_format(name).chat(of)
    assert isinstance(made, Chat)
    return made


def raw(name: PromptFormat, of: Task) -> str:
    made = prompt_format(name).chat(of)
    assert isinstance(made, RawPrompt) and made.add_special_tokens
    return made.text


def shown(name: PromptFormat, of: Task) -> str:
    """All that a model sees, as text."""
    if name in RAW:
        return raw(name, of)
    made = chat(name, of)
    return json.dumps(made.tools) if made.tools else "\n".join(message["content"] for message in made.messages)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("language", Language)
def test_the_task_stays_as_it_was(name: PromptFormat, language: Language) -> None:
    given_task = task(language=language, a={"type": "any", "description": "It."})
    before = copy.deepcopy(given_task)
    prompt_format(name).chat(given_task)
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
    assert json.loads(system.splitlines()[-1]) == task().functions


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
    text = shown(name, java)
    assert (
        "It. This is Java ArrayList type parameter in string representation. The list elements are of type String"
        in text
    )
    assert '"ArrayList"' not in text
    assert "Java 8 SDK" in text


def test_auto_is_no_format() -> None:
    with pytest.raises(ValueError, match="Auto is a choice still to be made"):
        prompt_format(PromptFormat.AUTO)


def test_an_unknown_format_lists_the_known() -> None:
    with pytest.raises(UnknownName, match="Alpaca, Bfcl, BitAgent, ChatML, ChatTemplate, Hammer, Llama2, Vicuna"):
        prompt_format("Mistral")


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_reads_python_calls_first_and_knows_its_syntaxes(name: PromptFormat) -> None:
    made = prompt_format(name)
    assert made.syntaxes[0] == AnswerSyntax.PYTHON
    assert set(made.syntaxes) <= set(SYNTAXES.names())
    assert made.uses_template is (name not in RAW)
    assert isinstance(made.chat(task()), Chat) is made.uses_template


ACCEPTED = {
    "Bfcl": ["Python"],
    "BitAgent": ["Python"],
    "ChatTemplate": ["Python", "ToolCallBlocks", "ToolCalls", "JsonList"],
    "Hammer": ["Python", "JsonList"],
    **{name: ["Python", "FunctionParams", "ReWoo"] for name in RAW},
}


@pytest.mark.parametrize(("name", "syntaxes"), ACCEPTED.items(), ids=ACCEPTED)
def test_accepted_syntaxes(name: str, syntaxes: list[str]) -> None:
    assert list(prompt_format(name).syntaxes) == syntaxes


def test_hammer_asks_in_marked_sections() -> None:
    function_task = task(
        messages=[SYSTEM, QUESTION, {"role": "assistant", "content": "3?"}, QUESTION],
        a={"type": "float", "description": "It."},
        b={"type": "integer", "description": "Base.", "default": 10},
        c={"type": "boolean", "default": None},
    )
    made = chat(PromptFormat.HAMMER, function_task)
    assert made.tools is None
    assert [made.messages[0], *made.messages[2:]] == [SYSTEM, *function_task.messages[2:]]
    content = made.messages[1]["content"]
    names = ["TASK INSTRUCTION", "AVAILABLE TOOLS", "FORMAT INSTRUCTION", "QUERY"]
    sections = [content.partition(f"[BEGIN OF {name}]\n")[2].partition(f"\n[END OF {name}]\n\n")[0] for name in names]
    assert content == "".join(f"[BEGIN OF {n}]\n{s}\n[END OF {n}]\n\n" for n, s in zip(names, sections, strict=True))
    assert "empty list: []" in sections[2]
    assert decode_any(sections[2].splitlines()[1], ["JsonList"]) == [{"tool_name": {"argument_name": "value"}}]
    assert sections[3] == QUESTION["content"]
    assert json.loads(sections[1]) == [
        {
            "name": "calc.add",
            "description": "Adds. Note that the provided function is in Python 3 syntax.",
            "parameters": {
                "a": {"type": "float", "description": "It.", "required": True},
                "b": {"type": "integer", "description": "Base. The default is 10.", "default": 10},
                "c": {"type": "boolean", "description": "The default is null.", "default": None},
            },
        }
    ]


def test_hammer_without_a_question_shows_the_tools_in_the_system_message() -> None:
    made = chat(PromptFormat.HAMMER, task(messages=[SYSTEM]))
    (message,) = made.messages
    assert message["role"] == "system"
    assert "[BEGIN OF AVAILABLE TOOLS]" in message["content"] and message["content"].endswith("Be brief.")


def said(role: str, content: str) -> dict[str, Any]:
    return {"role": role, "content": content}


TALK = [
    said("system", "S"),
    said("user", "Q1"),
    said("user", "Q2"),
    said("assistant", "A1"),
    said("tool", "R"),
    said("user", "Q3"),
]
LAYOUTS = {
    PromptFormat.ALPACA: (
        "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n"
        "### Instruction:\n{system}\n\nQ1\n\nQ2\n\n### Response:\nA1\n\n### Instruction:\nR\n\nQ3\n\n### Response:\n"
    ),
    PromptFormat.VICUNA: "{system}\nUSER: Q1\n\nQ2\nASSISTANT: A1\nUSER: R\n\nQ3\nASSISTANT:",
    PromptFormat.CHATML: (
        "<|im_start|>system\n{system}<|im_end|>\n<|im_start|>user\nQ1\n\nQ2<|im_end|>\n<|im_start|>assistant\nA1<|im_end|>\n"
        "<|im_start|>user\nR\n\nQ3<|im_end|>\n<|im_start|>assistant\n"
    ),
    PromptFormat.LLAMA2: (
        "[INST] <<SYS>>\n{system}\n<</SYS>>\n\nQ1\n\nQ2 [/INST] A1 </s><s>[INST] R\n\nQ3 [/INST]"
    ),
}  # fmt: skip


@pytest.mark.parametrize(("name", "layout"), LAYOUTS.items(), ids=LAYOUTS)
def test_layouts(name: PromptFormat, layout: str) -> None:
    asked = task(messages=TALK)
    system = chat(PromptFormat.BFCL, asked).messages[0]["content"]
    assert '"name": "calc.add"' in system and system.endswith("\n\nS")
    assert raw(name, asked) == layout.replace("{system}", system)


CONVERSATIONS = {
    "question": ([QUESTION], Conversation("", [Exchange(QUESTION["content"], None)])),
    "nothing": ([], Conversation("", [Exchange("", None)])),
    "only a system text": ([SYSTEM], Conversation("Be brief.", [Exchange("", None)])),
    "ends with an answer": ([said("user", "Q"), said("assistant", "A")], Conversation("", [Exchange("Q", "A"), Exchange("", None)])),
    "begins with an answer": ([said("assistant", "A"), said("user", "Q")], Conversation("", [Exchange("", "A"), Exchange("Q", None)])),
    "later system message": ([said("user", "Q"), SYSTEM], Conversation("", [Exchange("Q\n\nBe brief.", None)])),
}  # fmt: skip


@pytest.mark.parametrize(("messages", "expected"), CONVERSATIONS.values(), ids=CONVERSATIONS)
def test_conversation(messages: list[dict[str, Any]], expected: Conversation) -> None:
    assert conversation(messages) == expected


def test_only_chatml_ends_at_its_own_token() -> None:
    assert {name: list(prompt_format(name).stop_tokens) for name in FORMATS if prompt_format(name).stop_tokens} == {
        PromptFormat.CHATML: ["<|im_end|>"]
    }
