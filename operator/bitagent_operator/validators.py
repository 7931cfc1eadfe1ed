"""Reconciliation of Validators: their objects are applied, and their pod is reported on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from http import HTTPStatus

from bitagent_crds.conditions import ConditionType
from bitagent_crds.names import COMPONENT_LABEL, Component
from bitagent_kube.conditions import find
from bitagent_kube.errors import ApiError
from bitagent_kube.objects import Obj
from bitagent_kube.resources import CORE_EVENTS, DEPLOYMENTS, resource_of
from bitagent_operator import naming
from bitagent_operator.applied import MountFailures, Step, next_step, state_of, still_current
from bitagent_operator.cache import Key
from bitagent_operator.context import STALE_SECONDS, Context
from bitagent_operator.invalid import guarded
from bitagent_operator.manifests.validator import validator_objects
from bitagent_operator.objects import PodObject
from bitagent_operator.plan.interface import ValidatorPlan
from bitagent_operator.plan.validator import plan as plan_validator

REJECTIONS = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN, HTTPStatus.UNPROCESSABLE_ENTITY})
"""Codes with which rights, quotas, admission webhooks and validation reject an object."""


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

    planned = guarded(lambda: plan(None))
    if (pod := planned.mount_events_of) is not None:
        failures = await _mount_failures(context, key, pod)
        planned = guarded(lambda: plan(failures))
    stalled = find(observed.conditions, ConditionType.STALLED) is not None
    if stalled or planned.deployed not in observed.conditions:
        status = {"conditions": [planned.deployed.to_wire()]}
        if not await context.write_status(key, observed.meta, status):
            return STALE_SECONDS
    await context.emit_events(key, observed.meta, planned.events)
    if rejection is not None:
        raise rejection
    return context.config.relist_seconds if planned.requeue_after is None else planned.requeue_after


async def apply_objects(context: Context, key: Key, objects: Iterable[Obj]) -> ApiError | None:
    """Apply those of a Validator's objects that are not as they should be; return the first rejection.

    Raises ApiError for errors that may pass.
    """
    deployments = {d.meta.name: d.meta for d in context.cache.deployments.of(key)}
    every = timedelta(seconds=context.config.relist_seconds / 2)
    for obj in objects:
        kind, name = obj["kind"], obj["metadata"]["name"]
        known, now = context.memory.known(key.name, obj), context.now()
        watched = kind == DEPLOYMENTS.kind
        step = next_step(obj, known, watched=watched, observed=deployments.get(name), now=now, every=every)
        if step is Step.READ and known is not None:
            found = await context.client.get(resource_of(obj["apiVersion"], kind), name)
            if found is not None and state_of(found) == known.state:
                context.memory.record(key.name, obj, found, now=now)
                continue
        elif step is Step.NOTHING:
            continue
        try:
            applied = await context.client.apply(obj)
        except ApiError as error:
            if error.code not in REJECTIONS:
                raise
            return ApiError(code=error.code, reason=error.reason, message=f"{kind} {name}: {error.message}")
        context.memory.record(key.name, obj, applied, now=now)
        if watched:
            context.observe(kind, applied)
    return None


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
