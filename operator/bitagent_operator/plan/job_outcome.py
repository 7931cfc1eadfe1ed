"""Classification of a Job and its pods: one outcome with a reason and a human-readable message.

Exit 0 with a readable summary: done. Exit 78: the fault of the model (of a task set: of the spec), final. Anything else
is an infrastructure fault: the Job starts further pods by itself, and only when it has given up the outcome is a fault.
A Job that ended while no pod with a summary exists has lost its result (its node was removed, or someone deleted the
pod): the work is repeated under the next name.

The pod's termination message holds the summary, or, if the container wrote none, the end of its log (the pod template
asks for that).
"""

from __future__ import annotations

import signal
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from pydantic import ValidationError

from bitagent_crds.conditions import Fault, Reason
from bitagent_crds.jobs import EXIT_MODEL_FAULT, EXIT_OK, EvaluateSummary, FetchSummary, TaskSetSummary
from bitagent_crds.schema import Model, is_later
from bitagent_kube.conditions import clip
from bitagent_operator.objects import JobObject, PodObject, Terminated
from bitagent_operator.plan.interface import Pass

MESSAGE_LENGTH = 512
"""Longest message of a result, in characters."""
LOG_LENGTH = 400
"""How much of the end of a log a message may quote, in characters."""

_IMAGE_PULL = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError"}
)
_CONTAINER = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError", "CrashLoopBackOff"})
_NOT_THE_PROCESS = frozenset({"StartError", "ContainerCannotRun", "ContainerStatusUnknown"})
"""Reasons of a terminated container whose process did not end by itself: it never ran, or its node was lost."""

_NO_POD = (
    "no pod could be created since {since:%H:%M:%S}: a quota, a limit range, a missing priority or runtime class or an "
    "admission webhook rejects it; `kubectl describe job {job}` shows the rejection"
)

S = TypeVar("S", FetchSummary, TaskSetSummary, EvaluateSummary)


@dataclass(frozen=True)
class Problem:
    """Why a pod, and with it its Job, does not make progress."""

    reason: Reason
    message: str


@dataclass(frozen=True)
class Done(Generic[S]):
    """The work is done."""

    summary: S
    pod: PodObject


@dataclass(frozen=True)
class ModelFault(Generic[S]):
    """Exit 78: final. For a task set it is the spec's fault."""

    reason: Reason
    message: str
    summary: S | None
    pod: PodObject


@dataclass(frozen=True)
class InfraFault:
    """The Job gave up."""

    reason: Reason
    message: str
    at: datetime
    nodes: tuple[str, ...] = ()
    """Nodes on which its container ran, as far as pods are left."""


@dataclass(frozen=True)
class Lost:
    """The Job ended, and no pod has its result."""

    message: str
    at: datetime


@dataclass(frozen=True)
class Unseen:
    """The Job ended, and no cached pod has its result: a live read was requested."""


@dataclass(frozen=True)
class Active:
    """The Job has not ended."""

    problem: Problem | None = None
    """The problem of its present pod, which may pass; None if there is none."""
    node: str = ""
    """The node on which its last container runs or ran; empty if none has started."""


Outcome = Done[S] | ModelFault[S] | InfraFault | Lost | Unseen | Active


def classify(
    job: JobObject, pods: Iterable[PodObject], kind: type[S], pass_: Pass, *, last_reported: Problem | None = None
) -> Outcome[S]:
    """Return the outcome of a Job so far. `pods` may hold other Jobs' pods; `kind` is the summary that the Job writes.

    `last_reported`: last observed problem of a pod; pods are deleted with the Job at its deadline.
    """
    own = sorted((p for p in pods if p.meta.owner_uid == job.meta.uid), key=lambda p: (p.meta.created, p.meta.name))
    for pod in reversed(own):
        found = _final(pod, kind)
        if found is not None:
            return found
    problem = _problem_of_pods(own, kind, pass_)
    if job.ended is None:
        if not own and _has_no_pod(job, since=pass_.now - pass_.settings.unschedulable_after):
            text = _NO_POD.format(job=job.meta.name, since=job.started)
            problem = Problem(Reason.INFRASTRUCTURE_FAULT, text)
        shown = problem and Problem(problem.reason, clip(problem.message, MESSAGE_LENGTH))
        return Active(shown, next(reversed(_nodes(own)), ""))
    if job.meta.uid not in pass_.live.jobs_with_listed_pods:
        pass_.requests.pods_of_jobs.add(job.meta.uid)
        return Unseen()
    if job.ended.complete or job.ended.reason == "PodFailurePolicy":
        return Lost(f"Job {job.meta.name} ended, but no pod with its result is left", job.ended.at)
    if job.ended.reason == "DeadlineExceeded":
        if problem is None and last_reported is not None and last_reported.reason.fault is Fault.INFRASTRUCTURE:
            problem = last_reported
        reason = problem.reason if problem else Reason.DEADLINE_EXCEEDED
        text = "the deadline passed while it was still running"
        if problem is not None and problem.message:
            text = f"the deadline passed; {problem.message}"
    elif problem is None:
        reason = Reason.ATTEMPTS_EXHAUSTED
        text = f"{job.failed or 1} pods failed, and none is left that shows why ({job.ended.message})"
    else:
        reason = problem.reason
        text = f"gave up after {job.failed or len(own)} failed pods; {problem.message}"
    return InfraFault(reason, clip(text, MESSAGE_LENGTH), job.ended.at, _nodes(own))


