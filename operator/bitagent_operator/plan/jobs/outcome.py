"""Classification of a Job and its pods: one outcome with a reason and a human-readable message.

Exit 0 with a readable summary: done. Exit 78: the fault of the model (of a task set: of the spec), final, unless the
pod was ended from outside. Anything else is an infrastructure fault: the Job starts further pods by itself, and only
when it has given up the outcome is a fault. An attempt that reaches its deadline is final for its Job,
unless it had no container and a later pod of the Job has one.

A Job that ended while no pod with a summary exists has lost its result (its node was removed, or someone deleted the
pod), and so has one whose pod never ends: the work is repeated under the next name.

The pod's termination message holds the summary, or, if the container wrote none, the end of its log (the pod template
asks for that).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from pydantic import ValidationError

from bitagent_crds.conditions import Fault, Reason
from bitagent_crds.jobs import (
    EXIT_LATER,
    EXIT_MODEL_FAULT,
    EXIT_OK,
    ArchiveSummary,
    EvaluateSummary,
    FetchSummary,
    RetentionSummary,
    TaskSetSummary,
)
from bitagent_crds.schema import Model
from bitagent_kube.conditions import clip
from bitagent_operator.observed.workloads import Ended, JobObject, PodObject
from bitagent_operator.plan.inputs import Pass
from bitagent_operator.plan.jobs.pods import (
    DEADLINE_EXCEEDED,
    Problem,
    interrupted,
    leaving,
    overdue,
    pod_problem,
    stopped,
    waiting,
)
from bitagent_operator.plan.jobs.queue import TROUBLES, not_admitted, unavailable_since, wait_in_queue
from bitagent_operator.plan.jobs.waits import (
    never_started,
    reason_of_wait,
    shards_without_pod,
    waits_since,
    without_pod,
)

QUOTED = 100
"""How much of an unreadable result a message quotes, in characters."""
MESSAGE_LENGTH = 512
"""Longest message of a result, in characters."""
_BEFORE_A_CONTAINER = frozenset({Reason.STARTING, Reason.WAITING_FOR_NODE})
"""Reasons without a fault that say that no container has started."""

_ENDED = frozenset({"Succeeded", "Failed"})

S = TypeVar("S", FetchSummary, TaskSetSummary, EvaluateSummary, ArchiveSummary, RetentionSummary)


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
    """The Job gave up, or it must: it has not ended yet, and is deleted once this is recorded."""

    reason: Reason
    message: str
    at: datetime
    nodes: tuple[str, ...] = ()
    """Nodes on which its container ran, as far as pods are left."""
    untimed: bool = False
    """Whether nothing says when it ended, as of a pod that reached its deadline without a container: `at` is then the
    time of each look. The next attempt follows at once, since a wait from then on would never end."""


@dataclass(frozen=True)
class Lost:
    """The Job ended and no pod has its result, or its pod never ends."""

    message: str
    at: datetime
    reason: Reason = Reason.RESULT_LOST
    nodes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Unseen:
    """The Job ended, and no cached pod has its result: a live read was requested."""


@dataclass(frozen=True)
class Active:
    """The Job has not ended."""

    problem: Problem | None = None
    """Why it makes no progress, or what it waits for, which may pass; None while a container runs."""
    node: str = ""
    """The node on which its last container runs or ran; empty if none has started."""
    started: bool = False
    """Whether a container runs or ran, as far as pods are left."""


Outcome = Done[S] | ModelFault[S] | InfraFault | Lost | Unseen | Active


def classify(
    job: JobObject,
    pods: Iterable[PodObject],
    kind: type[S],
    pass_: Pass,
    *,
    last_reported: Problem | None = None,
    start_timeout: timedelta | None = None,
) -> Outcome[S]:
    """Return the outcome of a Job so far. `pods` may hold other Jobs' pods; `kind` is the summary that the Job writes.

    `last_reported`: last reported state of the Job; pods are deleted with it at its deadline. `start_timeout`: time
    that it may wait until a container of an attempt runs; None: any.
    """
    own = _in_order(job, pods)
    for pod in reversed(own):
        found = _final(pod, kind)
        if found is not None:
            return found
    late = next((p for p in reversed(own) if p.reason == DEADLINE_EXCEEDED and not _replaced(p, own, job)), None)
    if late is not None:
        return _late(job, late, own, last_reported, pass_)
    ended = job.ended
    if ended is None:
        at_once = own if job.pods > 1 else own[-1:]
        stuck = next((over for pod in at_once if (over := overdue(pod, kind, pass_)) is not None), None)
        if stuck is None:
            return _unfinished(job, own, kind, pass_, last_reported, start_timeout)
        ended = job.ending
        if ended is None or ended.reason == DEADLINE_EXCEEDED:
            nodes = _failed_nodes(job, own)
            return Lost(clip(stuck.problem.message, MESSAGE_LENGTH), stuck.since, stuck.problem.reason, nodes)
    elif job.meta.uid not in pass_.live.jobs_with_listed_pods:
        pass_.requests.pods_of_jobs.add(job.meta.uid)
        return Unseen()
    return _ended(job, own, ended, kind, pass_, last_reported)


def _replaced(pod: PodObject, own: Sequence[PodObject], job: JobObject) -> bool:
    """Whether a pod has used up its time without a container, and a younger one of the Job has had one since.

    This operator was away meanwhile, or the Job would have been given up: its work is under way.
    """
    last = own[-1]
    return pod.started is None and job.pods == 1 and last.started is not None and last.meta.created > pod.meta.created


def _in_order(job: JobObject, pods: Iterable[PodObject]) -> list[PodObject]:
    """Return the Job's own pods, the one that says most of its state last: the youngest, of one pod at a time.

    Of several at a time, a pod that runs, else one that waits to.
    """

    def key(pod: PodObject) -> tuple[int, datetime, str]:
        ended, runs = pod.phase in _ENDED, pod.started is not None
        return 0 if job.pods == 1 or ended else 1 + runs, pod.meta.created, pod.meta.name

    return sorted((pod for pod in pods if pod.meta.owner_uid == job.meta.uid), key=key)


def _ended(
    job: JobObject,
    own: Sequence[PodObject],
    ended: Ended,
    kind: type[Model],
    pass_: Pass,
    last_reported: Problem | None,
) -> InfraFault | Lost:
    """Return the outcome of a Job that has ended, or that has failed and whose pods never end."""
    problem = _problem_of_pods(own, kind, pass_) or (_lasting(last_reported) if not own else None)
    later = any(pod.terminated is not None and pod.terminated.exit_code == EXIT_LATER for pod in own)
    if ended.complete or (ended.reason == "PodFailurePolicy" and not later):
        return Lost(clip(_without_result(job, own), MESSAGE_LENGTH), ended.at)
    if ended.reason == DEADLINE_EXCEEDED:
        reason = _deadline_reason(own, problem, last_reported)
        text = _deadline_text(own, problem, last_reported)
    elif problem is None:
        reason = Reason.ATTEMPTS_EXHAUSTED
        text = f"{job.failed or 1} pods failed, and none is left that shows why ({ended.message})"
    else:
        reason = problem.reason
        text = f"gave up after {job.failed or len(own)} failed pods; {problem.message}"
    return InfraFault(reason, clip(text, MESSAGE_LENGTH), ended.at, _failed_nodes(job, own))


def _without_result(job: JobObject, own: Sequence[PodObject]) -> str:
    """Return what is known of a Job that ended well and has no result."""
    for pod in reversed(own):
        if pod.terminated is not None and pod.terminated.exit_code == EXIT_OK:
            said = f"it says {pod.terminated.message[:QUOTED]!r}" if pod.terminated.message else "it says nothing"
            text = f"pod {pod.meta.name} ended with exit code {EXIT_OK}, but without a result that can be read"
            return f"{text} ({said}); does its image belong to this operator?"
    return f"Job {job.meta.name} ended, but no pod with its result is left"


def _late(
    job: JobObject, pod: PodObject, own: Sequence[PodObject], last_reported: Problem | None, pass_: Pass
) -> InfraFault:
    """Return the fault of a Job of which an attempt has reached its deadline; its further pods do not count."""
    ran = pod.started is not None
    problem = None if ran else _lasting(last_reported)
    at = pod.terminated.finished if pod.terminated is not None else None
    reason = _deadline_reason(own, problem, last_reported)
    text = _deadline_text(own, problem, last_reported)
    nodes = _failed_nodes(job, own)
    return InfraFault(reason, clip(text, MESSAGE_LENGTH), at or pass_.now, nodes, untimed=at is None)


def _deadline_reason(own: Sequence[PodObject], problem: Problem | None, last_reported: Problem | None) -> Reason:
    """Return the reason of a deadline that has passed: another one if no container has run, since waiting is not."""
    if problem is not None:
        return problem.reason
    waited = last_reported is not None and last_reported.reason in _BEFORE_A_CONTAINER
    if (own or waited) and not any(pod.started is not None for pod in own):
        return reason_of_wait(last_reported if waited else None)
    return Reason.DEADLINE_EXCEEDED


def _deadline_text(own: Sequence[PodObject], problem: Problem | None, last_reported: Problem | None) -> str:
    """Return what is known of a deadline that has passed. It says that a container ran only if one was seen."""
    if problem is not None and problem.message:
        return f"the deadline passed; {problem.message}"
    if any(pod.started is not None for pod in own):
        return "the deadline passed while it was still running"
    if last_reported is not None and last_reported.reason in _BEFORE_A_CONTAINER:
        return f"the deadline passed before a container of it ran; {last_reported.message}"
    if own:
        return "the deadline passed before a container of it ran"
    return "the deadline passed, and no pod is left that shows what it was doing"


def _lasting(reported: Problem | None) -> Problem | None:
    """Return what was reported last, if it is a fault of the infrastructure: a pod that showed it may be gone.

    That of a queue ends when the queue admits the Job.
    """
    lasts = reported is not None and reported.reason.fault is Fault.INFRASTRUCTURE and reported.reason not in TROUBLES
    return reported if lasts else None


def _unfinished(
    job: JobObject,
    own: Sequence[PodObject],
    kind: type[Model],
    pass_: Pass,
    last_reported: Problem | None,
    start_timeout: timedelta | None,
) -> Active | InfraFault:
    """Return the state of a Job that has not ended."""
    started = any(pod.started is not None for pod in own)
    node = next(reversed(_nodes(own)), "")
    if job.suspended and job.queue and not job.suspended_by_round:
        return _in_queue(job, own, pass_, last_reported, start_timeout)
    if job.suspended:
        text = f"Job {job.meta.name} is suspended; it runs once whatever suspended it resumes it"
        return Active(None if job.suspended_by_round else Problem(Reason.JOB_SUSPENDED, text), node, started)
    if job.scaled_down:
        text = f"something has set spec.parallelism of Job {job.meta.name} to 0; it runs once that is {job.pods} again"
        return Active(Problem(Reason.JOB_SUSPENDED, text), node, started)
    problem = _problem_of_pods(own, kind, pass_)
    if job.ending is not None:
        problem = problem or last_reported  # its pods are being taken away
    elif not own or shards_without_pod(job, own):
        wait = without_pod(job, pass_)
        problem = wait if wait.reason.fault is Fault.INFRASTRUCTURE else problem or _lasting(last_reported) or wait
    elif pod_problem(own[-1], kind, pass_) is None:
        now = leaving(own[-1]) or (waiting(own[-1], pass_) if own[-1].started is None else None)
        if now is not None and problem is not None:
            now = Problem(problem.reason, f"{problem.message}; now {now.message}")
        problem = now or problem
    since = waits_since(job, own)
    if start_timeout is not None and since is not None:
        if pass_.now >= since + start_timeout:
            cause = never_started(problem, start_timeout)
            return InfraFault(cause.reason, clip(cause.message, MESSAGE_LENGTH), pass_.now, _nodes(own))
        pass_.look_at(since + start_timeout)
    shown = problem and Problem(problem.reason, clip(problem.message, MESSAGE_LENGTH))
    return Active(shown, node, started)


def _in_queue(
    job: JobObject,
    own: Sequence[PodObject],
    pass_: Pass,
    last_reported: Problem | None,
    start_timeout: timedelta | None,
) -> Active | InfraFault:
    """Return the state of a Job that its queue has not admitted, or has preempted."""
    problem = wait_in_queue(job, pass_, last_reported)
    problem = Problem(problem.reason, clip(problem.message, MESSAGE_LENGTH))
    since = unavailable_since(job, problem, pass_.queues)
    if start_timeout is not None and since is not None:
        if pass_.now >= since + start_timeout:
            cause = not_admitted(problem, start_timeout)
            return InfraFault(cause.reason, clip(cause.message, MESSAGE_LENGTH), pass_.now, _nodes(own))
        pass_.look_at(since + start_timeout)
    return Active(problem, next(reversed(_nodes(own)), ""), any(pod.started is not None for pod in own))


def _nodes(pods: Iterable[PodObject]) -> tuple[str, ...]:
    """Return the nodes on which a container has started, each once, that of the last pod at the end."""
    found = [pod.node for pod in pods if pod.node and pod.started is not None]
    return tuple(reversed(dict.fromkeys(reversed(found))))


def _failed_nodes(job: JobObject, pods: Sequence[PodObject]) -> tuple[str, ...]:
    """Return the nodes on which a Job that gave up has failed.

    Of shards, those of pods that failed by themselves, if there are any: on the others nothing went wrong.
    """
    failed = [p for p in pods if p.phase == "Failed" and not p.disruption and not stopped(p)] if job.pods > 1 else []
    return _nodes(failed) or _nodes(pods)


def _final(pod: PodObject, kind: type[S]) -> Done[S] | ModelFault[S] | None:
    """Return what a pod that ended with exit code 0 or 78 found; None for any other pod, and for one that has done its
    shard while others have not.

    The exit code 78 of a pod that was ended from outside is not believed: what broke then may be what ended it.
    """
    if pod.terminated is None or pod.terminated.exit_code not in (EXIT_OK, EXIT_MODEL_FAULT):
        return None
    summary = _summary(pod.terminated.message, kind)
    if pod.terminated.exit_code == EXIT_OK:
        whole = summary is not None and summary.reason is not Reason.SHARD_EVALUATED
        return Done(summary, pod) if summary is not None and whole else None
    if interrupted(pod):
        return None
    if summary is not None:
        return ModelFault(summary.reason, clip(summary.message, MESSAGE_LENGTH), summary, pod)
    text = f"exit code {EXIT_MODEL_FAULT} without a summary; the end of its log: {pod.terminated.message}"
    return ModelFault(Reason.MODEL_LOAD_FAILED, clip(text, MESSAGE_LENGTH), None, pod)


def _summary(text: str, kind: type[S]) -> S | None:
    try:
        return kind.model_validate_json(text)
    except ValidationError:
        return None


def _problem_of_pods(pods: Sequence[PodObject], kind: type[Model], pass_: Pass) -> Problem | None:
    """Return the problem of the last pod that has one; `pods` are the oldest first."""
    found = (pod_problem(pod, kind, pass_) for pod in reversed(pods))
    return next((problem for problem in found if problem is not None), None)
