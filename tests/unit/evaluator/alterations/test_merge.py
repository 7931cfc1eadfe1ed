"""Alteration Merge: the merged task, and which tasks can be merged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bitagent_crds.alterations import Alteration as Spec
from bitagent_crds.task_forms import Expects, Language
from bitagent_crds.task_set import Task
from bitagent_evaluator.alterations.base import Choices
from bitagent_evaluator.alterations.pipeline import alter_tasks
from bitagent_evaluator.scoring.bfcl import check_text, checker_category, expected_calls


def function(name: str, description: str = "") -> dict[str, Any]:
    properties = {"x": {"type": "string", "description": ""}}
    parameters = {"type": "dict", "properties": properties, "required": ["x"]}
    return {"name": name, "description": description, "parameters": parameters}


def task(task_id: str, *names: str, says: str = "", value: str = "a", **more: Any) -> Task:
    content = says or f"Do {task_id}."
    made: dict[str, Any] = {"id": task_id, "source": "test", "category": "mine"}
    made |= {"messages": [{"role": "user", "content": content}], "functions": [function(name) for name in names]}
    return Task.model_validate(made | {"ground_truth": [{names[0]: {"x": [value]}}]} | more)


def merged(given: Task, *others: Task, drawn: bool = True, seed: str = "s") -> tuple[Task, dict[str, int]]:
    spec = Spec.model_validate({"merge": {"percent": 100}})
    tasks, available = ([given, *others], []) if drawn else ([given], [given, *others])
    altered, (manifest,) = alter_tasks(tasks, [spec], seed=seed, available=available)
    return altered[0], manifest.skipped


CONVERSATION = {"turns": [[]], "ground_truth": [[]], "classes": ["GorillaFileSystem"], "initial_state": {}}
BAKE = task("a", "bake_bread", "paint_wall", value="rye")
SING = task("b", "sing_song", value="hymn")


@pytest.mark.parametrize("drawn", [True, False], ids=["of the set", "of the source"])
def test_two_tasks_become_one(drawn: bool) -> None:
    found, _ = merged(BAKE, SING, drawn=drawn)
    assert found.messages == [{"role": "user", "content": "Do a.\n\nDo b."}]
    assert found.functions == [*BAKE.functions, *SING.functions]
    assert found.ground_truth == [{"bake_bread": {"x": ["rye"]}}, {"sing_song": {"x": ["hymn"]}}]
    assert (found.id, found.category, found.parent) == ("a", "mine", BAKE)
    assert [(record.name, record.parameters) for record in found.alterations] == [("Merge", {"partner": "b"})]
    assert check_text(found, "[sing_song(x='hymn'), bake_bread(x='rye')]").passed
    assert not check_text(found, "[bake_bread(x='rye')]").passed


def test_calls_of_one_function() -> None:
    found, _ = merged(task("a", "sing_song", value="tune"), SING)
    assert found.functions == SING.functions
    assert check_text(found, "[sing_song(x='hymn'), sing_song(x='tune')]").passed
    assert not check_text(found, "[sing_song(x='hymn'), sing_song(x='hymn')]").passed


def test_the_tasks_system_message_stays() -> None:
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Do a."}]
    found, _ = merged(task("a", "bake_bread", messages=messages), SING)
    assert found.messages == [messages[0], {"role": "user", "content": "Do a.\n\nDo b."}]


@pytest.mark.parametrize(
    "category", ["simple_python", "multiple", "live_simple", "live_multiple", "parallel", "parallel_multiple", "mine"]
)
def test_several_calls_are_judged_by_the_parallel_rule(category: str) -> None:
    found, _ = merged(BAKE.model_copy(update={"category": category}), SING)
    assert "parallel" in checker_category(found)
    assert check_text(found, "[bake_bread(x='rye'), sing_song(x='hymn')]").passed


@pytest.mark.parametrize(
    "partner",
    [
        task("b", "sing_song", source="other"),
        task("b", "sing_song", language=Language.JAVA),
        task("b", "sing_song", expects=Expects.NO_CALL, ground_truth=None),
        task("b", "sing_song", messages=[{"role": "system", "content": "x"}, {"role": "user", "content": "y"}]),
        task("b", "bake_bread").model_copy(update={"functions": [function("bake_bread", "Otherwise.")]}),
        task("b", "bake.bread"),
        task("b", "bake_cake"),
        task("b", "sing_song", "sing_song"),
        task("b", "sing_song").model_copy(update={"functions": [function("hum")]}),
        task("b", "sing_song", ground_truth=[{"sing_song": {"x": ["a"], "y": ["b"]}}]),
        task("b", "bake_bread", value="rye"),
    ],
    ids=[
        "source",
        "language",
        "no call",
        "system",
        "description",
        "dots",
        "alike",
        "twice",
        "undescribed",
        "never right",
        "same call",
    ],
)
def test_who_is_no_partner(partner: Task) -> None:
    found, skipped = merged(BAKE, partner)
    assert found == BAKE
    assert skipped["no_partner"] >= 1


@pytest.mark.parametrize(
    ("own", "other"),
    [("get_data", "Get.Data"), ("bread_price", "findBread")],
    ids=["same but for dots and capitals, of common words only", "shared distinctive word"],
)
def test_a_function_that_might_answer_the_other_question_rules_a_partner_out(own: str, other: str) -> None:
    given = task("a", own)
    assert merged(given, task("b", other, value="b"))[0] == given
    assert merged(given, task("b", "tune_piano", value="b"))[0].alterations


def test_a_task_is_not_its_own_partner() -> None:
    given = task("a", "tune_piano")
    assert merged(given) == (given, {"no_partner": 1})


def test_a_partner_of_which_one_call_is_the_same_is_none() -> None:
    given = task("a", "tune_piano")
    calls = [{"tune_piano": {"x": ["z"]}}, *(given.ground_truth or [])]
    assert merged(given, given.model_copy(update={"id": "b", "ground_truth": calls}))[0] == given


TURN = {"role": "user", "content": "x"}


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (task("a", "f", expects=Expects.NO_CALL, ground_truth=None), "expects_no_call"),
        (task("a", "f", expects=Expects.ANY_CALL, ground_truth=None), "expects_any_call"),
        (task("a", "f", expects=Expects.STATE, ground_truth=None, conversation=CONVERSATION), "conversation"),
        (task("a", "f", expects=Expects.TEXT, ground_truth=None, reference="yes"), "expects_text"),
        (task("a", "f", messages=[TURN, TURN]), "several_questions"),
        (task("a", "f", messages=[TURN, {"role": "assistant", "content": "y"}]), "several_questions"),
        (task("a", "f", messages=[{"role": "tool", "content": "y"}]), "conversation"),
        (task("a", "f", "f"), "duplicate_names"),
        (task("a", "f", language=Language.JAVA), "language"),
        (task("a", "f", language=Language.JAVASCRIPT), "language"),
        (task("a", "f", ground_truth=[{"g": {}}]), "undescribed_ground_truth"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_skip_reasons(given: Task, reason: str) -> None:
    found, skipped = merged(given, SING)
    assert found == given
    assert skipped[reason] == 1


def test_a_name_from_before_the_mask_counts() -> None:
    masks_first = [Spec.model_validate({name: {"percent": 100}}) for name in ("function_mask", "merge")]
    (found, _), (_, manifest) = alter_tasks([BAKE, task("b", "bake_cake")], masks_first, seed="s")
    assert manifest.skipped["no_partner"] == 2
    assert [record.name for record in found.alterations] == ["FunctionMask"]


def test_a_task_is_not_merged_with_the_same_partner_twice() -> None:
    twice = [Spec.model_validate({"merge": {"percent": 100}})] * 2
    (found, _), (first, second) = alter_tasks([BAKE, SING], twice, seed="s")
    assert (first.applied, second.applied) == (2, 0)
    assert second.skipped == {"no_partner": 2}
    assert len(found.ground_truth or []) == 2


def test_every_partner_is_drawn() -> None:
    names = ["sing_song", "walk_dog", "write_letter", "open_door"]
    others = [task(name, name) for name in names]
    partners = [merged(BAKE, *others, seed=str(i))[0].alterations[0].parameters["partner"] for i in range(80)]
    assert set(partners) == set(names)
    assert max(map(partners.count, names)) < 40


def test_half_of_a_right_answer_is_wrong(official_cases: Callable[[str], list[Task]]) -> None:
    categories = ("simple_python", "multiple", "live_simple", "parallel_multiple")
    tasks = [task for category in categories for task in official_cases(category)][::7]
    altered, (manifest,) = alter_tasks(tasks, [Spec.model_validate({"merge": {"percent": 100}})], seed="s")
    assert manifest.applied > 0.9 * len(altered)
    for found in altered:
        if not found.alterations or found.parent is None:
            continue
        calls = expected_calls(found)
        half = ", ".join(
            f"{name}({', '.join(f'{k}={v!r}' for k, v in arguments.items())})"
            for call in calls[: len(found.parent.ground_truth or [])]
            for name, arguments in call.items()
        )
        assert not check_text(found, f"[{half}]").passed


@pytest.mark.parametrize("name", ["merge", "distractor_tools"])
def test_tasks_that_share_their_functions_are_ruled_out_by_name(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tasks of a file often share all functions: a choice for every pair would take hours for 20,000 tasks."""
    names = ("weather_now", "weather_map", "weather_alert", "weather_station")
    tasks = [
        task(f"t{i}", *names).model_copy(update={"functions": [function(name, f"Number {i}.") for name in names]})
        for i in range(400)
    ]
    made: list[str] = []
    integer = Choices.integer

    def counted(choices: Choices, low: int, high: int, *what: str) -> int:
        made.append(choices.task_id)
        return integer(choices, low, high, *what)

    monkeypatch.setattr(Choices, "integer", counted)
    altered, _ = alter_tasks(tasks, [Spec.model_validate({name: {}})], seed="s", available=tasks)
    assert altered == tasks
    assert len(made) < 250 * len(tasks)
