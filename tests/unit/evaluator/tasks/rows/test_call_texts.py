"""Calls in texts: in any marks they are read or the row is skipped, never taken for prose."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bitagent_evaluator.tasks.rows.base import RowSkipped, RowSkipReason
from bitagent_evaluator.tasks.rows.call_texts import calls_in_text, said
from bitagent_evaluator.tasks.rows.calls import PlainCall

WEATHER: dict[str, Any] = {
    "name": "get_weather",
    "parameters": {"type": "dict", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
OSLO = PlainCall("get_weather", {"city": "Oslo"})
CALL = '{"name": "get_weather", "arguments": {"city": "Oslo"}}'

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
    "Llama's": CALL.replace("arguments", "parameters"),
    "Bagel's": '{"function": "get_weather", "params": {"city": "Oslo"}}',
    "Glaive's quotes": '<functioncall> {"name": "get_weather", "arguments": \'{"city": "Oslo"}\'} <|endoftext|>',
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
    "marks in brackets": '[TOOL CALL] weather {"city": "Oslo"}',
    "half a name in JSON": 'So: [{"get_weather"',
    "a name in JSON": 'I use {"tool": "get_weather", "with": "Oslo"}.',
    "Python's quotes": "{'name': 'get_weather', 'arguments': 'Oslo'",
    "a tag of its name": '<get_weather city="Oslo"/>',
    "a command": "get_weather --city Oslo",
    "arguments in prose": "get_weather city=Oslo",
    "YAML": "get_weather:\n  city: Oslo",
    "an action": "Action: get_weather\nWith: Oslo",
    "its name alone": "`get_weather`",
    "its name in bold": "**get_weather** (city: Oslo)",
    "an arrow": "get_weather → city=Oslo",
    "a tag after its name": "get_weather <city>Oslo</city>",
    "its name with a blank": "I use get weather(city='Oslo').",
    "its name in Markdown": r"I use get\_weather(city='Oslo').",
    "its name with another hyphen": "I use get‑weather(city='Oslo').",
    "its name in camel case": "I use getWeather(city='Oslo').",
    "escaped marks": "&lt;tool_call&gt;{...}",
    "escaped JSON": "{&quot;name&quot;: &quot;get_weather&quot;}",
    "BFCL's, of another function": '[{"send_mail": {"to": "x"}}]',
    "another function, in a fence": '```json\n{"api": "send_mail", "with": {"to": "x"}}\n```',
    "a point after another function": "[send_mail(to='x')].",
    "names with blanks": "[Mail API(city='x'), Mail API(city='y')]",
    "another function, without a name": 'send_mail("x")',
    "another function, in prose": "Sure: send_mail(to='x').",
    "another function with a number, in prose": "I call mail.send( id = 7, to='x' ) now.",
    "another function, in JSON in prose": 'I use {"tool": "send_mail", "with": {"to": "x"}}.',
    "an argument without a name": '[get_weather("Oslo")]',
    "an argument without a name in a fence": '```python\nget_weather("Oslo")\n```',
}


@pytest.mark.parametrize("text", UNREADABLE.values(), ids=UNREADABLE)
def test_what_looks_like_a_call_and_cannot_be_read_is_skipped(text: str) -> None:
    with pytest.raises(RowSkipped) as caught:
        calls_in_text(text, [WEATHER, {"name": "Weather API"}])
    assert caught.value.reason == RowSkipReason.BAD_CALL


@pytest.mark.parametrize(
    "text",
    [
        "[send_mail(to='x')]",
        "send_mail(to='x')",
        "```python\nsend_mail(to='x')\n```",
        '{"name": "send_mail", "args": {"to": "x"}}',
        '```json\n{"tool": "send_mail", "input": {"to": "x"}}\n```',
    ],
)
def test_a_text_that_is_only_a_call_is_one_although_nothing_describes_it(text: str) -> None:
    assert calls_in_text(text, [WEATHER]) == [PlainCall("send_mail", {"to": "x"})]


@pytest.mark.parametrize(
    "text",
    [
        "No function fits (sorry).",
        "Use print(x) in Python.",
        "Let f(x) = 2 and g(y=z) be functions.",
        'The file has {"to": "x", "kind": "mail"} in it.',
        "The answer is max(3, 4) = 4.",
        "[1, 2]",
        "No function fits.",
        "I looked at {x} and [1].",
        "get_weather is of no use here.",
        "Neither `get_weather`, nor `send_mail` helps.",
        "The function get_weather needs a city: which one?",
        "[]",
        "",
    ],
)
def test_prose_is_no_call(text: str) -> None:
    assert calls_in_text(text, [WEATHER]) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [("<think>So.</think> Hello", "Hello"), ("<think>So.</think>", ""), ("<think>So", ""), (" Hello ", "Hello")],
    ids=["thought and answer", "only a thought", "half a thought", "no thought"],
)
def test_what_a_text_says(text: str, expected: str) -> None:
    assert said(text) == expected
