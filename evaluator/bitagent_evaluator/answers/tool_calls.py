"""OpenAI's syntax: a message with `tool_calls`, their list, or one of them.

    {"tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{\\"a\\": 1}"}}]}

Arguments are an object or, as the API gives them, JSON text of one; an empty text means none.
"""

from __future__ import annotations

from typing import Any

from bitagent_evaluator.answers.calls import Call, Calls, named_call
from bitagent_evaluator.answers.errors import AnswerError
from bitagent_evaluator.answers.json_values import json_values
from bitagent_evaluator.answers.members import all_calls


def decode(text: str) -> Calls:
    """Read an answer. Raises AnswerError."""
    calls = all_calls([_tool_calls(value) for value in json_values(text)], _call)
    if not calls:
        raise AnswerError('no "tool_calls"')
    return calls


def function_call(function: dict[str, Any]) -> Call | None:
    """The call of `{"name", "arguments"}` with arguments as an object or as JSON text. Raises AnswerError."""
    arguments = function.get("arguments")
    if isinstance(arguments, str):
        arguments = next(iter(json_values(arguments)), None) if arguments.strip() else {}
    return named_call(function.get("name"), arguments)


def _tool_calls(value: Any) -> Any:
    return value["tool_calls"] if isinstance(value, dict) and "tool_calls" in value else value


def _call(item: dict[str, Any]) -> Call | None:
    function = item.get("function")
    return function_call(function) if isinstance(function, dict) else None
