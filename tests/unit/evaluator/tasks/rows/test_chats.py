"""Chats as data: what is the task, and which calls answer it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bitagent_evaluator.tasks.rows.base import RowSkipped, RowSkipReason
from bitagent_evaluator.tasks.rows.calls import PlainCall
from bitagent_evaluator.tasks.rows.chats import split_chat

WEATHER: dict[str, Any] = {
    "name": "get_weather",
    "parameters": {"type": "dict", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
OSLO = PlainCall("get_weather", {"city": "Oslo"})
CALL = '{"name": "get_weather", "arguments": {"city": "Oslo"}}'
ASK = {"role": "user", "content": "Weather in Oslo?"}
CALLS = {"role": "assistant", "content": None, "tool_calls": [json.loads(CALL)]}
PROSE = {"role": "assistant", "content": "I looked."}

CALLED: dict[str, list[dict[str, Any]]] = {
    "tool calls": [{"role": "assistant", "content": None, "tool_calls": [{"function": json.loads(CALL)}]}],
    "tool calls and text": [{"role": "assistant", "content": "Well.", "tool_calls": [json.loads(CALL)]}],
    "a function call": [{"role": "assistant", "content": None, "function_call": json.loads(CALL)}],
    "null beside text": [{"role": "assistant", "content": CALL, "tool_calls": None}],
    "a role": [{"role": "tool call", "content": CALL}],
    "from": [{"from": "function_call", "value": CALL}],
    "gpt": [{"from": "gpt", "value": f"<tool_call>{CALL}</tool_call>"}],
    "after an answer": [{"role": "assistant", "content": "Which town?"}, ASK, {"role": "assistant", "content": CALL}],
    "parts": [{"role": "assistant", "content": [{"type": "text", "text": CALL}]}],
    "a part that is a call": [
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "Let me look."},
                {"type": "tool_use", "id": "1", "name": "get_weather", "input": {"city": "Oslo"}},
            ],
        }
    ],
    "an object": [{"role": "assistant", "content": json.loads(CALL)}],
    "another member": [{"role": "assistant", "content": "Well.", "toolCalls": [json.loads(CALL)]}],
    "a list as text": [{"role": "assistant", "content": None, "tool_calls": f"[{CALL}]"}],
    "an empty list before": [{"role": "assistant", "content": "Which town?", "tool_calls": "[]"}, ASK, CALLS],
    "a plural role": [{"role": "tool_calls", "content": f"[{CALL}]"}],
    "a capital role": [{"role": "GPT", "content": CALL}],
    "parameters beside null": [
        {
            "role": "assistant",
            "tool_calls": [{"name": "get_weather", "arguments": None, "parameters": {"city": "Oslo"}}],
        }
    ],
}


@pytest.mark.parametrize("answer", CALLED.values(), ids=CALLED)
def test_the_first_call_is_the_answer(answer: list[dict[str, Any]]) -> None:
    messages, calls = split_chat([ASK, *answer, {"role": "tool", "content": "Rain"}], [WEATHER])
    assert calls == [OSLO]
    assert messages[-1] == ASK


NO_TASK: dict[str, tuple[list[Any], str]] = {
    "no answer": ([ASK], RowSkipReason.NO_ANSWER),
    "an empty answer": ([ASK, {"role": "assistant", "content": " "}], RowSkipReason.NO_ANSWER),
    "null": ([ASK, {"role": "assistant", "content": None}], RowSkipReason.NO_ANSWER),
    "a call that is null": ([ASK, {"role": "tool call", "content": None}], RowSkipReason.NO_ANSWER),
    "an image": (
        [
            {"role": "user", "content": [{"type": "image_url", "image_url": {}}]},
            {"role": "assistant", "content": "A cat"},
        ],
        RowSkipReason.NOT_TEXT,
    ),
    "a thought only": ([ASK, {"role": "assistant", "content": "<think>Hm.</think>"}], RowSkipReason.NO_ANSWER),
    "half a thought": ([ASK, {"role": "assistant", "content": "<think>Hm."}], RowSkipReason.NO_ANSWER),
    "a later answer that is null": ([ASK, PROSE, ASK, {"role": "assistant", "content": None}], RowSkipReason.NO_ANSWER),
    "a call of nothing": ([ASK, {"role": "tool call", "content": "[]"}], RowSkipReason.NO_ANSWER),
    "an object that is no call": ([ASK, PROSE, {"role": "assistant", "content": {"a": 1}}], RowSkipReason.BAD_CALL),
    **{
        f"a call in {name}": ([ASK, PROSE | {name: value}], RowSkipReason.BAD_CALL)
        for name, value in {
            "additional_kwargs": {"tool_calls": [{"function": json.loads(CALL)}]},
            "calls": [json.loads(CALL)],
            "tool_uses": CALL,
            "action": "get_weather",
            "value": f"<tool_call>{CALL}</tool_call>",
        }.items()
    },
    "a result": ([ASK, PROSE, {"role": "tool", "content": "Rain"}], RowSkipReason.BAD_CALL),
    "a result in another convention": ([ASK, PROSE, {"from": "observation", "value": "Rain"}], RowSkipReason.BAD_CALL),
    "a result of the user": (
        [ASK, PROSE, {"role": "user", "content": "<tool_response>Rain</tool_response>"}],
        RowSkipReason.BAD_CALL,
    ),
    "an unknown role": ([ASK, {"role": "plugin", "content": "@weather"}, PROSE], RowSkipReason.UNKNOWN_ROLE),
    "an unknown role before a call": ([{"role": "context", "content": ""}, ASK, CALLS], RowSkipReason.UNKNOWN_ROLE),
    "no message": ([1], RowSkipReason.NO_QUESTION),
    "nothing": ([], RowSkipReason.NO_QUESTION),
}


@pytest.mark.parametrize(("chat", "reason"), NO_TASK.values(), ids=NO_TASK)
def test_what_is_no_task(chat: list[Any], reason: str) -> None:
    with pytest.raises(RowSkipped) as caught:
        split_chat(chat, [WEATHER])
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    "members",
    [{"tool_calls": "[ ]"}, {"metadata": {"title": "Rain"}}, {"reasoning_content": f"I could say {CALL}."}],
    ids=["no calls", "of other things", "thoughts"],
)
def test_members_without_a_call_leave_prose_as_it_is(members: dict[str, Any]) -> None:
    assert split_chat([ASK, PROSE | members], [WEATHER]) == ([ASK], [])


def test_a_part_whose_type_is_no_text_is_no_call() -> None:
    answer = {"role": "assistant", "content": [{"type": ["text"], "text": "I looked."}]}
    assert split_chat([ASK, answer], [WEATHER]) == split_chat([ASK, PROSE], [WEATHER])


def test_calls_of_several_messages_are_one_answer() -> None:
    bergen = {"role": "assistant", "content": CALL.replace("Oslo", "Bergen")}
    messages, calls = split_chat([ASK, CALLS, bergen, {"role": "tool", "content": "Rain"}, CALLS], [WEATHER])
    assert calls == [OSLO, PlainCall("get_weather", {"city": "Bergen"})]
    assert messages == [ASK]
