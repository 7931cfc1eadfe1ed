"""The last gate for rows of a dataset: what does not pass it would be a task that nobody can pass.

A task with calls must be winnable. Its own calls, written as an answer, go to the official checker, and a row whose calls it refuses is left
out: asking the checker is surer than knowing all its rules. One thing it cannot be asked: names that Python cannot spell (`get-weather`) have no
way through the official decoder. Such a function may stay among those that are offered, but a task that expects a call of it is left out, since
renaming it would make another task of it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, cast

from bitagent_crds.results import Expects, Task
from bitagent_evaluator.answers.calls import Calls
from bitagent_evaluator.answers.writing import written
from bitagent_evaluator.scoring.judgement import judge
from bitagent_evaluator.tasks.rows.calls import Call, fitting, ground_truth
from bitagent_evaluator.tasks.rows.checks import MAX_CALLS, check
from bitagent_evaluator.tasks.rows.reader import Origin, Reason, RowError, RowSkipped
from bitagent_evaluator.tasks.rows.task import check_json


def call_task(
    origin: Origin,
    name: str,
    *,
    category: str,
    messages: list[dict[str, Any]],
    functions: list[dict[str, Any]],
    calls: Sequence[Call],
    reference: str | None = None,
) -> Task:
    """The task that expects these calls, or none at all where there are none. Raises RowSkipped."""
    if not functions:
        raise RowSkipped(Reason.NO_FUNCTIONS)
    if len(calls) > MAX_CALLS:
        raise RowSkipped(Reason.TOO_MANY_CALLS)
    calls = fitting(calls, functions)
    task = checked(
        id=origin.task_id(name),
        source=origin.source,
        category=category,
        messages=messages,
        functions=functions,
        expects=Expects.CALLS if calls else Expects.NO_CALL,
        ground_truth=ground_truth(calls, functions) if calls else None,
        reference=reference,
    )
    if not all(_spelled(call) for call in calls):
        raise RowSkipped(Reason.UNSPEAKABLE)
    if calls and not judge(task, _written(calls)).passed:
        raise RowSkipped(Reason.UNFAIR)
    return task


def checked(**members: Any) -> Task:
    """The task of these members, if its file can hold them and its form is what the scorer needs. Raises RowSkipped."""
    try:
        check_json(members)
    except RowError:
        raise RowSkipped(Reason.NOT_JSON) from None
    task = Task(**members)
    try:
        check(task)
    except RowError:
        raise RowSkipped(Reason.UNFAIR) from None
    return task


def chat(messages: Any, *, roles: Mapping[str, str]) -> list[dict[str, Any]]:
    """Messages `{"role", "content"}` with roles by `roles`, others as they are, up to the last one of the user. Raises RowSkipped."""
    found = []
    for message in messages:
        if not isinstance(message, dict) or not isinstance(message.get("content"), str):
            raise RowSkipped(Reason.NO_QUESTION)
        role = str(message.get("role", ""))
        found.append({"role": roles.get(role, role), "content": message["content"]})
    while found and found[-1]["role"] != "user":
        found.pop()
    if not found or not found[-1]["content"].strip():
        raise RowSkipped(Reason.NO_QUESTION)
    return found


def _written(calls: Sequence[Call]) -> str:
    return written(cast(Calls, [{call.name: call.arguments} for call in calls]))


def _spelled(call: Call) -> bool:
    names = [*call.name.split("."), *call.arguments]
    return all(name.isidentifier() and unicodedata.normalize("NFKC", name) == name for name in names)
