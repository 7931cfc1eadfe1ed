"""TaskSetJob: a round's tasks."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from bitagent_crds.conditions import Reason
from bitagent_crds.evaluation import Evaluation
from bitagent_crds.jobs import OPERATOR_KEYS, TaskSetJob, TaskSetSummary, source_key
from bitagent_crds.plugins import BrokenPlugin, UnknownName
from bitagent_crds.task_set import Baseline, Task
from bitagent_evaluator.prompts import check_format
from bitagent_evaluator.sandbox.process import SandboxUnavailable
from bitagent_evaluator.scoring.baseline import baseline
from bitagent_evaluator.scoring.scorers import check_scorer
from bitagent_evaluator.scoring.suitability import refusal, remark
from bitagent_evaluator.support.faults import InfrastructureFault
from bitagent_evaluator.tasks.build import build_task_set, describe_task_set
from bitagent_evaluator.tasks.files import TaskSetError, read_tasks, write_manifest


def handle(job: TaskSetJob) -> TaskSetSummary:
    """Build the task set. A spec that cannot be met is final, an endpoint that cannot be reached is not.

    Unknown names in the round's evaluation are refused here too, and tasks that its scorer cannot judge, before any GPU
    is used for it. The score of the best constant answer goes into the manifest and the summary.
    """
    if (refused := _refusal(job.evaluation)) is not None:
        return refused
    files, out = {int(index): Path(path) for index, path in job.files.items()}, Path(job.out_dir)
    try:
        manifest = build_task_set(job.tasks, files=files, out=out, environment=os.environ, rewriter=job.rewriter)
        tasks = read_tasks(out)
        if sentence := refusal(job.evaluation.scorer, tasks):
            return TaskSetSummary(reason=Reason.UNJUDGEABLE_TASKS, message=f"spec.evaluation.scorer: {sentence}")
        found, without = _baseline(job.evaluation, tasks)
        write_manifest(out, manifest.model_copy(update={"baseline": found}))
    except TaskSetError as error:
        if _operator_token_refused():
            text = f"the hub does not accept the operator's token, whatever the repository: replace it ({error})"
            return TaskSetSummary(reason=Reason.HUB_TOKEN_REJECTED, message=text)
        return TaskSetSummary(reason=Reason.TASKS_FAILED, message=str(error))
    except InfrastructureFault as fault:
        return TaskSetSummary(reason=fault.reason, message=fault.message)
    except SandboxUnavailable as error:
        return TaskSetSummary(reason=Reason.INFRASTRUCTURE_FAULT, message=str(error))
    clauses = (describe_task_set(manifest), remark(job.evaluation.scorer, tasks), without)
    return TaskSetSummary(
        reason=Reason.TASKS_READY,
        message="; ".join(clause for clause in clauses if clause),
        digest=manifest.digest,
        count=manifest.count,
        baseline=found and found.score,
    )


def _operator_token_refused() -> bool:
    """Whether the hub does not know the operator's own token, and so shows no repository to it."""
    sources = [index for index in os.environ.get(OPERATOR_KEYS, "").split(",") if index]
    if not sources:
        return False
    from bitagent_evaluator.models.hub import refuses_token

    return refuses_token(os.environ.get(source_key(int(sources[0]))))


def _baseline(evaluation: Evaluation, tasks: Sequence[Task]) -> tuple[Baseline | None, str]:
    """Return the score of the best constant answer, and why there is none if a package's scorer fails on it."""
    how, loss = evaluation.aggregate, evaluation.loss
    try:
        return baseline(tasks, scorer=evaluation.scorer, aggregation=how, loss=loss), ""
    except BrokenPlugin as error:
        return None, f"there is no baseline: {error}"


def _refusal(evaluation: Evaluation) -> TaskSetSummary | None:
    try:
        check_scorer(evaluation.scorer)
    except UnknownName as error:
        return TaskSetSummary(reason=Reason.UNKNOWN_SCORER, message=f"spec.evaluation.scorer: {error}")
    try:
        check_format(evaluation.prompt_format)
    except UnknownName as error:
        return TaskSetSummary(reason=Reason.UNKNOWN_PROMPT_FORMAT, message=f"spec.evaluation.promptFormat: {error}")
    return None
