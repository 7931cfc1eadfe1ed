"""Rows `Glaive`: chats of Glaive function calling v2.

`system` holds the functions as JSON objects one after the other, `chat` the turns as text:

    USER: … \n\n\nASSISTANT: <functioncall> {"name": "f", "arguments": '{"a": 1}'} <|endoftext|>\n\n\nFUNCTION RESPONSE: …

The conversation up to the first function call is the task. A chat without a call asks for something that no function does: there the task is
the first question. Arguments stand in single quotes that are not JSON, with whatever apostrophes the text inside has.
"""

from __future__ import annotations

import json
import re
from typing import Any

from bitagent_crds.results import Task
from bitagent_crds.sources import Columns
from bitagent_evaluator.tasks.rows.calls import Call
from bitagent_evaluator.tasks.rows.functions import functions_of
from bitagent_evaluator.tasks.rows.reader import Origin, Reason, RowSkipped
from bitagent_evaluator.tasks.rows.usable import call_task, chat

CATEGORY = "glaive"

_TURN = re.compile(r"^[ \t]*(USER|ASSISTANT|FUNCTION RESPONSE):", re.MULTILINE)
_ROLES = {"USER": "user", "ASSISTANT": "assistant", "FUNCTION RESPONSE": "tool"}
_CALL = "<functioncall>"
_END = "<|endoftext|>"
_NAME = re.compile(r'\{\s*"name"\s*:\s*("(?:[^"\\]|\\.)*")\s*')
_ARGUMENTS = re.compile(r',\s*"arguments"\s*:\s*')


class GlaiveRows:
    """Rows with the columns `system` and `chat`."""

    def __init__(self, origin: Origin, columns: Columns | None = None) -> None:
        self._origin = origin

    def read(self, row: dict[str, Any], name: str) -> Task:
        """The task. Raises RowSkipped."""
        system, text = row.get("system"), row.get("chat")
        if not isinstance(system, str):
            raise RowSkipped("without column 'system'")
        if not isinstance(text, str):
            raise RowSkipped("without column 'chat'")
        functions = functions_of(objects(system))
        if not functions:
            raise RowSkipped(Reason.NO_FUNCTIONS)
        turns = _turns(text)
        at = next((i for i, (role, said) in enumerate(turns) if role == "assistant" and _CALL in said), None)
        calls = _calls(turns[at][1]) if at is not None else []
        if at is None:
            at = next((i for i, (role, _) in enumerate(turns) if role == "assistant"), len(turns))
        messages = [{"role": role, "content": said} for role, said in turns[:at]]
        return call_task(
            self._origin, name, category=CATEGORY, messages=chat(messages, roles={}), functions=functions, calls=calls
        )


def objects(text: str) -> list[Any]:
    """All JSON objects in a text, one after the other, whatever is between them. Raises RowSkipped where one is broken."""
    decoder = json.JSONDecoder(strict=False)
    found: list[Any] = []
    start = text.find("{")
    while start >= 0:
        try:
            value, end = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            raise RowSkipped(Reason.BAD_FUNCTIONS) from None
        found.append(value)
        start = text.find("{", end)
    return found


def _turns(text: str) -> list[tuple[str, str]]:
    """Role and text of each turn."""
    marks = list(_TURN.finditer(text))
    ends = [mark.start() for mark in marks[1:]] + [len(text)] * bool(marks)
    return [
        (_ROLES[mark.group(1)], text[mark.end() : end].replace(_END, "").strip())
        for mark, end in zip(marks, ends, strict=True)
    ]


def _calls(said: str) -> list[Call]:
    return [call(part.strip()) for part in said.split(_CALL)[1:]]


def call(text: str) -> Call:
    """One call as Glaive writes it. Raises RowSkipped."""
    named = _NAME.match(text)
    if named is None or not text.endswith("}"):
        raise RowSkipped(Reason.BAD_CALL)
    name = json.loads(named.group(1), strict=False)
    rest = text[named.end() : -1].strip()
    between = _ARGUMENTS.match(rest)
    if between is None:
        if rest:
            raise RowSkipped(Reason.BAD_CALL)
        return Call(name, {})
    return Call(name, _arguments(rest[between.end() :].strip()))


def _arguments(text: str) -> dict[str, Any]:
    """Arguments as an object, as a JSON string of one, or in single quotes, with or without backslashes before quotes."""
    if len(text) >= 2 and text[0] == text[-1] == "'":
        text = text[1:-1].strip()
    for candidate in (text, text.replace("\\'", "'"), text.replace("\\'", "'").replace('\\"', '"')):
        try:
            value = json.loads(candidate, strict=False) if candidate else {}
            value = json.loads(value, strict=False) if isinstance(value, str) else value
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            return value
    raise RowSkipped(Reason.BAD_CALL)
