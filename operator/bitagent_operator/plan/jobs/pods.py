"""One pod: why it makes no progress, and what keeps its container from starting."""

from __future__ import annotations

import signal
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import ValidationError

from bitagent_crds.conditions import Fault, Reason
from bitagent_crds.jobs import EXIT_OK, EXIT_STOPPED
from bitagent_crds.schema import Model, is_later
from bitagent_kube.objects import IMAGE_PULL_REASONS, ObjectMeta
from bitagent_operator.observed.workloads import InitContainer, PodObject, Terminated
from bitagent_operator.plan.inputs import SILENT, LastEvent, Pass

LOG_LENGTH = 400
"""How much of the end of a log a message may quote, in characters."""
LEAVING = timedelta(seconds=60)
"""Time after its grace period in which a node says that it has ended a pod; after it the node counts as lost."""
LINGERING = timedelta(seconds=60)
"""Time in which a pod ends whose own container has failed, or in a pack has ended at all; after it another container
keeps it."""
GONE_AFTER = timedelta(minutes=10)
"""Time after which what is being deleted is taken for gone: its node is lost, or a finalizer is never removed."""
DEADLINE_EXCEEDED = "DeadlineExceeded"
"""`status.reason` of a pod that its `activeDeadlineSeconds` ended."""

_ENDED = frozenset({"Succeeded", "Failed"})
_ON_ITS_WAY = frozenset({"", "ContainerCreating", "PodInitializing"})
"""Reasons of a container that waits without trouble. Any other one, also of a kubelet of tomorrow, is a trouble."""
_NOT_THE_PROCESS = frozenset({"StartError", "ContainerCannotRun", "ContainerStatusUnknown"})
"""Reasons of a terminated container whose process did not end by itself: it never ran, or its node was lost."""


@dataclass(frozen=True)
class Problem:
    """Why a pod, and with it its Job, does not make progress."""

    reason: Reason
    message: str


STARTS = Problem(Reason.STARTING, "its pod is being created")
"""What a Job waits for in its first seconds, whatever its pod does just then: a status is not written for each step."""


def pod_problem(pod: PodObject, kind: type[Model] | None, pass_: Pass) -> Problem | None:
    """Return why a pod makes no progress; None if it does, or if it only waits or starts (see `waiting`).

    `kind`: summary that it may have left after a failure.
    """
    ended = pod.terminated
    if pod.phase == "Succeeded":
        return None
    if pod.ends and ended is not None and ended.exit_code == EXIT_OK:
        return None  # a pack: what its evaluations found is not the pod's problem
    if pod.reason == "Evicted":
        return Problem(Reason.NODE_PRESSURE, f"the node evicted the pod: {pod.message}")
    if pod.disruption:
        return Problem(Reason.EVICTED, f"the pod was removed from its node: {pod.disruption}")
    if pod.reason == DEADLINE_EXCEEDED:
        return Problem(Reason.DEADLINE_EXCEEDED, "the attempt reached its deadline")
    if ended is not None and ended.exit_code != EXIT_OK:
        if ended.reason == "OOMKilled":
            return Problem(Reason.OUT_OF_MEMORY, "killed: out of memory; raise the memory that the pod requests")
        return _failure(ended, kind)
    if pod.phase == "Failed" and pod.init is not None and pod.init.failed:
        return Problem(Reason.POD_NOT_STARTED, _init(pod.init))
    if pod.phase == "Failed" and pod.reason and pod.node and pod.started is None and ended is None:
        text = f"node {pod.node} refused the pod: {pod.reason}: {pod.message}".rstrip(": ")  # a device, its shutdown
        return Problem(Reason.POD_NOT_STARTED, text)
    if pod.phase == "Failed":
        text = f"the pod failed: {pod.reason or 'no reason given'} {pod.message}".rstrip()
        return Problem(Reason.INFRASTRUCTURE_FAULT, text)
    if pod.phase == "Unknown":
        return Problem(Reason.EVICTED, f"node {pod.node} does not report the state of pod {pod.meta.name}")
    if pod.started is not None:
        return _without_outcome(pod) if pod.waiting_reason not in _ON_ITS_WAY else None
    return _kept_from_starting(pod, pass_)


