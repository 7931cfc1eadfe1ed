"""A model's result: the verdicts on all tasks, summed up overall, per category and per kind of task."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from bitagent_crds.evaluation import Aggregation
from bitagent_crds.results import CategoryScore, Verdict
from bitagent_crds.task_set import Baseline
from bitagent_crds.texts import score_text
from bitagent_evaluator.scoring.metric import SCORE, Metric


@dataclass(frozen=True)
class Aggregate:
    """Result of a model over all tasks."""

    passed: int
    total: int
    score: str
    """The model's score in the contract's form; "0.000000" without tasks."""
    categories: dict[str, CategoryScore]
    """Result per category, sorted by name."""
    interval: tuple[str, str] | None = None
    """95 % confidence interval of `score`; None without a seed or without tasks."""
    loss: str | None = None
    """Mean loss of all tasks in the contract's form, with scorer Loss."""
    batch_losses: tuple[str, ...] = ()
    """Mean losses of the parts of the tasks, in order, with scorer Loss."""
    leaderboard: Mapping[str, str] = field(default_factory=dict)
    """Columns of BFCL's leaderboard, as far as the tasks have their categories, with scorer Bfcl."""
    kinds: Mapping[str, CategoryScore] = field(default_factory=dict)
    """Result per kind of task, sorted by name, if `score` is the mean over kinds."""
    baseline: Baseline | None = None
    """Score of the best constant answer to the same tasks; None if it was not computed."""

    @property
    def in_words(self) -> str:
        """The result as a short phrase, for a message."""
        if self.loss is not None:
            return f"mean loss {self.loss}, {self.passed} of {self.total} tasks measured"
        return f"{self.passed} of {self.total} tasks passed"


def summarise(
    verdicts: Iterable[Verdict],
    *,
    seed: str | None,
    metric: Metric = SCORE,
    aggregation: Aggregation = Aggregation.MEAN,
) -> Aggregate:
    """Return the result overall and per category, and per kind of task if kinds weigh equally.

    With `seed`, such as the task set's digest, every score gets its 95 % interval; equal verdicts and seeds give equal
    intervals.
    """
    by_category: dict[str, list[Verdict]] = {}
    by_kind: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        by_category.setdefault(verdict.category, []).append(verdict)
        if aggregation is Aggregation.KINDS:
            by_kind.setdefault(verdict.kind, []).append(verdict)
    everything = [verdict for members in by_category.values() for verdict in members]
    categories = {name: _entry(by_category[name], metric, seed and f"{seed}/{name}") for name in sorted(by_category)}
    whole = _entry(everything, metric, seed, aggregation)
    return Aggregate(
        passed=whole.passed,
        total=whole.total,
        score=whole.score,
        categories=categories,
        interval=whole.interval,
        kinds={name: _entry(by_kind[name], metric, seed and f"{seed}/kind/{name}") for name in sorted(by_kind)},
    )


def _entry(
    verdicts: Sequence[Verdict], metric: Metric, seed: str | None, aggregation: Aggregation = Aggregation.MEAN
) -> CategoryScore:
    mean = metric.mean(verdicts, aggregation)
    bounds = mean.score_interval(seed) if seed else None
    return CategoryScore(
        passed=sum(verdict.passed for verdict in verdicts),
        total=len(verdicts),
        score=score_text(mean.score, 1),
        interval=bounds and (_bound_text(bounds[0]), _bound_text(bounds[1])),
    )


def _bound_text(bound: float) -> str:
    return score_text(min(bound, 1.0), 1)
