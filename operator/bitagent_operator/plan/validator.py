"""What to say about a Validator's pod. The objects themselves follow from the spec alone and are applied in every pass."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bitagent_crds.conditions import Condition, ConditionStatus, ConditionType, Reason
from bitagent_operator.conditions import Conditions, find
from bitagent_operator.observed import DeploymentObject, PodObject, ValidatorObject
from bitagent_operator.plan.notices import Happening, Notice
from bitagent_operator.plan.results import pod_trouble

STARTING = timedelta(seconds=5)
"""How long a container may be created before its pod's events are read: only they tell that a Secret is missing."""
LOOK_AGAIN = 5.0


@dataclass(frozen=True)
class ValidatorPlan:
    """What to report."""

    deployed: Condition
    notices: tuple[Notice, ...] = ()
    mount_events_of: str | None = None
    """uid of a pod whose volumes seem not to come: read its events, then plan again."""
    again: float | None = None


def plan(
    validator: ValidatorObject,
    *,
    deployment: DeploymentObject | None,
    pods: Sequence[PodObject],
    mount_failures: Iterable[str] | None,
    now: datetime,
    unschedulable_after: timedelta,
    refusal: str | None = None,
) -> ValidatorPlan:
    """The Deployed condition. `mount_failures`: messages of the asked pod's FailedMount events, None if not asked.

    `refusal` is what the API server said to one of the objects: whatever runs then runs by an older spec.
    """
    pod = max((p for p in pods if not p.meta.deleting), key=lambda p: p.meta.created, default=None)
    no, ask = ConditionStatus.FALSE, None
    if refusal is not None:
        state = (no, Reason.INFRASTRUCTURE_FAULT, refusal)
    elif validator.spec.suspend:
        state = (no, Reason.SUSPENDED, "spec.suspend is true; no pod sets weights")
    elif deployment is not None and deployment.current and deployment.available >= 1 and deployment.replicas == 1:
        state = (ConditionStatus.TRUE, Reason.DEPLOYMENT_AVAILABLE, "the validator pod is ready")
    elif pod is None:
        state = (no, Reason.DEPLOYMENT_PROGRESSING, "the Deployment has no pod yet")
    else:
        reason, message = _pod_state(pod, mount_failures, now=now, unschedulable_after=unschedulable_after)
        state = (no, reason, message)
        if mount_failures is None and _creating(pod) and now - pod.meta.created >= STARTING:
            ask = pod.meta.uid
    conditions = Conditions(validator.conditions, generation=validator.meta.generation, now=now)
    conditions.set(ConditionType.DEPLOYED, *state)
    deployed = conditions.get(ConditionType.DEPLOYED)
    if deployed is None:
        raise AssertionError("just set")
    settled = (refusal is None and validator.spec.suspend) or deployed.status == ConditionStatus.TRUE
    told = _notices(find(validator.conditions, ConditionType.DEPLOYED), deployed)
    return ValidatorPlan(deployed, told, mount_events_of=ask, again=None if settled else LOOK_AGAIN)


def _creating(pod: PodObject) -> bool:
    return pod.phase == "Pending" and pod.unschedulable is None and pod.waiting_reason in ("", "ContainerCreating")


def _pod_state(
    pod: PodObject, mount_failures: Iterable[str] | None, *, now: datetime, unschedulable_after: timedelta
) -> tuple[Reason, str]:
    for message in mount_failures or ():
        if "secret" in message:
            return Reason.SECRET_NOT_FOUND, f"{message}; create the Secret with the hotkey, or correct spec.wallet"
        return Reason.DEPLOYMENT_PROGRESSING, message
    if pod.waiting_reason == "CreateContainerConfigError" and "secret" in pod.waiting_message:
        return Reason.SECRET_NOT_FOUND, f"{pod.waiting_message}; create the Secret, or correct spec.wallet"
    reason, message = pod_trouble(pod, None, now=now, unschedulable_after=unschedulable_after)
    if reason is not None:
        return reason, message
    return Reason.DEPLOYMENT_PROGRESSING, f"pod {pod.meta.name} is starting"


def _notices(old: Condition | None, new: Condition) -> tuple[Notice, ...]:
    if old is not None and (old.status, old.reason) == (new.status, new.reason):
        return ()
    if new.status == ConditionStatus.TRUE:
        return (Notice(Happening.VALIDATOR_DEPLOYED, new.message),)
    if new.reason in (Reason.SUSPENDED, Reason.DEPLOYMENT_PROGRESSING):
        return ()
    return (Notice(Happening.VALIDATOR_NOT_RUNNING, f"{new.reason}: {new.message}", warning=True),)
