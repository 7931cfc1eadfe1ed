"""Which tasks a scorer can judge, which sets are refused, and the table of the documentation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.evaluation import BuiltinScorer
from bitagent_crds.task_forms import Expects
from bitagent_crds.task_set import Task
from bitagent_evaluator.scoring.suitability import (
    ANY_VALUE,
    NO_GROUND_TRUTH,
    NO_REFERENCE,
    NOTHING_REQUIRED,
    ONLY_REFERENCE,
    SEVERAL_CALLS,
    obstacle,
    refusal,
    remark,
    table,
)

ONE, CHOICE = {"f": {"a": [1]}}, {"f": {"a": [1, 2]}}


def task(*truth: dict[str, Any], expects: Expects = Expects.CALLS, required: bool = True, **changes: Any) -> Task:
    parameters = {"type": "dict", "properties": {"a": {}}, "required": ["a"] if required else []}
    content = {
        "id": "t",
        "source": "jsonl",
        "category": "c",
        "messages": [{"role": "user", "content": "?"}],
        "functions": [{"name": "f", "parameters": parameters}],
        "expects": expects,
        "ground_truth": list(truth) or None,
    }
    return Task(**content | changes)


TEXT = task(expects=Expects.TEXT, reference="text")
NONE = task(expects=Expects.NO_CALL)


@pytest.mark.parametrize(
    ("scorer", "given", "why"),
    [
        ("Loss", task(ONE), NO_REFERENCE),
        ("Loss", task(expects=Expects.TEXT, reference=""), NO_REFERENCE),
        ("Loss", task(ONE, reference="f(a=1)"), ""),
        ("Bfcl", TEXT, ONLY_REFERENCE),
        ("ExactMatch", TEXT, ONLY_REFERENCE),
        ("Bfcl", task(), NO_GROUND_TRUTH),
        ("Bfcl", task(CHOICE, ONE, source="bfcl"), ""),
        ("BitAgent202504", task(ONE), ""),
        ("BitAgent202504", task(ONE, source="bfcl"), ANY_VALUE),
        ("BitAgent202504", task(CHOICE), ANY_VALUE),
        ("BitAgent202504", task({"f": {}}, source="bfcl"), ""),
        ("BitAgent202411", task(CHOICE, source="bfcl"), ""),
        ("BitAgent202411", task(ONE, ONE), SEVERAL_CALLS),
        ("BitAgent202411", task(ONE, required=False), NOTHING_REQUIRED),
        ("BitAgent202504", task(ONE, required=False), ""),
        ("BitAgent202504", NONE, ""),
        ("OfSomePackage", TEXT, ""),
    ],
)
def test_what_keeps_a_scorer_from_judging_a_task(scorer: str, given: Task, why: str) -> None:
    assert obstacle(scorer, given) == why


@pytest.mark.parametrize(
    ("scorer", "tasks", "refused"),
    [
        pytest.param("Bfcl", [task(ONE), NONE], False, id="all can be judged"),
        pytest.param("BitAgent202504", [task(ONE, source="bfcl"), NONE], True, id="one expectation of a source cannot"),
        pytest.param("BitAgent202504", [task(ONE), task(ONE), task(ONE, ONE)], False, id="some of them cannot"),
        pytest.param("BitAgent202504", [task(ONE), task(ONE, ONE)], True, id="half of them cannot"),
        pytest.param("Loss", [TEXT, TEXT, TEXT, task(ONE, source="bfcl")], True, id="one loss is infinite"),
        pytest.param("Loss", [TEXT], False, id="texts"),
        pytest.param("Bfcl", [], False, id="nothing"),
    ],
)
def test_sets_that_are_refused(scorer: str, tasks: list[Task], refused: bool) -> None:
    assert bool(refusal(scorer, tasks)) is refused


def test_the_sentence_names_scorer_source_and_numbers() -> None:
    found = refusal("Loss", [TEXT, task(ONE, source="bfcl")])
    assert "scorer Loss cannot judge 1 of the 1 tasks of source bfcl that expect Calls" in found


def test_a_few_tasks_that_cannot_be_judged_are_counted() -> None:
    assert remark("BitAgent202411", [task(ONE), task(ONE, ONE)]).startswith("BitAgent202411 cannot judge 1 of 2 tasks")
    assert remark("Bfcl", [task(ONE)]) == ""


def test_the_documentation_has_the_table_of_the_code() -> None:
    text = (Path(__file__).parents[4] / "docs/scoring.md").read_text()
    assert table() in text
    assert all(f"`{scorer}`" in table() for scorer in BuiltinScorer)
