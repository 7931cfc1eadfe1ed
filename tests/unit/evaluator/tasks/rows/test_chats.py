"""Chats as data: calls in any marks are read or the row is skipped, never taken for no call."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bitagent_evaluator.tasks.rows.base import RowSkipped, RowSkipReason
from bitagent_evaluator.tasks.rows.calls import PlainCall
from bitagent_evaluator.tasks.rows.chats import calls_in_text, split_chat

WEATHER: dict[str, Any] = {
    "name": "get_weather",
    "parameters": {"type": "dict", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
OSLO = PlainCall("get_weather", {"city": "Oslo"})
CALL = '{"name": "get_weather", "arguments": {"city": "Oslo"}}'
ASK = {"role": "user", "content": "Weather in Oslo?"}

MARKED = {
    "GLM's tags": "<tool_call>get_weather<arg_key>city</arg_key><arg_value>Oslo</arg_value></tool_call>",
    "invocation": '<invoke name="get_weather"><parameter name="city">Oslo</parameter></invoke>',
    "ReAct": 'Thought: so.\nAction: get_weather\nAction Input: {"city": "Oslo"}',
    "LangChain": '{"action": "get_weather", "action_input": {"city": "Oslo"}}',
    "Command-R": '[{"tool_name": "get_weather", "parameters": {"city": "Oslo"}}]',
    "FunctionGemma": "<start_function_call>call:get_weather{city:<escape>Oslo<escape>}<end_function_call>",
    "OLMo": "<function_calls>\nget_weather(city='Oslo')\n</function_calls>",
    "DeepSeek": '<｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{"city": "Oslo"}<｜tool▁call▁end｜>',
    "Kimi": '<|tool_call_begin|>functions.get_weather:0<|tool_call_argument_begin|>{"city": "Oslo"}<|tool_call_end|>',
    "Functionary": '>>>get_weather\n{"city": "Oslo"}',
    "functioncall": f"<functioncall> {CALL}",
    "function_call": f"<function_call> {CALL} </function_call>",
    "tool_call": f"<tool_call>\n{CALL}\n</tool_call>",
    "blanks": f"< functioncall>{CALL}",
    "capitals": f"<FUNCTIONCALL>{CALL}</FUNCTIONCALL>",
    "after prose": f"Let me look.\n<tool_call>{CALL}</tool_call>",
    "a fence": f"```json\n{CALL}\n```",
    "openai": json.dumps({"tool_calls": [{"function": json.loads(CALL)}]}),
    "a tag": '<function=get_weather>{"city": "Oslo"}</function>',
    "tags in a block": "<tool_call><function=get_weather><parameter=city>\nOslo\n</parameter></function></tool_call>",
    "mistral": '[TOOL_CALLS]get_weather[ARGS]{"city": "Oslo"}',
    "mistral's list": f"[TOOL_CALLS][{CALL}]",
    "python": '[get_weather(city="Oslo")]',
    "functools": f"functools[{CALL}]",
    "a thought": f"<think>get_weather(</think>{CALL}",
}


@pytest.mark.parametrize("text", MARKED.values(), ids=MARKED)
def test_a_call_in_any_marks(text: str) -> None:
    assert calls_in_text(text, [WEATHER]) == [OSLO]


UNREADABLE = {
    "half of GLM's tags": "<arg_key>city</arg_key><arg_value>Oslo",
    "half of DeepSeek's marks": '<｜tool▁calls▁begin｜>weather {"city": "Oslo"}',
    "an input without an action": 'Action Input: {"city": "Oslo"}',
    "half a call": CALL[:-3],
    "half a block": f"<tool_call>{CALL[:-3]}",
    "a block of prose": "<functioncall> the weather",
    "a call in prose": "I would call get_weather(city='Oslo') now.",
    "a name that Python cannot spell": "[Weather API(city=1)]",
    "unknown marks": "<|tool_call_begin|>get_weather<|sep|>Oslo",
}


@pytest.mark.parametrize("text", UNREADABLE.values(), ids=UNREADABLE)
def test_what_looks_like_a_call_and_cannot_be_read_is_skipped(text: str) -> None:
    with pytest.raises(RowSkipped) as caught:
        calls_in_text(text, [WEATHER, {"name": "Weather API"}])
    assert caught.value.reason == RowSkipReason.BAD_CALL


@pytest.mark.parametrize(
    "text", ["No function fits.", "I looked at {x} and [1].", "get_weather is of no use here.", "[]", ""]
)
def test_prose_is_no_call(text: str) -> None:
    assert calls_in_text(text, [WEATHER]) is None


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
    "no message": ([1], RowSkipReason.NO_QUESTION),
    "nothing": ([], RowSkipReason.NO_QUESTION),
}


@pytest.mark.parametrize(("chat", "reason"), NO_TASK.values(), ids=NO_TASK)
def test_what_is_no_task(chat: list[Any], reason: str) -> None:
    with pytest.raises(RowSkipped) as caught:
        split_chat(chat, [WEATHER])
    assert caught.value.reason == reason
