"""Glaive's chat format: where the task ends, and the ways in which arguments are written. All texts are our own."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitagent_crds.task_forms import Expects
from bitagent_crds.task_set import Task
from bitagent_evaluator.tasks.rows.base import Origin, RowSkipped, RowSkipReason
from bitagent_evaluator.tasks.rows.calls import PlainCall
from bitagent_evaluator.tasks.rows.glaive import GlaiveRows
from bitagent_evaluator.tasks.rows.glaive_calls import parse_glaive_call

PLANT = {
    "name": "water_plant",
    "description": "Waters a plant",
    "parameters": {
        "type": "object",
        "properties": {
            "plant": {"type": "string", "description": "which one"},
            "litres": {"type": "number"},
            "when": {"type": "object", "properties": {"hour": {"type": "integer"}}},
        },
        "required": ["plant"],
    },
}
CLOCK = {"name": "tell_time", "description": "Tells the time", "parameters": {}}
WITH = "SYSTEM: You are a helpful assistant with access to the following functions. Use them if required -\n"
SYSTEM = WITH + json.dumps(PLANT, indent=4) + "\n\n" + json.dumps(CLOCK) + "\n"
ASK = "USER: Give the fern some water.\n\n\n"


def read(chat: str, system: str = SYSTEM) -> Task:
    return GlaiveRows(Origin("jsonl", "p")).read({"system": system, "chat": chat}, "7")


def answer(text: str) -> str:
    return f"ASSISTANT: {text} <|endoftext|>\n\n\n"


def written(arguments: str, name: str = "water_plant") -> str:
    return answer(f'<functioncall> {{"name": "{name}", "arguments": {arguments}}}')


def test_the_chat_up_to_the_first_call() -> None:
    chat = "USER: Hello!\n\n\n" + answer("Hello. What can I do?") + ASK + written("""'{"plant": "fern"}'""")
    chat += (
        'FUNCTION RESPONSE: {"done": true}\n\n\n'
        + answer("Done.")
        + "USER: And now?\n\n\n"
        + written("'{}'", "tell_time")
    )
    task = read(chat)
    assert task.id == "p:7"
    assert (task.source, task.category, task.expects) == ("jsonl", "glaive", Expects.CALLS)
    assert task.messages == [
        {"role": "user", "content": "Hello!"},
        {"role": "assistant", "content": "Hello. What can I do?"},
        {"role": "user", "content": "Give the fern some water."},
    ]
    assert task.ground_truth == [{"water_plant": {"plant": ["fern"]}}]


def test_functions_in_bfcls_form() -> None:
    first, second = read(ASK + written('\'{"plant": "fern"}\'')).functions
    assert first == {
        "name": "water_plant",
        "description": "Waters a plant",
        "parameters": {
            "type": "dict",
            "properties": {
                "plant": {"type": "string", "description": "which one"},
                "litres": {"type": "float"},
                "when": {"type": "dict", "properties": {"hour": {"type": "integer"}}},
            },
            "required": ["plant"],
        },
    }
    assert second["parameters"] == {"type": "dict", "properties": {}, "required": []}


ARGUMENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "single quotes": ("""'{"plant": "fern", "litres": 2}'""", {"plant": "fern", "litres": 2}),
    "an object": ('{"plant": "fern"}', {"plant": "fern"}),
    "a JSON string": (r'"{\"plant\": \"fern\"}"', {"plant": "fern"}),
    "an apostrophe": ("""'{"plant": "Ann's fern"}'""", {"plant": "Ann's fern"}),
    "an apostrophe after a backslash": (r"""'{"plant": "Ann\'s fern"}'""", {"plant": "Ann's fern"}),
    "quotes after a backslash": (r"""'{"plant": "the \"old\" fern"}'""", {"plant": 'the "old" fern'}),
    "all quotes after backslashes": (r"""'{\"plant\": \"fern\"}'""", {"plant": "fern"}),
    "an end in the text": ("""'{"plant": "'}"}'""", {"plant": "'}"}),
    "a line break": ("""'{"plant": "fern\nof Ann"}'""", {"plant": "fern\nof Ann"}),
    "nested": ("""'{"plant": "fern", "when": {"hour": 7}}'""", {"plant": "fern", "when": {"hour": 7}}),
    "spread over lines": ("""'{\n  "plant": "fern"\n}'""", {"plant": "fern"}),
    "nothing": ("''", {}),
    "an empty object": ("'{}'", {}),
    "unicode": ("""'{"plant": "Farn – größer"}'""", {"plant": "Farn – größer"}),
}


@pytest.mark.parametrize(("text", "arguments"), ARGUMENTS.values(), ids=ARGUMENTS)
def test_arguments(text: str, arguments: dict[str, Any]) -> None:
    assert parse_glaive_call(f'{{"name": "water_plant", "arguments": {text}}}') == PlainCall("water_plant", arguments)


def test_a_call_without_arguments() -> None:
    assert read(ASK + answer('<functioncall> {"name": "tell_time"}')).ground_truth == [{"tell_time": {}}]


