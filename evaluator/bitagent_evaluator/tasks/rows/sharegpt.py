"""Rows `ShareGPT`: chats whose messages are `{"from", "value"}`, as ToolACE, Hermes and LLaMA-Factory write them.

    {"conversations": [{"from": "human", "value": "..."}, {"from": "function_call", "value": "{...}"}],
     "tools": "[{...}]", "system": "..."}

A call is a message from `function_call`, or marked in the text of `gpt`: `<tool_call>` blocks, JSON, `[f(a=1)]`.
Functions are in `tools`, or as JSON in the system text, whether that is a column or the first message; a text in which
functions were found only describes them, and is not part of the task.
"""

from __future__ import annotations

from typing import Any

from bitagent_crds.task_set import Task
from bitagent_crds.tasks import Columns
from bitagent_evaluator.tasks.rows.base import Origin, RowSkipped
from bitagent_evaluator.tasks.rows.chats import parse_messages, split_chat
from bitagent_evaluator.tasks.rows.functions import convert_functions
from bitagent_evaluator.tasks.rows.system_texts import SYSTEM, described_in
from bitagent_evaluator.tasks.rows.task import make_call_task

CATEGORY = "sharegpt"


class ShareGPTRows:
    """Rows with the column `conversations`, and `tools` or a system text with the functions."""

    def __init__(self, origin: Origin, columns: Columns | None = None) -> None:
        self._origin = origin

    def read(self, row: dict[str, Any], name: str) -> Task:
        """Return the task. Raises RowSkipped if the row is not one."""
        if "conversations" not in row:
            raise RowSkipped("without column 'conversations'")
        chat = parse_messages(row["conversations"])
        if isinstance(text := row.get(SYSTEM), str) and text.strip():
            chat = [{"from": SYSTEM, "value": text}, *chat]
        described = row.get("tools")
        if not described and (found := described_in(chat)) is not None:
            described, chat = found, chat[1:]
        functions = convert_functions(described)
        messages, calls = split_chat(chat, functions)
        return make_call_task(
            self._origin, name, category=CATEGORY, messages=messages, functions=functions, calls=calls
        )
