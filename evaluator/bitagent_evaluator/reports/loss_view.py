"""What a page says about a model whose losses were measured, as plain data. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bitagent_crds.fields import loss_text
from bitagent_crds.results import Task, Verdict
from bitagent_evaluator.reports.failures import Message, messages_of, visible
from bitagent_evaluator.reports.loss_plot import loss_histogram
from bitagent_evaluator.reports.plots import Figure
from bitagent_evaluator.reports.reading import Results
from bitagent_evaluator.scoring.bootstrap import interval
from bitagent_evaluator.scoring.loss import loss_of, mean_loss


@dataclass(frozen=True)
class LossRow:
    """The mean loss of some samples."""

    name: str
    samples: int
    measured: int
    """Samples whose loss is finite."""
    loss: str
    interval: tuple[float, float] | None
    """95 % confidence interval of the mean, by bootstrap over the samples; None where a loss is infinite."""


@dataclass(frozen=True)
class Sample:
    """One sample and its loss."""

    id: str
    category: str
    loss: str
    tokens: int | None
    """Tokens that the loss is the mean over; None when nothing was measured."""
    detail: str
    messages: Sequence[Message] | None
    """None when the tasks were not given."""
    reference: str


@dataclass(frozen=True)
class Losses:
    """All about one model's losses."""

    overall: LossRow
    categories: Sequence[LossRow]
    batches: Sequence[str]
    figure: Figure | None
    """How often which loss; None when none is finite."""
    worst: Sequence[Sample]
    """Samples with the highest losses, highest first."""


def losses_of(results: Results, tasks: Mapping[str, Task] | None, *, limit: int) -> Losses:
    """The losses of results of scorer Loss; `limit` bounds the samples shown."""
    by_category: dict[str, list[Verdict]] = {}
    for verdict in results.verdicts:
        by_category.setdefault(verdict.category, []).append(verdict)
    seed = results.manifest.task_set_digest
    ordered = sorted(results.verdicts, key=loss_of, reverse=True)
    finite = [loss for verdict in results.verdicts if math.isfinite(loss := loss_of(verdict))]
    return Losses(
        overall=_row("all", results.verdicts, seed),
        categories=[_row(name, by_category[name], f"{seed}/{name}") for name in sorted(by_category)],
        batches=results.manifest.batch_losses,
        figure=loss_histogram(finite),
        worst=[_sample(verdict, results, tasks) for verdict in ordered[:limit]],
    )


def _row(name: str, verdicts: Sequence[Verdict], seed: str) -> LossRow:
    mean = mean_loss(verdicts)
    return LossRow(
        name=visible(name),
        samples=len(verdicts),
        measured=sum(verdict.passed for verdict in verdicts),
        loss=loss_text(mean.value),
        interval=interval(mean.values, seed=seed) if verdicts and math.isfinite(mean.value) else None,
    )


def _sample(verdict: Verdict, results: Results, tasks: Mapping[str, Task] | None) -> Sample:
    response = results.responses.get(verdict.id)
    task = tasks[verdict.id] if tasks is not None else None
    return Sample(
        id=visible(verdict.id),
        category=visible(verdict.category),
        loss=loss_text(loss_of(verdict)),
        tokens=response.loss_tokens if response is not None else None,
        detail=visible(verdict.detail),
        messages=messages_of(task) if task is not None else None,
        reference=visible(task.reference or "") if task is not None else "",
    )
