"""Rows `Glaive`: chats of Glaive function calling v2.

`system` has the functions as JSON objects one after the other, `chat` the turns as text:

    USER: … \n\n\nASSISTANT: <functioncall> {"name": "f", "arguments": '{"a": 1}'} <|endoftext|>\n\n\nFUNCTION
    RESPONSE: …

The conversation up to the first function call is the task; cleaned copies of the set mark calls in other ways
(`<function_call>`, `<tool_call>`), which are read too. A chat without a call asks for something that no function
does: its task is the first question. Arguments are in single quotes, which is not JSON, with any apostrophes of the
text inside.
"""

from __future__ import annotations

import json
import re
from typing import Any

from bitagent_crds.task_set import Task
from bitagent_crds.tasks import Columns
from bitagent_evaluator.tasks.rows.base import Origin, RowSkipped, RowSkipReason
from bitagent_evaluator.tasks.rows.chats import split_chat
from bitagent_evaluator.tasks.rows.functions import convert_functions
from bitagent_evaluator.tasks.rows.task import make_call_task

CATEGORY = "glaive"

_TURN = re.compile(r"^[ \t]*(USER|ASSISTANT|FUNCTION RESPONSE):", re.MULTILINE)
_ROLES = {"USER": "user", "ASSISTANT": "assistant", "FUNCTION RESPONSE": "tool"}
_END = "<|endoftext|>"


class GlaiveRows:
    """Rows with the columns `system` and `chat`."""

    def __init__(self, origin: Origin, columns: Columns | None = None) -> None:
        self._origin = origin

    def read(self, row: dict[str, Any], name: str) -> Task:
        """Return the task. Raises RowSkipped if the row is not one."""
        system, text = row.get("system"), row.get("chat")
        if not isinstance(system, str):
            raise RowSkipped("without column 'system'")
        if not isinstance(text, str):
            raise RowSkipped("without column 'chat'")
        functions = convert_functions(parse_json_objects(system))
        if not functions:
            raise RowSkipped(RowSkipReason.NO_FUNCTIONS)
        turns = _turns(text)
        chat = [{"role": role, "content": content} for role, content in turns]
        messages, calls = split_chat(chat, functions)
        return make_call_task(
            self._origin, name, category=CATEGORY, messages=messages, functions=functions, calls=calls
        )


def parse_json_objects(text: str) -> list[Any]:
    """Return all JSON objects in a text, whatever is between them. Raises RowSkipped if one is malformed."""
    decoder = json.JSONDecoder(strict=False)
    found: list[Any] = []
    start = text.find("{")
    while start >= 0:
        try:
            value, end = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            raise RowSkipped(RowSkipReason.BAD_FUNCTIONS) from None
        found.append(value)
        start = text.find("{", end)
    return found


def _turns(text: str) -> list[tuple[str, str]]:
    """Return role and text of each turn."""
    marks = list(_TURN.finditer(text))
    ends = [mark.start() for mark in marks[1:]] + [len(text)] * bool(marks)
    return [
        (_ROLES[mark.group(1)], text[mark.end() : end].replace(_END, "").strip())
        for mark, end in zip(marks, ends, strict=True)
    ]
