"""The interface of row formats and their registry, whose names are `Rows` in an EvalRound.

Two things can be wrong with a row. A line of tasks.jsonl was written for us, so a mistake in it is its author's: RowError ends the build.
A dataset was written for something else and holds rows that are no task for us, such as chats without functions: RowSkipped is counted.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from bitagent_crds.results import Task
from bitagent_crds.sources import Columns, Rows
from bitagent_evaluator.registry import Registry

ROWS = Registry(
    what="row format",
    group="bitagent.rows",
    builtin={
        Rows.TASK.value: "bitagent_evaluator.tasks.rows.task:TaskRows",
        Rows.GLAIVE.value: "bitagent_evaluator.tasks.rows.glaive:GlaiveRows",
        Rows.BITAGENT.value: "bitagent_evaluator.tasks.rows.bitagent:BitAgentRows",
        Rows.COLUMNS.value: "bitagent_evaluator.tasks.rows.columns:ColumnRows",
    },
)

_MAX_ID = 256
"""Longest id that the contract allows."""


class Reason(StrEnum):
    """Why a row is no task. The words stand in logs and errors after a count."""

    NO_FUNCTIONS = "without functions"
    BAD_FUNCTIONS = "with functions that cannot be read"
    NO_QUESTION = "without a question"
    BAD_CALL = "with a call that cannot be read"
    TOO_MANY_CALLS = "with more calls than are judged"
    UNKNOWN_FUNCTION = "with a call of a function that is not described"
    UNKNOWN_ARGUMENT = "with an argument that is not described"
    NO_ARGUMENT = "without an argument that is required"
    UNSPEAKABLE = "with a name that Python cannot spell"
    UNFAIR = "whose own answer the official checker refuses"
    NO_REFERENCE = "without a reference text"
    NOT_JSON = "with a value that JSON cannot hold"
    REPEATED = "with the id of a newer one"


class RowError(ValueError):
    """The row is wrong; the message names the field, and the caller adds file and line."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"field {field}: {message}" if field else message)


class RowSkipped(Exception):
    """The row is no task; `reason` is what is counted."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Origin:
    """Where rows come from, as far as tasks tell."""

    source: str
    """Registry name of the source."""
    prefix: str
    """What ids begin with: rows of two datasets have different ids, the same row of the same data has the same on any machine."""

    def task_id(self, name: str) -> str:
        """The id of a task by the name of its row: `prefix:name`, or the hash of that where it is too long for an id."""
        text = f"{self.prefix}:{name}"
        return text if len(text) <= _MAX_ID else hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class RowReader(Protocol):
    """Reads rows of one format. Made as `RowReader(origin, columns)`."""

    def read(self, row: dict[str, Any], name: str) -> Task:
        """The task of a row that is called `name` (its number, or its digest). Pure. Raises RowError or RowSkipped."""
        ...


def row_reader(rows: Rows, columns: Columns | None, origin: Origin) -> RowReader:
    """The reader that a source's `rows` names."""
    made: RowReader = ROWS.load(rows.value)(origin, columns)
    return made