def _without_outcome(pod: PodObject) -> Problem:
    """Return why the result of one evaluation of a pack does not arrive; `pod` is the evaluation's part."""
    if not pod.waiting_reason:
        return Problem(Reason.RESULT_LOST, "no result of it has come, though the engine is done with it")
    reason = Reason.IMAGE_PULL_FAILED if pod.waiting_reason in IMAGE_PULL_REASONS else Reason.POD_NOT_STARTED
    cause = ": ".join(filter(None, (pod.waiting_reason, pod.waiting_message)))
    return Problem(reason, f"the container that passes on its result has not started: {cause}")


def _kept_from_starting(pod: PodObject, pass_: Pass) -> Problem | None:
    """Return what keeps a pod from starting until somebody does something; None if it may just take its time."""
    if pod.gates:
        gates = ", ".join(pod.gates)
        return Problem(Reason.SCHEDULING_GATED, f"pod {pod.meta.name} has scheduling gates: {gates}")
    if pod.unschedulable is not None and not pod.node:
        if pass_.now - pod.unschedulable.since < pass_.settings.unschedulable_after:
            return None
        return Problem(Reason.UNSCHEDULABLE, _unaccepted(pod.unschedulable.since, pod.unschedulable.message))
    if pod.init is not None and (pod.init.failed or pod.init.reason not in _ON_ITS_WAY):
        reason = Reason.IMAGE_PULL_FAILED if pod.init.reason in IMAGE_PULL_REASONS else Reason.POD_NOT_STARTED
        return Problem(reason, _init(pod.init))
    if pod.waiting_reason in IMAGE_PULL_REASONS:
        return Problem(Reason.IMAGE_PULL_FAILED, f"{pod.waiting_reason}: {pod.waiting_message}")
    if pod.waiting_reason not in _ON_ITS_WAY:
        return Problem(Reason.INFRASTRUCTURE_FAULT, f"{pod.waiting_reason}: {pod.waiting_message}")
    return None


def waiting(pod: PodObject, pass_: Pass) -> Problem:
    """Return what a pod waits for that has no problem, and whose container has not started yet."""
    if pod.unschedulable is not None and not pod.node:
        pass_.look_at(pod.unschedulable.since + pass_.settings.unschedulable_after)
        return Problem(Reason.WAITING_FOR_NODE, _unaccepted(pod.unschedulable.since, pod.unschedulable.message))
    event = pass_.last_event(pod.meta.uid, since=pod.meta.created)
    if pass_.now < pod.meta.created + SILENT:
        return STARTS
    if not pod.node:
        return _with_words(event, Problem(Reason.STARTING, f"pod {pod.meta.name} waits for the scheduler"))
    doing = _init(pod.init) if pod.init is not None and pod.init.reason != "PodInitializing" else pod.waiting_reason
    text = f"node {pod.node} prepares pod {pod.meta.name}" + (f": {doing}" if doing else "")
    return _with_words(event, Problem(Reason.STARTING, text))


def _with_words(event: LastEvent | None, otherwise: Problem) -> Problem:
    """Return what the newest Event warns of, or else the problem as it is."""
    if event is None or not event.warning:
        return otherwise
    return Problem(Reason.POD_NOT_STARTED, f"{event.reason}: {event.message}")


def _unaccepted(since: datetime, words: str) -> str:
    return f"no node has accepted the pod since {since:%H:%M:%S}: {words}"


def _init(container: InitContainer) -> str:
    text = f"init container {container.name}: {container.reason or 'runs'}"
    return f"{text}: {container.message}" if container.message else text


def leaving(pod: PodObject) -> Problem | None:
    """Return that a pod is being deleted, which its Job did not ask for; None if it is not."""
    if pod.meta.deletion is None:
        return None
    text = f"pod {pod.meta.name} is being deleted; node {pod.node or 'none'} has until {pod.meta.deletion:%X}"
    return Problem(Reason.EVICTED, text)


def given_up(meta: ObjectMeta, now: datetime) -> bool:
    """Whether the object, a Job or a pod, should have been gone for so long that nothing waits for it any longer."""
    return meta.deletion is not None and now >= meta.deletion + GONE_AFTER


def next_unschedulable(pods: Iterable[PodObject], pass_: Pass) -> float | None:
    """Return the seconds until the grace period of the next unschedulable pod ends; None if no pod is in it."""
    after = pass_.settings.unschedulable_after
    left = [(p.unschedulable.since + after - pass_.now).total_seconds() for p in pods if p.unschedulable]
    return min((s for s in left if s > 0), default=None)


