"""Plan for a Validator's rewriter: its model, its pods, whether it is ready, and how long a round waits for it.

The model is planned like a MinerModel, through the same fetch Jobs and checks; no MinerModel is made for it, which a
round could select. What is known about the files is `status.rewriter` of the Validator.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bitagent_crds.conditions import ConditionStatus, ConditionType, Fault, Reason
from bitagent_crds.jobs import EXIT_NO_MODEL
from bitagent_crds.minermodel import MinerModelSpec, MinerModelStatus, ModelSource
from bitagent_crds.names import REWRITER_LABEL, short_hash
from bitagent_crds.rewriter import Rewriter, RewriterStatus
from bitagent_crds.status import Condition
from bitagent_kube.conditions import ConditionValue, find
from bitagent_kube.objects import EventMessage
from bitagent_operator import naming
from bitagent_operator.observed.objects import ModelObject, RoundObject, ValidatorObject
from bitagent_operator.observed.workloads import DeploymentObject, PodObject
from bitagent_operator.plan.identity import origin
from bitagent_operator.plan.inputs import Pass
from bitagent_operator.plan.interface import EventReason
from bitagent_operator.plan.jobs.pods import Problem, next_unschedulable, pod_problem, waiting

_OF_FILES = (ConditionType.RESOLVED, ConditionType.SAFE, ConditionType.FETCHED)
"""Conditions of a MinerModel that a rewriter has as well."""
_BACK_OFF = "CrashLoopBackOff"
_ENDS = frozenset({Reason.CRASHED, Reason.OUT_OF_MEMORY})
"""Reasons with which a container ends; the kubelet then says only that it waits."""
DEFAULT_TIMEOUT = timedelta(hours=1)
"""How long a round waits for a Validator that is not there: its own limit is not known."""


def as_model(validator: ValidatorObject, spec: Rewriter, *, missing: bool = False) -> ModelObject:
    """Return the rewriter's model as if a MinerModel had been submitted.

    Its generation is that of the Validator's spec which named this source first: other changes do not fetch it again.
    With `missing` the fetch that is recorded does not count.
    """
    status = status_of_source(validator, spec)
    meta = replace(validator.meta, name=naming.rewriter_name(validator.meta.name), generation=status.generation)
    known = MinerModelStatus(
        observed_generation=status.generation,
        resolved=status.resolved,
        conditions=[] if missing else status.conditions,
    )
    return ModelObject(meta, MinerModelSpec(source=spec.source, engine=spec.engine), known)


def status_of_source(validator: ValidatorObject, spec: Rewriter) -> RewriterStatus:
    """Return what is known about the present source: the recorded status, or an empty one for another source."""
    source, known = source_hash(spec.source), validator.rewriter
    if known is not None and known.source == source:
        return known
    return RewriterStatus(source=source, generation=validator.meta.generation, repo=origin(spec.source))


def status_after(validator: ValidatorObject, spec: Rewriter, model: MinerModelStatus) -> RewriterStatus:
    """Return the status that follows from that of the model."""
    before = status_of_source(validator, spec)
    return RewriterStatus(
        source=before.source,
        generation=before.generation,
        repo=before.repo,
        resolved=model.resolved,
        conditions=[c for c in model.conditions if c.type in _OF_FILES],
    )


def source_hash(source: ModelSource) -> str:
    """Return a short name of a source."""
    return short_hash(source.model_dump_json(by_alias=True, exclude_none=True), digits=16)


def files_are_missing(validator: ValidatorObject, pods: Iterable[PodObject]) -> bool:
    """Whether a pod that was created after the last fetch does not find the model, as on a new cache volume.

    After another fetch the same pod says nothing new: its container starts again by itself.
    """
    status = validator.rewriter
    if status is None or status.resolved is None:
        return False
    fetched = status.resolved.at
    return any(pod.meta.created > fetched and _misses_its_model(pod) for pod in pods)


def _misses_its_model(pod: PodObject) -> bool:
    """Whether the kubelet finds no directory to mount, or the server no model in it."""
    if pod.terminated is not None:
        return pod.terminated.exit_code == EXIT_NO_MODEL
    return pod.waiting_reason == "CreateContainerConfigError" and "subPath" in pod.waiting_message


@dataclass(frozen=True)
class Demand:
    """How many pods there should be."""

    replicas: int
    requeue_after: float | None = None
    """Seconds until there may be fewer."""


def demand(validator: ValidatorObject, spec: Rewriter, rounds: Iterable[RoundObject], *, now: datetime) -> Demand:
    """Return how many pods the rewriter needs now; `rounds` may hold other Validators' rounds."""
    own = [r for r in rounds if r.spec.tasks.reworded_by_validator and r.rewriter == validator.meta.name]
    if any(_needs(each) for each in own):
        return Demand(spec.replicas)
    if validator.spec.suspend:
        return Demand(0)
    if spec.scale_to_zero_after_seconds is None:
        return Demand(spec.replicas)
    status = validator.rewriter
    used = [moment for each in own if (moment := _last_needed(each)) is not None]
    used += [status.resolved.at] if status is not None and status.resolved is not None else []
    left = (max(used, default=now) - now).total_seconds() + spec.scale_to_zero_after_seconds
    return Demand(spec.replicas, left) if left > 0 else Demand(0)


