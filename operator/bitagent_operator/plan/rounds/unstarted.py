"""Evaluations that have no Job: what each of them waits for besides a slot, and which of them never gets one."""

from __future__ import annotations

from dataclasses import replace

from bitagent_crds.conditions import Reason
from bitagent_crds.evalround import TaskSetStatus
from bitagent_crds.model_result import ModelResult, ResultState
from bitagent_crds.names import KEY_LABEL
from bitagent_kube.conditions import clip
from bitagent_operator.plan.identity import origin
from bitagent_operator.plan.jobs.outcome import MESSAGE_LENGTH
from bitagent_operator.plan.models.fetch import found_again
from bitagent_operator.plan.rounds.attempts import StartAttempt, Update, infra_fault
from bitagent_operator.plan.rounds.work import Work

LOST_FOR_GOOD = Update(
    ResultState.REJECTED, Reason.MODEL_DELETED, "the cache has lost its files, and its MinerModel was deleted meanwhile"
)


def waiting(entry: ModelResult, attempt: StartAttempt, reason: Reason, message: str = "") -> Update:
    """Return the state of an owner without a Job."""
    return Update(
        ResultState.RUNNING if attempt.failures else ResultState.PENDING,
        reason,
        message,
        attempts=entry.attempts,
        disruptions=entry.disruptions,
        stalls=entry.stalls,
        failures=list(attempt.failures),
        started_at=entry.started_at,
    )


def wait_of(
    this: Work, entry: ModelResult, key: str, attempt: StartAttempt, task_set: TaskSetStatus | None
) -> Update | None:
    """Return what an owner without a Job waits for besides a slot; None if it waits for nothing else."""

    def wait(reason: Reason, message: str = "") -> Update:
        return waiting(entry, attempt, reason, message)

    if this.observed.spec.suspend:
        return wait(Reason.ROUND_SUSPENDED)
    if task_set is None:
        return wait(Reason.WAITING_FOR_TASKS, "the task set is being built")
    if entry.commit is None or entry.repo is None:
        return wait(Reason.WAITING_FOR_MODEL)
    if (since := attempt.files_missing_since) is not None:
        model = this.models.get(entry.model)
        if is_deleted(this, entry.model):
            return LOST_FOR_GOOD
        if model is not None and origin(model.spec.source) != entry.repo:
            text = "the cache has lost its files, and its MinerModel names another source by now"
            return Update(ResultState.REJECTED, Reason.COMMIT_TOO_LATE, text)
        again = found_again(model, entry.commit, since=since) if model is not None else None
        if again is None:
            text = "the cache has lost its files; it is evaluated once they are fetched again"
            return replace(wait(Reason.MODEL_FILES_MISSING, text), finished_at=since)
        if not again.fetched and again.infrastructure:
            return infra_fault(again.reason, again.message, this.pass_.now)
        if not again.fetched:
            return Update(ResultState.REJECTED, again.reason, clip(again.message, MESSAGE_LENGTH))
    if key in this.busy:
        return wait(Reason.WAITING_FOR_SLOT, _busy_text(this, key))
    if (refusal := this.refusal(key, attempt.number)) is not None:
        if refusal.final:
            return infra_fault(refusal.reason, refusal.message, this.pass_.now)
        return wait(refusal.reason, clip(refusal.message, MESSAGE_LENGTH))
    return None


def _busy_text(this: Work, key: str) -> str:
    """Return what keeps the next Job of an evaluation from starting; a pod that no Job has any more is named."""
    left = [
        pod.meta.name
        for pod in this.pods
        if not pod.meta.owner_uid and pod.phase in ("Pending", "Running") and pod.meta.labels.get(KEY_LABEL) == key
    ]
    if left:
        return f"pod {left[0]} works on it, whose Job is gone: it is evaluated again when that has ended or is deleted"
    return "an earlier Job of it is being deleted, or a pod of that has not ended"


def is_deleted(this: Work, name: str) -> bool:
    """Whether there is no MinerModel of that name, so that nothing fetches its files again."""
    if name in this.models:
        return False
    if this.pass_.may_exist(name):
        this.pass_.requests.models.add(name)
        return False
    return name not in this.pass_.live.unreadable
