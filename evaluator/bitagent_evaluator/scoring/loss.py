"""Scorer `Loss`: how likely a task's reference text is to a model; the way of asking `losses` measured it.

A task's score is exp(-loss): the geometric mean of the probabilities that the model gives to the reference's tokens, so that more is better
as with every scorer. It is passed when its loss is finite. What was not measured, or not to a number, has an infinite loss and the score 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from bitagent_crds.evaluation import LossParameters
from bitagent_crds.fields import loss_text
from bitagent_crds.results import Response, Task, Verdict
from bitagent_evaluator.scoring.aggregation import Aggregate, summarise
from bitagent_evaluator.scoring.mean import Mean, parts

NO_REFERENCE = "no_reference"
NOT_MEASURED = "no_response"
NOT_FINITE = "loss:not_finite"


class Loss:
    """See the module."""

    def verdicts(self, answers: Iterable[tuple[Task, Response]]) -> Iterator[Verdict]:
        """One verdict per (task, answer), in order."""
        for task, response in answers:
            yield judge(task, response.loss)

    def unanswered(self, task: Task) -> Verdict:
        """The verdict on a task that was not measured."""
        return judge(task, None)

    def aggregate(self, verdicts: Sequence[Verdict], *, seed: str | None, loss: LossParameters) -> Aggregate:
        """The mean loss of all tasks, infinite as soon as one is, and exp(-mean loss) as the score; beside it the mean loss of each batch."""
        total = summarise(verdicts, seed=seed, mean=mean_loss)
        if not verdicts:
            return total
        batches = [mean_loss(part) for part in parts(verdicts, loss.batches)]
        return replace(
            total,
            loss=loss_text(mean_loss(verdicts).value),
            batch_losses=tuple(loss_text(batch.value) for batch in batches),
        )


def judge(task: Task, loss: float | None) -> Verdict:
    """The verdict on a measured loss in nats per token; None where nothing was measured."""
    if not task.reference:
        return _failed(task, NO_REFERENCE, "the task has no reference text whose loss could be measured")
    if loss is None:
        return _failed(task, NOT_MEASURED, "the prompt leaves no room for the reference")
    if not math.isfinite(loss):
        return _failed(task, NOT_FINITE, "the model's probabilities of the reference are no finite numbers")
    loss = max(0.0, loss)  # a probability may be rounded to a hair above 1
    return Verdict(id=task.id, category=task.category, passed=True, score=to_score(loss), loss=loss)


def loss_of(verdict: Verdict) -> float:
    """A verdict's loss, infinite where it has none."""
    return math.inf if verdict.loss is None else verdict.loss


def mean_loss(verdicts: Sequence[Verdict]) -> Mean:
    """The mean loss of verdicts."""
    return Mean([loss_of(verdict) for verdict in verdicts], to_score)


def to_score(loss: float) -> float:
    """The score of a loss."""
    return math.exp(-loss)


def _failed(task: Task, error: str, detail: str) -> Verdict:
    return Verdict(id=task.id, category=task.category, passed=False, error=error, detail=detail, loss=math.inf)
