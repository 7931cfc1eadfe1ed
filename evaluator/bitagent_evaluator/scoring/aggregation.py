"""From verdicts to scores: means, and how sure they are.

A model's score is the mean of its tasks' scores, unless the scorer has an `aggregate` of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, runtime_checkable

from bitagent_crds.evaluation import LossParameters
from bitagent_crds.evaluation import Scorer as ScorerName
from bitagent_crds.fields import score_text
from bitagent_crds.results import CategoryScore, Verdict
from bitagent_evaluator.scoring.leaderboard import columns
from bitagent_evaluator.scoring.mean import Mean
from bitagent_evaluator.scoring.scorer import scorer as made


@dataclass(frozen=True)
class Aggregate:
    """Outcome of a model over all tasks."""

    passed: int
    total: int
    score: str
    """The model's score, as the contract writes scores; "0.000000" when there was no task."""
    categories: dict[str, CategoryScore]
    """Outcome per category, sorted by name."""
    interval: tuple[str, str] | None = None
    """95 % confidence interval of `score`; None without a seed or without tasks."""
    loss: str | None = None
    """Mean loss of all tasks, as the contract writes losses, with scorer Loss."""
    batch_losses: tuple[str, ...] = ()
    """Mean losses of the parts of the tasks, in order, with scorer Loss."""
    leaderboard: Mapping[str, str] = field(default_factory=dict)
    """Columns as BFCL's leaderboard computes them, those whose categories were asked, with scorer Bfcl."""

    @property
    def in_words(self) -> str:
        """What came out, for people."""
        if self.loss is not None:
            return f"mean loss {self.loss}, {self.passed} of {self.total} tasks measured"
        return f"{self.passed} of {self.total} tasks passed"


@runtime_checkable
class Aggregating(Protocol):
    """A scorer that says itself what its verdicts come to."""

    def aggregate(self, verdicts: Sequence[Verdict], *, seed: str | None, loss: LossParameters) -> Aggregate:
        """The outcome over `verdicts`, which are in the order of the tasks."""
        ...


def aggregate(
    verdicts: Iterable[Verdict],
    *,
    seed: str | None = None,
    scorer: str = ScorerName.BFCL,
    loss: LossParameters | None = None,
) -> Aggregate:
    """The score, overall and per category, of verdicts of `scorer` in the order of the tasks. `loss` is for scorer Loss.

    With `seed`, such as the task set's digest, every score gets its 95 % bootstrap interval; equal verdicts and seeds give equal intervals.
    """
    judge = made(scorer)
    if isinstance(judge, Aggregating):
        return judge.aggregate(list(verdicts), seed=seed, loss=loss or LossParameters())
    total = summarise(verdicts, seed=seed)
    return replace(total, leaderboard=columns(total.categories)) if scorer == ScorerName.BFCL else total


def mean_score(verdicts: Sequence[Verdict]) -> Mean:
    """The mean of the tasks' scores."""
    return Mean([verdict.score for verdict in verdicts])


def summarise(
    verdicts: Iterable[Verdict], *, seed: str | None, mean: Callable[[Sequence[Verdict]], Mean] = mean_score
) -> Aggregate:
    """The outcome, overall and per category, by one kind of mean."""
    by_category: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        by_category.setdefault(verdict.category, []).append(verdict)
    everything = [verdict for members in by_category.values() for verdict in members]
    categories = {name: _category(by_category[name], mean, seed and f"{seed}/{name}") for name in sorted(by_category)}
    whole = _category(everything, mean, seed)
    return Aggregate(
        passed=whole.passed, total=whole.total, score=whole.score, categories=categories, interval=whole.interval
    )


def _category(
    verdicts: Sequence[Verdict], mean: Callable[[Sequence[Verdict]], Mean], seed: str | None
) -> CategoryScore:
    outcome = mean(verdicts)
    bounds = outcome.interval(seed) if seed else None
    return CategoryScore(
        passed=sum(verdict.passed for verdict in verdicts),
        total=len(verdicts),
        score=score_text(outcome.score, 1),
        interval=bounds and (_as_text(bounds[0]), _as_text(bounds[1])),
    )


def _as_text(bound: float) -> str:
    return score_text(min(bound, 1.0), 1)
