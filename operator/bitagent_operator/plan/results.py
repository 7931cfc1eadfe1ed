"""From a Job and its pods to what happened: one outcome with a reason and a sentence for people.

Exit 0 with a readable summary: done. Exit 78: the model's fault, final. Everything else is the infrastructure's: the Job tries again
by itself, and only when it has given up the outcome is a fault. A Job that ended while no pod with a summary is in sight has lost its
result (its node went away, someone deleted the pod): the work is done again under the next name.

The pod's termination message holds the summary, or, when the container wrote none, the end of its log (the template asks for that).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from pydantic import ValidationError

from bitagent_crds.conditions import Reason
from bitagent_crds.jobs import EXIT_MODEL_FAULT, EXIT_OK, EvaluateSummary, FetchSummary, TaskSetSummary
from bitagent_crds.schema import Model
from bitagent_operator.conditions import clip
from bitagent_operator.observed import JobObject, PodObject
from bitagent_operator.plan.questions import Answers

MESSAGE_LENGTH = 512

INFRASTRUCTURE = frozenset(
    {
        Reason.HUB_UNAVAILABLE,
        Reason.FETCH_FAILED,
        Reason.OUT_OF_MEMORY,
        Reason.EVICTED,
        Reason.IMAGE_PULL_FAILED,
        Reason.UNSCHEDULABLE,
        Reason.DEADLINE_EXCEEDED,
        Reason.RESULT_LOST,
        Reason.ATTEMPTS_EXHAUSTED,
        Reason.INFRASTRUCTURE_FAULT,
    }
)
"""Reasons that are nobody's fault: never a zero, always worth another try."""

_IMAGE_PULL = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError"}
)
_CONTAINER = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError", "CrashLoopBackOff"})

_PODLESS = (
    "no pod could be made since {since:%H:%M:%S}: a quota, a limit range, a missing priority or runtime class, or an admission "
    "webhook refuses it; `kubectl describe job {job}` has its words"
)

S = TypeVar("S", FetchSummary, TaskSetSummary, EvaluateSummary)


@dataclass(frozen=True)
class Done(Generic[S]):
    """The work is done."""

    summary: S
    pod: PodObject


@dataclass(frozen=True)
class ModelFault(Generic[S]):
    """Exit 78: final; for a task set the spec's fault."""

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


@dataclass(frozen=True)
class Lost:
    """The Job ended, and its result is nowhere."""

    message: str
    at: datetime


@dataclass(frozen=True)
class Unseen:
    """The Job ended, and its result is not in the cache: list its pods before concluding anything."""


@dataclass(frozen=True)
class Active:
    """The Job goes on. `reason` is None while nothing is wrong."""

    reason: Reason | None = None
    message: str = ""


Outcome = Done[S] | ModelFault[S] | InfraFault | Lost | Unseen | Active


def classify(
    job: JobObject,
    pods: Iterable[PodObject],
    kind: type[S],
    *,
    answers: Answers,
    now: datetime,
    unschedulable_after: timedelta,
    told: tuple[Reason, str] | None = None,
) -> Outcome[S]:
    """What a Job has come to. `pods` may hold other Jobs' pods; `kind` is the summary that the Job writes.

    `told` is what was reported while it went on: at its deadline a Job takes the pods with it that could tell what kept it.
    """
    own = sorted((p for p in pods if p.meta.owner_uid == job.meta.uid), key=lambda p: (p.meta.created, p.meta.name))
    for pod in reversed(own):
        ended = pod.terminated
        if ended is None or ended.exit_code not in (EXIT_OK, EXIT_MODEL_FAULT):
            continue
        summary = _summary(ended.message, kind)
        if ended.exit_code == EXIT_OK and summary is not None:
            return Done(summary, pod)
        if ended.exit_code == EXIT_MODEL_FAULT:
            reason = summary.reason if summary is not None else Reason.MODEL_LOAD_FAILED
            text = (
                summary.message
                if summary is not None
                else f"the process judged so; the end of its log: {ended.message}"
            )
            return ModelFault(reason, clip(text, MESSAGE_LENGTH), summary, pod)
    trouble, message = _trouble(own, kind, now=now, unschedulable_after=unschedulable_after)
    if job.ended is None:
        if not own and _podless(job, now - unschedulable_after):
            trouble, message = Reason.INFRASTRUCTURE_FAULT, _PODLESS.format(job=job.meta.name, since=job.started)
        return Active(trouble, clip(message, MESSAGE_LENGTH))
    if job.meta.uid not in answers.sure_jobs:
        return Unseen()
    if job.ended.complete or job.ended.reason == "PodFailurePolicy":
        text = f"Job {job.meta.name} ended, but no pod with its result is left"
        return Lost(text, job.ended.at)
    if job.ended.reason == "DeadlineExceeded":
        if trouble is None and told is not None and told[0] in INFRASTRUCTURE:
            trouble, message = told
        reason = trouble or Reason.DEADLINE_EXCEEDED
        message = f"the deadline passed; {message}" if message else "the deadline passed while it still ran"
    elif trouble is None:
        reason = Reason.ATTEMPTS_EXHAUSTED
        message = f"{job.failed or 1} pods failed, none is left to tell why ({job.ended.message})"
    else:
        reason = trouble
        message = f"gave up after {job.failed or len(own)} failed pods; {message}"
    return InfraFault(reason, clip(message, MESSAGE_LENGTH), job.ended.at)


