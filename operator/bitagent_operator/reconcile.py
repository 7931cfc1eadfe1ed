"""Reconciliation: plan for one key of the queue, and carry out the plan. Decisions are in `bitagent_operator.plan`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from bitagent_crds.jobs import CacheRoom
from bitagent_kube.objects import EventMessage, Obj
from bitagent_kube.resources import JOBS
from bitagent_operator.cache import Key, Kind
from bitagent_operator.config import Config
from bitagent_operator.context import STALE_SECONDS, Context
from bitagent_operator.invalid import Unplannable, guarded, report_invalid, report_unplannable, without_stalled
from bitagent_operator.manifests.evaluate import evaluation_job
from bitagent_operator.manifests.fetch import fetch_job
from bitagent_operator.manifests.task_set import task_set_job
from bitagent_operator.objects import ModelObject, RoundObject
from bitagent_operator.plan.cache_room import room_for
from bitagent_operator.plan.interface import (
    NO_RESULTS,
    LiveReadResults,
    ModelPlan,
    RoundPlan,
    StartFetch,
)
from bitagent_operator.plan.model import plan as plan_model
from bitagent_operator.plan.round import plan as plan_round
from bitagent_operator.validators import reconcile_validator

MAX_REPLANS = 4
"""Plans that may be made for one pass, each after the live reads of the one before."""


class PlanNotConverged(Exception):
    """Raised when a plan still needs live reads after MAX_REPLANS: objects change faster than they are read."""


async def reconcile(context: Context, key: Key) -> float | None:
    """Make one pass over an object; return the seconds until the next one, or None to wait for a change.

    A deleted object needs no work: what it owns is deleted with it. An object that cannot be read or planned gets the
    condition Stalled with the reason. Raises ApiError and PlanNotConverged.
    """
    unreadable = context.cache.unreadable(key)
    if unreadable is not None:
        if not unreadable.meta.deleting:
            await report_invalid(context, key, unreadable.meta, unreadable.content, unreadable.error)
        return None
    try:
        return await _RECONCILERS[key.kind](context, key)
    except Unplannable as error:
        return await report_unplannable(context, key, error)


async def _model(context: Context, key: Key) -> float | None:
    def make(live: LiveReadResults) -> Planned[ModelObject, ModelPlan] | None:
        model = context.cache.models.get(key)
        if model is None or model.meta.deleting:
            return None
        plan = plan_model(
            model,
            jobs=context.cache.jobs.of(key),
            pods=context.cache.pods.of(key),
            rounds=context.cache.rounds_of(key.name),
            pass_=context.new_pass(key, model.meta, live),
            older_of_hotkey=len(context.cache.older_of_hotkey(model)),
        )
        starts = () if plan.reads else (plan.fetch, plan.resolve)
        return Planned(model, plan, [_fetch_job(context, model, start) for start in starts if start is not None])

    return await _plan_and_carry_out(context, key, make)


def _fetch_job(context: Context, model: ModelObject, start: StartFetch) -> Obj:
    if start.resolve_only or not context.config.cache.max_bytes:
        return fetch_job(context.config, model, start, CacheRoom())
    cache = context.cache
    room = room_for(model, models=cache.models, rounds=cache.rounds, share_bytes=context.config.cache.hotkey_share)
    return fetch_job(context.config, model, start, room)


async def _round(context: Context, key: Key) -> float | None:
    def make(live: LiveReadResults) -> Planned[RoundObject, RoundPlan] | None:
        observed = context.cache.rounds.get(key)
        if observed is None or observed.meta.deleting:
            return None
        models = (context.cache.model(result.model) for result in observed.status.results)
        plan = plan_round(
            observed,
            models={m.meta.name: m for m in models if m is not None},
            jobs=context.cache.jobs.of(key),
            pods=context.cache.pods.of(key),
            pass_=context.new_pass(key, observed.meta, live),
        )
        return Planned(observed, plan, [] if plan.reads else list(_round_jobs(context.config, observed, plan)))

    return await _plan_and_carry_out(context, key, make)


def _round_jobs(config: Config, observed: RoundObject, plan: RoundPlan) -> Iterator[Obj]:
    if plan.task_set_attempt is not None:
        yield task_set_job(config, observed, plan.task_set_attempt)
    for start in plan.evaluate:
        if plan.status.task_set is not None:
            yield evaluation_job(config, observed, start, plan.status.task_set)


ObservedT = TypeVar("ObservedT", ModelObject, RoundObject)
PlanT = TypeVar("PlanT", ModelPlan, RoundPlan)


@dataclass(frozen=True)
class Planned(Generic[ObservedT, PlanT]):
    """A plan, the object as it was when it was made, and the Jobs to create."""

    observed: ObservedT
    plan: PlanT
    jobs: list[Obj]


async def _plan_and_carry_out(
    context: Context, key: Key, make: Callable[[LiveReadResults], Planned[ObservedT, PlanT] | None]
) -> float | None:
    """Plan until no live reads are missing, and carry out the plan; return the seconds until the next pass."""
    live = NO_RESULTS
    for _ in range(MAX_REPLANS):
        plan_again = partial(make, live)
        planned: Planned[ObservedT, PlanT] | None = guarded(plan_again)
        if planned is None:
            context.refusals.forget(key)
            return None
        if not planned.plan.reads:
            return await _carry_out(context, key, planned, plan_again)
        live = await context.read_live(key, planned.plan.reads, live)
    raise PlanNotConverged(f"{key}: what it depends on keeps changing; trying again")


async def _carry_out(
    context: Context,
    key: Key,
    planned: Planned[ObservedT, PlanT],
    make: Callable[[], Planned[ObservedT, PlanT] | None],
) -> float | None:
    """Carry out a plan; return the seconds until the next pass.

    If the API server does not accept a Job, `make` plans again, so that the status says why.
    """
    refused: list[EventMessage] | None = await context.create_jobs(key, planned.jobs)
    starts = False
    if refused is not None:
        again = guarded(make)
        if again is None or again.plan.reads:
            return 0.0
        planned, starts = again, bool(again.jobs)
    observed: ObservedT = planned.observed
    plan: PlanT = planned.plan
    status = without_stalled(plan.status)
    if status != observed.status and not await context.write_status(key, observed.meta, status.to_wire()):
        return STALE_SECONDS
    for suspension in plan.suspend:
        job = await context.client.merge(JOBS, suspension.name, {"spec": {"suspend": suspension.suspend}})
        if job is not None:
            context.observe(JOBS.kind, job)
    for deletion in plan.delete:
        await context.client.delete(JOBS, deletion.name, uid=deletion.uid)
    await context.emit_events(key, observed.meta, [*plan.events, *(refused or ())])
    return 0.0 if starts else plan.requeue_after


_RECONCILERS = {Kind.MODEL: _model, Kind.ROUND: _round, Kind.VALIDATOR: reconcile_validator}
