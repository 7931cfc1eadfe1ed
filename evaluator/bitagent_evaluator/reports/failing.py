"""A model's fault as results, so that it can be compared task by task: every task that another model was asked failed. Pure."""

from __future__ import annotations

import math
from dataclasses import replace

from bitagent_crds.evaluation import Scorer
from bitagent_crds.fields import loss_text, score_text
from bitagent_crds.results import Verdict
from bitagent_evaluator.reports.reading import Fault, Results, ResultsError


def all_failed(fault: Fault, other: Results) -> Results:
    """The fault as results on the tasks of `other`. Raises ResultsError for a fault on other tasks."""
    digest = fault.summary.task_set_digest
    if digest is not None and digest != other.manifest.task_set_digest:
        raise ResultsError(
            f"{fault.directory} and {other.directory} are about different task sets ({digest}, "
            f"{other.manifest.task_set_digest}); run both models on one"
        )
    of_losses = other.manifest.scorer is Scorer.LOSS
    manifest = other.manifest.model_copy(
        update={
            "repo": fault.name,
            "commit": None,
            "score": score_text(0.0, 1),
            "passed": 0,
            "loss": loss_text(math.inf) if of_losses else None,
            "batch_losses": [loss_text(math.inf) for _ in other.manifest.batch_losses],
        }
    )
    verdicts = [
        Verdict(
            id=verdict.id,
            category=verdict.category,
            passed=False,
            error=fault.summary.reason,
            detail=fault.summary.message,
            loss=math.inf if of_losses else None,
        )
        for verdict in other.verdicts
    ]
    return replace(
        other, directory=fault.directory, manifest=manifest, verdicts=verdicts, responses={}, summary=fault.summary
    )
