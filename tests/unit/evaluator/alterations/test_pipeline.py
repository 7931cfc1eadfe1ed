"""The pipeline: a class for every member of the contract, records and counts, and tasks that no alteration gets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitagent_crds.alterations import Alteration as Spec
from bitagent_crds.task_forms import Expects
from bitagent_crds.task_set import Task
from bitagent_evaluator.alterations.base import AlterationError
from bitagent_evaluator.alterations.pipeline import ALTERATIONS, alter_tasks
from bitagent_evaluator.tasks.files import encode_tasks


def function(name: str, *parameters: str) -> dict[str, Any]:
    properties = {parameter: {"type": "integer", "description": ""} for parameter in parameters}
    return {"name": name, "description": "", "parameters": {"type": "dict", "properties": properties, "required": []}}


SUMS = Task.model_validate(
    {
        "id": "t",
        "source": "test",
        "category": "mine",
        "messages": [{"role": "user", "content": "Add 1 and 2, please."}],
        "functions": [function("math.add", "a", "b"), function("math.sub", "a")],
        "ground_truth": [{"math.add": {"a": [1], "b": [2, ""]}}],
    }
)


def test_every_member_of_the_contract_has_a_row() -> None:
    members = {kind for field in Spec.model_fields.values() for kind in get_args(field.annotation)} - {type(None)}
    assert ALTERATIONS.keys() == members


@pytest.mark.parametrize("name", [field.alias or name for name, field in Spec.model_fields.items()])
def test_the_guide_names_every_alteration(name: str) -> None:
    guide = Path(__file__).parents[4] / "docs" / "task-sets.md"
    assert f"\n      - {name}: {{" in guide.read_text()


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            {"distractorTools": {"minimum": 3, "maximum": 2}},
            r"tasks.alterations\[0\] \(DistractorTools\): minimum 3 is above maximum 2",
        ),
        ({}, r"tasks.alterations\[0\]: exactly one of .*function_mask.* must be set, not 0"),
        ({"toolShuffle": {}, "functionMask": {}}, "must be set, not 2"),
    ],
    ids=["bounds", "none", "two"],
)
def test_a_contradictory_spec_is_refused(spec: dict[str, Any], message: str) -> None:
    with pytest.raises(AlterationError, match=message):
        alter_tasks([SUMS], [Spec.model_validate(spec)], seed="s")


def test_records_and_parent(alter: Any) -> None:
    (found,) = alter(SUMS, "function_mask", "parameter_mask")[0]
    assert [record.name for record in found.alterations] == ["FunctionMask", "ParameterMask"]
    assert found.parent == SUMS


def test_an_altered_task_keeps_its_first_parent(alter: Any) -> None:
    (once,) = alter(SUMS, "function_mask")[0]
    (twice,) = alter(once, "parameter_mask")[0]
    assert twice.parent == SUMS
    assert [record.name for record in twice.alterations] == ["FunctionMask", "ParameterMask"]


def test_percent_decides_by_task(alter: Any) -> None:
    tasks = [SUMS.model_copy(update={"id": f"t{i}"}) for i in range(400)]
    found, (manifest,) = alter(tasks, "function_mask", percent=25)
    assert 70 < manifest.applied < 130
    assert manifest.skipped == {"not_chosen": 400 - manifest.applied}
    assert manifest.parameters == {"percent": 25}
    backwards, _ = alter(tasks[::-1], "function_mask", percent=25)
    assert backwards[::-1] == found


def test_choices_differ_by_seed_place_and_task(alter: Any) -> None:
    (a,), (b,) = alter(SUMS, "function_mask")[0], alter(SUMS, "function_mask", seed="other")[0]
    (c,) = alter(SUMS.model_copy(update={"id": "u"}), "function_mask")[0]
    (d,) = alter(SUMS, "irrelevance", "function_mask", percent=100)[0]
    assert len({next(iter(t.alterations[-1].parameters.values())) for t in (a, b, c, d)}) == 4


# Conversations, whose systems, reference calls and later turns no alteration could follow

PURE = [name for name in Spec.model_fields if name != "rewrite"]


@pytest.fixture(scope="session")
def some_cases(official_cases: Callable[[str], list[Task]]) -> list[Task]:
    """Four conversations each of two categories, then ten questions that alterations may change."""
    conversations = [task for name in ("multi_turn_base", "multi_turn_miss_func") for task in official_cases(name)[:4]]
    return conversations + official_cases("multiple")[:10]


@given(
    names=st.lists(st.sampled_from(PURE), min_size=1, max_size=4),
    seed=st.text(min_size=1, max_size=5),
    questions=st.integers(0, 10),
)
@settings(max_examples=60)
def test_no_alteration_changes_a_conversation(
    some_cases: list[Task], names: list[str], seed: str, questions: int
) -> None:
    tasks = some_cases[: 8 + questions]
    specs = [Spec.model_validate({name: {}}) for name in names]
    altered, manifests = alter_tasks(tasks, specs, seed=seed, available=some_cases)
    assert encode_tasks(altered[:8]) == encode_tasks(tasks[:8])
    assert all(Counter(manifest.skipped)["conversation"] >= 8 for manifest in manifests)


def test_no_request_is_made_for_a_conversation(some_cases: list[Task]) -> None:
    rewrite = {"rewrite": {"url": "http://127.0.0.1:1/v1", "model": "unreachable"}}
    conversations = [task for task in some_cases if task.expects is Expects.STATE]
    altered, (manifest,) = alter_tasks(conversations, [Spec.model_validate(rewrite)], seed="1")
    assert altered == conversations
    assert manifest.skipped == {"conversation": len(conversations)}