def _nodes(pods: Iterable[PodObject]) -> tuple[str, ...]:
    """Return the nodes on which a container has started, each once, that of the last pod at the end."""
    found = [pod.node for pod in pods if pod.node and pod.started is not None]
    return tuple(reversed(dict.fromkeys(reversed(found))))


def _final(pod: PodObject, kind: type[S]) -> Done[S] | ModelFault[S] | None:
    """Return what a pod that ended with exit code 0 or 78 found; None for any other pod."""
    if pod.terminated is None or pod.terminated.exit_code not in (EXIT_OK, EXIT_MODEL_FAULT):
        return None
    summary = _summary(pod.terminated.message, kind)
    if pod.terminated.exit_code == EXIT_OK:
        return Done(summary, pod) if summary is not None else None
    if summary is not None:
        return ModelFault(summary.reason, clip(summary.message, MESSAGE_LENGTH), summary, pod)
    text = f"exit code {EXIT_MODEL_FAULT} without a summary; the end of its log: {pod.terminated.message}"
    return ModelFault(Reason.MODEL_LOAD_FAILED, clip(text, MESSAGE_LENGTH), None, pod)


def _has_no_pod(job: JobObject, *, since: datetime) -> bool:
    """Whether the Job was started at `since` or earlier and has had no pod."""
    started = None if job.suspended or job.active or job.failed else job.started
    return started is not None and started <= since


def started_pods(job: JobObject) -> int:
    """Return how many pods the Job has started."""
    finished = 1 if job.ended is not None and job.ended.complete else 0
    return job.failed + (min(1, job.active) or finished)


def next_unschedulable(pods: Iterable[PodObject], pass_: Pass) -> float | None:
    """Return the seconds until the grace period of the next unschedulable pod ends; None if no pod is in it."""
    after = pass_.settings.unschedulable_after
    left = [(p.unschedulable.since + after - pass_.now).total_seconds() for p in pods if p.unschedulable]
    return min((s for s in left if s > 0), default=None)


def _summary(text: str, kind: type[S]) -> S | None:
    try:
        return kind.model_validate_json(text)
    except ValidationError:
        return None


def _problem_of_pods(pods: list[PodObject], kind: type[Model], pass_: Pass) -> Problem | None:
    """Return the problem of the last pod that has one; `pods` are the oldest first."""
    found = (pod_problem(pod, kind, pass_) for pod in reversed(pods))
    return next((problem for problem in found if problem is not None), None)


def pod_problem(pod: PodObject, kind: type[Model] | None, pass_: Pass) -> Problem | None:
    """Return why a pod makes no progress, None if it does. `kind`: summary that it may have left after a failure."""
    if pod.unschedulable is not None and pod.phase == "Pending":
        since = pod.unschedulable.since
        if pass_.now - since < pass_.settings.unschedulable_after:
            return None
        text = f"no node has accepted the pod since {since:%H:%M:%S}: {pod.unschedulable.message}"
        return Problem(Reason.UNSCHEDULABLE, text)
    if pod.waiting_reason in _IMAGE_PULL:
        return Problem(Reason.IMAGE_PULL_FAILED, f"{pod.waiting_reason}: {pod.waiting_message}")
    if pod.waiting_reason in _CONTAINER:
        return Problem(Reason.INFRASTRUCTURE_FAULT, f"{pod.waiting_reason}: {pod.waiting_message}")
    if pod.reason == "Evicted":
        return Problem(Reason.NODE_PRESSURE, f"the node evicted the pod: {pod.message}")
    if pod.disruption and pod.phase != "Succeeded":
        return Problem(Reason.EVICTED, f"the pod was removed from its node: {pod.disruption}")
    ended = pod.terminated
    if ended is not None and ended.exit_code != EXIT_OK:
        if ended.reason == "OOMKilled":
            return Problem(Reason.OUT_OF_MEMORY, "killed: out of memory; raise the memory that the pod requests")
        return _failure(ended, kind)
    if pod.phase == "Failed":
        text = f"the pod failed: {pod.reason or 'no reason given'} {pod.message}".rstrip()
        return Problem(Reason.INFRASTRUCTURE_FAULT, text)
    return None


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
