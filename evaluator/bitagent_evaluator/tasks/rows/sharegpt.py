"""Rows `ShareGPT`: chats whose messages are `{"from", "value"}`, as ToolACE, Hermes and LLaMA-Factory write them.

    {"conversations": [{"from": "human", "value": "..."}, {"from": "function_call", "value": "{...}"}],
     "tools": "[{...}]", "system": "..."}

A call is a message from `function_call`, or marked in the text of `gpt`: `<tool_call>` blocks, JSON, `[f(a=1)]`.
Functions are in `tools`, or as JSON in the system text, whether that is a column or the first message; a text in which
functions were found only describes them, and is not part of the task.
"""

from __future__ import annotations

import json
import re
from typing import Any

from bitagent_crds.task_set import Task
from bitagent_crds.tasks import Columns
from bitagent_evaluator.tasks.rows.base import Origin, RowSkipped
from bitagent_evaluator.tasks.rows.chats import parse_messages, split_chat
from bitagent_evaluator.tasks.rows.functions import convert_functions
from bitagent_evaluator.tasks.rows.task import make_call_task

CATEGORY = "sharegpt"
_SYSTEM = "system"
_TAGGED = re.compile(r"<tools>(.*?)</tools>", re.DOTALL)
_OPENING = re.compile(r"[\[{]")
_MAX_OPENINGS = 64


class ShareGPTRows:
    """Rows with the column `conversations`, and `tools` or a system text with the functions."""

    def __init__(self, origin: Origin, columns: Columns | None = None) -> None:
        self._origin = origin

    def read(self, row: dict[str, Any], name: str) -> Task:
        """Return the task. Raises RowSkipped if the row is not one."""
        if "conversations" not in row:
            raise RowSkipped("without column 'conversations'")
        chat = parse_messages(row["conversations"])
        if isinstance(text := row.get(_SYSTEM), str) and text.strip():
            chat = [{"from": _SYSTEM, "value": text}, *chat]
        described = row.get("tools")
        if not described and (found := _described(chat)) is not None:
            described, chat = found, chat[1:]
        functions = convert_functions(described)
        messages, calls = split_chat(chat, functions)
        return make_call_task(
            self._origin, name, category=CATEGORY, messages=messages, functions=functions, calls=calls
        )


def _described(chat: list[Any]) -> Any:
    """Return the functions in the system text of a chat; None if there is no such text, or none is in it."""
    first = chat[0] if chat and isinstance(chat[0], dict) else {}
    text = first.get("value", first.get("content"))
    if first.get("from", first.get("role")) != _SYSTEM or not isinstance(text, str):
        return None
    tagged = _TAGGED.search(text)
    return _json_functions(tagged[1] if tagged else text)


def _json_functions(text: str) -> list[Any] | None:
    """Return the first list of objects with names in a text, or all such objects if they are in no list."""
    decoder = json.JSONDecoder(strict=False)
    found: list[Any] = []
    position = 0
    for _ in range(_MAX_OPENINGS):
        opening = _OPENING.search(text, position)
        if opening is None:
            break
        try:
            value, position = decoder.raw_decode(text, opening.start())
        except (ValueError, RecursionError):
            position = opening.end()
            continue
        if isinstance(value, list) and value and all(_is_described(item) for item in value):
            return value
        if _is_described(value):
            found.append(value)
    return found or None


def _is_described(value: Any) -> bool:
    inner = value.get("function", value) if isinstance(value, dict) else None
    return isinstance(inner, dict) and isinstance(inner.get("name"), str)
