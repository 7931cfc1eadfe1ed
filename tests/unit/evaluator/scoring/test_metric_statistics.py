"""Bootstrap intervals, McNemar's test, equal parts."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitagent_evaluator.scoring.intervals import stratified_interval
from bitagent_evaluator.scoring.metric import mcnemar_p, split_evenly


@pytest.mark.parametrize("scale", [1, 1000], ids=["few values", "many values"])
def test_the_interval_is_as_wide_as_theory_says(scale: int) -> None:
    """For 2,000 tasks the normal approximation holds: mean plus and minus 1.96 standard errors."""
    draw = random.Random(7)
    scores = [draw.randint(0, scale) / scale for _ in range(2000)]
    mean = math.fsum(scores) / len(scores)
    error = math.sqrt(math.fsum((score - mean) ** 2 for score in scores)) / len(scores)
    low, high = stratified_interval([scores], seed="sha256:x")
    assert low == pytest.approx(mean - 1.96 * error, abs=0.15 * error)
    assert high == pytest.approx(mean + 1.96 * error, abs=0.15 * error)


@pytest.mark.parametrize("scores", [[1.0], [0.3] * 50], ids=["one task", "equal scores"])
def test_without_spread_the_interval_is_the_mean(scores: list[float]) -> None:
    assert stratified_interval([scores], seed="s") == pytest.approx((scores[0], scores[0]))


def test_the_seed_and_the_values_decide_and_not_their_order() -> None:
    draw = random.Random(1)
    scores = [draw.random() for _ in range(500)]
    again = sorted(scores)
    assert stratified_interval([scores], seed="s") == stratified_interval([again], seed="s")
    assert stratified_interval([scores], seed="s") != stratified_interval([scores], seed="t")


@pytest.mark.parametrize(
    ("only_first", "only_second", "p"),
    [
        (0, 0, 1.0),
        (1, 0, 1.0),
        (5, 5, 1.0),
        (6, 0, 0.03125),
        (8, 1, 0.0390625),
        (1, 8, 0.0390625),
        (15, 5, 0.04138946533203125),
    ],
)
def test_mcnemar_is_the_exact_binomial_test(only_first: int, only_second: int, p: float) -> None:
    assert mcnemar_p(only_first, only_second) == pytest.approx(p, rel=1e-12)


@given(st.integers(0, 1000), st.integers(0, 1000))
def test_mcnemar_is_a_probability_and_symmetric(first: int, second: int) -> None:
    assert 0.0 <= mcnemar_p(first, second) == mcnemar_p(second, first) <= 1.0


def test_mcnemar_of_a_large_task_set() -> None:
    assert mcnemar_p(20_000, 19_000) == pytest.approx(4.2e-7, rel=0.05)  # the normal approximation: z = 5.06


@given(st.integers(0, 50), st.integers(1, 32))
def test_parts_are_nearly_equal_and_lose_nothing(size: int, count: int) -> None:
    items = list(range(size))
    found = split_evenly(items, count)
    assert [item for part in found for item in part] == items
    assert len(found) == min(count, size)
    assert not found or (max(map(len, found)) - min(map(len, found)) <= 1 and min(map(len, found)) > 0)
