"""Rows `Task`: a line of tasks.jsonl, `source` left out.

Every row is checked down to what the scorer will need, so that a mistake is the author's now and not a model's failure later.
"""

from __future__ import annotations

import json
from typing import Any

from pydantic import ValidationError

from bitagent_crds.results import Task
from bitagent_crds.sources import Columns
from bitagent_evaluator.tasks.rows.checks import check
from bitagent_evaluator.tasks.rows.reader import Origin, RowError


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
    """That it can be written as JSON in UTF-8: no NaN, no halves of characters, nothing that only Python has. Raises RowError."""
    try:
        json.dumps(data, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeError as error:
        raise RowError("", f"not valid UTF-8: {error}") from None
    except (ValueError, TypeError, RecursionError) as error:
        raise RowError("", f"not JSON: {error}") from None
