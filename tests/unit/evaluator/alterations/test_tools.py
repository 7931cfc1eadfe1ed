"""Alterations of the tool list: what is shuffled, added and removed, and which tasks are skipped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from tests.unit.evaluator.alterations.sum_tasks import ADD, SUB, SUMS, function, task

from bitagent_crds.alterations import Alteration as Spec
from bitagent_crds.alterations import DistractorTools
from bitagent_crds.task_forms import Expects, Language
from bitagent_crds.task_set import Task
from bitagent_evaluator.alterations.base import Altered, Choices, Skipped, SkipReason, TaskPool
from bitagent_evaluator.alterations.pipeline import alter_tasks
from bitagent_evaluator.alterations.tools import AddDistractors, distinctive_words, normalise_name
from bitagent_evaluator.scoring.bfcl import check_text

# Shuffle


def test_shuffle_records_the_order(alter: Any) -> None:
    tools = [function(f"f{i}") for i in range(6)]
    (found,) = alter(task(*tools), "tool_shuffle")[0]
    (record,) = found.alterations
    assert record.name == "ToolShuffle"
    assert found.functions == [tools[i] for i in record.parameters["order"]] != tools
    assert found.parent == task(*tools)


def test_every_order_is_drawn(alter: Any) -> None:
    shuffled = [alter(task(ADD, SUB), "tool_shuffle", seed=str(i))[0][0].functions for i in range(60)]
    assert 15 < shuffled.count([ADD, SUB]) < 45


@pytest.mark.parametrize(
    ("given", "reason"),
    [(task(ADD), "too_few_functions"), (task(ADD, function("math.add", "another")), "duplicate_names")],
    ids=["one", "duplicates"],
)
def test_shuffle_does_not_apply(skip_reasons: Any, given: Task, reason: str) -> None:
    assert skip_reasons(given, "tool_shuffle") == {reason: 1}


# Distractors

OTHERS = [
    task(function(name), id=f"o{i}")
    for i, name in enumerate(["weather.now", "Weather_Now", "book_hotel", "math_add", "addMath", "paint", "sing"])
]


@pytest.mark.parametrize("seed", [str(i) for i in range(20)])
def test_distractors_are_of_others_and_do_not_clash(alter: Any, seed: str) -> None:
    (found, *_) = alter([SUMS, *OTHERS], "distractor_tools", seed=seed)[0]
    added = found.alterations[0].parameters["added"]
    names = [f["name"] for f in found.functions]
    assert 2 <= len(added) <= 6
    assert len({normalise_name(name) for name in names}) == len(names) == 2 + len(added)
    assert not {"math_add", "addMath"} & set(names)
    assert [f for f in found.functions if f["name"] not in added] == [ADD, SUB]
    assert "t" not in added.values()


def test_the_bounds_of_distractors(alter: Any) -> None:
    counts = {
        len(alter([SUMS, *OTHERS], "distractor_tools", seed=str(i), minimum=1, maximum=3)[0][0].functions) - 2
        for i in range(40)
    }
    assert counts == {1, 2, 3}


def test_distractors_come_from_the_source_when_the_set_has_too_few() -> None:
    spec = Spec.model_validate({"distractor_tools": {}})
    (found,), _ = alter_tasks([SUMS], [spec], seed="s", available=[SUMS, *OTHERS])
    assert len(found.functions) >= 4
    elsewhere = [other.model_copy(update={"source": "other"}) for other in OTHERS]
    assert alter_tasks([SUMS], [spec], seed="s", available=elsewhere)[0] == [SUMS]


def test_a_name_from_before_the_mask_clashes_too(alter: Any) -> None:
    tasks = alter([SUMS, *OTHERS], "function_mask", "distractor_tools")[0]
    assert not {"math_add", "addMath"} & {f["name"] for f in tasks[0].functions}


HOTEL = function("hotel_search")


def test_the_number_of_functions_does_not_tell_that_no_call_is_right(alter: Any) -> None:
    asked = task(ADD, id="q", says="Which hotels are there?")
    found = alter([asked, task(HOTEL), *OTHERS], "distractor_tools")[0][0]
    names = {f["name"] for f in found.functions}
    assert len(names) >= 3
    assert not {name for name in names if "hotel" in name}, "one of these might be right"
    assert found.expects is Expects.NO_CALL


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ([task(each, id=each["name"], says="Hotels and math?") for each in (ADD, HOTEL)], "too_few_distractors"),
        ([SUMS], "too_few_distractors"),
        ([SUMS, OTHERS[0].model_copy(update={"language": Language.JAVA})], "too_few_distractors"),
    ],
    ids=["no call, and all are about the question", "no others", "other language"],
)
def test_distractors_do_not_apply(skip_reasons: Any, given: list[Task], reason: str) -> None:
    assert skip_reasons(given, "distractor_tools")[reason] >= 1


def test_distinctive_words() -> None:
    assert distinctive_words("HTTPServer.getUserInfo_by_id") == {"http", "server", "user", "id"}


def named(task_id: str, *names: str) -> Task:
    return task(*map(function, names), truth=[{names[0]: {}}], id=task_id)


def add_distractors(own: Task, others: Sequence[Task], *, count: int, seed: str = "1") -> Altered | Skipped:
    alteration = AddDistractors(DistractorTools(minimum=count, maximum=count))
    return alteration.apply(own, choices=Choices(seed, 0, own.id), pool=TaskPool([own, *others]))


@pytest.mark.parametrize("seed", [str(i) for i in range(10)])
def test_the_few_that_fit_are_found_among_many_that_do_not(seed: str) -> None:
    """There are more than the random draws try."""
    others = [named(f"t{i}", f"bake_bread_{i}") for i in range(2000)]
    fitting = [named("u1", "water_plants"), named("u2", "tune_piano")]
    found = add_distractors(named("own", "bread_price"), [*others, *fitting], count=2, seed=seed)
    assert isinstance(found, Altered)
    assert found.parameters["added"] == {"water_plants": "u1", "tune_piano": "u2"}


def test_no_more_than_the_maximum_are_added() -> None:
    words = ("water", "tune", "paint", "climb", "weld", "juggle")
    found = add_distractors(
        named("own", "bread_price"), [named(f"t{i}", word) for i, word in enumerate(words)], count=3
    )
    assert isinstance(found, Altered)
    assert (len(found.parameters["added"]), len(found.task.functions)) == (3, 4)


CLASHES = [
    pytest.param("get_data", "Get.Data", id="same but for dots and capitals, of common words only"),
    pytest.param("get_data", "get_data", id="same"),
    pytest.param("bread_price", "findBread", id="shared distinctive word"),
]


@pytest.mark.parametrize(("own", "other"), CLASHES)
def test_a_function_that_might_answer_the_question_is_no_distractor(own: str, other: str) -> None:
    assert add_distractors(named("own", own), [named("t1", other)], count=1) == Skipped(SkipReason.TOO_FEW_DISTRACTORS)
    assert isinstance(add_distractors(named("own", own), [named("t1", "tune_piano")], count=1), Altered)


# Irrelevance


def test_irrelevance_removes_the_expected_functions(alter: Any) -> None:
    (found,) = alter(SUMS, "irrelevance", percent=100)[0]
    assert (found.functions, found.expects, found.ground_truth) == ([SUB], Expects.NO_CALL, None)
    assert (found.category, found.alterations[0].parameters) == ("mine", {"removed": ["math.add"]})
    assert check_text(found, "I cannot do that.").passed
    assert check_text(found, "[math.add(a=1)]").error == "irrelevance_error:decoder_success"


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (task(ADD), "expects_no_call"),
        (task(ADD, SUB, expects="AnyCall"), "expects_any_call"),
        (task(ADD, truth=[{"math.add": {}}]), "no_other_function"),
        (task(ADD, truth=[{"gone": {}}]), "undescribed_ground_truth"),
    ],
    ids=["no call", "any call", "alone", "unknown"],
)
def test_irrelevance_does_not_apply(skip_reasons: Any, given: Task, reason: str) -> None:
    assert skip_reasons(given, "irrelevance", percent=100) == {reason: 1}
