"""Qwen's and Hermes' syntax: one or more blocks with a call each.

    <tool_call>
    {"name": "f", "arguments": {"a": 1}}
    </tool_call>

What stands outside the blocks is prose. The last closing tag may be missing: some engines stop there. A block may hold a list.
"""

from __future__ import annotations

from bitagent_evaluator.answers.calls import Calls
from bitagent_evaluator.answers.errors import AnswerError
from bitagent_evaluator.answers.json_values import json_values
from bitagent_evaluator.answers.members import all_calls
from bitagent_evaluator.answers.tool_calls import function_call

_OPENING, _CLOSING = "<tool_call>", "</tool_call>"


def decode(text: str) -> Calls:
    """Read an answer. Raises AnswerError, also when one block of several cannot be read."""
    _, *blocks = text.split(_OPENING)
    if not blocks:
        raise AnswerError(f"no {_OPENING} block")
    calls: Calls = []
    for block in blocks:
        content, _, _ = block.partition(_CLOSING)
        found = all_calls(json_values(content), function_call)
        if not found:
            raise AnswerError(f'a {_OPENING} block without "name" and "arguments"')
        calls += found
    return calls
