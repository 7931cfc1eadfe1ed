"""Rows of a report: a result overall, in a category, or of one kind of tasks. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bitagent_crds.results import CategoryScore, ResultsManifest, Verdict
from bitagent_crds.texts import loss_text
from bitagent_evaluator.reports.results import Results
from bitagent_evaluator.reports.task_list import visible
from bitagent_evaluator.scoring.metric import Metric


@dataclass(frozen=True)
class Row:
    """A result overall or in one category."""

    name: str
    passed: int
    total: int
    score: float
    score_interval: tuple[float, float] | None
    value: str
    """The metric's mean."""
    interval: str
    """95 % confidence interval of the mean; empty if there is none."""


def overall_row(results: Results, metric: Metric, name: str) -> Row:
    """Return a model's result on all tasks, under this name."""
    manifest = results.manifest
    return _row(name, manifest, results.verdicts, metric, seed=manifest.task_set_digest)


def fault_row(name: str) -> Row:
    """Return the row of a model at fault."""
    return Row(visible(name), passed=0, total=0, score=0.0, score_interval=None, value=percent(0.0), interval="")


def category_rows(results: Results, metric: Metric) -> list[Row]:
    """Return a row for each category."""
    return _rows(results, metric, results.manifest.categories, lambda verdict: verdict.category)


def kind_rows(results: Results, metric: Metric) -> list[Row]:
    """Return a row for each kind of tasks, if they weigh equally in the score."""
    return _rows(results, metric, results.manifest.kinds, lambda verdict: verdict.kind, prefix="kind/")


def percent(share: float) -> str:
    """Return a share as a percentage."""
    return f"{100 * share:.1f} %"


def _row(
    name: str, entry: CategoryScore | ResultsManifest, verdicts: Sequence[Verdict], metric: Metric, *, seed: str
) -> Row:
    """Return a row: its counts as recorded, mean and interval from the verdicts.

    Manifests of earlier versions have intervals by another rule.
    """
    mean = metric.mean(verdicts, entry.aggregate if isinstance(entry, ResultsManifest) else None)
    interval = mean.interval(seed)
    return Row(
        name=visible(name),
        passed=entry.passed,
        total=entry.total,
        score=mean.score,
        score_interval=mean.score_interval(seed),
        value=loss_text(mean.value) if metric.is_loss else percent(mean.value),
        interval=" to ".join(f"{of:.3f}" if metric.is_loss else f"{100 * of:.1f}" for of in interval or ()),
    )


def _rows(
    results: Results,
    metric: Metric,
    entries: Mapping[str, CategoryScore],
    group_of: Callable[[Verdict], str],
    *,
    prefix: str = "",
) -> list[Row]:
    """Return a row for each group of verdicts; `prefix` sets the seeds of two groupings apart."""
    verdicts: dict[str, list[Verdict]] = {}
    for verdict in results.verdicts:
        verdicts.setdefault(group_of(verdict), []).append(verdict)
    seed = results.manifest.task_set_digest
    return [_row(name, entry, verdicts[name], metric, seed=f"{seed}/{prefix}{name}") for name, entry in entries.items()]