def interrupted(pod: PodObject) -> bool:
    """Whether the pod was ended from outside, so that its exit code says nothing about the model.

    One that is being deleted counts as such: its result is not recorded, so that it was not deleted for that.
    """
    return bool(pod.disruption) or pod.meta.deleting or pod.reason in ("Evicted", DEADLINE_EXCEEDED)


def stopped(pod: PodObject) -> bool:
    """Whether the pod was ended by SIGTERM, and not by its own deadline: its Job ignores that."""
    return pod.terminated is not None and pod.terminated.exit_code == EXIT_STOPPED and pod.reason != DEADLINE_EXCEEDED


def disruption_of(pod: PodObject) -> datetime | None:
    """Return when the pod was evicted, preempted or lost its node, and so ended without a result; None if it was not.

    The kubelet evicts a pod that exceeds its own limits without a condition: that is a disruption if the pod ends by
    SIGTERM in time, and else a failed attempt. One that is deleted is neither: its queue preempts it, or a person does.
    """
    if pod.phase == "Succeeded":
        return None
    if pod.disruption:
        return pod.disrupted or pod.meta.created
    ended = pod.terminated if stopped(pod) and not pod.meta.deleting else None
    return (ended.finished or pod.meta.created) if ended is not None else None


@dataclass(frozen=True)
class Overdue:
    """A pod that should have ended and does not by itself."""

    problem: Problem
    since: datetime


def overdue(pod: PodObject, kind: type[Model], pass_: Pass) -> Overdue | None:
    """Return why a pod that should have ended has not; None if it need not, or has time left.

    One that is deleted and has ended may stay: the controller of shards keeps it until it could make the next one.
    """
    ended, due = pod.terminated, None
    if pod.meta.deletion is not None and pod.phase not in _ENDED:
        due, end = pod.meta.deletion + LEAVING, f"{pod.meta.deletion:%X}"
        text = f"node {pod.node} does not say that it has ended pod {pod.meta.name}, which was due at {end}"
        problem = Problem(Reason.EVICTED, f"{text}; {pod.disruption}" if pod.disruption else text)
    elif pod.silent_since is not None:
        due, problem = pod.silent_since + LINGERING, _without_outcome(pod)
    elif ended is not None and ended.finished is not None and pod.phase not in _ENDED and not _done(ended, kind):
        due, found = ended.finished + LINGERING, pod_problem(pod, kind, pass_)
        text = f"another container keeps pod {pod.meta.name} running"
        reason = Reason.RESULT_LOST if ended.exit_code == EXIT_OK else Reason.CRASHED
        problem = Problem(found.reason, f"{found.message}; {text}") if found else Problem(reason, text)
    if due is None:
        return None
    pass_.look_at(due)
    return Overdue(problem, due) if pass_.now >= due else None


def _done(ended: Terminated, kind: type[Model]) -> bool:
    """Whether the container has done its work, and says so."""
    try:
        kind.model_validate_json(ended.message)
    except ValidationError:
        return False
    return ended.exit_code == EXIT_OK


def _failure(ended: Terminated, kind: type[Model] | None) -> Problem:
    """Return the problem of a container that failed: from its summary, or else from the end of its log.

    A summary with a reason that is not the infrastructure's contradicts the exit code, and is not believed.
    """
    try:
        summary = kind.model_validate_json(ended.message) if kind is not None else None
    except ValidationError:
        summary = None
    reason = getattr(summary, "reason", None)
    if isinstance(reason, Reason) and reason.fault is Fault.INFRASTRUCTURE:
        return Problem(reason, f"exit code {ended.exit_code}: {getattr(summary, 'message', '')}")
    if isinstance(reason, Reason) and is_later(reason):
        text = f"exit code {ended.exit_code}: {reason}: {getattr(summary, 'message', '')}"
        return Problem(Reason.INFRASTRUCTURE_FAULT, text)
    tail = " ".join(ended.message.split())[-LOG_LENGTH:]
    text = _exit(ended.exit_code) + (f"; the end of its log: {tail}" if tail else "")
    if ended.reason in _NOT_THE_PROCESS:
        return Problem(Reason.INFRASTRUCTURE_FAULT, f"{ended.reason}: {text}")
    return Problem(Reason.CRASHED, text)


def _exit(code: int) -> str:
    """Return an exit code in words; above 128 it is 128 and the number of a signal."""
    name = next((s.name for s in signal.Signals if s == code - 128), None)
    return f"exit code {code}" + (f" ({name})" if name is not None else "")
