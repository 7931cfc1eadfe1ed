"""Rows `BitAgent`: the BitAgent subnet's tasks.

`conversation` (or `messages`) is a list of `{"role", "content"}`, in which role `tool call` has a call as its content; `tools` a list of
`{"name", "description", "arguments": {argument: {required, type, description}}}`. Both may be JSON text. The messages before the first tool
call are the task, the tool calls that follow each other there its ground truth; without any, no call is right.
"""

from __future__ import annotations

import json
from itertools import takewhile
from typing import Any

from bitagent_crds.results import Task
from bitagent_crds.sources import Columns
from bitagent_evaluator.tasks.rows.calls import call_of
from bitagent_evaluator.tasks.rows.functions import functions_of
from bitagent_evaluator.tasks.rows.reader import Origin, Reason, RowSkipped
from bitagent_evaluator.tasks.rows.usable import call_task, chat

CATEGORY = "bitagent"

_CALL_ROLES = frozenset({"tool call", "tool_call"})
_ROLES = {"tool response": "tool", "tool_response": "tool"}


class BitAgentRows:
    """Rows with the columns `conversation` or `messages`, and `tools`."""

    def __init__(self, origin: Origin, columns: Columns | None = None) -> None:
        self._origin = origin

    def read(self, row: dict[str, Any], name: str) -> Task:
        """The task. Raises RowSkipped."""
        if "conversation" not in row and "messages" not in row:
            raise RowSkipped("without column 'conversation' or 'messages'")
        if "tools" not in row:
            raise RowSkipped("without column 'tools'")
        said = messages_of(row["conversation"] if "conversation" in row else row["messages"])
        at = next((i for i, message in enumerate(said) if _is_call(message)), len(said))
        calls = [call_of(message.get("content")) for message in takewhile(_is_call, said[at:])]
        before = said[:at] if calls else said[: _first_answer(said)]
        return call_task(
            self._origin,
            name,
            category=CATEGORY,
            messages=chat(before, roles=_ROLES),
            functions=functions_of(row["tools"]),
            calls=calls,
        )


def messages_of(data: Any) -> list[Any]:
    """A list of messages, or the same as JSON text. Raises RowSkipped."""
    if isinstance(data, str):
        try:
            data = json.loads(data, strict=False)
        except (ValueError, RecursionError):
            raise RowSkipped(Reason.NO_QUESTION) from None
    if not isinstance(data, list):
        raise RowSkipped(Reason.NO_QUESTION)
    return data


def _is_call(message: Any) -> bool:
    role = message.get("role") if isinstance(message, dict) else None
    return isinstance(role, str) and role in _CALL_ROLES


def _first_answer(said: list[Any]) -> int:
    """Where the first answer stands: a chat without calls asks for something at its start that no function does."""
    answers = (i for i, message in enumerate(said) if isinstance(message, dict) and message.get("role") == "assistant")
    return next(answers, len(said))
