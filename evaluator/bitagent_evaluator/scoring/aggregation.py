"""Counting verdicts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bitagent_crds.fields import score_text
from bitagent_crds.results import CategoryScore, Verdict


@dataclass(frozen=True)
class Aggregate:
    """Outcome of a model over all tasks."""

    passed: int
    total: int
    score: str
    """Fraction of tasks passed, as the contract writes scores; "0.000000" when there was no task."""
    categories: dict[str, CategoryScore]
    """Outcome per category, sorted by name."""


def aggregate(verdicts: Iterable[Verdict]) -> Aggregate:
    """Count verdicts, overall and per category. Every task weighs the same."""
    passed: dict[str, int] = {}
    total: dict[str, int] = {}
    for verdict in verdicts:
        total[verdict.category] = total.get(verdict.category, 0) + 1
        passed[verdict.category] = passed.get(verdict.category, 0) + verdict.passed
    return Aggregate(
        passed=sum(passed.values()),
        total=sum(total.values()),
        score=score_text(sum(passed.values()), sum(total.values())),
        categories={name: CategoryScore(passed=passed[name], total=total[name]) for name in sorted(total)},
    )
