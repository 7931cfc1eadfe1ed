"""Scorer `Loss`: how likely a task's reference text is to a model, as the generation strategy `losses` measured it.

A loss is in nats per UTF-8 byte of the text, or per token where a round says so (`LossNormalization`). A task's score
is exp(-loss): the geometric mean of the probabilities that the model gives to the reference's bytes, so that more is
better as with every scorer. A task is passed if its loss is finite. A task that was not measured, or whose loss is not
a finite number, has an infinite loss and the score 0.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from bitagent_crds.evaluation import DEFAULT_REFERENCE_BYTES, Aggregation, LossParameters
from bitagent_crds.results import Response, Unanswered, Verdict
from bitagent_crds.task_set import Task
from bitagent_crds.texts import loss_text
from bitagent_evaluator.parsing import ParsedResponse
from bitagent_evaluator.scoring.aggregate import Aggregate, summarise
from bitagent_evaluator.scoring.metric import LOSS, score_of_loss, split_evenly

NO_REFERENCE = "no_reference"
NOT_FINITE = "loss:not_finite"


class LossScorer:
    """Scores measured losses."""

    def verdicts(self, answers: Iterable[tuple[Task, ParsedResponse]]) -> Iterator[Verdict]:
        """Yield one verdict per task with its response, in order."""
        for task, response in answers:
            yield loss_verdict(task, response.response)

    def missing_response(self, task: Task) -> Verdict:
        """Return the verdict for a task that was not measured."""
        return loss_verdict(task, None)

    def aggregate(
        self,
        verdicts: Sequence[Verdict],
        *,
        seed: str | None,
        loss: LossParameters,
        aggregation: Aggregation = Aggregation.MEAN,
    ) -> Aggregate:
        """Return exp(-mean loss) as the score, with the mean loss of all tasks and of each batch.

        A mean is infinite if any of its losses is.
        """
        total = summarise(verdicts, seed=seed, metric=LOSS, aggregation=aggregation)
        if not verdicts:
            return total
        batches = [LOSS.mean(batch) for batch in split_evenly(verdicts, loss.batches)]
        return replace(
            total,
            loss=loss_text(LOSS.mean(verdicts, aggregation).value),
            batch_losses=tuple(loss_text(batch.value) for batch in batches),
        )


def reference_text(reference: str, parameters: LossParameters) -> str:
    """Return the text of a reference that is measured with normalization Byte, the same for every model.

    It is in the composed form (NFC), and has at most `reference_bytes` UTF-8 bytes, but at least one character.
    """
    text = unicodedata.normalize("NFC", reference)
    limit = parameters.reference_bytes or DEFAULT_REFERENCE_BYTES
    return text.encode()[:limit].decode(errors="ignore") or text[:1]


def loss_verdict(task: Task, response: Response | None) -> Verdict:
    """Return the verdict for a measured response; None if the task was not measured."""
    if not task.reference:
        return _failed(task, NO_REFERENCE, "the task has no reference text whose loss could be measured")
    loss = None if response is None else response.loss
    if loss is None:
        return _failed(task, Unanswered.NO_RESPONSE, "the prompt leaves no room for the reference")
    if not math.isfinite(loss):
        return _failed(task, NOT_FINITE, "the model's probabilities of the reference are not finite numbers")
    loss = max(0.0, loss)  # a probability may be rounded to a hair above 1
    return Verdict(id=task.id, category=task.category, passed=True, score=score_of_loss(loss), loss=loss)


def _failed(task: Task, error: str, detail: str) -> Verdict:
    return Verdict(id=task.id, category=task.category, passed=False, error=error, detail=detail, loss=math.inf)
