"""Rows `Columns`: the columns that the spec names.

A dot in a name selects a member of an object, or by its number an item of a list (`messages.2.tool_calls`,
`messages.-1.content`), unless a column has that very name.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bitagent_crds.task_forms import Expects
from bitagent_crds.task_set import Task
from bitagent_crds.tasks import Columns
from bitagent_evaluator.support.text import escape_unprintable, join_lines
from bitagent_evaluator.tasks.files import TaskSetError
from bitagent_evaluator.tasks.rows.base import Origin, RowSkipped, RowSkipReason
from bitagent_evaluator.tasks.rows.bfcl_truth import allowed_values, first_calls, named_arguments
from bitagent_evaluator.tasks.rows.call_texts import calls_in_text
from bitagent_evaluator.tasks.rows.calls import GroundTruth, PlainCall, parse_calls
from bitagent_evaluator.tasks.rows.chats import answered_calls, convert_messages, parse_messages
from bitagent_evaluator.tasks.rows.functions import convert_functions
from bitagent_evaluator.tasks.rows.notation import parse_value
from bitagent_evaluator.tasks.rows.task import make_call_task, make_task

_SHOWN = 200


class ColumnRows:
    """Rows with calls if `answers` is named, else texts whose loss is measured."""

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
        """Return the task. Raises RowSkipped if the row is not one."""
        columns = self._columns
        found = {role: column_value(row, path) for role, path in columns_by_role(columns).items()}
        row_name = _text(found["id"], RowSkipReason.NOT_JSON) if "id" in found else name
        category = _text(found["category"], RowSkipReason.NOT_JSON) if "category" in found else self._origin.source
        messages = self._messages(found)
        reference = _reference(found["reference"]) if "reference" in found else None
        with _shown(found.get("functions"), RowSkipReason.BAD_FUNCTIONS):
            functions = convert_functions(found.get("functions"))
        if "answers" in found:
            with _shown(found["answers"], RowSkipReason.BAD_CALL):
                calls, truth = self._answer(found["answers"], functions)
            return make_call_task(
                self._origin,
                row_name,
                category=category,
                messages=messages,
                functions=functions,
                calls=calls,
                truth=truth,
                reference=reference,
            )
        return make_task(
            id=self._origin.task_id(row_name),
            source=self._origin.source,
            category=category,
            messages=messages,
            functions=functions,
            expects=Expects.TEXT,
            reference=reference,
        )

    def _answer(self, answers: Any, functions: list[dict[str, Any]]) -> tuple[list[PlainCall], GroundTruth | None]:
        """Return the calls of an answer, and its allowed values where it has several for an argument."""
        named = named_arguments(answers, functions)
        if named is None:
            return self._calls(answers, functions), None
        if (truth := allowed_values(named, functions)) is None:
            return [PlainCall(name, of) for call in named for name, of in call.items()], None
        return first_calls(truth, functions), truth

    def _calls(self, answers: Any, functions: list[dict[str, Any]]) -> list[PlainCall]:
        """Return the calls of an answer, also of one written as a model writes it, in marks or in prose, and of an
        assistant's message."""
        if isinstance(answers, dict) and "content" in answers:
            return answered_calls({**answers, "role": "assistant"}, functions)
        try:
            return parse_calls(answers)
        except RowSkipped:
            found = calls_in_text(answers, functions) if isinstance(answers, str) and answers.strip() else None
            if found is None:
                raise
            return found

    def _messages(self, found: dict[str, Any]) -> list[dict[str, Any]]:
        asked = found.get("question", found.get("messages"))
        if isinstance(asked, list) and len(asked) == 1 and isinstance(asked[0], list):  # BFCL's list of one turn
            asked = asked[0]
        if "question" in found and not _is_chat(asked):
            return convert_messages([{"role": "user", "content": asked}])
        return convert_messages(parse_messages(asked))


@contextmanager
def _shown(value: Any, reason: RowSkipReason) -> Iterator[None]:
    """Add the beginning of a value that cannot be read to the exception that says so."""
    try:
        yield
    except RowSkipped as error:
        if error.reason != reason or error.example:
            raise
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
        raise RowSkipped(reason, escape_unprintable(join_lines(text[:_SHOWN]))) from error


def _is_chat(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) and "role" in item for item in value)


def columns_by_role(columns: Columns) -> dict[str, str]:
    """Return the named columns, by what they have (`question`, `answers`, …)."""
    return {role: path for role in Columns.model_fields if (path := getattr(columns, role)) is not None}


def column_value(row: dict[str, Any], path: str) -> Any:
    """Return the value at a column; JSON text on the path is parsed. Raises RowSkipped if there is none."""
    if path in row:
        return row[path]
    for end in range(len(path) - 1, 0, -1):  # the longest name first: `a.b` before `a`
        if path[end] == "." and path[:end] in row:
            inner = row[path[:end]]
            if isinstance(inner, str):
                try:
                    inner = parse_value(inner)
                except ValueError:
                    continue
            if isinstance(inner, list):
                inner = {str(place): inner[place] for place in range(-len(inner), len(inner))}
            if isinstance(inner, dict):
                return column_value(inner, path[end + 1 :])
    raise RowSkipped(f"without column {path!r}")


def _text(value: Any, reason: RowSkipReason) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise RowSkipped(reason)
    return str(value)


def _reference(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise RowSkipped(RowSkipReason.NO_REFERENCE)
    return value
