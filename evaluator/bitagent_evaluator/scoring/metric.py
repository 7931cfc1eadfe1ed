"""Metrics: the value of one task, its mean, how both are shown, and how two models are compared by it.

A model is compared by a score (0 to 1, higher is better) or by a loss (nats per byte or per token, lower is better).
Code that averages, ranks, compares or shows results takes a `Metric` and needs no branch on the scorer's name.

The statistics behind it: intervals of a mean (`intervals`), and here McNemar's exact test and equal parts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TypeVar

from bitagent_crds.evaluation import Aggregation, BuiltinScorer, LossNormalization, LossParameters, ScorerName
from bitagent_crds.results import Verdict
from bitagent_evaluator.scoring.intervals import bounded_interval, stratified_interval

_Item = TypeVar("_Item")


def split_evenly(items: Sequence[_Item], count: int) -> list[Sequence[_Item]]:
    """Return the items, in order, in at most `count` parts of nearly equal size, none empty, the larger ones first."""
    count = min(count, len(items))
    size, larger = divmod(len(items), count) if count else (0, 0)
    starts = [part * size + min(part, larger) for part in range(count + 1)]
    return [items[start:end] for start, end in pairwise(starts)]


def mcnemar_p(only_first: int, only_second: int) -> float:
    """Return the two-sided p-value of McNemar's exact test for the numbers of tasks that one model alone passed.

    If the models are equal, each of these tasks falls to either side with probability one half. 1.0 without any.
    """
    trials = only_first + only_second
    ways = tail = 1  # of choosing k of the trials, and of at most k
    for k in range(1, min(only_first, only_second) + 1):
        ways = ways * (trials - k + 1) // k
        tail += ways
    return min(1.0, 2 * tail / (1 << trials))


@dataclass(frozen=True)
class Pair:
    """Results of two models, A and B, on the same task."""

    a: float
    """A's value of the metric."""
    b: float
    a_passed: bool
    b_passed: bool

    @property
    def differs(self) -> bool:
        """Whether the values or the verdicts differ."""
        return self.a != self.b or self.a_passed != self.b_passed


@dataclass(frozen=True)
class PairedTest:
    """A comparison of two models on the same tasks that looks at each task by itself."""

    columns: Mapping[str, str]
    """Heading of each number in a table, by the number's name in JSON."""
    run: Callable[[Sequence[Pair]], Mapping[str, float]]
    """Returns the numbers, named and ordered as `columns`; counts are integers."""


def _mcnemar(pairs: Sequence[Pair]) -> dict[str, float]:
    only_a = sum(pair.a_passed and not pair.b_passed for pair in pairs)
    only_b = sum(pair.b_passed and not pair.a_passed for pair in pairs)
    both = sum(pair.a_passed and pair.b_passed for pair in pairs)
    return {"only_a": only_a, "only_b": only_b, "both": both, "p_value": mcnemar_p(only_a, only_b)}


def _lower_counts(pairs: Sequence[Pair]) -> dict[str, float]:
    return {"lower_a": sum(pair.a < pair.b for pair in pairs), "lower_b": sum(pair.b < pair.a for pair in pairs)}


MCNEMAR = PairedTest({"only_a": "only A", "only_b": "only B", "both": "both", "p_value": "p"}, _mcnemar)
"""McNemar's exact test: tasks that one model alone passed, that both passed, and the two-sided p-value."""
LOWER_COUNTS = PairedTest({"lower_a": "A lower", "lower_b": "B lower"}, _lower_counts)
"""Number of tasks on which each model has the lower value; whether the means differ is left to their interval."""


