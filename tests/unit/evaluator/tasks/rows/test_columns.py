"""Any columns, in the forms in which datasets keep messages, functions and calls."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bitagent_crds.task_forms import Expects
from bitagent_crds.task_set import Task
from bitagent_crds.tasks import Columns
from bitagent_evaluator.tasks.files import TaskSetError
from bitagent_evaluator.tasks.rows.base import Origin, RowSkipped, RowSkipReason
from bitagent_evaluator.tasks.rows.columns import ColumnRows

ADD = {
    "name": "add",
    "description": "Adds",
    "parameters": {"type": "dict", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
}
PARAMETERS: dict[str, Any] = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
OPENAI = {"type": "function", "function": ADD | {"parameters": PARAMETERS}}
XLAM = {"name": "add", "description": "Adds", "parameters": {"a": {"type": "int", "description": "n"}}}
CALL = {"name": "add", "arguments": {"a": 1}}
TRUTH = [{"add": {"a": [1]}}]
ROW: dict[str, Any] = {"q": "Add 1.", "tools": [ADD], "answers": [CALL]}


def read(row: dict[str, Any], **columns: str) -> Task:
    named = columns or {"question": "q", "functions": "tools", "answers": "answers"}
    return ColumnRows(Origin("jsonl", "p"), Columns.model_validate(named)).read(row, "3")


def test_a_row() -> None:
    assert read(ROW) == Task(
        id="p:3",
        source="jsonl",
        category="jsonl",
        messages=[{"role": "user", "content": "Add 1."}],
        functions=[ADD],
        expects=Expects.CALLS,
        ground_truth=TRUTH,
    )


ANSWERS: dict[str, Any] = {
    "objects": [CALL],
    "one object": CALL,
    "a message that makes the call": [{"role": "assistant", "content": None, "tool_calls": [{"function": CALL}]}],
    "a message whose text is the call": [{"role": "assistant", "content": "[add(a=1)]"}],
    "a thought beside the call": [{"type": "reasoning", "summary": []}, {"type": "function_call", **CALL}],
    "JSON text": json.dumps([CALL]),
    "one as JSON text": json.dumps(CALL),
    "arguments as JSON text": [CALL | {"arguments": json.dumps(CALL["arguments"])}],
    "OpenAI's": [{"id": "c1", "type": "function", "function": CALL | {"arguments": '{"a": 1}'}}],
    "OpenAI's message": {"role": "assistant", "content": None, "tool_calls": [{"function": CALL}]},
    "Python calls": "[add(a=1)]",
    "a list of JSON texts": [json.dumps(CALL)],
    "a list of Python calls": ["add(a=1)"],
    "named arguments": [{"add": {"a": 1}}],
    "named arguments as JSON text": '[{"add": {"a": 1}}]',
    "one call with named arguments": {"add": {"a": 1}},
    "allowed values": [{"add": {"a": [1]}}],
    "allowed values as JSON text": '[{"add": {"a": [1]}}]',
    "a block": f"<tool_call>{json.dumps(CALL)}</tool_call>",
    "other marks": f"<FunctionCall> {json.dumps(CALL)} </FunctionCall>",
    "in prose": f"Sure: {json.dumps([CALL])}",
    "after thinking": "<think>add(a=2)?</think>add(a=1)",
}


@pytest.mark.parametrize("answers", ANSWERS.values(), ids=ANSWERS)
def test_answers(answers: Any) -> None:
    assert read(ROW | {"answers": answers}).ground_truth == TRUTH


@pytest.mark.parametrize(
    ("column", "value", "example"),
    [
        ("answers", "add('1')", "add('1')"),
        ("answers", [{"args": {"a": "\u00e4" * 999}}], '[{"args": {"a": "\u00e4'),
        ("tools", "see\nthe manual", "see the manual"),
        ("tools", [{"title": "\x1b"}], '[{"title": "'),
    ],
)
def test_what_cannot_be_read_is_shown(column: str, value: Any, example: str) -> None:
    with pytest.raises(RowSkipped) as caught:
        read(ROW | {column: value})
    assert caught.value.example.startswith(example) and len(caught.value.example) <= 200


@pytest.mark.parametrize(
    "answers", [[], "[]", {"role": "assistant", "tool_calls": []}], ids=["list", "text", "message"]
)
def test_no_answers_means_no_call(answers: Any) -> None:
    task = read(ROW | {"answers": answers})
    assert (task.expects, task.ground_truth) == (Expects.NO_CALL, None)


FUNCTIONS: dict[str, Any] = {
    "BFCL's": [ADD],
    "one": ADD,
    "OpenAI's": [OPENAI],
    "JSON text": json.dumps([OPENAI]),
    "xLAM's": [XLAM],
    "two of one name": [ADD, XLAM],
    "an object of them by name": {"add": {"description": "Adds", "parameters": PARAMETERS}},
    "an object of them by name, and with it": {"add": OPENAI["function"]},
}


@pytest.mark.parametrize("functions", FUNCTIONS.values(), ids=FUNCTIONS)
def test_functions(functions: Any) -> None:
    (found,) = read(ROW | {"tools": functions}).functions
    assert found["name"] == "add"
    assert found["parameters"]["properties"]["a"]["type"] == "integer"
    assert found["parameters"]["required"] == ["a"]


def test_messages() -> None:
    said = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Add 1."}]
    answered = [*said, {"role": "assistant", "content": "[add(a=1)]"}]
    for messages in (said, answered, json.dumps(answered)):
        task = read(ROW | {"m": messages}, messages="m", functions="tools", answers="answers")
        assert task.messages == said


def test_paths_go_into_lists() -> None:
    chat = [
        {"role": "user", "content": [{"type": "text", "text": "Add 1."}]},
        {"role": "assistant", "tool_calls": [CALL]},
    ]
    row = {"messages": json.dumps(chat), "tools": [ADD]}
    for number in ("1", "-1"):
        task = read(row, messages="messages", functions="tools", answers=f"messages.{number}.tool_calls")
        assert (task.ground_truth, task.messages) == (TRUTH, [{"role": "user", "content": "Add 1."}])
    with pytest.raises(RowSkipped, match="without column"):
        read(row, messages="messages", functions="tools", answers="messages.2.tool_calls")


def test_paths_go_into_objects() -> None:
    row = {
        "in": {"user.text": "Add 1.", "tools": json.dumps({"list": [ADD]})},
        "out.calls": [CALL],
        "meta": {"id": 12, "kind": "sums"},
    }
    task = read(
        row, question="in.user.text", functions="in.tools.list", answers="out.calls", id="meta.id", category="meta.kind"
    )
    assert (task.id, task.category, task.messages[0]["content"], task.ground_truth) == ("p:12", "sums", "Add 1.", TRUTH)


def test_a_reference() -> None:
    task = read({"q": "Why?", "good": "Because."}, question="q", reference="good")
    assert (task.expects, task.reference, task.ground_truth, task.functions) == (Expects.TEXT, "Because.", None, [])


def test_a_reference_beside_answers() -> None:
    task = read(ROW | {"text": "[add(a=1)]"}, question="q", functions="tools", answers="answers", reference="text")
    assert (task.expects, task.reference, task.ground_truth) == (Expects.CALLS, "[add(a=1)]", TRUTH)


def test_long_ids_become_their_digest() -> None:
    task = read(ROW | {"id": "x" * 300}, question="q", functions="tools", answers="answers", id="id")
    assert len(task.id) == 64


def with_default(value: Any, **more: Any) -> dict[str, Any]:
    return {"name": "add", "parameters": {"a": {"type": "int", "default": value, **more}}}


def with_type(kind: str) -> dict[str, Any]:
    return {"name": "add", "parameters": {"a": {"type": kind}}}


def with_members(members: dict[str, Any]) -> dict[str, Any]:
    parameters = {"type": "object", "properties": {"a": {"type": "object", "properties": members}}, "required": ["a"]}
    return {"name": "add", "parameters": parameters}


def deep(levels: int) -> Any:
    return json.loads("[" * levels + "]" * levels)


LEFT_OUT: dict[str, tuple[dict[str, Any], str]] = {
    "no column": ({"q": "?"}, "without column 'tools'"),
    "empty question": (ROW | {"q": " "}, RowSkipReason.NO_QUESTION),
    "question of another type": (ROW | {"q": 3}, RowSkipReason.NO_QUESTION),
    "no functions": (ROW | {"tools": []}, RowSkipReason.NO_FUNCTIONS),
    "broken functions": (ROW | {"tools": "[{"}, RowSkipReason.BAD_FUNCTIONS),
    "broken call": (ROW | {"answers": "add one"}, RowSkipReason.BAD_CALL),
    "an empty list beside a call": (
        ROW | {"answers": {"tool_calls": [], "function_call": CALL}},
        RowSkipReason.BAD_CALL,
    ),
    "an empty list beside a call, as text": (
        ROW | {"answers": json.dumps({"tool_calls": [], "function_call": CALL})},
        RowSkipReason.BAD_CALL,
    ),
    "call without name": (ROW | {"answers": [{"arguments": {}}]}, RowSkipReason.BAD_CALL),
    "call of another function": (ROW | {"answers": [CALL | {"name": "sub"}]}, RowSkipReason.UNKNOWN_FUNCTION),
    "another argument": (ROW | {"answers": [CALL | {"arguments": {"a": 1, "b": 2}}]}, RowSkipReason.UNKNOWN_ARGUMENT),
    "missing argument": (ROW | {"answers": [CALL | {"arguments": {}}]}, RowSkipReason.NO_ARGUMENT),
    "NaN": (
        ROW | {"tools": [with_type("float")], "answers": [CALL | {"arguments": {"a": float("nan")}}]},
        RowSkipReason.NOT_JSON,
    ),
    "no answer": (ROW | {"answers": None}, RowSkipReason.NO_ANSWER),
    "a blank answer": (ROW | {"answers": " "}, RowSkipReason.NO_ANSWER),
    "prose as an answer": (ROW | {"answers": "I cannot add."}, RowSkipReason.BAD_CALL),
    "null for a required argument": (ROW | {"answers": [CALL | {"arguments": {"a": None}}]}, RowSkipReason.NO_ARGUMENT),
    "a number as text inside an object": (
        ROW
        | {"tools": [with_members({"n": {"type": "integer"}})], "answers": [CALL | {"arguments": {"a": {"n": "1"}}}]},
        RowSkipReason.WRONG_TYPE,
    ),
    "a text for a list inside an object": (
        ROW
        | {
            "tools": [with_members({"n": {"type": "array", "items": {"type": "integer"}}})],
            "answers": [CALL | {"arguments": {"a": {"n": [1, "x"]}}}],
        },
        RowSkipReason.WRONG_TYPE,
    ),
    "a number as text": (ROW | {"answers": [CALL | {"arguments": {"a": "1"}}]}, RowSkipReason.WRONG_TYPE),
    "a truth value for a number": (ROW | {"answers": [CALL | {"arguments": {"a": True}}]}, RowSkipReason.WRONG_TYPE),
    "a number for a text": (ROW | {"tools": [with_type("str")]}, RowSkipReason.WRONG_TYPE),
    "a fraction for a whole number": (ROW | {"answers": [CALL | {"arguments": {"a": 1.5}}]}, RowSkipReason.WRONG_TYPE),
    "texts in a list of numbers": (
        ROW | {"tools": [with_type("List[int]")], "answers": [CALL | {"arguments": {"a": ["1", "2"]}}]},
        RowSkipReason.WRONG_TYPE,
    ),
    "a list as text": (
        ROW | {"tools": [with_type("List[int]")], "answers": [CALL | {"arguments": {"a": "[1, 2]"}}]},
        RowSkipReason.WRONG_TYPE,
    ),
    "a word of Python": (
        {
            "q": "?",
            "tools": [{"name": "add", "parameters": {"from": {"type": "int"}}}],
            "answers": [{"name": "add", "arguments": {"from": 1}}],
        },
        RowSkipReason.INVALID_IDENTIFIER,
    ),
    "a word of Python as the name of a second argument": (
        {
            "q": "?",
            "tools": [{"name": "add", "parameters": {"a": {"type": "int"}, "class": {"type": "str"}}}],
            "answers": [{"name": "add", "arguments": {"a": 1, "class": "x"}}],
        },
        RowSkipReason.INVALID_IDENTIFIER,
    ),
    "a word of Python as a function": (
        {"q": "?", "tools": [{"name": "import"}], "answers": [{"name": "import", "arguments": {}}]},
        RowSkipReason.INVALID_IDENTIFIER,
    ),
    "an image": (
        {"q": [{"type": "image_url", "image_url": {"url": "x"}}], "tools": [ADD], "answers": [CALL]},
        RowSkipReason.NOT_TEXT,
    ),
    "half a character in the question": (ROW | {"q": "\ud800"}, RowSkipReason.NOT_JSON),
    "a default that is too deep": (ROW | {"tools": [with_default(deep(300))]}, RowSkipReason.NOT_JSON),
    "calls without end": (ROW | {"answers": [CALL] * 5000}, RowSkipReason.TOO_MANY_CALLS),
    "a type in a type without end": (
        ROW | {"tools": [with_type("Optional[" * 3000 + "int" + "]" * 3000)]},
        RowSkipReason.BAD_FUNCTIONS,
    ),
    "a result in place of a call": (
        ROW | {"answers": [{"role": "tool", "content": "[add(a=1)]"}]},
        RowSkipReason.BAD_CALL,
    ),
    "a thought alone": (ROW | {"answers": [{"type": "reasoning", "summary": []}]}, RowSkipReason.NO_ANSWER),
    "a set": (
        ROW | {"tools": [with_type("unheard of")], "answers": [CALL | {"arguments": {"a": {1}}}]},
        RowSkipReason.NOT_JSON,
    ),
}


@pytest.mark.parametrize(("row", "reason"), LEFT_OUT.values(), ids=LEFT_OUT)
def test_left_out(row: dict[str, Any], reason: str) -> None:
    with pytest.raises(RowSkipped) as caught:
        read(row)
    assert caught.value.reason == reason


@pytest.mark.parametrize("value", [None, "", 1.5, True, {"a": 1}, "\ud800"])
def test_ids_are_texts_or_whole_numbers(value: Any) -> None:
    with pytest.raises(RowSkipped):
        read(ROW | {"id": value}, question="q", functions="tools", answers="answers", id="id")


def test_items_of_no_list_say_nothing() -> None:
    odd = {"name": "add", "parameters": {"a": {"type": "unheard of", "items": "x"}}}
    row = ROW | {"tools": [odd], "answers": [CALL | {"arguments": {"a": [0.5]}}]}
    assert read(row).ground_truth == [{"add": {"a": [[0.5]]}}]


@pytest.mark.parametrize("role", ["category", "reference"])
def test_halves_of_characters_anywhere(role: str) -> None:
    with pytest.raises(RowSkipped, match=RowSkipReason.NOT_JSON):
        read({"q": "Why?", "good": "Because.", role: "\udfff"}, **{"question": "q", "reference": "good", role: role})


@pytest.mark.parametrize("value", [None, " ", 3])
def test_a_reference_is_a_text(value: Any) -> None:
    with pytest.raises(RowSkipped, match=RowSkipReason.NO_REFERENCE):
        read({"q": "Why?", "good": value}, question="q", reference="good")


WRONG: dict[str, tuple[dict[str, str] | None, str]] = {
    "none": (None, "say which column holds what"),
    "no question": ({"reference": "r"}, "name question or messages"),
    "two questions": ({"question": "q", "messages": "m", "reference": "r"}, "name one"),
    "nothing to answer": ({"question": "q"}, "name answers or reference"),
    "calls of nothing": ({"question": "q", "answers": "a"}, "name the column of the functions too"),
}


@pytest.mark.parametrize(("columns", "message"), WRONG.values(), ids=WRONG)
def test_columns_that_make_no_task(columns: dict[str, str] | None, message: str) -> None:
    with pytest.raises(TaskSetError, match=message):
        ColumnRows(Origin("jsonl", "p"), None if columns is None else Columns.model_validate(columns))
