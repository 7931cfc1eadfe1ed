"""Kinds of tasks, and results in which they weigh equally."""

from __future__ import annotations

from typing import Any

import pytest

from bitagent_crds.evaluation import Aggregation, BuiltinScorer
from bitagent_crds.results import Verdict
from bitagent_crds.task_forms import Expects
from bitagent_crds.task_set import Conversation, Task
from bitagent_evaluator.scoring.kinds import TaskKind, task_kind, with_kinds
from bitagent_evaluator.scoring.scorers import aggregate

CALL: dict[str, Any] = {"f": {"a": [1]}}
TALK = Conversation(turns=[[]], ground_truth=[[]], classes=[], initial_state={})


def task(index: int = 0, *, calls: int = 1, functions: int = 1, expects: Expects = Expects.CALLS) -> Task:
    return Task(
        id=f"t{index}",
        source="jsonl",
        category="one",
        messages=[{"role": "user", "content": "?"}],
        functions=[{"name": f"f{n}", "parameters": {}} for n in range(functions)],
        expects=expects,
        ground_truth=[CALL] * calls if expects is Expects.CALLS else None,
        conversation=TALK if expects is Expects.STATE else None,
        reference="text" if expects is Expects.TEXT else None,
    )


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (task(), TaskKind.SIMPLE),
        (task(functions=3), TaskKind.MULTIPLE),
        (task(calls=2), TaskKind.PARALLEL),
        (task(calls=2, functions=2), TaskKind.PARALLEL_MULTIPLE),
        (task(functions=3, expects=Expects.NO_CALL), TaskKind.NO_CALL),
        (task(expects=Expects.ANY_CALL), TaskKind.ANY_CALL),
        (task(expects=Expects.STATE), TaskKind.CONVERSATION),
        (task(expects=Expects.TEXT), TaskKind.TEXT),
    ],
    ids=str,
)
def test_the_kind_of_a_task(given: Task, kind: TaskKind) -> None:
    assert task_kind(given) is kind


TASKS = [task(0), task(1), task(2), *(task(n, expects=Expects.NO_CALL) for n in range(3, 12))]
"""Three tasks with a call and nine without, all of one category."""


def verdicts(passed: str) -> list[Verdict]:
    return [
        Verdict(id=of.id, category=of.category, passed=mark == "+", score=float(mark == "+"))
        for of, mark in zip(TASKS, passed, strict=True)
    ]


def test_saying_nothing_is_a_kind_among_others() -> None:
    """Nine of twelve tasks, but one of two kinds."""
    given = verdicts("---+++++++++")
    assert aggregate(given).score == "0.750000"
    outcome = aggregate(with_kinds(given, TASKS, Aggregation.KINDS), seed="s", aggregation=Aggregation.KINDS)
    assert (outcome.score, outcome.passed, outcome.total) == ("0.500000", 9, 12)
    assert {name: (of.score, of.total) for name, of in outcome.kinds.items()} == {
        "no call": ("1.000000", 9),
        "simple": ("0.000000", 3),
    }
    assert outcome.interval == ("0.350427", "0.780749"), "the widths of both kinds, halved and put together"


def test_the_interval_is_about_the_score_of_kinds() -> None:
    given = with_kinds(verdicts("+--++++----+"), TASKS, Aggregation.KINDS)
    outcome = aggregate(given, seed="s", aggregation=Aggregation.KINDS)
    assert outcome.interval is not None
    low, high = map(float, outcome.interval)
    assert outcome.score == f"{(1 / 3 + 5 / 9) / 2:.6f}"
    assert low < float(outcome.score) < high


def test_without_kinds_verdicts_stay_as_they_were() -> None:
    given = verdicts("+" * 12)
    assert with_kinds(given, TASKS, Aggregation.MEAN) == given
    assert "kind" not in given[0].model_dump_json()
    assert aggregate(given).kinds == {}


def test_losses_of_kinds_weigh_equally_too() -> None:
    losses = [1.0, 2.0, 3.0, *[10.0] * 9]
    given = [
        Verdict(id=of.id, category=of.category, passed=True, loss=loss) for of, loss in zip(TASKS, losses, strict=True)
    ]
    given = with_kinds(given, TASKS, Aggregation.KINDS)
    assert aggregate(given, scorer=BuiltinScorer.LOSS, aggregation=Aggregation.KINDS).loss == "6.000000"
    assert aggregate(given, scorer=BuiltinScorer.LOSS).loss == "8.000000"
