"""The short outcome of a run, as it leaves a pod and stands beside the results."""

from __future__ import annotations

from bitagent_crds.conditions import Reason
from bitagent_crds.fields import score_text
from bitagent_crds.jobs import EvaluateSummary
from bitagent_evaluator.faults import ModelFault
from bitagent_evaluator.runs.evaluate import Evaluated


def summary_of(evaluated: Evaluated, *, task_set_digest: str) -> EvaluateSummary:
    """The summary of a model that has a score."""
    total = evaluated.aggregate
    return EvaluateSummary(
        reason=Reason.EVALUATED,
        message=f"{total.in_words} with format {evaluated.prompt_format}{_unasked(evaluated)}",
        score=total.score,
        passed=total.passed,
        total=total.total,
        loss=total.loss,
        batch_losses=list(total.batch_losses) or None,
        result_digest=evaluated.result_digest,
        task_set_digest=task_set_digest,
        resumed=evaluated.resumed,
        seconds=evaluated.seconds,
        device=evaluated.device,
    )


def fault_summary(fault: ModelFault, *, task_set_digest: str) -> EvaluateSummary:
    """The summary of a model that is at fault itself: score 0, and why."""
    return EvaluateSummary(
        reason=fault.reason, message=fault.message, score=score_text(0.0, 1), task_set_digest=task_set_digest
    )


def _unasked(evaluated: Evaluated) -> str:
    too_long = f"; {evaluated.too_long} prompts were too long to ask" if evaluated.too_long else ""
    first = next(iter(evaluated.refused.items()), None)
    refused = f"; {len(evaluated.refused)} prompts were refused, such as {first[0]}: {first[1]}" if first else ""
    return too_long + refused
