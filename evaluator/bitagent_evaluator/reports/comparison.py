"""Comparison of models: the order of several by rank, and of two task by task. Pure.

Two models are compared by the metric of their scorer, and in pairs: each task is answered by both models, so that tasks
of different difficulty do not blur the difference. Far fewer tasks tell two models apart in this way than with two
separate intervals.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from bitagent_crds.evaluation import Aggregation, LossNormalization, LossParameters
from bitagent_crds.ranking import Scored, ranks
from bitagent_crds.results import Verdict
from bitagent_crds.task_set import Baseline
from bitagent_evaluator.reports.results import Results, ResultsError
from bitagent_evaluator.scoring.metric import Mean, Metric, Pair, metric_of

MIN_DIFFERING = 6
"""Least number of differing tasks for a finding: with fewer, no exact two-sided test reaches 5 % (2 / 2**6 is the first
value below it), whatever an interval says."""

_Model = TypeVar("_Model")


class ComparisonFinding(StrEnum):
    """What a comparison shows, in words."""

    A_BETTER = "A is better"
    B_BETTER = "B is better"
    NO_DIFFERENCE = "no difference shown"


@dataclass(frozen=True)
class ComparedTask:
    """One task with the results of both models."""

    id: str
    category: str
    pair: Pair


@dataclass(frozen=True)
class Contrast:
    """A and B over some tasks."""

    total: int
    a: float
    """A's mean."""
    b: float
    difference: float
    """`a - b`; 0 if both are infinite."""
    interval: tuple[float, float] | None
    """95 % confidence interval of the mean of the tasks' differences; None if a value is infinite."""
    test: Mapping[str, float]
    """Numbers of the metric's paired test, by name."""


@dataclass(frozen=True)
class Comparison:
    """Outcome of a comparison."""

    metric: Metric
    finding: ComparisonFinding
    overall: Contrast
    categories: Mapping[str, Contrast]
    """By category, sorted by name. With many categories it is likely that one of them seems to differ."""
    batches: tuple[int, int] | None
    """Batches whose mean is better for A, and for B; None if the metric has no batches."""
    differing: Sequence[ComparedTask]
    """In the order of the tasks, or the largest difference first if ties are rare with the metric."""
    baseline: Baseline | None = None
    """Score of the best constant answer to the same tasks; None if neither result has it."""

    def to_json(self) -> dict[str, Any]:
        """Return the comparison for JSON, with the metric's name in the names of its values."""
        batches = {} if self.batches is None else {"batches_a": self.batches[0], "batches_b": self.batches[1]}
        return {
            "finding": self.finding,
            "overall": self._contrast_json(self.overall),
            "categories": {name: self._contrast_json(contrast) for name, contrast in self.categories.items()},
            **batches,
            **({} if self.baseline is None else {"baseline": self.baseline.score}),
            "differing": [self._task_json(task) for task in self.differing],
        }

    def _contrast_json(self, contrast: Contrast) -> dict[str, Any]:
        return {
            "total": contrast.total,
            f"a_{self.metric.name}": contrast.a,
            f"b_{self.metric.name}": contrast.b,
            "difference": contrast.difference,
            "interval": contrast.interval,
            **contrast.test,
        }

    def _task_json(self, task: ComparedTask) -> dict[str, Any]:
        pair, name = task.pair, self.metric.name
        passed = {} if self.metric.ties_are_rare else {"a_passed": pair.a_passed, "b_passed": pair.b_passed}
        return {"id": task.id, "category": task.category, f"a_{name}": pair.a, f"b_{name}": pair.b, **passed}


def by_rank(
    models: Sequence[_Model], *, result: Callable[[_Model], Scored], name: Callable[[_Model], str]
) -> list[tuple[int | None, _Model]]:
    """Return the models with their ranks, the best first; equal ranks by name, models without a score last."""
    ranked = zip(ranks([result(model) for model in models]), models, strict=True)
    return sorted(ranked, key=lambda entry: (entry[0] is None, entry[0] or 0, name(entry[1])))