def _podless(job: JobObject, moment: datetime) -> bool:
    """Whether no pod of the Job was made since before `moment`; one that is there or was there is no such case."""
    started = None if job.suspended or job.active or job.failed else job.started
    return started is not None and started <= moment


def started_pods(job: JobObject) -> int:
    """How many pods the Job has started."""
    finished = 1 if job.ended is not None and job.ended.complete else 0
    return job.failed + (min(1, job.active) or finished)


def next_look(pods: Iterable[PodObject], *, now: datetime, unschedulable_after: timedelta) -> float | None:
    """Seconds until a pod that finds no node will have waited too long; None when none waits."""
    left = [(p.unschedulable[0] + unschedulable_after - now).total_seconds() for p in pods if p.unschedulable]
    return min((s for s in left if s > 0), default=None)


def _summary(text: str, kind: type[S]) -> S | None:
    try:
        return kind.model_validate_json(text)
    except ValidationError:
        return None


def _trouble(
    pods: list[PodObject], kind: type[Model], *, now: datetime, unschedulable_after: timedelta
) -> tuple[Reason | None, str]:
    """What is wrong with the last pod, else with the last one that failed."""
    for pod in reversed(pods):
        reason, message = pod_trouble(pod, kind, now=now, unschedulable_after=unschedulable_after)
        if reason is not None:
            return reason, message
    return None, ""


def pod_trouble(
    pod: PodObject, kind: type[Model] | None, *, now: datetime, unschedulable_after: timedelta
) -> tuple[Reason | None, str]:
    """What keeps a pod from its work, None while nothing does. `kind` reads the summary of an infrastructure fault."""
    if pod.unschedulable is not None and pod.phase == "Pending":
        since, why = pod.unschedulable
        if now - since >= unschedulable_after:
            return Reason.UNSCHEDULABLE, f"no node takes the pod since {since:%H:%M:%S}: {why}"
        return None, ""
    if pod.waiting_reason in _IMAGE_PULL:
        return Reason.IMAGE_PULL_FAILED, f"{pod.waiting_reason}: {pod.waiting_message}"
    if pod.waiting_reason in _CONTAINER:
        return Reason.INFRASTRUCTURE_FAULT, f"{pod.waiting_reason}: {pod.waiting_message}"
    if pod.reason == "Evicted":
        return Reason.EVICTED, f"the node evicted the pod: {pod.message}"
    if pod.disruption and pod.phase != "Succeeded":
        return Reason.EVICTED, f"the pod was taken from its node: {pod.disruption}"
    ended = pod.terminated
    if ended is not None and ended.exit_code != EXIT_OK:
        if ended.reason == "OOMKilled":
            return Reason.OUT_OF_MEMORY, "killed: out of memory; raise the memory that the pod asks for"
        return _fault(ended.message, ended.exit_code, kind)
    if ended is not None and pod.phase == "Succeeded":
        return None, ""
    if pod.phase == "Failed":
        return Reason.INFRASTRUCTURE_FAULT, f"the pod failed: {pod.reason or 'no reason given'} {pod.message}".rstrip()
    return None, ""


def _fault(text: str, code: int, kind: type[Model] | None) -> tuple[Reason, str]:
    """An exit code that is neither 0 nor 78: by its summary if it wrote one, else by the end of its log."""
    try:
        summary = kind.model_validate_json(text) if kind is not None else None
    except ValidationError:
        summary = None
    reason = getattr(summary, "reason", None)
    if summary is not None and reason in INFRASTRUCTURE:
        return Reason(reason), f"exit code {code}: {getattr(summary, 'message', '')}"
    tail = " ".join(text.split())[-400:]
    return Reason.INFRASTRUCTURE_FAULT, f"exit code {code}" + (f"; the end of its log: {tail}" if tail else "")
