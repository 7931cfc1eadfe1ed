"""From verdicts to scores: means, and how sure they are."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from bitagent_crds.fields import score_text
from bitagent_crds.results import CategoryScore, Verdict
from bitagent_evaluator.scoring.bootstrap import interval


@dataclass(frozen=True)
class Aggregate:
    """Outcome of a model over all tasks."""

    passed: int
    total: int
    score: str
    """Mean of the tasks' scores, as the contract writes scores; "0.000000" when there was no task."""
    categories: dict[str, CategoryScore]
    """Outcome per category, sorted by name."""
    interval: tuple[str, str] | None = None
    """95 % confidence interval of `score`; None without a seed or without tasks."""


def aggregate(verdicts: Iterable[Verdict], *, seed: str | None = None) -> Aggregate:
    """Mean scores, overall and per category. Every task weighs the same.

    With `seed`, such as the task set's digest, every mean gets its 95 % bootstrap interval; equal verdicts and seeds give equal intervals.
    """
    by_category: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        by_category.setdefault(verdict.category, []).append(verdict)
    everything = [verdict for members in by_category.values() for verdict in members]
    categories = {name: _category(by_category[name], seed and f"{seed}/{name}") for name in sorted(by_category)}
    whole = _category(everything, seed)
    return Aggregate(
        passed=whole.passed, total=whole.total, score=whole.score, categories=categories, interval=whole.interval
    )


def _category(verdicts: list[Verdict], seed: str | None) -> CategoryScore:
    scores = [verdict.score for verdict in verdicts]
    return CategoryScore(
        passed=sum(verdict.passed for verdict in verdicts),
        total=len(verdicts),
        score=score_text(math.fsum(scores), len(scores)),
        interval=_as_text(interval(scores, seed=seed)) if seed and scores else None,
    )


def _as_text(bounds: tuple[float, float]) -> tuple[str, str]:
    low, high = (score_text(min(bound, 1.0), 1) for bound in bounds)
    return low, high
