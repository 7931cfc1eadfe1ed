"""Rows `Task`: a line of tasks.jsonl, `source` left out.

Every row is checked down to what the scorer will need, so that a mistake is the author's now and not a model's failure later.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError

from bitagent_crds.results import Task
from bitagent_crds.sources import Columns
from bitagent_evaluator.tasks.rows.checks import check
from bitagent_evaluator.tasks.rows.reader import Origin, RowError

MAX_DEPTH = 100
"""Most levels of lists and objects in a row. Everything that walks through a task needs a limit, and pydantic writes no more than 255."""


class TaskRows:
    """Rows that are tasks already: they keep their ids, whatever they come from."""

    def __init__(self, origin: Origin, columns: Columns | None = None) -> None:
        self._source = origin.source

    def read(self, row: dict[str, Any], name: str) -> Task:
        """The task. Raises RowError."""
        check_json(row)
        try:
            task = Task.model_validate({"category": self._source, **row, "source": self._source})
        except ValidationError as error:
            found = error.errors(include_url=False)[0]
            raise RowError(".".join(str(part) for part in found["loc"]), found["msg"]) from None
        check(task)
        return task


def check_json(data: Any) -> None:
    """That it can be written as JSON in UTF-8: no NaN, no halves of characters, nothing that only Python has, not too deep. Raises RowError."""
    level, depth = [data], 0
    while level := [inner for value in level for inner in _inside(value)]:
        depth += 1
        if depth > MAX_DEPTH:
            raise RowError("", f"nested more than {MAX_DEPTH} levels deep")
    try:
        json.dumps(data, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeError as error:
        raise RowError("", f"not valid UTF-8: {error}") from None
    except (ValueError, TypeError, RecursionError) as error:
        raise RowError("", f"not JSON: {error}") from None


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