def compare(a: Results, b: Results) -> Comparison:
    """Compare two results. Raises ResultsError if they are not about the same tasks under the same rules."""
    _check_comparable(a, b)
    metric, seed = metric_of(a.manifest.scorer, a.manifest.loss_parameters), a.manifest.task_set_digest
    of_b = {verdict.id: verdict for verdict in b.verdicts}
    tasks = [
        ComparedTask(verdict.id, verdict.category, _pair(metric, verdict, of_b[verdict.id])) for verdict in a.verdicts
    ]
    by_category: dict[str, list[Pair]] = {}
    for task in tasks:
        by_category.setdefault(task.category, []).append(task.pair)
    differing = [task for task in tasks if task.pair.differs]
    if metric.ties_are_rare:
        differing.sort(key=lambda task: abs(task.pair.a - task.pair.b), reverse=True)
    kinds = [verdict.kind for verdict in a.verdicts] if a.manifest.aggregate is Aggregation.KINDS else []
    overall = _contrast(metric, [task.pair for task in tasks], seed, kinds)
    return Comparison(
        metric=metric,
        finding=_finding(metric, overall, len(differing)),
        overall=overall,
        categories={name: _contrast(metric, by_category[name], seed) for name in sorted(by_category)},
        batches=_better_batches(metric, a.manifest.batch_losses, b.manifest.batch_losses),
        differing=differing,
        baseline=a.manifest.baseline or b.manifest.baseline,
    )


def _check_comparable(a: Results, b: Results) -> None:
    one, other = a.manifest, b.manifest
    if one.task_set_digest != other.task_set_digest:
        raise ResultsError(
            f"{a.directory} and {b.directory} are about different task sets ({one.task_set_digest}, "
            f"{other.task_set_digest}); run both models on one"
        )
    if one.scorer != other.scorer:
        raise ResultsError(
            f"{a.directory} was judged by {one.scorer}, {b.directory} by {other.scorer}; judge both by one scorer"
        )
    if {verdict.id for verdict in a.verdicts} != {verdict.id for verdict in b.verdicts}:
        raise ResultsError(f"{a.directory} and {b.directory} name one task set, but have verdicts on different tasks")
    if (one.aggregate or Aggregation.MEAN) != (other.aggregate or Aggregation.MEAN):
        raise ResultsError(
            f"in one of {a.directory} and {b.directory} kinds of tasks weigh equally; run both models alike"
        )
    measured = [_measured(of) for of in (one.loss_parameters, other.loss_parameters) if of is not None]
    if len(set(measured)) > 1:  # losses in different units, or of texts that were cut in different places
        raise ResultsError(
            f"{a.directory} measured losses {measured[0]}, {b.directory} {measured[1]}; measure both alike"
        )


def _measured(loss: LossParameters) -> str:
    """Return how losses were measured, as a phrase with the options of the command line."""
    settled = loss.settled()
    if settled.normalization is LossNormalization.BYTE:
        return f"per byte up to --reference-bytes {settled.reference_bytes}"
    return f"per token up to --sequence-length {settled.sequence_length}"


def _pair(metric: Metric, a: Verdict, b: Verdict) -> Pair:
    return Pair(metric.value_of(a), metric.value_of(b), a_passed=a.passed, b_passed=b.passed)


def _contrast(metric: Metric, pairs: Sequence[Pair], seed: str, kinds: Sequence[str] = ()) -> Contrast:
    a = Mean(metric, [pair.a for pair in pairs], kinds).value
    b = Mean(metric, [pair.b for pair in pairs], kinds).value
    return Contrast(
        total=len(pairs),
        a=a,
        b=b,
        difference=0.0 if a == b else a - b,
        interval=Mean(metric, [pair.a - pair.b for pair in pairs], kinds).difference_interval(seed),
        test=metric.paired_test.run(pairs),
    )


def _better_batches(metric: Metric, a: Sequence[str], b: Sequence[str]) -> tuple[int, int] | None:
    if not a and not b:
        return None
    means = [(float(one), float(other)) for one, other in zip(a, b, strict=False)]
    return (
        sum(metric.favours_first(one - other) for one, other in means),
        sum(metric.favours_first(other - one) for one, other in means),
    )


def _finding(metric: Metric, overall: Contrast, differing: int) -> ComparisonFinding:
    low, high = overall.interval or (overall.difference, overall.difference)
    if low <= 0.0 <= high or (overall.interval and differing < MIN_DIFFERING):
        return ComparisonFinding.NO_DIFFERENCE
    return ComparisonFinding.A_BETTER if metric.favours_first(low) else ComparisonFinding.B_BETTER
