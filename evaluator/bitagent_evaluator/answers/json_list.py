"""Hammer's syntax: `[{"name": "f", "arguments": {"a": 1}}, ...]`, or one such object.

`parameters` counts as `arguments`, because Llama 3's own chat template asks for it. Several values in one answer add up, so objects on lines
of their own or after one another with `;` are as good as a list. `[]` is an answer without calls.
"""

from __future__ import annotations

from typing import Any

from bitagent_evaluator.answers.calls import Call, Calls, named_call
from bitagent_evaluator.answers.errors import AnswerError
from bitagent_evaluator.answers.json_values import json_values
from bitagent_evaluator.answers.members import all_calls


def decode(text: str) -> Calls:
    """Read an answer. Raises AnswerError."""
    values = json_values(text)
    calls = all_calls(values, _call)
    if not calls and [] not in values:
        raise AnswerError('no object with "name" and "arguments"')
    return calls


def _call(item: dict[str, Any]) -> Call | None:
    return named_call(item.get("name"), item.get("arguments", item.get("parameters")))
