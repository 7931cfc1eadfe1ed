"""Reconciles one Validator: applies its objects, which also corrects what others changed, and reports on its pod."""

from __future__ import annotations

from bitagent_crds.schema import API_VERSION
from bitagent_operator.api import CORE_EVENTS, ApiError
from bitagent_operator.observed import ValidatorObject
from bitagent_operator.plan import validator
from bitagent_operator.plan.validator import ValidatorPlan
from bitagent_operator.pods import validator_objects
from bitagent_operator.reconcile.context import STALE, Context
from bitagent_operator.store import Key

REFUSALS = frozenset({400, 403, 422})
"""Codes with which rights, quotas, admission webhooks and validation refuse an object."""


async def reconcile(context: Context, key: Key) -> float | None:
    """One pass; seconds until the next one is due by itself. A deleted Validator needs nothing: its objects go with it."""
    observed = context.store.validators.get(key)
    if observed is None or observed.meta.deleting:
        return None
    refusal = await _apply(context, observed)
    plan = _plan(context, key, observed, None, refusal)
    if plan.mount_events_of is not None:
        plan = _plan(context, key, observed, await _mount_failures(context, plan.mount_events_of), refusal)
    if plan.deployed not in observed.conditions:
        body = {
            "apiVersion": API_VERSION,
            "kind": key.kind.value,
            "metadata": {
                "name": key.name,
                "namespace": context.config.namespace,
                "resourceVersion": str(observed.meta.version),
            },
            "status": {"conditions": [plan.deployed.to_wire()]},
        }
        try:
            context.see(key.kind, await context.api.apply(body, subresource="status"))
        except ApiError as error:
            if error.code not in (404, 409):
                raise
            return STALE
    await context.events.post(key.kind, observed.meta, plan.notices)
    if refusal is not None:
        raise refusal
    return context.config.relist_seconds if plan.again is None else plan.again


async def _apply(context: Context, observed: ValidatorObject) -> ApiError | None:
    """Apply the Validator's objects; the first refusal, by a rule that a person must change. Raises ApiError for what passes by itself."""
    for obj in validator_objects.build(context.config, observed):
        try:
            applied = await context.api.apply(obj)
        except ApiError as error:
            if error.code not in REFUSALS:
                raise
            text = f"{obj['kind']} {obj['metadata']['name']}: {error.message}"
            return ApiError(code=error.code, reason=error.reason, message=text)
        if obj["kind"] == "Deployment":
            context.see("Deployment", applied)
    return None


def _plan(
    context: Context,
    key: Key,
    observed: ValidatorObject,
    mount_failures: list[str] | None,
    refusal: ApiError | None,
) -> ValidatorPlan:
    return validator.plan(
        observed,
        deployment=context.store.deployments.get(key),
        pods=context.store.pods.of(key),
        mount_failures=mount_failures,
        now=context.now(),
        unschedulable_after=context.unschedulable_after,
        refusal=f"the API server refuses what it needs: {refusal}" if refusal is not None else None,
    )


async def _mount_failures(context: Context, uid: str) -> list[str]:
    """What the kubelet says about volumes it cannot mount, newest first: only Events tell that a Secret is missing."""
    fields = f"involvedObject.uid={uid},reason=FailedMount"
    events = await context.api.list(CORE_EVENTS, fields=fields)
    events.sort(key=lambda e: str(e.get("lastTimestamp") or e["metadata"]["creationTimestamp"]), reverse=True)
    return [str(e.get("message", "")) for e in events]
