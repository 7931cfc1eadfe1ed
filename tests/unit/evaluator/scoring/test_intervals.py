"""Intervals of scores: Wilson's, with a width wherever the mean is."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitagent_evaluator.scoring.intervals import bounded_interval, stratified_interval

SCORES = st.lists(st.floats(0, 1), min_size=1, max_size=30)


@pytest.mark.parametrize(
    ("passed", "total", "low", "high"),
    [
        # Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
        pytest.param(81, 263, 0.2553, 0.3662, id="81 of 263"),
        pytest.param(15, 148, 0.0624, 0.1605, id="15 of 148"),
        pytest.param(0, 20, 0.0, 0.1611, id="none of 20"),
        pytest.param(1, 29, 0.0061, 0.1718, id="1 of 29"),
        pytest.param(40, 40, 0.9124, 1.0, id="all of 40"),
        pytest.param(1, 1, 0.2065, 1.0, id="one task"),
    ],
)
def test_passed_or_failed_tasks_have_wilsons_interval(passed: int, total: int, low: float, high: float) -> None:
    scores = [1.0] * passed + [0.0] * (total - passed)
    assert bounded_interval([scores]) == pytest.approx((low, high), abs=5e-5)


def test_partial_scores_that_vary_less_have_a_narrower_interval() -> None:
    """Of many scores it is as wide as the normal approximation says, and never without a width."""
    draw = random.Random(7)
    scores = [draw.uniform(0.6, 0.9) for _ in range(2000)]
    mean = math.fsum(scores) / len(scores)
    error = math.sqrt(math.fsum((score - mean) ** 2 for score in scores)) / len(scores)
    low, high = bounded_interval([scores])
    assert (low, high) == pytest.approx((mean - 1.96 * error, mean + 1.96 * error), abs=0.25 * error)
    low, high = bounded_interval([[0.3] * 50])
    assert 0.2 < low < 0.3 < high < 0.4


def test_strata_weigh_equally_and_their_widths_are_put_together() -> None:
    one, two = [1.0] * 10, [0.0] * 40
    (low_one, _), (_, high_two) = bounded_interval([one]), bounded_interval([two])
    assert bounded_interval([one, two]) == pytest.approx((0.5 - (1 - low_one) / 2, 0.5 + high_two / 2))
    assert bounded_interval([one, one]) == pytest.approx((1 - (1 - low_one) / math.sqrt(2), 1.0))


def test_differences_of_scores_reach_below_0() -> None:
    low, high = bounded_interval([[0.0] * 40], lowest=-1.0)
    assert low == -high and 0.05 < high < 0.1
    low, high = bounded_interval([[-1.0] * 40], lowest=-1.0)
    assert low == -1.0 and high == pytest.approx(-0.8248, abs=5e-5)


@settings(max_examples=60, deadline=None)
@given(st.lists(SCORES, min_size=1, max_size=4))
def test_the_mean_is_inside_and_the_bounds_are_scores(strata: list[list[float]]) -> None:
    low, high = bounded_interval(strata)
    mean = math.fsum(math.fsum(values) / len(values) for values in strata) / len(strata)
    assert 0.0 <= low <= mean + 1e-12 and mean - 1e-12 <= high <= 1.0
    assert high - low > 0.005


def test_losses_without_spread_have_no_width() -> None:
    assert stratified_interval([[2.5] * 9], seed="s") == (2.5, 2.5)
