"""EvaluateJob: one model on one task set."""

from __future__ import annotations

import logging
from pathlib import Path

from bitagent_crds.conditions import Reason
from bitagent_crds.evaluation import LossParameters
from bitagent_crds.jobs import EvaluateJob, EvaluateSummary
from bitagent_evaluator.engine.vllm_engine import VllmBackend
from bitagent_evaluator.faults import InfrastructureFault, ModelFault
from bitagent_evaluator.hub.cache import RECORD, CacheRecord
from bitagent_evaluator.jobs.outcome import Outcome
from bitagent_evaluator.progress import LogProgress
from bitagent_evaluator.runs.evaluate import Evaluation, evaluate
from bitagent_evaluator.runs.results import write_summary
from bitagent_evaluator.runs.summary import fault_summary, summary_of
from bitagent_evaluator.tasks import TaskSetError, read_task_set

_log = logging.getLogger(__name__)


def handle(job: EvaluateJob) -> Outcome:
    """Evaluate; the summary is also written beside the results."""
    outcome = _outcome(job)
    if isinstance(outcome.summary, EvaluateSummary):
        try:
            write_summary(Path(job.out_dir), outcome.summary)
        except OSError as error:
            _log.warning("the summary could not be written to %s: %s", job.out_dir, error)
    return outcome


def _outcome(job: EvaluateJob) -> Outcome:
    try:
        evaluated = evaluate(_evaluation(job), VllmBackend(), LogProgress())
    except ModelFault as fault:
        return Outcome.final(fault_summary(fault, task_set_digest=job.task_set_digest))
    except InfrastructureFault as fault:
        return Outcome.infrastructure(EvaluateSummary(reason=fault.reason, message=fault.message))
    return Outcome.done(summary_of(evaluated, task_set_digest=job.task_set_digest))


def _evaluation(job: EvaluateJob) -> Evaluation:
    try:
        manifest, tasks = read_task_set(Path(job.task_set_dir))
    except TaskSetError as error:
        raise InfrastructureFault(Reason.INFRASTRUCTURE_FAULT, str(error)) from error
    if manifest.digest != job.task_set_digest:
        message = f"{job.task_set_dir} holds the task set {manifest.digest}, the Job names {job.task_set_digest}"
        raise InfrastructureFault(Reason.INFRASTRUCTURE_FAULT, message)
    _check_record(job)
    return Evaluation(
        model_dir=Path(job.model_dir),
        repo=job.repo,
        commit=job.commit,
        weights_digest=job.weights_digest,
        tasks=tasks,
        task_set_digest=manifest.digest,
        out_dir=Path(job.out_dir),
        prompt_format=job.prompt_format,
        max_tokens=job.max_tokens,
        engine=job.engine,
        scorer=job.scorer,
        loss=job.loss or LossParameters(),
        task_set=manifest,
    )


def _check_record(job: EvaluateJob) -> None:
    """The cache's own record must name the weights that the round means to pay for."""
    path = Path(job.model_dir) / RECORD
    if not path.exists():
        return
    held = CacheRecord.model_validate_json(path.read_bytes()).facts.weights_digest
    if held != job.weights_digest:
        message = f"{job.model_dir} holds the weights {held}, the Job names {job.weights_digest}"
        raise InfrastructureFault(Reason.INFRASTRUCTURE_FAULT, message)
