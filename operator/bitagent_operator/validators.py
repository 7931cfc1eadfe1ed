"""Reconciliation of Validators: their objects are applied, and their pod is reported on."""

from __future__ import annotations

from http import HTTPStatus

from bitagent_crds.conditions import ConditionType
from bitagent_kube.conditions import find
from bitagent_kube.errors import ApiError
from bitagent_kube.resources import CORE_EVENTS
from bitagent_operator.cache import Key
from bitagent_operator.context import STALE_SECONDS, Context
from bitagent_operator.invalid import guarded
from bitagent_operator.manifests.validator import validator_objects
from bitagent_operator.objects import ValidatorObject
from bitagent_operator.plan.interface import ValidatorPlan
from bitagent_operator.plan.validator import plan as plan_validator

REJECTIONS = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN, HTTPStatus.UNPROCESSABLE_ENTITY})
"""Codes with which rights, quotas, admission webhooks and validation reject an object."""


async def reconcile_validator(context: Context, key: Key) -> float | None:
    """Apply the Validator's objects, which also reverts changes by others, and report on its pod."""
    observed = context.cache.validators.get(key)
    if observed is None or observed.meta.deleting:
        return None
    rejection = await _apply_validator_objects(context, observed)
    refusal = f"the API server rejects an object of the validator: {rejection}" if rejection is not None else None

    def plan(mount_failures: list[str] | None) -> ValidatorPlan:
        return plan_validator(
            observed,
            deployment=context.cache.deployments.get(key),
            pods=context.cache.pods.of(key),
            mount_failures=mount_failures,
            refusal=refusal,
            pass_=context.new_pass(key, observed.meta),
        )

    planned = guarded(lambda: plan(None))
    if planned.mount_events_of is not None:
        failures = await _mount_failures(context, planned.mount_events_of)
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


async def _apply_validator_objects(context: Context, observed: ValidatorObject) -> ApiError | None:
    """Apply the Validator's objects; return the first rejection. Raises ApiError for errors that may pass."""
    for obj in guarded(lambda: validator_objects(context.config, observed)):
        try:
            applied = await context.client.apply(obj)
        except ApiError as error:
            if error.code not in REJECTIONS:
                raise
            text = f"{obj['kind']} {obj['metadata']['name']}: {error.message}"
            return ApiError(code=error.code, reason=error.reason, message=text)
        if obj["kind"] == "Deployment":
            context.observe("Deployment", applied)
    return None


async def _mount_failures(context: Context, uid: str) -> list[str]:
    """Return the messages of a pod's FailedMount Events, newest first: only Events show that a Secret is missing."""
    events = await context.client.list(CORE_EVENTS, fields=f"involvedObject.uid={uid},reason=FailedMount")
    events.sort(key=lambda e: str(e.get("lastTimestamp") or e["metadata"]["creationTimestamp"]), reverse=True)
    return [str(e.get("message", "")) for e in events]
