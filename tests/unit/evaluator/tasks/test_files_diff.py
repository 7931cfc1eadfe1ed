"""Comparing two task sets."""

from __future__ import annotations

from typing import Any

from bitagent_crds.task_forms import Expects
from bitagent_crds.task_set import AlterationRecord, Task
from bitagent_evaluator.tasks.files import ChangedTask, TaskSetDifference, compare_task_sets


def task(task_id: str, **changed: Any) -> Task:
    made = Task(id=task_id, source="x", category="c", messages=[], functions=[{"name": "f"}], expects=Expects.NO_CALL)
    return made.model_copy(update=changed)


A, B, C = task("a"), task("b"), task("c")


def test_equal_sets() -> None:
    assert compare_task_sets([A, B], [A, B]) == TaskSetDifference((), (), (), same=2, reordered=False)


def test_tasks_of_one_set_only() -> None:
    found = compare_task_sets([C, A], [A, B])
    assert (found.only_first, found.only_second, found.same, found.reordered) == (("c",), ("b",), 1, False)


def test_another_order_of_the_common_tasks() -> None:
    assert compare_task_sets([A, C, B], [B, A]).reordered


def test_changed_tasks_name_their_fields_and_alterations() -> None:
    record = AlterationRecord(name="ToolShuffle", parameters={})
    altered = task("a", functions=[], alterations=[record], parent=A)
    found = compare_task_sets([A, B], [altered, task("b", category="d", source="y")])
    assert found.changed == (
        ChangedTask("a", ("functions",), ((), ("ToolShuffle",)), parent_is_other=True),
        ChangedTask("b", ("source", "category"), ((), ()), parent_is_other=False),
    )
    assert found.to_json()["changed"][0]["fields"] == ("functions",)
