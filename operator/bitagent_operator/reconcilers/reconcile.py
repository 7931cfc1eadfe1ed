"""Reconciliation: plan for one key of the queue, and carry out the plan. Decisions are in `bitagent_operator.plan`."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any, Generic, TypeVar

from bitagent_crds.conditions import ConditionType
from bitagent_crds.evalround import EvalRoundStatus
from bitagent_crds.jobs import CacheRoom
from bitagent_crds.minermodel import MinerModelStatus
from bitagent_crds.names import SUSPENDED_ANNOTATION
from bitagent_kube.conditions import holds
from bitagent_kube.errors import ApiError
from bitagent_kube.objects import EventMessage, Obj
from bitagent_kube.resources import JOBS
from bitagent_operator.config import Config
from bitagent_operator.manifests.evaluate import evaluation_job
from bitagent_operator.manifests.fetch import fetch_job, fetch_templates
from bitagent_operator.manifests.pack import pack_job
from bitagent_operator.manifests.rewriter import rewriter_address
from bitagent_operator.manifests.task_set import task_set_job
from bitagent_operator.observed.cache import Key, Kind
from bitagent_operator.observed.objects import ModelObject, RoundObject, ValidatorObject
from bitagent_operator.plan import outcomes
from bitagent_operator.plan.files.repeated import is_after_the_end
from bitagent_operator.plan.files.retention import is_removing
from bitagent_operator.plan.inputs import NO_RESULTS, LiveReadResults
from bitagent_operator.plan.interface import (
    EventReason,
    JobDeletion,
    JobSuspension,
    ModelPlan,
    RoundPlan,
    StartFetch,
)
from bitagent_operator.plan.models.fetch import urgent
from bitagent_operator.plan.models.fetch_slots import NOTHING_WAITS, Turns
from bitagent_operator.plan.models.model import plan as plan_model
from bitagent_operator.plan.models.selectors import admissions_for
from bitagent_operator.plan.readiness import with_readiness
from bitagent_operator.plan.rounds.round import plan as plan_round
from bitagent_operator.plan.rounds.round import without_jobs
from bitagent_operator.plan.rounds.settlement import fetch_gave_up
from bitagent_operator.reconcilers.context import STALE_SECONDS, Context
from bitagent_operator.reconcilers.finished import jobs_after_the_end, with_work_after_the_end
from bitagent_operator.reconcilers.invalid import Unplannable, guarded, report_invalid, report_unplannable
from bitagent_operator.reconcilers.refusals import REJECTIONS
from bitagent_operator.reconcilers.validators import reconcile_validator
from bitagent_operator.reconcilers.volumes import cache_room, planned_volume, prepare_volume

DENIED_SECONDS = 60.0
"""Time until it is tried again to change or delete a Job, which the API server has rejected."""
MAX_REPLANS = 4
"""Plans that may be made for one pass, each after the live reads of the one before."""


class PlanNotConverged(Exception):
    """Raised when a plan still needs live reads after MAX_REPLANS: objects change faster than they are read."""


async def reconcile(context: Context, key: Key) -> float | None:
    """Make one pass over an object; return the seconds until the next one, or None to wait for a change.

    A deleted object needs no work: what it owns is deleted with it. An object that cannot be read or planned gets the
    condition Stalled with the reason. Raises ApiError and PlanNotConverged.
    """
    if key.kind == Kind.MODEL:
        context.fetches.begin(key.name)
    try:
        unreadable = context.cache.unreadable(key)
        if unreadable is None:
            return await _RECONCILERS[key.kind](context, key)
        _leave_shares(context, key)
        if not unreadable.meta.deleting:
            await report_invalid(context, key, unreadable.meta, unreadable.content, unreadable.error)
        return None
    except Unplannable as error:
        _leave_shares(context, key)
        return await report_unplannable(context, key, error)
    finally:
        if key.kind == Kind.MODEL:
            _end_of_fetching(context, key.name)


async def _model(context: Context, key: Key) -> float | None:
    def make(live: LiveReadResults) -> Planned[ModelObject, ModelPlan] | None:
        model = context.cache.models.get(key)
        if model is None or model.meta.deleting:
            return None
        observed, jobs, rounds = model, context.cache.jobs.of(key), context.cache.rounds_of(key.name)
        templates = fetch_templates(context.config, observed, jobs)

        def plan_with(turns: Turns) -> ModelPlan:
            return plan_model(
                observed,
                jobs=jobs,
                pods=context.cache.pods.of(key),
                rounds=rounds,
                pass_=context.new_pass(key, observed.meta, live),
                older_of_hotkey=len(context.cache.older_of_hotkey(observed)),
                templates=templates,
                turns=turns,
            )

        plan = plan_with(NOTHING_WAITS)
        if not plan.reads and (turns := _turns(context, model, plan, rounds)) != NOTHING_WAITS:
            plan = plan_with(turns)
        if not plan.reads and context.config.cache.per_model:
            plan = planned_volume(context, model, plan, context.new_pass(key, observed.meta, live))
        starts = () if plan.reads else (plan.fetch, plan.resolve)
        return Planned(model, plan, [_fetch_job(context, model, start) for start in starts if start is not None])

    return await _plan_and_carry_out(context, key, make)


def _turns(context: Context, model: ModelObject, plan: ModelPlan, rounds: Iterable[RoundObject]) -> Turns:
    """Return what keeps the Jobs of a plan from starting; where nothing does, their slots are reserved."""
    return context.fetches.turns(
        model,
        plan,
        urgent=urgent(model, rounds),
        jobs=context.cache.jobs,
        hotkey_of=context.cache.hotkey_of,
        limits=context.config.fetch,
        now=context.now(),
        models=len(context.cache.models),
    )


def _end_of_fetching(context: Context, model: str) -> None:
    """Release the slots that a pass has reserved, and enqueue the models whose turn it is now."""
    cache = context.cache
    called = context.fetches.end(
        model,
        jobs=cache.jobs,
        hotkey_of=cache.hotkey_of,
        limits=context.config.fetch,
        now=context.now(),
        models=len(cache.models),
    )
    context.enqueue(Key(Kind.MODEL, name) for name in called)


def _fetch_job(context: Context, model: ModelObject, start: StartFetch) -> Obj:
    cache, room = context.cache, CacheRoom()
    if context.config.cache.max_bytes and not (context.config.cache.per_model or start.resolve_only):
        room = cache_room(context, model)
    rules = admissions_for(model, rounds=cache.rounds, validators=cache.validators)
    return fetch_job(context.config, model, start, room, admissions=rules)


async def _round(context: Context, key: Key) -> float | None:
    def make(live: LiveReadResults) -> Planned[RoundObject, RoundPlan] | None:
        observed, bound = context.cache.rounds.get(key), context.config.evaluations.max_parallel
        if observed is None or observed.meta.deleting:
            _leave_shares(context, key)
            if observed is None:
                context.metrics.forget_round(key.name)
                return None
            plan = without_jobs(observed, context.cache.jobs.of(key))
            return Planned(observed, plan, []) if plan.delete else None
        models = (context.cache.model(result.model) for result in observed.status.results)
        validator = _validator_of(context, observed)
        pods = context.cache.pods.of(key)
        jobs = context.cache.jobs.of(key)
        removing = is_removing(observed, jobs, pods)
        pass_ = context.new_pass(key, observed.meta, live)
        said = context.progress.of(pods) if context.progress is not None else {}
        share = context.shares.of(observed, context.cache, bound=bound, now=pass_.now)
        pass_ = replace(pass_, validator=validator, removing=removing, progress=said, share=share)
        pass_ = replace(pass_, last_fetched=_last_fetched(context, observed))
        plan = plan_round(
            observed,
            models={m.meta.name: m for m in models if m is not None},
            jobs=[job for job in jobs if not is_after_the_end(job)],
            pods=pods,
            pass_=pass_,
        )
        plan = with_work_after_the_end(context, plan, observed, jobs=jobs, pods=pods, pass_=pass_)
        if plan.reads:
            return Planned(observed, plan, [])
        if share is not None:
            context.enqueue(context.shares.settle(observed, share, plan, now=pass_.now))
        made = [
            *_round_jobs(context.config, observed, plan, validator),
            *jobs_after_the_end(context, observed, plan),
        ]
        return Planned(observed, plan, made)

    return await _plan_and_carry_out(context, key, make)


def _leave_shares(context: Context, key: Key) -> None:
    """Let a round that is not planned ask for no slots, and enqueue the rounds that may start more now."""
    if key.kind == Kind.ROUND:
        bound = context.config.evaluations.max_parallel
        context.enqueue(context.shares.leave(key.name, context.cache, bound=bound, now=context.now()))


def _last_fetched(context: Context, observed: RoundObject) -> datetime | None:
    """Return when the newest fetch of a model began that has succeeded, for a round with one that gave up."""
    if not any(fetch_gave_up(result) for result in observed.status.results):
        return None
    fetched = (m.status for m in context.cache.models if holds(m.status.conditions, ConditionType.FETCHED))
    return max((status.resolved.at for status in fetched if status.resolved is not None), default=None)


def _validator_of(context: Context, observed: RoundObject) -> ValidatorObject | None:
    """Return the Validator whose rewriter a round may use, if it is known."""
    name = observed.rewriter
    return context.cache.validators.get(Key(Kind.VALIDATOR, name)) if name else None


def _round_jobs(
    config: Config, observed: RoundObject, plan: RoundPlan, validator: ValidatorObject | None
) -> Iterator[Obj]:
    if plan.task_set_attempt is not None:
        own = validator if observed.spec.tasks.reworded_by_validator else None
        rewriter = rewriter_address(config, own) if own is not None else None
        yield task_set_job(config, observed, plan.task_set_attempt, rewriter=rewriter)
    for start in plan.evaluate:
        if plan.status.task_set is not None:
            make = pack_job if start.others else evaluation_job
            yield make(config, observed, start, plan.status.task_set)


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
    refused: list[EventMessage] | None = None
    if isinstance(planned.plan, ModelPlan) and planned.plan.volume is not None:
        refused = await prepare_volume(context, key, planned.plan.volume, planned.jobs[0])
    if refused is None:
        refused = await context.create_jobs(key, planned.jobs)
    starts = False
    if refused is not None:
        again = guarded(make)
        if again is None or again.plan.reads:
            return 0.0
        planned, starts = again, bool(again.jobs)
    observed: ObservedT = planned.observed
    plan: PlanT = planned.plan
    status = with_readiness(plan.status, generation=observed.meta.generation, now=context.now())
    if status != observed.status:
        if not await context.write_status(key, observed.meta, status.to_wire()):
            return STALE_SECONDS
        context.metrics.count_ended(_ended(observed, status))
        if isinstance(plan, ModelPlan) and plan.evicted is not None:
            context.metrics.count_evicted(plan.evicted.models, plan.evicted.bytes)
    context.emit_events(key, observed.meta, [*plan.events, *(refused or ())])
    denied = [
        *await _denied(context, (_suspend(context, suspension) for suspension in plan.suspend)),
        *await _denied(context, (_delete(context, deletion) for deletion in plan.delete)),
    ]
    context.emit_events(key, observed.meta, denied)
    if denied and not starts:
        return min(DENIED_SECONDS, plan.requeue_after if plan.requeue_after is not None else DENIED_SECONDS)
    return 0.0 if starts else plan.requeue_after


async def _denied(context: Context, requests: Iterable[Coroutine[Any, Any, None]]) -> list[EventMessage]:
    """Make requests that change or delete Jobs; return the Event of the first one that is rejected.

    A policy that forbids it, or a missing right, must not delay what else there is to do for the object, as a failed
    pass would. Raises ApiError for errors that may pass.
    """
    rejections: list[ApiError] = []

    async def tolerated(request: Coroutine[Any, Any, None]) -> None:
        try:
            await request
        except ApiError as error:
            if error.code not in REJECTIONS:
                raise
            rejections.append(error)

    await context.in_parallel(map(tolerated, requests))
    if not rejections:
        return []
    words = rejections[0].message or rejections[0].reason
    text = f"a Job that is not needed cannot be suspended or deleted: {words}"
    return [EventMessage(EventReason.JOB_NOT_CHANGED, text, warning=True)]


async def _delete(context: Context, deletion: JobDeletion) -> None:
    """Delete a Job. One that is to be replaced is looked for: a watch that begins meanwhile does not report its end."""
    await context.client.delete(JOBS, deletion.name, uid=deletion.uid)
    if not deletion.replaced:
        return
    left = await context.client.get(JOBS, deletion.name)
    if left is None or left["metadata"]["uid"] != deletion.uid:
        context.enqueue(context.cache.drop(JOBS.kind, deletion.uid))


async def _suspend(context: Context, suspension: JobSuspension) -> None:
    mark = {SUSPENDED_ANNOTATION: "true" if suspension.suspend else None}
    patch = {"metadata": {"annotations": mark}, "spec": {"suspend": suspension.suspend}}
    job = await context.client.merge(JOBS, suspension.name, patch)
    if job is not None:
        context.observe(JOBS.kind, job)


def _ended(
    observed: ModelObject | RoundObject, status: MinerModelStatus | EvalRoundStatus
) -> Iterator[outcomes.EndedWork]:
    """Return the work whose end a status records for the first time."""
    if isinstance(observed, ModelObject) and isinstance(status, MinerModelStatus):
        return outcomes.ended_of_model(observed.status, status)
    if isinstance(observed, RoundObject) and isinstance(status, EvalRoundStatus):
        return outcomes.ended_of_round(observed.status, status)
    return iter(())


_RECONCILERS = {Kind.MODEL: _model, Kind.ROUND: _round, Kind.VALIDATOR: reconcile_validator}
