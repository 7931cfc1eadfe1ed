"""OpenAI's fine-tuning rows."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bitagent_crds.task_forms import Expects
from bitagent_crds.task_set import Task
from bitagent_evaluator.tasks.rows.base import Origin, RowSkipped
from bitagent_evaluator.tasks.rows.bitagent import BitAgentRows
from bitagent_evaluator.tasks.rows.openai import OpenAIRows

WEATHER = {
    "name": "get_weather",
    "description": "Forecast.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
CALL = {"id": "1", "type": "function", "function": {"name": "get_weather", "arguments": json.dumps({"city": "Oslo"})}}
ROW: dict[str, Any] = {
    "messages": [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": "Weather in Oslo?"},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
    ],
    "tools": [{"type": "function", "function": WEATHER}],
    "parallel_tool_calls": False,
}


def read(row: dict[str, Any]) -> Task:
    return OpenAIRows(Origin("jsonl", "p")).read(row, "1")


@pytest.mark.parametrize(
    "row",
    [
        ROW,
        ROW | {"messages": json.dumps(ROW["messages"]), "tools": json.dumps(ROW["tools"])},
        {"messages": ROW["messages"], "functions": [WEATHER]},
    ],
    ids=["tools", "JSON text", "functions"],
)
def test_a_row(row: dict[str, Any]) -> None:
    task = read(row)
    assert task.ground_truth == [{"get_weather": {"city": ["Oslo"]}}]
    assert [message["role"] for message in task.messages] == ["system", "user"]
    assert (task.id, task.category) == ("p:1", "openai")


def test_an_answer_in_prose_means_no_call() -> None:
    row = ROW | {"messages": [*ROW["messages"][:2], {"role": "assistant", "content": "I cannot tell."}]}
    assert read(row).expects is Expects.NO_CALL


def test_the_same_calls_are_read_as_rows_of_bitagent() -> None:
    task = BitAgentRows(Origin("jsonl", "p")).read(ROW, "1")
    assert task.ground_truth == read(ROW).ground_truth


def test_a_row_without_messages_says_so() -> None:
    with pytest.raises(RowSkipped, match="messages"):
        read({"conversations": []})


def with_system(text: str) -> dict[str, Any]:
    return {"messages": [{"role": "system", "content": text}, *ROW["messages"][1:]], "tools": None}


@pytest.mark.parametrize(
    "text",
    [
        f"<tools>{json.dumps(ROW['tools'])}</tools>",
        "You may call:\n" + "\n".join(["[note]"] * 60 + [json.dumps(WEATHER)]),
    ],
    ids=["in tags", "an object"],
)
def test_functions_are_also_read_in_the_system_text(text: str) -> None:
    task = read(with_system(text))
    assert [function["name"] for function in task.functions] == ["get_weather"]
    assert task.messages == [{"role": "user", "content": "Weather in Oslo?"}]


def test_an_object_with_a_name_in_the_system_text_is_not_a_function() -> None:
    with pytest.raises(RowSkipped, match="without functions"):
        read(with_system('The user is {"name": "Ada", "age": 36}.'))


@pytest.mark.parametrize("item", [json.dumps(WEATHER), json.dumps(ROW["tools"][0])], ids=["a function", "OpenAI's"])
def test_descriptions_may_be_texts(item: str) -> None:
    assert read(ROW | {"tools": [item]}).ground_truth == [{"get_weather": {"city": ["Oslo"]}}]


ANSWER = [ROW["messages"][2]]
PAIRS = {
    "TRL's completion": {"prompt": ROW["messages"][:2], "completion": ANSWER},
    "TRL's preference": {"prompt": ROW["messages"][:2], "chosen": ANSWER, "rejected": []},
    "TRL's preference of whole chats": {"prompt": ROW["messages"][:2], "chosen": ROW["messages"], "rejected": []},
    "OpenAI's preference": {"input": {"messages": ROW["messages"][:2]}, "preferred_output": ANSWER},
    "OpenAI's preference with tools": {
        "input": {"messages": ROW["messages"][:2], "tools": ROW["tools"]},
        "preferred_output": ANSWER,
        "tools": None,
    },
    "OpenAI's responses": {"input": ROW["messages"][:2], "output": ANSWER},
    "a request of a batch": {"custom_id": "1", "body": ROW, "tools": None},
}


@pytest.mark.parametrize("columns", PAIRS.values(), ids=PAIRS)
def test_a_question_and_its_answer_are_one_chat(columns: dict[str, Any]) -> None:
    row = {"tools": ROW["tools"], **columns}
    row = {name: value for name, value in row.items() if value is not None}
    assert read(row).model_dump() == read(ROW).model_dump()


@pytest.mark.parametrize("columns", [{"prompt": "Hi", "completion": "Hello"}, {"input": {}, "chosen": ANSWER}, {}])
def test_other_pairs_have_no_messages(columns: dict[str, Any]) -> None:
    with pytest.raises(RowSkipped) as caught:
        read({"tools": ROW["tools"], **columns})
    assert "messages" in caught.value.reason


CALLS = {
    "encoded twice": {"name": "get_weather", "arguments": json.dumps(json.dumps({"city": "Oslo"}))},
    "the function's name alone": {"function": "get_weather", "arguments": {"city": "Oslo"}},
    "LangChain's": {"tool": "get_weather", "tool_input": {"city": "Oslo"}},
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_calls_in_other_members(call: dict[str, Any]) -> None:
    row = ROW | {"messages": [*ROW["messages"][:2], {"role": "assistant", "tool_calls": [call]}]}
    assert read(row).ground_truth == [{"get_weather": {"city": ["Oslo"]}}]


@pytest.mark.parametrize(("value", "expected"), [(3.0, 3), (-2.0, -2), (1e3, 1000)])
def test_an_integer_that_a_table_made_a_float_is_one(value: float, expected: int) -> None:
    days = {"type": "object", "properties": {"days": {"type": "integer"}}, "required": ["days"]}
    call = {"name": "get_weather", "arguments": {"days": value}}
    row = {
        "messages": [*ROW["messages"][:2], {"role": "assistant", "tool_calls": [call]}],
        "tools": [WEATHER | {"parameters": days}],
    }
    (found,) = read(row).ground_truth or []
    assert [type(allowed) for allowed in found["get_weather"]["days"]] == [int]
    assert found["get_weather"]["days"] == [expected]


QUESTION = {"role": "user", "content": "Weather in Oslo?"}


def _answered(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [QUESTION, {"role": "assistant", "content": list(parts)}], "tools": [WEATHER]}


OTHERS: dict[str, dict[str, Any]] = {
    "LangChain's messages": {
        "messages": [
            {"type": "human", "content": "Weather in Oslo?"},
            {"type": "ai", "content": "", "tool_calls": [{"name": "get_weather", "args": {"city": "Oslo"}, "id": "1"}]},
        ],
        "tools": [WEATHER],
    },
    "Gemini's contents": {
        "contents": [
            {"role": "user", "parts": [{"text": "Weather in Oslo?"}]},
            {
                "role": "model",
                "parts": [{"text": "I look."}, {"functionCall": {"name": "get_weather", "args": {"city": "Oslo"}}}],
            },
        ],
        "tools": [{"functionDeclarations": [WEATHER]}],
    },
    "Bedrock's messages": {
        "messages": [
            {"role": "user", "content": [{"text": "Weather in Oslo?"}]},
            {"role": "assistant", "content": [{"toolUse": {"name": "get_weather", "input": {"city": "Oslo"}}}]},
            {"role": "user", "content": [{"toolResult": {"content": []}}]},
        ],
        "tools": [{"toolSpec": {"name": "get_weather", "inputSchema": {"json": WEATHER["parameters"]}}}],
    },
    "items of OpenAI's Responses": {
        "messages": [
            QUESTION,
            {"type": "reasoning", "summary": []},
            {"type": "function_call", "name": "get_weather", "arguments": '{"city": "Oslo"}', "call_id": "1"},
            {"type": "function_call_output", "call_id": "1", "output": "Rain"},
        ],
        "tools": [{"type": "function", **WEATHER}],
    },
    "members of other rows as null": {
        "messages": [
            QUESTION | {"tool_calls": None},
            {
                "role": "assistant",
                "tool_calls": [{"function": {"name": "get_weather", "arguments": {"city": "Oslo", "zip": None}}}],
            },
        ],
        "tools": [
            WEATHER | {"parameters": {"type": "object", "properties": {"city": {"type": "string"}, "zip": None}}}
        ],
    },
    "OpenAI's response to a text": {
        "input": "Weather in Oslo?",
        "output": [
            {"type": "reasoning", "summary": []},
            {"type": "mcp_call", "name": "get_weather", "arguments": '{"city": "Oslo"}', "server_label": "w"},
        ],
        "tools": [{"type": "function", **WEATHER}],
    },
    "Anthropic's parts of servers' tools": _answered(
        {"type": "thinking", "thinking": "hm"},
        {"type": "mcp_tool_use", "name": "get_weather", "server_name": "w", "input": {"city": "Oslo"}},
    ),
    "Vercel's parts": _answered(
        {"type": "tool-call", "toolCallId": "1", "toolName": "get_weather", "input": {"city": "Oslo"}}
    ),
    "Vercel's parts of older versions": _answered(
        {"type": "tool-call", "toolCallId": "1", "toolName": "get_weather", "args": {"city": "Oslo"}}
    ),
    "Vercel's parts of pages": _answered(
        {"type": "tool-get_weather", "toolCallId": "1", "state": "input-available", "input": {"city": "Oslo"}}
    ),
    "Vercel's steps of one page": _answered(
        {"type": "step-start"},
        {"type": "tool-get_weather", "toolCallId": "1", "input": {"city": "Oslo"}, "output": "rain"},
        {"type": "step-start"},
        {"type": "tool-get_weather", "toolCallId": "2", "input": {"city": "Rome"}, "output": "sun"},
    ),
    "a result between calls": _answered(
        {"type": "tool-call", "toolCallId": "1", "toolName": "get_weather", "input": {"city": "Oslo"}},
        {"type": "tool-result", "toolCallId": "1", "output": "rain"},
        {"type": "tool-call", "toolCallId": "2", "toolName": "get_weather", "input": {"city": "Rome"}},
    ),
    "a column body beside": {
        "prompt": [QUESTION],
        "completion": [
            {"role": "assistant", "tool_calls": [{"function": {"name": "get_weather", "arguments": {"city": "Oslo"}}}]}
        ],
        "tools": [WEATHER],
        "body": {"model": "m"},
    },
    "ToolBench's system text": {
        "messages": [
            {"role": "system", "content": f"Use Thought, Action. You have the APIs: {[WEATHER]}\nBegin!"},
            QUESTION,
            {"role": "assistant", "content": 'Thought: x\nAction: get_weather\nAction Input: {"city": "Oslo"}'},
        ]
    },
}


@pytest.mark.parametrize("row", OTHERS.values(), ids=OTHERS)
def test_chats_of_other_programs_are_read(row: dict[str, Any]) -> None:
    assert read(row).ground_truth == [{"get_weather": {"city": ["Oslo"]}}]


def test_a_null_in_an_object_may_be_omitted() -> None:
    place = {"type": "object", "properties": {"city": {"type": "string"}, "zip": {"type": "string"}}}
    function = {"name": "f", "parameters": {"type": "object", "properties": {"place": place}}}
    call = {"name": "f", "arguments": {"place": {"city": "Oslo", "zip": None}}}
    row = {"messages": [QUESTION, {"role": "assistant", "tool_calls": [call]}], "tools": [function]}
    assert read(row).ground_truth == [{"f": {"place": [{"city": ["Oslo"], "zip": [None, ""]}]}}]


@pytest.mark.parametrize(
    "answer",
    [
        {"type": "ai", "content": "", "tool_calls": [{"name": "get_weather"}], "invalid_tool_calls": []},
        {"role": "model", "parts": [{"functionCall": {"args": {"city": "Oslo"}}}]},
        {"type": "function_call", "arguments": "{}"},
        {"type": "reasoning", "summary": ["get_weather(city='Oslo')"]},
        {"type": "custom_tool_call", "name": "get_weather", "input": "Oslo"},
        {"role": "assistant", "content": [{"type": "server_tool_use", "name": "web_search", "input": {"query": "x"}}]},
        {"role": "assistant", "content": [{"type": "tool-result", "toolCallId": "1", "output": "rain"}]},
    ],
    ids=[
        "without a required argument",
        "without a name",
        "an item without a name",
        "a thought alone",
        "a call of text",
        "a tool of the server",
        "a result alone",
    ],
)
def test_a_call_of_another_program_that_cannot_be_read_is_never_no_call(answer: dict[str, Any]) -> None:
    with pytest.raises(RowSkipped):
        read({"messages": [QUESTION, answer], "tools": [WEATHER]})
