"""Tasks out of rows: the format `Task`, and tasks built of messages, functions and calls, for the other formats.

Every task built here can be solved: its own calls, rendered as an answer, must pass the official checker, or the row
is skipped. That is safer than to reproduce the checker's rules. It cannot be done for names that Python cannot spell
(`get-weather`, `from`), which the official decoder does not read: such a function may be offered, but a row that
expects a call of it is skipped, since renaming it would make another task.
"""

from __future__ import annotations

import keyword
import unicodedata
from collections.abc import Sequence
from typing import Any, cast

from pydantic import ValidationError

from bitagent_crds.task_forms import Expects
from bitagent_crds.task_set import Task
from bitagent_crds.tasks import Columns
from bitagent_evaluator.parsing.calls import Calls
from bitagent_evaluator.parsing.render import render_calls
from bitagent_evaluator.scoring.bfcl import check_text
from bitagent_evaluator.support.faults import first_error
from bitagent_evaluator.tasks.rows.base import Origin, RowError, RowSkipped, RowSkipReason
from bitagent_evaluator.tasks.rows.calls import GroundTruth, PlainCall, as_described, to_ground_truth
from bitagent_evaluator.tasks.rows.checks import MAX_CALLS, check_json, check_task


class TaskRows:
    """Rows `Task`: lines of tasks.jsonl without `source`. They keep their ids, whatever their origin."""

    def __init__(self, origin: Origin, columns: Columns | None = None) -> None:
        self._source = origin.source

    def read(self, row: dict[str, Any], name: str) -> Task:
        """Return the task. Raises RowError if a field is wrong, or the scorer could not judge answers."""
        check_json(row)
        try:
            task = Task.model_validate({"category": self._source, **row, "source": self._source})
        except ValidationError as error:
            first = first_error(error)
            raise RowError(first.where, first.message) from None
        check_task(task)
        return task


def make_call_task(
    origin: Origin,
    name: str,
    *,
    category: str,
    messages: list[dict[str, Any]],
    functions: list[dict[str, Any]],
    calls: Sequence[PlainCall],
    truth: GroundTruth | None = None,
    reference: str | None = None,
) -> Task:
    """Return the task that expects these calls; without calls, no call is right.

    `truth` has the allowed values if there are more than those of `calls`, which are then the first of them. Raises
    RowSkipped if the task has no functions or too many calls, or could not be solved.
    """
    if not functions:
        raise RowSkipped(RowSkipReason.NO_FUNCTIONS)
    if len(calls) > MAX_CALLS:
        raise RowSkipped(RowSkipReason.TOO_MANY_CALLS)
    calls = calls if truth is not None else as_described(calls, functions)
    own = to_ground_truth(calls, functions) if calls else None
    task = make_task(
        id=origin.task_id(name),
        source=origin.source,
        category=category,
        messages=messages,
        functions=functions,
        expects=Expects.CALLS if calls else Expects.NO_CALL,
        ground_truth=truth or own,
        reference=reference,
    )
    if not all(_is_python_call(call) for call in calls):
        raise RowSkipped(RowSkipReason.INVALID_IDENTIFIER)
    if calls and not check_text(task, _render(calls)).passed:
        raise RowSkipped(RowSkipReason.GROUND_TRUTH_REJECTED)
    return task


def make_task(**members: Any) -> Task:
    """Return the task of these members. Raises RowSkipped if it is not JSON, or the scorer could not judge answers."""
    try:
        check_json(members)
    except RowError:
        raise RowSkipped(RowSkipReason.NOT_JSON) from None
    task = Task(**members)
    try:
        check_task(task)
    except RowError:
        raise RowSkipped(RowSkipReason.GROUND_TRUTH_REJECTED) from None
    return task


def _render(calls: Sequence[PlainCall]) -> str:
    return render_calls(cast(Calls, [{call.name: call.arguments} for call in calls]))


def _is_python_call(call: PlainCall) -> bool:
    names = [*call.name.split("."), *call.arguments]
    return all(
        name.isidentifier() and not keyword.iskeyword(name) and unicodedata.normalize("NFKC", name) == name
        for name in names
    )