@dataclass(frozen=True)
class Metric:
    """A number by which models are compared."""

    name: str
    """Name in JSON, such as `score` in `a_score`."""
    unit: str
    """Unit for a table or an axis; empty for a share."""
    items: str
    """Word for the things that are measured, in the plural."""
    higher_is_better: bool
    value_of: Callable[[Verdict], float]
    """Value of one task. Verdicts of results that were written before scores existed need `score` filled in first."""
    highest: float
    """Upper bound of a value, infinite if there is none; the lower one is 0."""
    score_of: Callable[[float], float]
    """Monotonic map from a mean value to a score from 0 to 1."""
    format_spec: str
    """Format of a value in a table."""
    paired_test: PairedTest
    ties_are_rare: bool
    """Whether two models seldom have equal values on a task, so that a list of tasks that differ is sorted by how
    much they differ."""

    def text(self, value: float) -> str:
        """Return a value for a table."""
        return format(value, self.format_spec)

    def difference_text(self, difference: float) -> str:
        """Return a difference of two values for a table, with its sign."""
        return format(difference, "+" + self.format_spec)

    def favours_first(self, difference: float) -> bool:
        """Return whether the difference of two values, the first minus the second, makes the first the better one."""
        return difference > 0 if self.higher_is_better else difference < 0

    def interval(self, strata: Sequence[Sequence[float]], seed: str) -> tuple[float, float]:
        """Return the 95 % interval of the mean of the means of at least one stratum of finite values."""
        if math.isinf(self.highest):
            return stratified_interval(strata, seed=seed)
        return bounded_interval(strata, highest=self.highest)

    def difference_interval(self, strata: Sequence[Sequence[float]], seed: str) -> tuple[float, float]:
        """Return the same for differences of two values, each of one task."""
        if math.isinf(self.highest):
            return stratified_interval(strata, seed=seed)
        return bounded_interval(strata, lowest=-self.highest, highest=self.highest)

    @property
    def is_loss(self) -> bool:
        """Whether the values are losses of reference texts, and not scores of answers."""
        return not self.higher_is_better

    def mean(self, verdicts: Sequence[Verdict], aggregation: Aggregation | None = None) -> Mean:
        """Return the mean over the tasks; all of them, or all kinds of them, weigh equally."""
        by_kind = aggregation is Aggregation.KINDS
        kinds = tuple(verdict.kind for verdict in verdicts) if by_kind else ()
        return Mean(self, [self.value_of(verdict) for verdict in verdicts], kinds)


@dataclass(frozen=True)
class Mean:
    """The mean of a metric over tasks."""

    metric: Metric
    values: Sequence[float]
    kinds: Sequence[str] = ()
    """Kind of the task of each value, if kinds weigh equally; empty if all tasks do."""

    @property
    def _strata(self) -> list[Sequence[float]]:
        """The values of each kind, in the order of the kinds' names."""
        if not self.kinds:
            return [self.values]
        pairs = list(zip(self.kinds, self.values, strict=True))
        return [[value for kind, value in pairs if kind == name] for name in sorted(set(self.kinds))]

    @property
    def value(self) -> float:
        """The mean; infinite if any value is, 0 without values."""
        if not self.values:
            return 0.0
        means = [math.fsum(values) / len(values) for values in self._strata]
        return math.fsum(means) / len(means)

    @property
    def score(self) -> float:
        """The mean as a score; 0 without values."""
        return self.metric.score_of(self.value) if self.values else 0.0

    def interval(self, seed: str) -> tuple[float, float] | None:
        """Return the 95 % interval of the mean; None without values or if one of them is infinite."""
        return self.metric.interval(self._strata, seed) if self._is_finite else None

    def difference_interval(self, seed: str) -> tuple[float, float] | None:
        """Return the same of a mean of differences."""
        return self.metric.difference_interval(self._strata, seed) if self._is_finite else None

    @property
    def _is_finite(self) -> bool:
        return bool(self.values) and all(map(math.isfinite, self.values))

    def score_interval(self, seed: str) -> tuple[float, float] | None:
        """Return the 95 % interval of the score; None where `interval` is."""
        bounds = self.interval(seed)
        if bounds is None:
            return None
        low, high = sorted(map(self.metric.score_of, bounds))
        return low, high


def _loss_of(verdict: Verdict) -> float:
    return math.inf if verdict.loss is None else verdict.loss


def score_of_loss(loss: float) -> float:
    """Return exp(-loss): the geometric mean of the probabilities that the model gives to the reference's bytes."""
    return math.exp(-loss)


SCORE = Metric(
    name="score",
    unit="",
    items="tasks",
    higher_is_better=True,
    value_of=lambda verdict: verdict.score,
    highest=1.0,
    score_of=float,
    format_spec=".1%",
    paired_test=MCNEMAR,
    ties_are_rare=False,
)
LOSS = Metric(
    name="loss",
    unit="nats per byte",
    items="samples",
    higher_is_better=False,
    value_of=_loss_of,
    highest=math.inf,
    score_of=score_of_loss,
    format_spec=".4f",
    paired_test=LOWER_COUNTS,
    ties_are_rare=True,
)
"""A task that could not be measured has an infinite loss."""
LOSS_PER_TOKEN = replace(LOSS, unit="nats per token")


def metric_of(scorer: ScorerName, loss: LossParameters | None = None) -> Metric:
    """Return the metric by which results of a scorer are compared: losses for Loss, scores for all others.

    `loss` has the parameters of scorer Loss, of which the unit follows.
    """
    if scorer != BuiltinScorer.LOSS:
        return SCORE
    return LOSS_PER_TOKEN if loss is not None and loss.normalization is LossNormalization.TOKEN else LOSS