def test_words_before_the_call_and_several_calls() -> None:
    both = """Sure. <functioncall> {"name": "water_plant", "arguments": '{"plant": "fern"}'} """
    both += """<functioncall> {"name": "tell_time", "arguments": '{}'}"""
    task = read(ASK + answer("One moment.") + answer(both))
    assert task.messages == [{"role": "user", "content": "Give the fern some water."}]
    assert task.ground_truth == [{"water_plant": {"plant": ["fern"]}}, {"tell_time": {}}]


def test_values_have_the_checkers_form() -> None:
    truth = read(ASK + written("""'{"plant": "fern", "when": {"hour": 7}}'""")).ground_truth
    assert truth == [{"water_plant": {"plant": ["fern"], "when": [{"hour": [7]}]}}]


def test_a_chat_without_a_call_is_its_first_question() -> None:
    task = read("USER: Paint the wall.\n\n\n" + answer("I'm sorry, I can't.") + "USER: Thanks.\n\n\n" + answer("Bye."))
    assert (task.expects, task.ground_truth) == (Expects.NO_CALL, None)
    assert task.messages == [{"role": "user", "content": "Paint the wall."}]
    assert [function["name"] for function in task.functions] == ["water_plant", "tell_time"]


FERN = """'{"plant": "fern"}'"""
LEFT_OUT: dict[str, tuple[str, str, str]] = {
    "no functions": (
        ASK + answer("No."),
        "SYSTEM: You are a helpful assistant, with no access to external functions.\n",
        RowSkipReason.NO_FUNCTIONS,
    ),
    "broken functions": (ASK + answer("No."), WITH + '{"name": ', RowSkipReason.BAD_FUNCTIONS),
    "a function without a name": (ASK + answer("No."), WITH + '{"description": "x"}', RowSkipReason.BAD_FUNCTIONS),
    "no question": (written(FERN), SYSTEM, RowSkipReason.NO_QUESTION),
    "nothing said": ("", SYSTEM, RowSkipReason.NO_QUESTION),
    "broken arguments": (ASK + written("""'{"plant": fern}'"""), SYSTEM, RowSkipReason.BAD_CALL),
    "arguments that are a list": (ASK + written("'[1]'"), SYSTEM, RowSkipReason.BAD_CALL),
    "a call that breaks off": (
        ASK + 'ASSISTANT: <functioncall> {"name": "water_plant", "argu',
        SYSTEM,
        RowSkipReason.BAD_CALL,
    ),
    "no name": (ASK + answer("<functioncall> {}"), SYSTEM, RowSkipReason.BAD_CALL),
    "another function": (ASK + written("'{}'", "fly"), SYSTEM, RowSkipReason.UNKNOWN_FUNCTION),
    "another argument": (
        ASK + written("""'{"plant": "fern", "colour": "red"}'"""),
        SYSTEM,
        RowSkipReason.UNKNOWN_ARGUMENT,
    ),
    "a required argument is missing": (ASK + written("""'{"litres": 1}'"""), SYSTEM, RowSkipReason.NO_ARGUMENT),
    "a name with a dash": (
        ASK + written("'{}'", "get-weather"),
        WITH + json.dumps(CLOCK | {"name": "get-weather"}),
        RowSkipReason.INVALID_IDENTIFIER,
    ),
    "a number without end": (
        ASK + written("""'{"plant": "fern", "litres": Infinity}'"""),
        SYSTEM,
        RowSkipReason.NOT_JSON,
    ),
}


@pytest.mark.parametrize(("chat", "system", "reason"), LEFT_OUT.values(), ids=LEFT_OUT)
def test_left_out(chat: str, system: str, reason: str) -> None:
    with pytest.raises(RowSkipped) as caught:
        read(chat, system)
    assert caught.value.reason == reason


def test_a_function_without_a_python_name_may_be_offered() -> None:
    system = SYSTEM + json.dumps(CLOCK | {"name": "get-weather"})
    assert [function["name"] for function in read(ASK + written(FERN), system).functions][-1] == "get-weather"


@pytest.mark.parametrize("row", [{}, {"system": SYSTEM}, {"system": 3, "chat": ASK}, {"system": SYSTEM, "chat": None}])
def test_columns_that_are_not_there(row: dict[str, Any]) -> None:
    with pytest.raises(RowSkipped, match="without column"):
        GlaiveRows(Origin("jsonl", "p")).read(row, "1")


PIECES = st.sampled_from(
    [
        "USER: ",
        "ASSISTANT: ",
        "FUNCTION RESPONSE: ",
        "<functioncall> ",
        '{"name": "',
        "water_plant",
        '", "arguments": ',
        "'{",
        "}'}",
        '"',
        "\\",
        "'",
        "<|endoftext|>",
        "\n",
        "{}",
        "[",
        "]",
    ]
)
TEXTS = st.lists(PIECES | st.text(max_size=8), max_size=40).map("".join)


@given(TEXTS, st.just(SYSTEM) | TEXTS)
def test_any_text_is_a_task_or_left_out(chat: str, system: str) -> None:
    with contextlib.suppress(RowSkipped):
        assert read(chat, system).messages
