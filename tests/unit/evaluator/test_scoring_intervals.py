"""Means and their bootstrap intervals."""

from __future__ import annotations

import math
import random
import time

import pytest

from bitagent_crds.results import Verdict
from bitagent_evaluator.scoring import aggregate
from bitagent_evaluator.scoring.bootstrap import interval


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


@pytest.mark.parametrize("scale", [1, 1000], ids=["few values", "many values"])
def test_the_interval_is_as_wide_as_theory_says(scale: int) -> None:
    """For 2,000 tasks the normal approximation holds: mean plus and minus 1.96 standard errors."""
    draw = random.Random(7)
    scores = [draw.randint(0, scale) / scale for _ in range(2000)]
    mean = math.fsum(scores) / len(scores)
    error = math.sqrt(math.fsum((score - mean) ** 2 for score in scores)) / len(scores)
    low, high = interval(scores, seed="sha256:x")
    assert low == pytest.approx(mean - 1.96 * error, abs=0.15 * error)
    assert high == pytest.approx(mean + 1.96 * error, abs=0.15 * error)


@pytest.mark.parametrize("scores", [[1.0], [0.3] * 50], ids=["one task", "equal scores"])
def test_without_spread_the_interval_is_the_mean(scores: list[float]) -> None:
    assert interval(scores, seed="s") == pytest.approx((scores[0], scores[0]))


def test_the_seed_and_the_values_decide_and_not_their_order() -> None:
    draw = random.Random(1)
    scores = [draw.random() for _ in range(500)]
    again = sorted(scores)
    assert interval(scores, seed="s") == interval(again, seed="s")
    assert interval(scores, seed="s") != interval(scores, seed="t")


def test_categories_have_intervals_of_their_own() -> None:
    outcome = aggregate(verdicts([float(i % 13 < 6) for i in range(1300)]), seed="s")
    assert outcome.categories["c0"].interval == ("1.000000", "1.000000")
    assert outcome.categories["c12"].interval == ("0.000000", "0.000000")
    assert outcome.interval is not None
    assert outcome.interval[0] < outcome.score < outcome.interval[1]


def test_nothing_has_no_interval() -> None:
    assert aggregate([], seed="s").interval is None


@pytest.mark.parametrize("distinct", [1, 40, 10**6], ids=["binary", "fractions", "continuous"])
def test_five_thousand_tasks_take_no_time(distinct: int) -> None:
    """A tenth of a second on an idle core; the bound leaves room for a busy one."""
    draw = random.Random(3)
    judged = verdicts([draw.randint(0, distinct) / distinct for _ in range(5000)])
    started = time.process_time()
    aggregate(judged, seed="s")
    assert time.process_time() - started < 1.0