def _needs(observed: RoundObject) -> bool:
    ended = observed.status.finished_at is not None or observed.status.task_set is not None
    return not (ended or observed.meta.deleting or observed.spec.suspend)


def _last_needed(observed: RoundObject) -> datetime | None:
    """Return when a round last needed the rewriter: when its task set was there, or it failed before."""
    ready = find(observed.status.conditions, ConditionType.TASKS_READY)
    if observed.status.task_set is not None and ready is not None:
        return ready.last_transition_time
    return observed.status.finished_at


def readiness(
    spec: Rewriter,
    status: RewriterStatus,
    *,
    replicas: int,
    deployment: DeploymentObject | None,
    pods: Sequence[PodObject],
    refusal: str | None,
    last: Condition | None,
    pass_: Pass,
) -> ConditionValue:
    """Return the condition RewriterReady; `last` is the one before.

    `pods` are the rewriter's; `refusal` is the API server's, if it refused one of its objects.
    """
    if status.resolved is None:
        fetched = find(status.conditions, ConditionType.FETCHED)
        state = Problem(fetched.reason, fetched.message) if fetched else Problem(Reason.FETCHING, "")
        return _not_ready(state)
    model = f"{status.repo}@{status.resolved.commit[:12]}"
    if refusal is not None:
        return _not_ready(Problem(Reason.INFRASTRUCTURE_FAULT, refusal))
    if replicas == 0:
        return _not_ready(Problem(Reason.REWRITER_IDLE, f"no round needs it; {model} is in the cache"))
    if deployment is not None and deployment.current and deployment.available:
        text = f"{deployment.available} of {spec.replicas} pods serve {model}"
        return ConditionValue(ConditionType.REWRITER_READY, ConditionStatus.TRUE, Reason.REWRITER_READY, text)
    if deployment is not None and deployment.failure:
        return _not_ready(Problem(Reason.INFRASTRUCTURE_FAULT, f"no pod can be created: {deployment.failure}"))
    present = sorted((p for p in pods if not p.meta.deleting), key=lambda p: p.meta.created)
    found = [problem for pod in present if (problem := pod_problem(pod, None, pass_)) is not None]
    if found:
        return _not_ready(_why_it_ended(found[-1], last))
    queued = [pod for pod in present if pod.unschedulable is not None and not pod.node]
    if queued:
        return _not_ready(waiting(queued[-1], pass_))
    names = ", ".join(p.meta.name for p in present)
    text = f"{names} loads {model}" if names else f"the pods that load {model} are being created"
    return _not_ready(Problem(Reason.REWRITER_LOADING, text))


