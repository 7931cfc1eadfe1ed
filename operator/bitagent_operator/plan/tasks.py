"""How far a round's task set is, from its Jobs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bitagent_crds.conditions import ConditionStatus, ConditionType, Reason
from bitagent_crds.evalround import EvalRoundStatus, TaskSetStatus
from bitagent_crds.jobs import TaskSetSummary
from bitagent_crds.layout import task_set
from bitagent_operator import naming
from bitagent_operator.conditions import clip, find
from bitagent_operator.observed import JobObject, PodObject, RoundObject
from bitagent_operator.plan.questions import Answers, Gather
from bitagent_operator.plan.results import (
    MESSAGE_LENGTH,
    Active,
    Done,
    InfraFault,
    Lost,
    ModelFault,
    Unseen,
    classify,
)


@dataclass(frozen=True)
class TaskSet:
    """How far the task set is."""

    ready: TaskSetStatus | None = None
    attempt: int | None = None
    """Attempt to start now."""
    reason: Reason = Reason.BUILDING_TASKS
    message: str = ""
    """For people: what is in it, or what keeps it from being ready."""
    failed: bool = False


def observe_task_set(
    observed: RoundObject,
    *,
    jobs: Iterable[JobObject],
    pods: Sequence[PodObject],
    claim: str,
    answers: Answers,
    ask: Gather,
    now: datetime,
    unschedulable_after: timedelta,
) -> TaskSet:
    """The task set as the round's Jobs show it; `claim` is the artifact volume's."""
    if observed.status.task_set is not None:
        return TaskSet(ready=observed.status.task_set, message=_told(observed.status, observed.status.task_set))
    jobs = sorted((j for j in jobs if j.key == naming.TASKS_KEY), key=lambda j: j.attempt)
    if not jobs:
        return TaskSet(attempt=1)
    job, last = jobs[-1], find(observed.status.conditions, ConditionType.TASKS_READY)
    outcome = classify(
        job,
        pods,
        TaskSetSummary,
        answers=answers,
        now=now,
        unschedulable_after=unschedulable_after,
        told=(last.reason, last.message) if last is not None else None,
    )
    match outcome:
        case Done(summary=built) if built.digest is not None:
            uri = f"pvc://{claim}/{task_set(observed.meta.uid)}"
            text = clip(built.message, MESSAGE_LENGTH) or f"{built.count} tasks"
            return TaskSet(ready=TaskSetStatus(digest=built.digest, count=built.count, uri=uri), message=text)
        case ModelFault():
            return TaskSet(reason=Reason.TASKS_FAILED, message=outcome.message, failed=True)
        case InfraFault():
            return TaskSet(reason=outcome.reason, message=outcome.message, failed=True)
        case Lost() | Done():
            if job.attempt < min(observed.spec.workload.max_attempts, naming.MAX_RERUNS):
                return TaskSet(attempt=job.attempt + 1)
            text = outcome.message if isinstance(outcome, Lost) else "its summary names no task set"
            return TaskSet(reason=Reason.RESULT_LOST, message=text, failed=True)
        case Unseen():
            ask.pods_of.add(job.meta.uid)
            return TaskSet()
        case Active():
            return TaskSet(reason=outcome.reason or Reason.BUILDING_TASKS, message=outcome.message)


def _told(status: EvalRoundStatus, ready: TaskSetStatus) -> str:
    """What the Job's summary said when it ended; its pod may be gone by now, the condition keeps it."""
    condition = find(status.conditions, ConditionType.TASKS_READY)
    if condition is None or condition.status != ConditionStatus.TRUE:
        return f"{ready.count} tasks"
    return condition.message
