"""Status of a round as a whole while it has not ended: counts, phase and conditions. Its end is in `round_end`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

from bitagent_crds.conditions import ConditionStatus, ConditionType, Fault, Reason
from bitagent_crds.evalround import EvalRoundStatus, RoundCounts, RoundPhase
from bitagent_crds.model_result import FINAL_STATES, ModelResult, ResultState
from bitagent_crds.names import round_path
from bitagent_kube.conditions import Conditions, clip
from bitagent_operator.observed.objects import ModelObject, RoundObject, changed
from bitagent_operator.plan.inputs import Pass
from bitagent_operator.plan.jobs.queue import REASONS as QUEUE_REASONS
from bitagent_operator.plan.rounds.end import (
    active_since,
    completed,
    failed,
    failed_by_deadline,
    failed_by_infrastructure,
    failed_without_models,
    overdue,
    summary,
)
from bitagent_operator.plan.rounds.leaderboard import best
from bitagent_operator.plan.rounds.status_size import fitting
from bitagent_operator.plan.rounds.task_set import TaskSetProgress

_YES, _NO = ConditionStatus.TRUE, ConditionStatus.FALSE


def before_start(
    observed: RoundObject, phase: RoundPhase, reason: Reason, text: str, *, now: datetime
) -> EvalRoundStatus:
    """Return the status of a round whose set of models is not frozen yet, for this reason."""
    conditions = _conditions(observed, now)
    for kind in (ConditionType.TASKS_READY, ConditionType.RUNNING, ConditionType.COMPLETE):
        conditions.set(kind, _NO, reason, text)
    _not_failed(observed.status, conditions)
    new = changed(
        observed.status,
        phase=phase,
        conditions=conditions.all(),
        active_since=active_since(observed, now),
        observed_generation=observed.meta.generation,
    )
    if not overdue(observed, now):
        return new
    cause, message = failed_by_deadline(observed, new)
    return failed(new, conditions, reason=cause, message=f"{message}; {text}", now=now)


def started(
    observed: RoundObject, results: Sequence[ModelResult], tasks: TaskSetProgress, *, left_out: int, pass_: Pass
) -> EvalRoundStatus:
    """Return the status with the frozen set.

    A set without a MinerModel fails the round, unless it builds tasks only: its leaderboard could only be empty.
    """
    now = pass_.now
    new = changed(
        observed.status,
        started_at=now,
        active_since=now,
        image=pass_.settings.image or None,
        artifacts=_artifacts(observed, pass_),
        results=[_stamped(r, now) for r in results],
        counts=changed(observed.status.counts, left_out=left_out),
    )
    if observed.spec.tasks_only or any(r.reason is not Reason.MODEL_NOT_FOUND for r in results):
        return _running(observed, new, tasks, now)
    text = "no MinerModel matches spec.models"
    if results:
        text = f"no MinerModel that spec.models names exists: {summary(results)}"
    text += "; apply them, and raise spec.retry or create another round"
    end = failed(new, _conditions(observed, now), reason=Reason.NO_MODELS, message=text, now=now)
    return derived(observed, end)


def updated(
    observed: RoundObject,
    results: Sequence[ModelResult],
    tasks: TaskSetProgress,
    *,
    models: Mapping[str, ModelObject],
    pass_: Pass,
    shared: str = "",
) -> EvalRoundStatus:
    """Return the status of a started round that follows from its results and its task set.

    `models` are the MinerModels of its set that are known, by name: near copies are found by their facts. `shared`:
    what it waits for of the slots that all rounds share.
    """
    now, conditions = pass_.now, _conditions(observed, pass_.now)
    new = changed(
        observed.status,
        results=[_stamped(r, now) for r in fitting(results)],
        task_set=tasks.ready,
        active_since=active_since(observed, now),
        image=observed.status.image or pass_.settings.image or None,
        artifacts=observed.status.artifacts or _artifacts(observed, pass_),
    )
    if tasks.failed:
        infrastructure = tasks.reason.fault is Fault.INFRASTRUCTURE
        reason = Reason.ROUND_HAS_INFRASTRUCTURE_FAULTS if infrastructure else tasks.reason
        conditions.set(ConditionType.TASKS_READY, _NO, tasks.reason, tasks.message)
        text = f"the task set could not be built: {tasks.message}"
        return derived(observed, failed(new, conditions, reason=reason, message=text, now=now))
    builds = observed.spec.tasks_only and new.task_set is None
    if builds or any(r.state not in FINAL_STATES for r in new.results):
        if not overdue(observed, now):
            return _running(observed, new, tasks, now, shared)
        reason, text = failed_by_deadline(observed, new)
        _tasks_ready(conditions, new, tasks)
        return derived(observed, failed(new, conditions, reason=reason, message=text, now=now))
    if new.task_set is not None:
        _tasks_ready(conditions, new, tasks)
    if (fault := failed_without_models(new) or failed_by_infrastructure(new)) is not None:
        return derived(observed, failed(new, conditions, reason=fault[0], message=fault[1], now=now))
    _not_failed(new, conditions)
    return derived(observed, completed(observed, new, conditions, models=models, now=now))


def _artifacts(observed: RoundObject, pass_: Pass) -> str:
    return f"pvc://{pass_.settings.artifact_claim}/{round_path(observed.meta.uid)}"


def _conditions(observed: RoundObject, now: datetime) -> Conditions:
    return Conditions(observed.status.conditions, generation=observed.meta.generation, now=now)


def _not_failed(status: EvalRoundStatus, conditions: Conditions) -> None:
    if status.retry:
        text = f"it had failed; what had no verdict is done again since spec.retry is {status.retry}"
        conditions.set(ConditionType.FAILED, _NO, Reason.ROUND_RETRIED, text)
    else:
        conditions.set(ConditionType.FAILED, _NO, Reason.NOT_FAILED)


def _tasks_ready(conditions: Conditions, new: EvalRoundStatus, tasks: TaskSetProgress) -> None:
    if new.task_set is not None:
        conditions.set(ConditionType.TASKS_READY, _YES, Reason.TASKS_READY, tasks.message)
    else:
        conditions.set(ConditionType.TASKS_READY, _NO, tasks.reason, tasks.message)


def _running(
    observed: RoundObject, new: EvalRoundStatus, tasks: TaskSetProgress, now: datetime, shared: str = ""
) -> EvalRoundStatus:
    conditions = _conditions(observed, now)
    counts = _counts(new.results)
    _tasks_ready(conditions, new, tasks)
    phase = RoundPhase.RUNNING if counts.running or counts.succeeded or counts.model_faults else RoundPhase.PREPARING
    text = f"{_final(counts)} of {counts.selected} models have their verdict"
    if observed.spec.tasks_only:
        text = "the task set is not built; no model is evaluated (spec.tasksOnly)"
    gave_up = [r for r in new.results if r.state == ResultState.RUNNING and r.failures]
    if gave_up:
        text += f"; {len(gave_up)} gave up, and are tried again and compared with a control when the others have ended"
    if observed.spec.suspend:
        phase = RoundPhase.SUSPENDED
        conditions.set(ConditionType.RUNNING, _NO, Reason.ROUND_SUSPENDED, "spec.suspend is true; Jobs are suspended")
        conditions.set(ConditionType.COMPLETE, _NO, Reason.ROUND_SUSPENDED, text)
    else:
        running = _YES if counts.running else _NO
        waits = Reason.WAITING_FOR_TASKS if observed.spec.tasks_only else _most_common_wait(new.results)
        reason = Reason.ROUND_RUNNING if counts.running else waits
        said = _running_text(new.results, counts)
        conditions.set(ConditionType.RUNNING, running, reason, f"{said}; {shared}" if shared else said)
        conditions.set(ConditionType.COMPLETE, _NO, Reason.ROUND_RUNNING, text)
    _not_failed(new, conditions)
    return derived(observed, changed(new, phase=phase, conditions=conditions.all()))


def _running_text(results: Sequence[ModelResult], counts: RoundCounts) -> str:
    """Return how many models are being evaluated, and of all Jobs that are refused or wait which and why.

    If nothing else is to be said, which models are not fetched yet, and why.
    """
    text = f"{counts.running} models are being evaluated"
    waiting = _waiting_jobs(results)
    if not waiting and not counts.running:
        waiting = [r for r in results if (r.state, r.reason) == (ResultState.PENDING, Reason.WAITING_FOR_MODEL)]
    return f"{text}; {summary(waiting)}" if waiting else text


def _waiting_jobs(results: Sequence[ModelResult]) -> list[ModelResult]:
    """Return the results of which no container runs although their Job may, and refused ones."""
    pending = [r for r in results if r.state not in FINAL_STATES]
    shown = QUEUE_REASONS | {Reason.JOB_REFUSED}
    return [r for r in pending if r.reason in shown or (r.state == ResultState.PENDING and r.started_at)]


def _most_common_wait(results: Sequence[ModelResult]) -> Reason:
    """Return the reason for which most of the pending models wait; a Job that waits is why others wait for a slot."""
    waiting = Counter(r.reason for r in results if r.state == ResultState.PENDING)
    for first in (Reason.JOB_REFUSED, Reason.QUEUE_NOT_FOUND, Reason.QUEUE_UNAVAILABLE):
        if first in waiting:
            return first
    waiting = Counter(r.reason for r in _waiting_jobs(results)) or waiting
    return waiting.most_common(1)[0][0] if waiting else Reason.ROUND_RUNNING


def derived(observed: RoundObject, new: EvalRoundStatus) -> EvalRoundStatus:
    """Return the status with the fields that follow from its results."""
    counts = changed(_counts(new.results), left_out=new.counts.left_out)
    return changed(
        new,
        observed_generation=observed.meta.generation,
        counts=counts,
        progress=f"{_final(counts)}/{counts.selected}",
        best=clip(best(new.results), 128),
    )


def _counts(results: Sequence[ModelResult]) -> RoundCounts:
    by_state = Counter(r.state for r in results)
    return RoundCounts(
        selected=len(results),
        pending=by_state[ResultState.PENDING],
        running=by_state[ResultState.RUNNING],
        succeeded=by_state[ResultState.SUCCEEDED],
        rejected=by_state[ResultState.REJECTED],
        duplicate=by_state[ResultState.DUPLICATE],
        model_faults=by_state[ResultState.MODEL_FAULT],
        unscored=by_state[ResultState.UNSCORED],
        infra_faults=by_state[ResultState.INFRA_FAULT],
        not_evaluated=by_state[ResultState.NOT_EVALUATED],
    )


def _final(counts: RoundCounts) -> int:
    """Return how many models have their verdict."""
    return counts.selected - counts.pending - counts.running - counts.not_evaluated


def _stamped(result: ModelResult, now: datetime) -> ModelResult:
    if result.state in FINAL_STATES and result.finished_at is None:
        return changed(result, finished_at=now)
    return result
