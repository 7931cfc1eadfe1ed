"""The claims of single models' volumes: made, given another owner, and deleted."""

from __future__ import annotations

import logging
from http import HTTPStatus

from bitagent_crds.jobs import CacheRoom
from bitagent_crds.names import CACHE_LABEL
from bitagent_kube.client import Client
from bitagent_kube.errors import ApiError
from bitagent_kube.objects import EventMessage, Obj, owner_uid
from bitagent_kube.resources import CLAIMS
from bitagent_operator.manifests.model_volume import volume_claim
from bitagent_operator.observed.cache import Key
from bitagent_operator.observed.objects import ModelObject
from bitagent_operator.plan.files.cache_room import room_for
from bitagent_operator.plan.inputs import Pass
from bitagent_operator.plan.interface import EventReason, ModelPlan, VolumePlan
from bitagent_operator.plan.models.model_volumes import busy_ids, last_used
from bitagent_operator.plan.models.volume_step import needs_volume, releasing, with_volume
from bitagent_operator.reconcilers.context import Context

OWNER_TRIES = 4
"""How often a pass tries to become an owner of a claim that changes meanwhile."""

log = logging.getLogger(__name__)


def cache_room(context: Context, model: ModelObject) -> CacheRoom:
    """Return what the fetch of a model may remove from the cache."""
    cache = context.cache
    return room_for(
        model,
        models=cache.models,
        rounds=cache.rounds,
        share_bytes=context.config.cache.hotkey_share,
        validators=cache.validators,
    )


def planned_volume(context: Context, model: ModelObject, plan: ModelPlan, pass_: Pass) -> ModelPlan:
    """Return the plan of a model with the volume of its own that it needs, and with what that takes.

    Also of one that waits for the API server to accept its claim: what keeps an earlier one of that name has to go.
    """
    if not needs_volume(plan):
        return releasing(plan, context.cache.jobs, pass_)
    listed, cache, limit = pass_.live.volumes is not None, context.cache, context.config.cache.max_bytes
    found = with_volume(
        model,
        plan,
        limit=limit,
        room=cache_room(context, model) if listed and limit else CacheRoom(),
        busy=busy_ids(cache.jobs, cache.pods) if listed else frozenset(),
        used=last_used(cache.models, cache.rounds) if listed and limit else {},
        pass_=pass_,
    )
    return releasing(found, cache.jobs, pass_)


async def prepare_volume(context: Context, key: Key, plan: VolumePlan, job: Obj) -> list[EventMessage] | None:
    """Make room, and the claim that a fetch Job mounts; the Job's owner becomes an owner of it.

    What the API server refuses is kept as a refusal of the Job. Return None if there is none, else its Events.
    """
    (owner,) = job["metadata"]["ownerReferences"]
    shared = {name: owner[name] for name in ("apiVersion", "kind", "name", "uid")}
    claim = volume_claim(context.config, plan, shared)
    name = claim["metadata"]["name"]
    try:
        for each in plan.delete:
            why = "its volume is gone" if each.lost else "to make room"
            log.info("PersistentVolumeClaim %s is deleted: %s", each.name, why)
            await context.client.delete(CLAIMS, each.name, uid=each.uid)
            context.metrics.volumes_deleted.inc()
        await _ensure(context.client, claim, shared)
    except ApiError as error:
        text = f"PersistentVolumeClaim {name}: {error.message or error.reason}"
        refusal = ApiError(code=error.code, reason=error.reason, message=text)
        new = context.refusals.record(key, job["metadata"]["name"], refusal, owner=owner_uid(job), now=context.now())
        return [EventMessage(EventReason.JOB_NOT_CREATED, text, warning=True)] if new else []
    return None


async def _ensure(client: Client, claim: Obj, owner: Obj) -> None:
    """Create the claim, or become an owner of the one that is there. Raises ApiError.

    Other models of the commit become owners at the same time, and Kubernetes binds the claim meanwhile.
    """
    for _ in range(OWNER_TRIES - 1):
        try:
            await _create_or_own(client, claim, owner)
        except ApiError as error:
            if not error.conflict or error.reason == "AlreadyExists":
                raise
        else:
            return
    await _create_or_own(client, claim, owner)


async def _create_or_own(client: Client, claim: Obj, owner: Obj) -> None:
    """Try once. Raises ApiError: a conflict of another reason than AlreadyExists may pass at once."""
    found, created = await client.create_or_get(claim)
    if created:
        return
    metadata, labels = found["metadata"], found["metadata"].get("labels") or {}
    if metadata.get("deletionTimestamp"):
        text = "it is being deleted, and goes when the last pod that mounts it is gone"
        raise ApiError(code=HTTPStatus.CONFLICT, reason="AlreadyExists", message=text)
    if labels.get(CACHE_LABEL) != claim["metadata"]["labels"][CACHE_LABEL]:
        text = "it exists, and was not made for this model; delete or rename it"
        raise ApiError(code=HTTPStatus.CONFLICT, reason="AlreadyExists", message=text)
    owners = metadata.get("ownerReferences") or []
    if all(each["uid"] != owner["uid"] for each in owners):
        change = {"resourceVersion": metadata["resourceVersion"], "ownerReferences": [*owners, owner]}
        if await client.merge(CLAIMS, metadata["name"], {"metadata": change}) is None:
            raise ApiError(code=HTTPStatus.CONFLICT, reason="Conflict", message="it was deleted meanwhile")
