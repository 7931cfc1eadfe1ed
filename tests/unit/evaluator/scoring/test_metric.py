"""Metrics: values, means, how they are shown, and paired tests."""

from __future__ import annotations

import math

import pytest

from bitagent_crds.evaluation import BuiltinScorer, LossNormalization, LossParameters
from bitagent_crds.results import Verdict
from bitagent_evaluator.scoring.metric import LOSS, LOWER_COUNTS, MCNEMAR, SCORE, Mean, Metric, Pair, metric_of


def verdict(score: float, loss: float | None = None) -> Verdict:
    return Verdict(id="t", category="c", passed=score == 1.0, score=score, loss=loss)


@pytest.mark.parametrize("scorer", [*BuiltinScorer, "OfSomePackage"])
def test_only_losses_are_compared_by_losses(scorer: str) -> None:
    assert metric_of(scorer) is (LOSS if scorer == BuiltinScorer.LOSS else SCORE)


def test_the_unit_of_losses_is_that_of_their_normalization() -> None:
    per_token = metric_of(BuiltinScorer.LOSS, LossParameters(normalization=LossNormalization.TOKEN))
    per_byte = metric_of(BuiltinScorer.LOSS, LossParameters())
    assert (per_byte.unit, per_token.unit) == ("nats per byte", "nats per token")
    assert per_byte.is_loss and per_token.is_loss and not SCORE.is_loss


def test_kinds_weigh_equally_in_a_mean() -> None:
    values, kinds = [1.0, 0.0, 0.0, 0.0, 1.0], ["a", "a", "a", "a", "b"]
    assert Mean(SCORE, values, kinds).value == (0.25 + 1.0) / 2
    assert Mean(SCORE, values).value == 0.4
    assert Mean(LOSS, [1.0, math.inf], ["a", "b"]).value == math.inf


@pytest.mark.parametrize(
    ("metric", "value", "text", "difference"),
    [
        (SCORE, 0.7254, "72.5%", "+72.5%"),
        (SCORE, 0.0, "0.0%", "+0.0%"),
        (LOSS, 1.23456, "1.2346", "+1.2346"),
        (LOSS, math.inf, "inf", "+inf"),
    ],
)
def test_text(metric: Metric, value: float, text: str, difference: str) -> None:
    assert (metric.text(value), metric.difference_text(value)) == (text, difference)


def test_which_direction_is_better() -> None:
    assert SCORE.favours_first(0.1) and not SCORE.favours_first(-0.1)
    assert LOSS.favours_first(-0.1) and not LOSS.favours_first(0.1)
    assert not SCORE.favours_first(0.0) and not LOSS.favours_first(0.0)


def test_value_of_a_task() -> None:
    assert [SCORE.value_of(verdict(0.25)), LOSS.value_of(verdict(0.5, 0.7))] == [0.25, 0.7]
    assert LOSS.value_of(verdict(0.0)) == math.inf


def test_mean_of_scores_is_the_score() -> None:
    mean = SCORE.mean([verdict(1.0), verdict(0.5)])
    assert (mean.value, mean.score) == (0.75, 0.75)


def test_mean_loss_decides_and_not_the_mean_score() -> None:
    mean = LOSS.mean([verdict(1.0, 0.0), verdict(math.exp(-2), 2.0)])
    assert (mean.value, mean.score) == (1.0, math.exp(-1))


@pytest.mark.parametrize("metric", [SCORE, LOSS])
def test_without_values_the_score_is_0_and_has_no_interval(metric: Metric) -> None:
    mean = metric.mean([])
    assert (mean.value, mean.score, mean.interval("s"), mean.score_interval("s")) == (0.0, 0.0, None, None)


def test_an_infinite_loss_leaves_no_interval() -> None:
    mean = LOSS.mean([verdict(0.5, 0.7), verdict(0.0, math.inf)])
    assert (mean.value, mean.score, mean.interval("s"), mean.score_interval("s")) == (math.inf, 0.0, None, None)


def test_interval_of_a_loss_is_that_of_its_mean_and_turns_round_as_a_score() -> None:
    mean = Mean(LOSS, [0.1 * (i % 10) for i in range(200)])
    bounds, of_score = mean.interval("s"), mean.score_interval("s")
    assert bounds is not None and of_score is not None
    assert bounds[0] < mean.value < bounds[1]
    assert of_score == (math.exp(-bounds[1]), math.exp(-bounds[0]))


PAIRS = [Pair(1.0, 0.0, True, False)] * 6 + [Pair(0.5, 0.2, False, False), Pair(1.0, 1.0, True, True)]


def test_mcnemar_counts_who_passed() -> None:
    assert MCNEMAR.run(PAIRS) == {"only_a": 6, "only_b": 0, "both": 1, "p_value": 0.03125}


def test_lower_counts_compare_values() -> None:
    pairs = [*PAIRS, Pair(1.0, math.inf, True, False), Pair(math.inf, math.inf, False, False)]
    assert LOWER_COUNTS.run(pairs) == {"lower_a": 1, "lower_b": 7}


@pytest.mark.parametrize("metric", [SCORE, LOSS])
def test_every_number_of_a_paired_test_has_a_heading(metric: Metric) -> None:
    assert list(metric.paired_test.run(PAIRS)) == list(metric.paired_test.columns)


@pytest.mark.parametrize(
    ("pair", "differs"),
    [
        (Pair(1.0, 1.0, True, True), False),
        (Pair(0.5, 0.2, False, False), True),
        (Pair(1.0, 1.0, True, False), True),
        (Pair(math.inf, math.inf, False, False), False),
    ],
)
def test_a_pair_differs_in_value_or_verdict(pair: Pair, differs: bool) -> None:
    assert pair.differs is differs
