"""Rows `BitAgent`: the BitAgent subnet's tasks.

`conversation` (or `messages`) is a list of `{"role", "content"}`; the content of role `tool call` is a call. `tools`
is a list of `{"name", "description", "arguments": {argument: {required, type, description}}}`. Both may be JSON text.
The messages before the first tool call are the task, that call and those directly after it the ground truth; without
one, no call is right.
"""

from __future__ import annotations

from typing import Any

from bitagent_crds.task_set import Task
from bitagent_crds.tasks import Columns
from bitagent_evaluator.tasks.rows.base import Origin, RowSkipped
from bitagent_evaluator.tasks.rows.chats import parse_messages, split_chat
from bitagent_evaluator.tasks.rows.functions import convert_functions
from bitagent_evaluator.tasks.rows.task import make_call_task

CATEGORY = "bitagent"


class BitAgentRows:
    """Rows with the columns `conversation` or `messages`, and `tools`."""

    def __init__(self, origin: Origin, columns: Columns | None = None) -> None:
        self._origin = origin

    def read(self, row: dict[str, Any], name: str) -> Task:
        """Return the task. Raises RowSkipped if the row is not one."""
        if "conversation" not in row and "messages" not in row:
            raise RowSkipped("without column 'conversation' or 'messages'")
        if "tools" not in row:
            raise RowSkipped("without column 'tools'")
        functions = convert_functions(row["tools"])
        messages, calls = split_chat(
            parse_messages(row["conversation"] if "conversation" in row else row["messages"]), functions
        )
        return make_call_task(
            self._origin, name, category=CATEGORY, messages=messages, functions=functions, calls=calls
        )
