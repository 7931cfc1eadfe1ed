"""Plan for one Validator: what to report about its pod."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bitagent_crds.conditions import ConditionStatus, ConditionType, Reason
from bitagent_crds.status import Condition
from bitagent_kube.conditions import ConditionValue, find, update_conditions
from bitagent_kube.objects import EventMessage
from bitagent_operator.observed.applied import FIRST_READ, pause_before_read
from bitagent_operator.observed.objects import ValidatorObject
from bitagent_operator.observed.workloads import DeploymentObject, PodObject
from bitagent_operator.plan.inputs import Pass
from bitagent_operator.plan.interface import EventReason, ValidatorPlan
from bitagent_operator.plan.jobs.pods import Problem, next_unschedulable, pod_problem


def plan(
    validator: ValidatorObject,
    *,
    deployment: DeploymentObject | None,
    pods: Sequence[PodObject],
    mount_failures: Iterable[str] | None,
    refusal: str | None,
    pass_: Pass,
) -> ValidatorPlan:
    """Return the Deployed condition, and the Event that reports its change.

    `mount_failures`: messages of the pod's FailedMount events, newest first; None if they were not read. `refusal`:
    message of the API server if it refused one of the Validator's objects; a pod that runs then has an older spec.
    """
    pod = max((p for p in pods if not p.meta.deleting), key=lambda p: p.meta.created, default=None)
    status, mount_events_of, next_look = ConditionStatus.FALSE, None, None
    if refusal is not None:
        state = Problem(Reason.INFRASTRUCTURE_FAULT, refusal)
    elif validator.spec.suspend:
        state = Problem(Reason.SUSPENDED, "spec.suspend is true; no pod sets weights")
    elif deployment is not None and deployment.current and deployment.available >= 1 and deployment.replicas == 1:
        status = ConditionStatus.TRUE
        state = Problem(Reason.DEPLOYMENT_AVAILABLE, "the validator pod is ready")
    elif pod is None and deployment is not None and deployment.failure:
        state = Problem(Reason.INFRASTRUCTURE_FAULT, f"its pod cannot be created: {deployment.failure}")
    elif pod is None:
        state = Problem(Reason.DEPLOYMENT_PROGRESSING, "the Deployment has no pod yet")
    else:
        state = _pod_state(pod, mount_failures, pass_)
        next_look = _next_look(pod, pass_)
        if mount_failures is None and _creating(pod) and pass_.now - pod.meta.created >= FIRST_READ:
            mount_events_of = pod
    value = ConditionValue(ConditionType.DEPLOYED, status, state.reason, state.message)
    previous, generation = validator.conditions, validator.meta.generation
    (deployed,) = update_conditions([value], previous=previous, generation=generation, now=pass_.now)
    return ValidatorPlan(
        deployed=deployed,
        events=_events(find(validator.conditions, ConditionType.DEPLOYED), deployed),
        mount_events_of=mount_events_of,
        requeue_after=next_look,
    )


def _next_look(pod: PodObject, pass_: Pass) -> float | None:
    """Return the seconds until a pod that is not ready is looked at again, if no change comes before; None: never."""
    if not _creating(pod):
        return next_unschedulable([pod], pass_)
    age = pass_.now - pod.meta.created
    wait = FIRST_READ - age if age < FIRST_READ else pause_before_read(age)
    return wait.total_seconds()


def _creating(pod: PodObject) -> bool:
    return pod.phase == "Pending" and pod.unschedulable is None and pod.waiting_reason in ("", "ContainerCreating")


def _pod_state(pod: PodObject, mount_failures: Iterable[str] | None, pass_: Pass) -> Problem:
    """Return why the pod is not ready."""
    for message in mount_failures or ():
        if "secret" in message:
            text = f"{message}; create the Secret, or correct spec.wallet or a tasks.secretRef"
            return Problem(Reason.SECRET_NOT_FOUND, text)
        return Problem(Reason.DEPLOYMENT_PROGRESSING, message)
    if pod.waiting_reason == "CreateContainerConfigError" and "secret" in pod.waiting_message:
        return Problem(Reason.SECRET_NOT_FOUND, f"{pod.waiting_message}; create the Secret, or correct spec.wallet")
    starting = Problem(Reason.DEPLOYMENT_PROGRESSING, f"pod {pod.meta.name} is starting")
    problem = pod_problem(pod, None, pass_)
    if problem is None and pod.started is not None and pod.beside:
        text = f"the validator runs, and sets weights; beside it {pod.beside}"
        return Problem(Reason.POD_NOT_STARTED, text)
    return problem or starting


def _events(old: Condition | None, new: Condition) -> tuple[EventMessage, ...]:
    if old is not None and (old.status, old.reason) == (new.status, new.reason):
        return ()
    if new.status == ConditionStatus.TRUE:
        return (EventMessage(EventReason.VALIDATOR_DEPLOYED, new.message),)
    if new.reason in (Reason.SUSPENDED, Reason.DEPLOYMENT_PROGRESSING):
        return ()
    return (EventMessage(EventReason.VALIDATOR_NOT_RUNNING, f"{new.reason}: {new.message}", warning=True),)
