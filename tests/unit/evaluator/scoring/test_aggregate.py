"""Results over all tasks: scores, counts, and their bootstrap intervals."""

from __future__ import annotations

import random
import time

import pytest

from bitagent_crds.results import CategoryScore, Verdict
from bitagent_evaluator.scoring.scorers import aggregate


def verdicts(scores: list[float]) -> list[Verdict]:
    return [
        Verdict(id=str(i), category=f"c{i % 13}", passed=score == 1.0, score=score) for i, score in enumerate(scores)
    ]


def test_the_score_is_the_mean_and_passed_counts_whole_tasks() -> None:
    outcome = aggregate(verdicts([1.0, 0.7, 0.0, 0.25]))
    assert (outcome.passed, outcome.total, outcome.score, outcome.interval) == (1, 4, "0.487500", None)
    assert outcome.categories["c1"].score == "0.700000"
    assert outcome.categories["c1"].interval is None


@pytest.mark.parametrize("passed", [0, 1, 333, 999, 1000])
def test_a_score_of_ones_and_zeros_is_the_fraction_passed(passed: int) -> None:
    assert aggregate(verdicts([1.0] * passed + [0.0] * (1000 - passed))).score == f"{passed / 1000:.6f}"


def test_categories_have_intervals_of_their_own() -> None:
    outcome = aggregate(verdicts([float(i % 13 < 6) for i in range(1300)]), seed="s")
    assert outcome.categories["c0"].interval == ("0.963007", "1.000000")
    assert outcome.categories["c12"].interval == ("0.000000", "0.036993")
    assert outcome.interval is not None
    assert outcome.interval[0] < outcome.score < outcome.interval[1]


def test_nothing_has_no_interval() -> None:
    assert aggregate([], seed="s").interval is None


@pytest.mark.parametrize("distinct", [1, 40, 10**6], ids=["binary", "fractions", "continuous"])
def test_five_thousand_tasks_take_no_time(distinct: int) -> None:
    """A tenth of a second on an idle core; the bound leaves room for a busy one."""
    draw = random.Random(3)
    judged = verdicts([draw.randint(0, distinct) / distinct for _ in range(5000)])
    started = time.thread_time()
    aggregate(judged, seed="s")
    assert time.thread_time() - started < 20


def verdict(category: str, passed: bool) -> Verdict:
    return Verdict(id="x", category=category, passed=passed, score=float(passed))


def test_aggregate_counts_by_category() -> None:
    outcome = aggregate([verdict("b", True), verdict("a", False), verdict("b", False)])
    assert (outcome.passed, outcome.total, outcome.score) == (1, 3, "0.333333")
    assert list(outcome.categories.items()) == [
        ("a", CategoryScore(passed=0, total=1)),
        ("b", CategoryScore(passed=1, total=2, score="0.500000")),
    ]


def test_aggregate_of_nothing_is_zero() -> None:
    assert aggregate([]).score == "0.000000"
