"""Rows `Columns`: whatever columns the spec names. A dot in a name goes into an object, unless a column is called so, dot and all."""

from __future__ import annotations

import json
from typing import Any

from bitagent_crds.results import Expects, Task
from bitagent_crds.sources import Columns
from bitagent_evaluator.tasks.errors import TaskSetError
from bitagent_evaluator.tasks.rows.bitagent import messages_of
from bitagent_evaluator.tasks.rows.calls import calls_of
from bitagent_evaluator.tasks.rows.functions import functions_of
from bitagent_evaluator.tasks.rows.reader import Origin, Reason, RowSkipped
from bitagent_evaluator.tasks.rows.usable import call_task, chat, checked


class ColumnRows:
    """Tasks with calls where `answers` is named, texts whose loss is measured where only `reference` is."""

    def __init__(self, origin: Origin, columns: Columns | None) -> None:
        if columns is None:
            raise TaskSetError("rows is Columns: say which column holds what (columns)")
        for one, other in (("question", "messages"), ("answers", "reference")):
            if getattr(columns, one) is None and getattr(columns, other) is None:
                raise TaskSetError(f"columns: name {one} or {other}")
        if columns.question is not None and columns.messages is not None:
            raise TaskSetError("columns: question and messages are two ways to say the same: name one")
        if columns.answers is not None and columns.functions is None:
            raise TaskSetError("columns: answers are calls: name the column of the functions too")
        self._origin = origin
        self._columns = columns

    def read(self, row: dict[str, Any], name: str) -> Task:
        """The task. Raises RowSkipped."""
        columns = self._columns
        found = {role: column(row, path) for role, path in named(columns).items()}
        row_name = _text(found["id"], Reason.NOT_JSON) if "id" in found else name
        category = _text(found["category"], Reason.NOT_JSON) if "category" in found else self._origin.source
        messages = self._messages(found)
        reference = _reference(found["reference"]) if "reference" in found else None
        functions = functions_of(found.get("functions"))
        if "answers" in found:
            calls = calls_of(found["answers"])
            return call_task(
                self._origin, row_name, category=category, messages=messages, functions=functions, calls=calls, reference=reference
            )  # fmt: skip
        return checked(
            id=self._origin.task_id(row_name),
            source=self._origin.source,
            category=category,
            messages=messages,
            functions=functions,
            expects=Expects.TEXT,
            reference=reference,
        )

    def _messages(self, found: dict[str, Any]) -> list[dict[str, Any]]:
        if "question" in found:
            return chat([{"role": "user", "content": found["question"]}], roles={})
        return chat(messages_of(found["messages"]), roles={})


def named(columns: Columns) -> dict[str, str]:
    """The columns that are named, by what they hold."""
    return {role: path for role in Columns.model_fields if (path := getattr(columns, role)) is not None}


def column(row: dict[str, Any], path: str) -> Any:
    """The value at a column. JSON text on the way is looked into. Raises RowSkipped."""
    if path in row:
        return row[path]
    for end in range(len(path) - 1, 0, -1):  # the longest name first: `a.b` before `a`
        if path[end] == "." and path[:end] in row:
            inner = row[path[:end]]
            if isinstance(inner, str):
                try:
                    inner = json.loads(inner)
                except (ValueError, RecursionError):
                    continue
            if isinstance(inner, dict):
                return column(inner, path[end + 1 :])
    raise RowSkipped(f"without column {path!r}")


def _text(value: Any, reason: Reason) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise RowSkipped(reason)
    return str(value)


def _reference(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise RowSkipped(Reason.NO_REFERENCE)
    return value
