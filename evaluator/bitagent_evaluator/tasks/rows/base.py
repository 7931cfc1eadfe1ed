"""The interface of row readers, and why a row is not a task.

Two things can be wrong with a row. A line of tasks.jsonl was written as a task, so that an error in it is its
author's: RowError ends the build. A dataset was written for another purpose and has rows that cannot be tasks, such as
chats without functions: RowSkipped is counted.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from bitagent_crds.task_set import Task

_MAX_ID = 256
"""Longest id that the contract allows."""

Row = tuple[str, dict[str, Any]]
"""A row's name (its number, or its digest) and content."""


class RowSkipReason(StrEnum):
    """Why a row is not a task. In manifests, logs and errors these words follow a count."""

    NO_FUNCTIONS = "without functions"
    BAD_FUNCTIONS = "with functions that cannot be read"
    TOO_MANY_REFERENCES = "with a function that is too large once its references ($ref) are replaced"
    NO_QUESTION = "without a question"
    NOT_TEXT = "with a message that is not text"
    UNKNOWN_ROLE = "with a message of an unknown role"
    NO_ANSWER = "without an answer"
    BAD_CALL = "with a call that cannot be read"
    TOO_MANY_CALLS = "with more calls than are judged"
    UNKNOWN_FUNCTION = "with a call of a function that is not described"
    UNKNOWN_ARGUMENT = "with an argument that is not described"
    WRONG_TYPE = "with an argument of another type than is described"
    NO_ARGUMENT = "without an argument that is required"
    INVALID_IDENTIFIER = "with a name that Python cannot spell"
    GROUND_TRUTH_REJECTED = "whose own answer the official checker refuses"
    NO_REFERENCE = "without a reference text"
    NOT_JSON = "with a value that JSON cannot hold"
    REPEATED = "with the id of a newer one"


class RowError(ValueError):
    """Raised when a row that must be a task has an error; the message names the field."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"field {field}: {message}" if field else message)


class RowSkipped(Exception):
    """Raised when a row cannot be a task; `reason` is counted.

    `example` names what is wrong in this row; that of the first row is shown.
    """

    def __init__(self, reason: str, example: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.example = example


@dataclass(frozen=True)
class Origin:
    """Where rows come from, as recorded in tasks."""

    source: str
    """Name of the source in the spec."""
    prefix: str
    """Beginning of all ids: rows of two datasets get different ids, the same row gets the same id on any machine."""

    def task_id(self, name: str) -> str:
        """Return the id of the row called `name`: `prefix:name`, or its SHA-256 if that is too long for an id."""
        text = f"{self.prefix}:{name}"
        return text if len(text) <= _MAX_ID else hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class RowReader(Protocol):
    """A reader of rows of one format. Constructed as `RowReader(origin, columns)`."""

    def read(self, row: dict[str, Any], name: str) -> Task:
        """Return the task of the row called `name`. Pure. Raises RowError or RowSkipped if the row is not a task."""
        ...
