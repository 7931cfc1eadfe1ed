from __future__ import annotations

import json

import pytest

from bitagent_miner.prompting import ToolMode, calls, chat, function
from bitagent_wire.messages import ChatMessage, QueryTask, Role, Tool, ToolArgument

TOOL = Tool(
    name="weather",
    description="Weather",
    arguments={"city": ToolArgument(required=True, type="string", description="A city")},
)
TURNS = [
    ChatMessage(role=Role.SYSTEM, content="Be kind."),
    ChatMessage(role=Role.USER, content="Lisbon?"),
    ChatMessage(role=Role.TOOL_CALL, content={"name": "weather"}),
    ChatMessage(role=Role.TOOL_RESPONSE, content=[1, "é"]),
]


def test_a_chat_keeps_the_turns_and_lists_the_tools_in_one_system_message() -> None:
    found = chat(QueryTask(messages=TURNS, tools=[TOOL]), ToolMode.PROMPT)
    assert [each["role"] for each in found] == ["system", "user", "assistant", "user"]
    assert found[0]["content"].startswith("Be kind.\n\n")
    assert json.loads(found[0]["content"].rpartition("JSON:\n")[2]) == [function(TOOL)]
    assert [each["content"] for each in found[2:]] == ['{"name": "weather"}', '[1, "é"]']


def test_a_chat_without_a_system_message_gets_one() -> None:
    found = chat(QueryTask(messages=TURNS[1:2], tools=[TOOL]), ToolMode.PROMPT)
    assert [each["role"] for each in found] == ["system", "user"]


@pytest.mark.parametrize(
    ("task", "mode"),
    [
        pytest.param(QueryTask(messages=TURNS[1:2]), ToolMode.PROMPT, id="no tools"),
        pytest.param(QueryTask(messages=TURNS[1:2], tools=[TOOL]), ToolMode.NATIVE, id="native"),
    ],
)
def test_a_chat_of_turns_alone(task: QueryTask, mode: ToolMode) -> None:
    assert chat(task, mode) == [{"role": "user", "content": "Lisbon?"}]


def test_a_tool_as_a_function() -> None:
    assert function(TOOL) == {
        "name": "weather",
        "description": "Weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "description": "A city"}},
            "required": ["city"],
        },
    }


@pytest.mark.parametrize(
    ("found", "text"),
    [
        pytest.param(
            [("f", '{"a": "x\'y", "b": true, "c": [1, null]}')], '[f(a="x\'y", b=True, c=[1, None])]', id="values"
        ),
        pytest.param([("f", "{}"), ("g", '{"a": 1}')], "[f(), g(a=1)]", id="several"),
        pytest.param([("f", "not JSON")], "[f()]", id="unreadable"),
        pytest.param([("f", "[1]")], "[f()]", id="no object"),
    ],
)
def test_calls_as_text(found: list[tuple[str, str]], text: str) -> None:
    assert calls(found) == text
