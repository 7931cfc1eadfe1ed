"""BitAgent's conversations and tools."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bitagent_crds.task_forms import Expects
from bitagent_crds.task_set import Task
from bitagent_evaluator.tasks.rows.base import Origin, RowSkipped, RowSkipReason
from bitagent_evaluator.tasks.rows.bitagent import BitAgentRows

TOOLS = [
    {
        "name": "book_table",
        "description": "Books a table",
        "arguments": {
            "restaurant": {"required": True, "type": "str", "description": "where"},
            "people": {"required": False, "type": "number", "description": "how many"},
        },
    },
    {"name": "ring", "description": "Rings", "arguments": {}},
]
ASK = {"role": "user", "content": "Book a table at Olive."}
CALL = {"role": "tool call", "content": {"name": "book_table", "arguments": {"restaurant": "Olive"}}}
RING = {"role": "tool call", "content": json.dumps({"name": "ring", "arguments": {}})}
DONE = {"role": "assistant", "content": "Done."}


def read(conversation: Any, tools: Any = TOOLS, key: str = "conversation") -> Task:
    return BitAgentRows(Origin("jsonl", "p")).read({key: conversation, "tools": tools}, "1")


def test_the_messages_up_to_the_first_call() -> None:
    hello = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    task = read([*hello, ASK, CALL, {"role": "tool response", "content": "ok"}, DONE, ASK, RING])
    assert task.messages == [*hello, ASK]
    assert task.ground_truth == [{"book_table": {"restaurant": ["Olive"]}}]
    assert (task.id, task.source, task.category, task.expects) == ("p:1", "jsonl", "bitagent", Expects.CALLS)


def test_tools_in_bfcls_form() -> None:
    assert read([ASK, CALL]).functions == [
        {
            "name": "book_table",
            "description": "Books a table",
            "parameters": {
                "type": "dict",
                "properties": {
                    "restaurant": {"type": "string", "description": "where"},
                    "people": {"type": "float", "description": "how many"},
                },
                "required": ["restaurant"],
            },
        },
        {"name": "ring", "description": "Rings", "parameters": {"type": "dict", "properties": {}, "required": []}},
    ]


@pytest.mark.parametrize("key", ["conversation", "messages"])
def test_json_text_and_either_column(key: str) -> None:
    assert read(json.dumps([ASK, CALL]), json.dumps(TOOLS), key) == read([ASK, CALL])


def test_calls_that_follow_each_other_are_one_answer() -> None:
    assert read([ASK, CALL, RING, DONE]).ground_truth == [{"book_table": {"restaurant": ["Olive"]}}, {"ring": {}}]


def test_no_call() -> None:
    task = read([ASK, DONE, {"role": "user", "content": "Thanks"}, DONE])
    assert (task.expects, task.ground_truth, task.messages) == (Expects.NO_CALL, None, [ASK])


def call(name: str, **arguments: Any) -> dict[str, Any]:
    return {"role": "tool call", "content": {"name": name, "arguments": arguments}}


LEFT_OUT: dict[str, tuple[Any, Any, str]] = {
    "no tools": ([ASK, CALL], [], RowSkipReason.NO_FUNCTIONS),
    "broken tools": ([ASK, CALL], "[{", RowSkipReason.BAD_FUNCTIONS),
    "tools without arguments": ([ASK, CALL], [{"name": "f", "arguments": [1]}], RowSkipReason.BAD_FUNCTIONS),
    "arguments that are not objects": (
        [ASK, CALL],
        [{"name": "f", "arguments": {"a": "str"}}],
        RowSkipReason.BAD_FUNCTIONS,
    ),
    "broken conversation": ("[{", TOOLS, RowSkipReason.NO_QUESTION),
    "no list": ({"a": 1}, TOOLS, RowSkipReason.NO_QUESTION),
    "no question": ([CALL], TOOLS, RowSkipReason.NO_QUESTION),
    "message without words": ([{"role": "user"}, CALL], TOOLS, RowSkipReason.NO_QUESTION),
    "role of another type": ([{"role": [], "content": "Hi"}], TOOLS, RowSkipReason.NO_QUESTION),
    "broken call": ([ASK, {"role": "tool call", "content": "book_table"}], TOOLS, RowSkipReason.BAD_CALL),
    "unknown tool": ([ASK, call("fly")], TOOLS, RowSkipReason.UNKNOWN_FUNCTION),
    "unknown argument": ([ASK, call("ring", loud=True)], TOOLS, RowSkipReason.UNKNOWN_ARGUMENT),
    "missing argument": ([ASK, call("book_table", people=2)], TOOLS, RowSkipReason.NO_ARGUMENT),
    "empty required argument": ([ASK, call("book_table", restaurant="")], TOOLS, RowSkipReason.NO_ARGUMENT),
    "half a character": ([ASK, call("book_table", restaurant="\ud800")], TOOLS, RowSkipReason.NOT_JSON),
}


@pytest.mark.parametrize(("conversation", "tools", "reason"), LEFT_OUT.values(), ids=LEFT_OUT)
def test_left_out(conversation: Any, tools: Any, reason: str) -> None:
    with pytest.raises(RowSkipped) as caught:
        read(conversation, tools)
    assert caught.value.reason == reason


@pytest.mark.parametrize("row", [{"tools": TOOLS}, {"messages": [ASK]}], ids=["no conversation", "no tools"])
def test_columns_that_are_not_there(row: dict[str, Any]) -> None:
    with pytest.raises(RowSkipped, match="without column"):
        BitAgentRows(Origin("jsonl", "p")).read(row, "1")
