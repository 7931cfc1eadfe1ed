"""From rows to tasks, with books on the rows that are none."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from bitagent_crds.results import Task
from bitagent_evaluator.tasks.errors import TaskSetError
from bitagent_evaluator.tasks.rows.reader import RowError, RowReader, RowSkipped

_log = logging.getLogger(__name__)

Row = tuple[str, dict[str, Any]]
"""What a row is called, and its content."""
_SHOWN_COLUMNS = 20


def read_rows(
    rows: Iterable[Row], reader: RowReader, *, what: str, skipped: Counter[str], unit: str = "row"
) -> Iterator[Task]:
    """The tasks of rows, one after the other.

    Raises TaskSetError at a row that must be a task and is not, and at the end when no row was one. What is skipped is counted in `skipped`
    by reason, and logged. `what` names the data in messages, `unit` one of its rows.
    """
    tasks = 0
    row: dict[str, Any] = {}
    for name, row in rows:
        try:
            task = reader.read(row, name)
        except RowSkipped as error:
            skipped[error.reason] += 1
            continue
        except RowError as error:
            raise TaskSetError(f"{what}, {unit} {name}: {error}. Is `rows` the right format?") from error
        tasks += 1
        yield task
    told = ", ".join(f"{count} {reason}" for reason, count in skipped.most_common())
    if not tasks:
        if not skipped:
            raise TaskSetError(f"{what} has no rows")
        columns = ", ".join(list(row)[:_SHOWN_COLUMNS])
        raise TaskSetError(
            f"no row of {what} is a task: {told}. A row has the columns: {columns}. Is `rows` the right format?"
        )
    if skipped:
        _log.info("%s: %d tasks; left out: %s", what, tasks, told)
