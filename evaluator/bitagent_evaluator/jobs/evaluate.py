"""Handler of EvaluateJob: evaluate one model on one task set."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from pydantic import ValidationError

from bitagent_crds.conditions import Reason
from bitagent_crds.jobs import TERMINATION_LOG, EvaluateJob, EvaluateSummary, HardwareFacts, MemoryLimits, exit_code
from bitagent_evaluator.engines.base import Backend
from bitagent_evaluator.engines.vllm import VllmBackend
from bitagent_evaluator.evaluation.prepared import Evaluation
from bitagent_evaluator.evaluation.results import fault_summary, summary_of, write_summary
from bitagent_evaluator.evaluation.run import evaluate, evaluate_shard
from bitagent_evaluator.evaluation.shards import Shard
from bitagent_evaluator.jobs.progress_server import serving
from bitagent_evaluator.jobs.runner import report
from bitagent_evaluator.models.cache import RECORD, CacheRecord, missing_files
from bitagent_evaluator.models.digests import directory_model_digest
from bitagent_evaluator.support.faults import InfrastructureFault, ModelFault
from bitagent_evaluator.support.progress import Progress, ProgressBoard
from bitagent_evaluator.tasks.files import TaskSetError, read_task_set

CONFIG = "config.json"
SHARD_INDEX = "JOB_COMPLETION_INDEX"
"""Environment variable of the pods of an Indexed Job: which of its shards a pod is, from 0."""

_log = logging.getLogger(__name__)


class ReportingBackend(Backend, Protocol):
    """A backend that describes its hardware."""

    def hardware_facts(self) -> HardwareFacts | None:
        """Return the hardware for a summary; None while it is not known."""
        ...


def handle(job: EvaluateJob) -> EvaluateSummary:
    """Evaluate the model; the summary is also written beside the results."""
    progress = ProgressBoard()
    with serving(progress):
        return evaluate_model(job, VllmBackend(), progress, end_stalled=_end_stalled)


def _end_stalled(summary: EvaluateSummary) -> None:
    """End the process, whose main thread cannot."""
    log = Path(TERMINATION_LOG)
    report(summary, log if log.exists() else None)
    os._exit(exit_code(summary.reason))


def evaluate_model(
    job: EvaluateJob,
    backend: ReportingBackend,
    progress: Progress,
    *,
    end_stalled: Callable[[EvaluateSummary], None],
    began: float | None = None,
) -> EvaluateSummary:
    """Evaluate one model, and write the summary beside the results.

    `end_stalled` gets the summary of an engine that hangs, in another thread. `began`: as in `Evaluation`.
    """
    summary = _evaluate(job, backend, progress, end_stalled, began)
    summary = summary.model_copy(update={"hardware": backend.hardware_facts()})
    if summary.reason is Reason.SHARD_EVALUATED:
        return summary  # the result is written by the last shard
    try:
        write_summary(Path(job.out_dir), summary)
    except OSError as error:
        _log.warning("the summary could not be written to %s: %s", job.out_dir, error)
    return summary


def _evaluate(
    job: EvaluateJob,
    backend: ReportingBackend,
    progress: Progress,
    end_stalled: Callable[[EvaluateSummary], None],
    began: float | None,
) -> EvaluateSummary:
    def on_stall(cause: str) -> None:
        end_stalled(EvaluateSummary(reason=Reason.ENGINE_STALLED, message=cause, hardware=backend.hardware_facts()))

    try:
        evaluation = replace(_evaluation(job), on_stall=on_stall, began=began)
        if job.shards is None:
            return summary_of(evaluate(evaluation, backend, progress))
        shard = _shard(job.shards)
        outcome = evaluate_shard(evaluation, shard, backend, progress)
    except ModelFault as fault:
        if damage := _damage(Path(job.model_dir)):
            return EvaluateSummary(reason=Reason.MODEL_FILES_MISSING, message=f"{damage} ({fault})")
        return fault_summary(fault, task_set_digest=job.run.task_set_digest)
    except InfrastructureFault as fault:
        return EvaluateSummary(reason=fault.reason, message=fault.message)
    if isinstance(outcome, int):
        text = f"shard {shard.index + 1} of {shard.count} has {outcome} answers; others have not ended"
        digest = job.run.task_set_digest
        return EvaluateSummary(reason=Reason.SHARD_EVALUATED, message=text, total=outcome, task_set_digest=digest)
    return summary_of(outcome)


def _shard(count: int) -> Shard:
    """Return which shard this pod is. Raises InfrastructureFault if it has no index below `count`."""
    index = os.environ.get(SHARD_INDEX, "")
    if not index.isdecimal() or int(index) >= count:
        raise InfrastructureFault(
            Reason.INFRASTRUCTURE_FAULT, f"{SHARD_INDEX} is {index!r}, no index of {count} shards"
        )
    return Shard(int(index), count)


def _evaluation(job: EvaluateJob) -> Evaluation:
    try:
        manifest, tasks = read_task_set(Path(job.task_set_dir))
    except TaskSetError as error:
        raise InfrastructureFault(Reason.INFRASTRUCTURE_FAULT, str(error)) from error
    if manifest.digest != job.run.task_set_digest:
        message = f"{job.task_set_dir} holds the task set {manifest.digest}, the Job names {job.run.task_set_digest}"
        raise InfrastructureFault(Reason.INFRASTRUCTURE_FAULT, message)
    _check_files(job)
    return Evaluation(
        run=job.run,
        model_dir=Path(job.model_dir),
        tasks=tasks,
        out_dir=Path(job.out_dir),
        task_set=manifest,
        memory_limits=job.memory_limits or MemoryLimits(),
    )


def _damage(folder: Path) -> str:
    """Return how the files differ from those that were fetched; empty if they do not, or if nothing is recorded.

    All files are hashed for that, so it is done only before a model is blamed: a damaged cache is not its fault.
    """
    if not (folder / RECORD).exists():
        return ""
    try:
        record = CacheRecord.model_validate_json((folder / RECORD).read_bytes())
        held = directory_model_digest(folder) if record.facts.model_digest is not None else None
    except (OSError, ValidationError) as error:
        return f"the cache cannot be read again: {error}"
    if held == record.facts.model_digest:
        return ""
    return (
        f"the cache has damaged {folder}: its digest is {held}, that of the fetched files {record.facts.model_digest}"
    )


def _check_files(job: EvaluateJob) -> None:
    """Raise InfrastructureFault if the cache does not have the model that the Job names, or not all of it."""
    folder = Path(job.model_dir)
    if not (folder / RECORD).exists():
        if not (folder / CONFIG).exists():
            raise InfrastructureFault(Reason.MODEL_FILES_MISSING, f"{folder} has no model: the cache has lost it")
        return
    record = CacheRecord.model_validate_json((folder / RECORD).read_bytes())
    if lacking := missing_files(folder, record):
        text = (
            f"{folder} lacks {len(lacking)} of {len(record.files)} files, first {lacking[0]}: the cache has lost them"
        )
        raise InfrastructureFault(Reason.MODEL_FILES_MISSING, text)
    facts = record.facts
    for what, held, named in (
        ("weights", facts.weights_digest, job.run.weights_digest),
        ("model", facts.model_digest, job.run.model_digest),
    ):
        if named is not None and held != named:
            message = f"{job.model_dir} holds the {what} {held}, the Job names {named}"
            raise InfrastructureFault(Reason.INFRASTRUCTURE_FAULT, message)
