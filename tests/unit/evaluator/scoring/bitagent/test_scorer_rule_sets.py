"""Which call the subnet's rules expect of a task, in which of their two forms, and what the right answer earns."""

from __future__ import annotations

from typing import Any

import pytest

from bitagent_crds.task_forms import Expects
from bitagent_crds.task_set import Task
from bitagent_evaluator.scoring.bitagent.rules_2024_11 import Rules202411
from bitagent_evaluator.scoring.bitagent.scorer import best_score, expected_call, tools_of


def task(allowed: list[Any], *, expects: Expects = Expects.CALLS) -> Task:
    parameters = {"type": "dict", "properties": {"a": {"type": "any"}}, "required": ["a"]}
    return Task(
        id="t", source="jsonl", category="c", messages=[{"role": "user", "content": "?"}],
        functions=[{"name": "f", "parameters": parameters}], expects=expects, ground_truth=[{"f": {"a": allowed}}],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("allowed", "plain"),
    [
        pytest.param([1], True, id="one value"),
        pytest.param([None], True, id="null"),
        pytest.param([["x", 2]], True, id="a list of plain values"),
        pytest.param([[]], True, id="an empty list"),
        pytest.param([1, 2], False, id="several values"),
        pytest.param([""], False, id="left out"),
        pytest.param([{"k": [1]}], False, id="a dict"),
        pytest.param([["x", {"k": [1]}]], False, id="a dict in a list"),
        pytest.param([["x", ["y"]]], False, id="a list in a list"),
    ],
)
def test_one_plain_value_an_argument_is_no_ground_truth(allowed: list[Any], plain: bool) -> None:
    expected = expected_call(task(allowed))
    assert expected is not None
    assert (expected.is_ground_truth, expected.arguments) == (not plain, {"a": allowed[0] if plain else allowed})


@pytest.mark.parametrize("expects", [Expects.NO_CALL, Expects.ANY_CALL])
def test_a_ground_truth_is_expected_only_where_calls_are(expects: Expects) -> None:
    assert expected_call(task([1], expects=expects)) is None


def test_the_right_answer_gives_a_value_that_may_be_left_out() -> None:
    """Leaving it out earns less in November 2024, so it cannot be what the others are measured by."""
    assert best_score(Rules202411(), task(["", "x"])).normalized == 1.0


@pytest.mark.parametrize("parameters", [None, "text", {}, {"required": None}, {"required": "a"}], ids=str)
def test_a_description_without_a_list_of_required_parameters_requires_none(parameters: Any) -> None:
    assert tools_of([{"name": "f", "parameters": parameters}]) == {"f": frozenset()}
