"""Apply those of a Validator's objects that are not as they should be, and delete those that it no longer needs."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from http import HTTPStatus

from bitagent_crds.names import MANAGED_BY_LABEL, VALIDATOR_LABEL
from bitagent_kube.errors import ApiError
from bitagent_kube.objects import Obj, owner_uid
from bitagent_kube.resources import DEPLOYMENTS, ApiResource, resource_of
from bitagent_operator.observed.applied import ApplyStep, next_step, state_of
from bitagent_operator.observed.cache import Key
from bitagent_operator.reconcilers.context import Context
from bitagent_operator.reconcilers.refusals import REJECTIONS


async def apply_objects(context: Context, key: Key, objects: Iterable[Obj]) -> ApiError | None:
    """Apply the objects that are not as they should be; return the first rejection.

    Raises ApiError for errors that may pass.
    """
    deployments = {d.meta.name: d.meta for d in context.cache.deployments.of(key)}
    every = timedelta(seconds=context.config.relist_seconds / 2)
    for obj in objects:
        kind, name = obj["kind"], obj["metadata"]["name"]
        known, now = context.memory.known(key.name, obj), context.now()
        watched = kind == DEPLOYMENTS.kind
        step = next_step(obj, known, watched=watched, observed=deployments.get(name), now=now, every=every)
        if step is ApplyStep.READ and known is not None:
            found = await context.client.get(resource_of(obj["apiVersion"], kind), name)
            if found is not None and state_of(found) == known.state:
                context.memory.record(key.name, obj, found, now=now)
                continue
        elif step is ApplyStep.NOTHING:
            continue
        if known is None and (taken := await _made_by_others(context, obj)) is not None:
            return taken
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


async def _made_by_others(context: Context, obj: Obj) -> ApiError | None:
    """Return a rejection if an object of this name exists that was not made for this Validator.

    To apply would make it ours: it would change at once, and be deleted with the Validator.
    """
    kind, name = obj["kind"], obj["metadata"]["name"]
    found = await context.client.get(resource_of(obj["apiVersion"], kind), name)
    if found is None or owner_uid(found) == owner_uid(obj) or _labelled_alike(found, obj):
        return None
    text = f"{kind} {name}: it exists, and was not made for this Validator; delete or rename it"
    return ApiError(code=HTTPStatus.CONFLICT, reason="AlreadyExists", message=text)


def _labelled_alike(found: Obj, obj: Obj) -> bool:
    labels, ours = found["metadata"].get("labels") or {}, obj["metadata"]["labels"]
    return all(labels.get(name) == ours[name] for name in (MANAGED_BY_LABEL, VALIDATOR_LABEL))


async def delete_objects(context: Context, key: Key, objects: Iterable[tuple[ApiResource, str]], *, owner: str) -> None:
    """Delete objects of a Validator, if they are its own. Raises ApiError."""
    for resource, name in objects:
        found = await context.client.get(resource, name)
        if found is not None and owner_uid(found) == owner:
            await context.client.delete(resource, name, uid=found["metadata"]["uid"])
        context.memory.forget_object(key.name, resource.kind, name)
