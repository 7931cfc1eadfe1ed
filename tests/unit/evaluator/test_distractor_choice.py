"""Which functions of other tasks go with a task: as many as wanted, wherever they stand, and none that might answer it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from bitagent_crds.alterations import DistractorTools, Merge
from bitagent_crds.results import Expects, Task
from bitagent_evaluator.alterations.alteration import Altered, Reason, Skipped
from bitagent_evaluator.alterations.choices import Choices
from bitagent_evaluator.alterations.distractor_tools import AddDistractors
from bitagent_evaluator.alterations.merge import MergeTasks
from bitagent_evaluator.alterations.pool import Pool


def task(task_id: str, *names: str, value: int = 1) -> Task:
    functions = [
        {"name": name, "description": "", "parameters": {"type": "dict", "properties": {"a": {"type": "integer"}}, "required": []}}
        for name in names
    ]  # fmt: skip
    return Task(
        id=task_id, source="bfcl", category="multiple", messages=[{"role": "user", "content": task_id}],
        functions=functions, expects=Expects.CALLS, ground_truth=[{names[0]: {"a": [value]}}],
    )  # fmt: skip


def distracted(own: Task, others: Sequence[Task], *, count: int, seed: str = "1") -> Altered | Skipped:
    alteration = AddDistractors(DistractorTools(minimum=count, maximum=count))
    return alteration.apply(own, choices=Choices(seed, 0, own.id), pool=Pool([own, *others]))


def merged(own: Task, other: Task) -> Altered | Skipped:
    return MergeTasks(Merge()).apply(own, choices=Choices("1", 0, own.id), pool=Pool([own, other]))


@pytest.mark.parametrize("seed", [str(i) for i in range(10)])
def test_the_few_that_fit_are_found_among_many_that_do_not(seed: str) -> None:
    """More than are looked at by chance."""
    others = [task(f"t{i}", f"bake_bread_{i}") for i in range(2000)]
    fitting = [task("u1", "water_plants"), task("u2", "tune_piano")]
    found = distracted(task("own", "bread_price"), [*others, *fitting], count=2, seed=seed)
    assert isinstance(found, Altered)
    assert found.parameters["added"] == {"water_plants": "u1", "tune_piano": "u2"}


def test_no_more_than_wanted_are_added() -> None:
    words = ("water", "tune", "paint", "climb", "weld", "juggle")
    found = distracted(task("own", "bread_price"), [task(f"t{i}", word) for i, word in enumerate(words)], count=3)
    assert isinstance(found, Altered)
    assert (len(found.parameters["added"]), len(found.task.functions)) == (3, 4)


CLASHES = [
    pytest.param("get_data", "Get.Data", id="the same but for dots and capitals, of common words only"),
    pytest.param("get_data", "get_data", id="the same"),
    pytest.param("bread_price", "findBread", id="a word that says what it does"),
]


@pytest.mark.parametrize(("own", "other"), CLASHES)
def test_what_might_answer_the_question_as_well_is_no_distractor(own: str, other: str) -> None:
    assert distracted(task("own", own), [task("t1", other)], count=1) == Skipped(Reason.TOO_FEW_DISTRACTORS)
    assert isinstance(distracted(task("own", own), [task("t1", "tune_piano")], count=1), Altered)


@pytest.mark.parametrize(("own", "other"), [c for c in CLASHES if c.id != "the same"])
def test_nor_is_its_task_a_partner(own: str, other: str) -> None:
    assert merged(task("own", own), task("t1", other, value=2)) == Skipped(Reason.NO_PARTNER)
    assert isinstance(merged(task("own", own), task("t1", "tune_piano", value=2)), Altered)


def test_a_task_is_not_its_own_partner_and_the_same_call_is_not_asked_for_twice() -> None:
    own = task("own", "tune_piano")
    assert MergeTasks(Merge()).apply(own, choices=Choices("1", 0, "own"), pool=Pool([own])) == Skipped(
        Reason.NO_PARTNER
    )
    assert merged(own, own.model_copy(update={"id": "t1"})) == Skipped(Reason.NO_PARTNER)
    two: dict[str, Any] = {"id": "t1", "ground_truth": [{"tune_piano": {"a": [9]}}, *(own.ground_truth or [])]}
    assert merged(own, own.model_copy(update=two)) == Skipped(Reason.NO_PARTNER), "one of two calls is enough"
