"""Reconciliation of Validators: their objects are applied, and their pod is reported on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from bitagent_crds.conditions import ConditionType
from bitagent_crds.names import COMPONENT_LABEL, Component
from bitagent_crds.status import Condition
from bitagent_kube.conditions import ConditionValue, update_conditions
from bitagent_kube.objects import Obj
from bitagent_kube.resources import CORE_EVENTS, JOBS
from bitagent_operator import naming
from bitagent_operator.manifests.validator import validator_objects
from bitagent_operator.observed.applied import MountFailures, still_current
from bitagent_operator.observed.cache import Key
from bitagent_operator.observed.objects import ValidatorObject
from bitagent_operator.observed.workloads import PodObject
from bitagent_operator.plan.interface import ValidatorPlan
from bitagent_operator.plan.readiness import of_validator
from bitagent_operator.plan.validators.rewriter import rewriter_events
from bitagent_operator.plan.validators.validator import plan as plan_validator
from bitagent_operator.reconcilers.apply import apply_objects
from bitagent_operator.reconcilers.context import STALE_SECONDS, Context
from bitagent_operator.reconcilers.invalid import OPERATOR_CONDITIONS, guarded
from bitagent_operator.reconcilers.rewriters import rewriter_step


async def reconcile_validator(context: Context, key: Key) -> float | None:
    """Make the Validator's objects as they should be, also after changes by others, and report on its pod.

    A pass in which nothing is new makes no request.
    """
    observed = context.cache.validators.get(key)
    if observed is None or observed.meta.deleting:
        context.memory.forget(key.name)
        return None
    rejection = await apply_objects(context, key, guarded(lambda: validator_objects(context.config, observed)))
    refusal = f"the API server rejects an object of the validator: {rejection}" if rejection is not None else None
    name = naming.validator_objects_name(key.name)

    def plan(mount_failures: Sequence[str] | None) -> ValidatorPlan:
        return plan_validator(
            observed,
            deployment=next((d for d in context.cache.deployments.of(key) if d.meta.name == name), None),
            pods=[p for p in context.cache.pods.of(key) if p.meta.labels.get(COMPONENT_LABEL) == Component.VALIDATOR],
            mount_failures=mount_failures,
            refusal=refusal,
            pass_=context.new_pass(key, observed.meta),
        )

    rewriter = await rewriter_step(context, key, observed)
    planned = guarded(lambda: plan(None))
    if (pod := planned.mount_events_of) is not None:
        failures = await _mount_failures(context, key, pod)
        planned = guarded(lambda: plan(failures))
    ready = _condition(observed, rewriter.ready, context.now())
    conditions = [condition for condition in (planned.deployed, ready) if condition is not None]
    conditions += _readiness(observed, planned.deployed, context.now())
    present = {c.type: c for c in observed.conditions if c.type in OPERATOR_CONDITIONS}
    seen = observed.observed_generation == observed.meta.generation
    if not seen or present != {c.type: c for c in conditions} or rewriter.status != observed.rewriter:
        status: Obj = {"conditions": [c.to_wire() for c in conditions], "observedGeneration": observed.meta.generation}
        if rewriter.status is not None:
            status["rewriter"] = rewriter.status.to_wire()
        if not await context.write_status(key, observed.meta, status):
            return STALE_SECONDS
    for job in rewriter.delete:
        await context.client.delete(JOBS, job.name, uid=job.uid)
    news = rewriter_events(present.get(ConditionType.REWRITER_READY), ready)
    context.emit_events(key, observed.meta, [*planned.events, *rewriter.events, *news])
    for rejected in (rejection, rewriter.rejection):
        if rejected is not None:
            raise rejected
    waits = (planned.requeue_after, rewriter.requeue_after, context.config.relist_seconds)
    return min(wait for wait in waits if wait is not None)


def _readiness(observed: ValidatorObject, deployed: Condition, now: datetime) -> list[Condition]:
    """Return Ready, and Stalled if no waiting helps: they follow from what operator and pod say."""
    generation, others = observed.meta.generation, [c for c in observed.conditions if c.type != deployed.type]
    found = of_validator([*others, deployed], generation=generation, mode=observed.spec.weights.mode)
    return found.conditions(observed.conditions, generation=generation, now=now)


def _condition(observed: ValidatorObject, value: ConditionValue | None, now: datetime) -> Condition | None:
    """Return a condition with its history; None if there is none now."""
    values = [value] if value is not None else []
    found = update_conditions(values, previous=observed.conditions, generation=observed.meta.generation, now=now)
    return found[0] if found else None


async def _mount_failures(context: Context, key: Key, pod: PodObject) -> Sequence[str]:
    """Return the messages of a pod's FailedMount Events, newest first: only Events show that a Secret is missing.

    They are read after ever longer pauses, and in between those of the last read are returned.
    """
    now, read = context.now(), context.memory.mounts.get(key.name)
    if read is None or not still_current(read, pod=pod.meta.uid, created=pod.meta.created, now=now):
        selector = f"involvedObject.uid={pod.meta.uid},reason=FailedMount"
        events = await context.client.list(CORE_EVENTS, fields=selector)
        events.sort(key=lambda e: str(e.get("lastTimestamp") or e["metadata"]["creationTimestamp"]), reverse=True)
        messages = tuple(str(e.get("message", "")) for e in events)
        read = context.memory.mounts[key.name] = MountFailures(pod.meta.uid, now, messages)
    return read.messages
