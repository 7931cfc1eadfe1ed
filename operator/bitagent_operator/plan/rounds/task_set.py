"""Progress of a round's task set: the wait for its seed, then its Jobs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bitagent_crds.conditions import ConditionStatus, ConditionType, Fault, Reason
from bitagent_crds.evalround import EvalRoundStatus, TaskSetStatus
from bitagent_crds.jobs import TaskSetSummary
from bitagent_crds.model_result import FINAL_STATES, ModelResult
from bitagent_crds.names import KEY_LABEL, task_set_path
from bitagent_crds.seeds import SeedError, SeedFrom
from bitagent_kube.conditions import clip, find
from bitagent_operator import naming
from bitagent_operator.observed.objects import RoundObject
from bitagent_operator.observed.workloads import JobObject, PodObject
from bitagent_operator.plan.inputs import Pass
from bitagent_operator.plan.jobs.counts import never_ran, only_removed
from bitagent_operator.plan.jobs.outcome import (
    MESSAGE_LENGTH,
    Active,
    Done,
    InfraFault,
    Lost,
    ModelFault,
    Unseen,
    classify,
)
from bitagent_operator.plan.jobs.pods import Problem, given_up
from bitagent_operator.plan.rounds.holders import holders
from bitagent_operator.plan.validators.rewriter import wait_for_rewriter

SEED_TIMEOUT = timedelta(hours=24)
"""How long a round waits for its seed, from its start."""
_FIRST = Problem(Reason.BUILDING_TASKS, "")
"""What is reported while the first Job is being created."""


@dataclass(frozen=True)
class TaskSetProgress:
    """Progress of a task set."""

    ready: TaskSetStatus | None = None
    start_attempt: int | None = None
    """Attempt to start now."""
    reason: Reason = Reason.BUILDING_TASKS
    message: str = ""
    """Contents of the task set, or why it is not ready."""
    failed: bool = False
    requeue_after: float | None = None
    """Seconds until a wait is over."""


def progress(
    observed: RoundObject,
    entries: Sequence[ModelResult],
    *,
    jobs: Iterable[JobObject],
    pods: Sequence[PodObject],
    pass_: Pass,
) -> TaskSetProgress:
    """Return the progress of a round's task set. One that is in the status is ready, even if its Job is gone.

    `entries` are the round's models in their present state. No Job is started before the seed is known.
    """
    ready = observed.status.task_set
    if ready is not None:
        return TaskSetProgress(ready=ready, message=_recorded_message(observed.status, ready))
    wait = wait_for_rewriter(observed, pass_.validator, now=pass_.now)
    if wait is not None and wait.reason.fault is Fault.SPEC:
        return TaskSetProgress(reason=wait.reason, message=wait.message, failed=wait.failed)
    seed_from = observed.spec.tasks.seed_from
    if seed_from is not None:
        if not seed_from.revealed:
            return _waiting_for_seed(observed, seed_from, entries, now=pass_.now)
        try:
            seed_from.seed()
        except SeedError as error:
            return TaskSetProgress(reason=Reason.SEED_MISMATCH, message=str(error), failed=True)
    known = [j for j in jobs if j.key == naming.TASKS_KEY]
    jobs = sorted((j for j in known if j.series == observed.status.series), key=lambda j: j.attempt)
    held = holders(known, (p for p in pods if p.meta.labels.get(KEY_LABEL) == naming.TASKS_KEY), pass_.now)
    if not jobs:
        return _being_deleted() if held else _start(observed, 1, pass_)
    job, last = jobs[-1], find(observed.status.conditions, ConditionType.TASKS_READY)
    reported = Problem(last.reason, last.message) if last is not None else None
    outcome = classify(job, pods, TaskSetSummary, pass_, last_reported=reported)
    match outcome:
        case Done(summary=built) if built.digest is not None:
            uri = f"pvc://{pass_.settings.artifact_claim}/{task_set_path(observed.meta.uid)}"
            text = clip(built.message, MESSAGE_LENGTH) or f"{built.count} tasks"
            ready = TaskSetStatus(digest=built.digest, count=built.count, uri=uri, baseline=built.baseline)
            return TaskSetProgress(ready=ready, message=text)
        case ModelFault():
            reason = outcome.reason if outcome.reason.fault is Fault.SPEC else Reason.TASKS_FAILED
            return TaskSetProgress(reason=reason, message=outcome.message, failed=True)
        case InfraFault() if job.ended is None and job.ending is None and never_ran(job, pods):
            # Its Job tries again itself: with another Job beside it two pods could write to the same directory.
            return TaskSetProgress(reason=outcome.reason, message=f"{outcome.message}; it is tried again")
        case InfraFault() | Lost() if job.attempt < naming.MAX_ATTEMPTS and (
            never_ran(job, pods) or only_removed(job, pods, outcome.reason)
        ):
            return _start(observed, job.attempt + 1, pass_, cause=Problem(outcome.reason, outcome.message))
        case InfraFault():
            return TaskSetProgress(reason=outcome.reason, message=outcome.message, failed=True)
        case Lost() | Done():
            if job.attempt < min(observed.spec.workload.max_attempts, naming.MAX_ATTEMPTS):
                return _start(observed, job.attempt + 1, pass_)
            text = outcome.message if isinstance(outcome, Lost) else "its summary names no task set"
            return TaskSetProgress(reason=Reason.RESULT_LOST, message=text, failed=True)
        case Unseen():
            return TaskSetProgress()
        case Active() if job.meta.deleting:
            if not given_up(job.meta, pass_.now):
                return _being_deleted()
            if job.attempt < naming.MAX_ATTEMPTS:
                return _start(observed, job.attempt + 1, pass_)
            text = f"Job {job.meta.name} is being deleted and never gone"
            return TaskSetProgress(reason=Reason.RESULT_LOST, message=text, failed=True)
        case Active():
            problem = outcome.problem or Problem(Reason.BUILDING_TASKS, f"Job {job.meta.name} builds it")
            return TaskSetProgress(reason=problem.reason, message=problem.message)


def _being_deleted() -> TaskSetProgress:
    """Return the wait for a Job that is being deleted: two pods must never write to the same directory."""
    return TaskSetProgress(message="an earlier Job of it is being deleted, or a pod of that has not ended")


def _start(observed: RoundObject, attempt: int, pass_: Pass, *, cause: Problem = _FIRST) -> TaskSetProgress:
    """Return the start of a Job, unless it waits for a rewriter or the API server does not accept it.

    `cause`: why it follows another one.
    """
    wait = wait_for_rewriter(observed, pass_.validator, now=pass_.now)
    if wait is not None:
        return TaskSetProgress(
            reason=wait.reason, message=wait.message, failed=wait.failed, requeue_after=wait.requeue_after
        )
    series = observed.status.series
    name = naming.round_job_name(observed.meta.name, key=naming.TASKS_KEY, attempt=attempt, series=series)
    known, refusal = pass_.refusals.get(name), pass_.refusal(name)
    reason = known.reason if known is not None else cause.reason
    message = clip(known.message, MESSAGE_LENGTH) if known is not None else cause.message
    if refusal is None:
        return TaskSetProgress(start_attempt=attempt, reason=reason, message=message)
    return TaskSetProgress(reason=reason, message=message, failed=refusal.final)


def _waiting_for_seed(
    observed: RoundObject, seed_from: SeedFrom, entries: Sequence[ModelResult], *, now: datetime
) -> TaskSetProgress:
    until = (observed.status.begun or now) + SEED_TIMEOUT
    if now >= until and not observed.spec.suspend:
        text = f"the hash of block {seed_from.block} and the secret were not published within {SEED_TIMEOUT}: does the "
        text += "Validator run with the key with which it created the round, and does its chain finalise blocks?"
        return TaskSetProgress(reason=Reason.SEED_NOT_REVEALED, message=text, failed=True)
    left = max(0.0, (until - now).total_seconds()) or None
    open_ = sum(r.commit is None and r.state not in FINAL_STATES for r in entries)
    if open_:
        text = f"{open_} of {len(entries)} models are being resolved to a commit, before block {seed_from.block}"
        return TaskSetProgress(reason=Reason.FREEZING_MODELS, message=text, requeue_after=left)
    text = f"all models are fixed; waits for the hash of block {seed_from.block} and for the validator's secret, until "
    text += f"{until:%Y-%m-%d %H:%M} UTC at the latest"
    return TaskSetProgress(reason=Reason.WAITING_FOR_SEED, message=text, requeue_after=left)


def _recorded_message(status: EvalRoundStatus, ready: TaskSetStatus) -> str:
    """Return the message of the Job's summary. Its pod may be gone by now; the condition keeps it."""
    condition = find(status.conditions, ConditionType.TASKS_READY)
    if condition is None or condition.status != ConditionStatus.TRUE:
        return f"{ready.count} tasks"
    return condition.message
