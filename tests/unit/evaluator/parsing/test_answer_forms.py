"""Forms in which models write one call, whatever the format asks for; each was seen in public threads on parsers."""

from __future__ import annotations

import pytest

from bitagent_evaluator.parsing import Unreadable, parse_answer
from bitagent_evaluator.prompts.chat_formats import ChatTemplate

CALLS = [{"f": {"city": "Oslo", "days": 3}}]
FUNCTIONS = [
    {
        "name": "f",
        "parameters": {"type": "dict", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}},
    }
]
ARGUMENTS = '{"city": "Oslo", "days": 3}'
CALL = f'{{"name": "f", "arguments": {ARGUMENTS}}}'
AS_TEXT = ARGUMENTS.replace('"', '\\"')
PARAMETERS = CALL.replace("arguments", "parameters")
FORMS = {
    "Python": '[f(city="Oslo", days=3)]',
    "Python without brackets": 'f(city="Oslo", days=3)',
    "Python in a bare fence": '```\n[f(city="Oslo", days=3)]\n```',
    "Python after a thought": '<think>\nOslo.\n</think>\n\n[f(city="Oslo", days=3)]',
    "block": f"<tool_call>\n{CALL}\n</tool_call>",
    "block that is not closed": f"<tool_call>\n{CALL}",
    "block with arguments as text": f'<tool_call>{{"name": "f", "arguments": "{AS_TEXT}"}}</tool_call>',
    "block with parameters": f"<tool_call>{PARAMETERS}</tool_call>",
    "block after a thought with a draft": f'<think>f(city="Oslo")?</think><tool_call>{CALL}</tool_call>',
    "block in a thought that is not closed": f"<think>I call it.\n<tool_call>\n{CALL}\n</tool_call>",
    "block whose marks are special tokens": f"\n{CALL}\n",
    "list": f"[{CALL}]",
    "list in a fence": f"```json\n[{CALL}]\n```",
    "list after prose with brackets": f"By [1] and {{that}}: [{CALL}]",
    "object": CALL,
    "object with parameters": PARAMETERS,
    "Llama's mark before an object": f"<|python_tag|>{PARAMETERS}",
    "Phi's word before a list": f"functools[{CALL}]",
    "Mistral's mark before a list": f"[TOOL_CALLS] [{CALL}]",
    "Mistral's marks": f"[TOOL_CALLS]f[ARGS]{ARGUMENTS}",
    "Llama's tag": f"<function=f>{ARGUMENTS}</function>",
    "Qwen's tags": "<function=f>\n<parameter=city>\nOslo\n</parameter>\n<parameter=days>\n3\n</parameter>\n</function>",
    "tool_calls": f'{{"thought": "", "tool_calls": [{CALL}]}}',
    "OpenAI": f'{{"tool_calls": [{{"type": "function", "function": {{"name": "f", "arguments": "{AS_TEXT}"}}}}]}}',
    "OpenAI, before tool calls": f'{{"function_call": {{"name": "f", "arguments": "{AS_TEXT}"}}}}',
}


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS)
def test_one_call_is_read_in_every_form(text: str) -> None:
    answer = parse_answer(text, ChatTemplate.syntaxes, functions=FUNCTIONS)
    assert (answer.calls, answer.unreadable) == (CALLS, None)


HALF = {
    "block": CALL[:20].join(("<tool_call>", "")),
    "block with a line break in a text": "<tool_call>" + CALL.replace("Oslo", "Os\nlo") + "</tool_call>",
    "Mistral's marks": "[TOOL_CALLS]f[ARGS]" + ARGUMENTS[:-3],
    "a thought without an answer": "<think>I could call f, or not",
}


@pytest.mark.parametrize("text", HALF.values(), ids=HALF)
def test_half_a_call_is_unreadable(text: str) -> None:
    assert parse_answer(text, ChatTemplate.syntaxes, functions=FUNCTIONS).unreadable is Unreadable.SYNTAX