def _why_it_ended(problem: Problem, last: Condition | None) -> Problem:
    """Return the problem of a pod; while its container waits to be started again, that with which it ended."""
    if problem.message.startswith(_BACK_OFF) and last is not None and last.reason in _ENDS:
        return Problem(last.reason, last.message)
    return problem


def _not_ready(state: Problem) -> ConditionValue:
    return ConditionValue(ConditionType.REWRITER_READY, ConditionStatus.FALSE, state.reason, state.message)


def next_look(pods: Sequence[PodObject], pass_: Pass) -> float | None:
    """Return the seconds until a pod of the rewriter counts as unschedulable; None if none will by itself."""
    return next_unschedulable(pods, pass_)


def rewriter_events(old: Condition | None, new: Condition | None) -> tuple[EventMessage, ...]:
    """Return the Event that reports a change of RewriterReady."""
    if new is None:
        return ()
    if old is not None and (old.status, old.reason) == (new.status, new.reason):
        return ()
    if new.status == ConditionStatus.TRUE:
        return (EventMessage(EventReason.REWRITER_READY, new.message),)
    if new.reason.fault is Fault.NONE:
        return ()
    return (EventMessage(EventReason.REWRITER_NOT_READY, f"{new.reason}: {new.message}", warning=True),)


@dataclass(frozen=True)
class RewriterWait:
    """Why a round's task-set Job is not started."""

    reason: Reason
    message: str
    failed: bool = False
    requeue_after: float | None = None
    """Seconds until the round has waited long enough."""


def wait_for_rewriter(
    observed: RoundObject, validator: ValidatorObject | None, *, now: datetime
) -> RewriterWait | None:
    """Return why the round waits for a rewriter; None if it needs none, or if it is ready.

    `validator` is the one that the round belongs to, if it is known. The round waits from its start, or from when the
    rewriter was last ready.
    """
    if not observed.spec.tasks.reworded_by_validator:
        return None
    name = observed.rewriter
    if not name:
        text = "a rewrite names no url, and the round belongs to no Validator: give url and model, or the label "
        text += f"{REWRITER_LABEL} with the name of a Validator that has spec.rewriter"
        return RewriterWait(Reason.NO_REWRITER, text, failed=True)
    if validator is not None and validator.spec.rewriter is None:
        text = f"a rewrite names no url, and Validator {name} has no spec.rewriter"
        return RewriterWait(Reason.NO_REWRITER, text, failed=True)
    since, limit = observed.status.begun or now, DEFAULT_TIMEOUT
    state = f"Validator {name} does not exist, or cannot be read"
    if validator is not None and validator.spec.rewriter is not None:
        ready = find(validator.conditions, ConditionType.REWRITER_READY)
        current = ready is not None and ready.observed_generation == validator.meta.generation
        limit = timedelta(seconds=validator.spec.rewriter.start_timeout_seconds)
        if ready is not None and ready.status == ConditionStatus.TRUE:
            # Time that passed while it was ready is not a wait: with a spec of a moment ago the round must not fail.
            text = f"waits until the operator has looked at the changed spec of Validator {name}"
            wait = RewriterWait(Reason.WAITING_FOR_REWRITER, text, requeue_after=limit.total_seconds())
            return None if current else wait
        since = max(since, ready.last_transition_time) if ready is not None else since
        state = f"{ready.reason}: {ready.message}" if ready is not None else "it is not started yet"
    until = since + limit
    if now >= until and not observed.spec.suspend:
        text = f"the rewriter of Validator {name} was not ready by {until:%Y-%m-%d %H:%M:%S} UTC: {state}"
        return RewriterWait(Reason.REWRITER_UNAVAILABLE, text, failed=True)
    text = f"waits for the rewriter of Validator {name} until {until:%Y-%m-%d %H:%M:%S} UTC at the latest: {state}"
    left = max(0.0, (until - now).total_seconds()) or None
    return RewriterWait(Reason.WAITING_FOR_REWRITER, text, requeue_after=left)
