"""A Validator's rewriter: its fetch Jobs are created, its objects applied, and what is found becomes its status."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from bitagent_crds.conditions import ConditionType
from bitagent_crds.jobs import CacheRoom
from bitagent_crds.names import COMPONENT_LABEL, Component
from bitagent_crds.rewriter import Rewriter, RewriterStatus
from bitagent_kube.conditions import ConditionValue, find
from bitagent_kube.errors import ApiError
from bitagent_kube.objects import EventMessage
from bitagent_kube.resources import DEPLOYMENTS, DISRUPTION_BUDGETS, NETWORK_POLICIES, SERVICES
from bitagent_operator import naming
from bitagent_operator.manifests.fetch import fetch_templates
from bitagent_operator.manifests.rewriter import CALLERS, rewriter_fetch_job, rewriter_objects
from bitagent_operator.observed.cache import Key
from bitagent_operator.observed.objects import ValidatorObject
from bitagent_operator.plan.inputs import NO_RESULTS
from bitagent_operator.plan.interface import JobDeletion, ModelPlan
from bitagent_operator.plan.models.model import plan as plan_model
from bitagent_operator.plan.validators.rewriter import (
    as_model,
    demand,
    files_are_missing,
    next_look,
    readiness,
    status_after,
)
from bitagent_operator.reconcilers.apply import apply_objects, delete_objects
from bitagent_operator.reconcilers.context import Context
from bitagent_operator.reconcilers.invalid import guarded
from bitagent_operator.reconcilers.volumes import cache_room, planned_volume, prepare_volume

MAX_PLANS = 4
"""Plans that may be made for the model in one pass, each after live reads or a refused Job."""


@dataclass(frozen=True)
class RewriterStep:
    """What a pass has found, to be reported."""

    status: RewriterStatus | None
    ready: ConditionValue | None
    """The condition RewriterReady; None without a rewriter."""
    rejection: ApiError | None = None
    """The API server's, if it rejects one of its objects."""
    delete: tuple[JobDeletion, ...] = ()
    """Jobs that are not needed once the status is written."""
    events: tuple[EventMessage, ...] = ()
    requeue_after: float | None = None


async def rewriter_step(context: Context, key: Key, observed: ValidatorObject) -> RewriterStep:
    """Fetch the rewriter's model and run its pods, or remove what is left of one that the spec no longer has.

    Raises ApiError for errors that may pass.
    """
    spec = observed.spec.rewriter
    if spec is None:
        return await _remove(context, key, observed)
    pods = [p for p in context.cache.pods.of(key) if p.meta.labels.get(COMPONENT_LABEL) == Component.REWRITER]
    fetched, refused = await _fetch(context, key, observed, spec, missing=files_are_missing(observed, pods))
    status = guarded(lambda: status_after(observed, spec, fetched.status))
    found = demand(observed, spec, context.cache.rounds, now=context.now())
    rejection = None
    if status.resolved is not None:
        commit = status.resolved.commit
        objects = guarded(
            lambda: rewriter_objects(context.config, observed, spec, commit=commit, replicas=found.replicas)
        )
        rejection = await apply_objects(context, key, objects)
    name, pass_ = naming.rewriter_name(key.name), context.new_pass(key, observed.meta)
    ready = readiness(
        spec,
        status,
        replicas=found.replicas,
        deployment=next((d for d in context.cache.deployments.of(key) if d.meta.name == name), None),
        pods=pods,
        refusal=f"the API server rejects an object of the rewriter: {rejection}" if rejection is not None else None,
        last=find(observed.conditions, ConditionType.REWRITER_READY),
        pass_=pass_,
    )
    waits = (fetched.requeue_after, found.requeue_after, next_look(pods, pass_))
    return RewriterStep(
        status=status,
        ready=ready,
        rejection=rejection,
        delete=fetched.delete,
        events=(*fetched.events, *refused),
        requeue_after=min((wait for wait in waits if wait is not None), default=None),
    )


async def _fetch(
    context: Context, key: Key, observed: ValidatorObject, spec: Rewriter, *, missing: bool
) -> tuple[ModelPlan, Sequence[EventMessage]]:
    """Plan for the model and create the Jobs; return the plan, and Events about Jobs that the API server refuses."""
    live = NO_RESULTS
    events: list[EventMessage] = []
    model = guarded(lambda: as_model(observed, spec, missing=missing))
    bounded = context.config.cache.max_bytes and not context.config.cache.per_model
    room = cache_room(context, model) if bounded else CacheRoom()

    def planned() -> ModelPlan:
        jobs = context.cache.jobs.of(key)
        pass_ = context.new_pass(key, observed.meta, live)
        found = plan_model(
            model,
            jobs=jobs,
            pods=context.cache.pods.of(key),
            rounds=(),
            pass_=pass_,
            templates=fetch_templates(context.config, model, jobs),
        )
        return planned_volume(context, model, found, pass_)

    for _ in range(MAX_PLANS):
        found = guarded(planned)
        if found.reads:
            live = await context.read_live(key, found.reads, live)
            continue
        if found.fetch is None:
            return found, events
        make = partial(rewriter_fetch_job, context.config, observed, model, found.fetch, room)
        job, refused = guarded(make), None
        if found.volume is not None:
            refused = await prepare_volume(context, key, found.volume, job)
        if refused is None:
            refused = await context.create_jobs(key, [job])
        if refused is None:
            return found, events
        events += refused
    return found, events


async def _remove(context: Context, key: Key, observed: ValidatorObject) -> RewriterStep:
    """Delete what is left of a rewriter that the spec no longer has. Its status goes last: nothing is forgotten."""
    if observed.rewriter is None:
        return RewriterStep(None, None)
    name = naming.rewriter_name(key.name)
    objects = [
        *((resource, name) for resource in (DEPLOYMENTS, DISRUPTION_BUDGETS, NETWORK_POLICIES)),
        (SERVICES, naming.rewriter_service(key.name)),
        (NETWORK_POLICIES, f"{name}{CALLERS}"),
    ]
    await delete_objects(context, key, objects, owner=observed.meta.uid)
    jobs = (j for j in context.cache.jobs.of(key) if j.meta.labels.get(COMPONENT_LABEL) == Component.FETCH)
    return RewriterStep(None, None, delete=tuple(JobDeletion(j.meta.name, j.meta.uid) for j in jobs))
