"""Reconciles one EvalRound."""

from __future__ import annotations

from collections.abc import Iterator

from bitagent_operator.api import JOBS, MODELS
from bitagent_operator.observed import ModelObject, Obj, RoundObject
from bitagent_operator.plan import evalround
from bitagent_operator.plan.evalround import RoundPlan, RoundSettings
from bitagent_operator.plan.questions import NO_ANSWERS, Answers
from bitagent_operator.pods import evaluate_job, taskset_job
from bitagent_operator.reconcile.context import ROUNDS_OF_QUESTIONS, STALE, Context, Undecided
from bitagent_operator.store import Key


async def reconcile(context: Context, key: Key) -> float | None:
    """One pass; seconds until the next one is due by itself. A deleted round needs nothing: its Jobs go with it."""
    answers, candidates = NO_ANSWERS, None
    for _ in range(ROUNDS_OF_QUESTIONS):
        observed = context.store.rounds.get(key)
        if observed is None or observed.meta.deleting:
            return None
        plan = _plan(context, key, observed, candidates, answers)
        if plan.questions.selection:
            candidates, answers = await _candidates(context, observed), Answers(selected=True)
        elif plan.questions:
            answers = await context.answer(key, plan.questions, answers)
        else:
            break
    else:
        raise Undecided(f"{key}: what it depends on keeps changing; trying again")
    refusal = await context.create_jobs(_jobs(context, observed, plan))
    if not await context.write_status(key.kind, observed.meta, observed.status, plan.status):
        return STALE
    for name, suspended in plan.suspend:
        changed = await context.api.merge(JOBS, name, {"spec": {"suspend": suspended}})
        if changed is not None:
            context.see("Job", changed)
    await context.delete_jobs(plan.delete)
    await context.tell(key, observed.meta, plan.notices, refusal)
    return plan.again


def _plan(
    context: Context, key: Key, observed: RoundObject, candidates: list[ModelObject] | None, answers: Answers
) -> RoundPlan:
    if candidates is not None:
        models = {m.meta.name: m for m in candidates}
    else:
        found = (context.store.model(r.model) for r in observed.status.results)
        models = {m.meta.name: m for m in found if m is not None}
    return evalround.plan(
        observed,
        models=models,
        jobs=context.store.jobs.of(key),
        pods=context.store.pods.of(key),
        settings=RoundSettings(context.config.artifacts.claim_name, context.unschedulable_after),
        answers=answers,
        now=context.now(),
    )


async def _candidates(context: Context, observed: RoundObject) -> list[ModelObject]:
    """The MinerModels of this moment. Watches of two kinds are not ordered: those applied with the round may not be in the store."""
    wanted = observed.spec.models.match_labels or {}
    selector = ",".join(f"{k}={v}" for k, v in sorted(wanted.items()))
    listed = await context.api.list(MODELS, labels=selector)
    for obj in listed:
        context.see("MinerModel", obj)
    names = (obj["metadata"]["name"] for obj in listed)
    return [m for m in map(context.store.model, names) if m is not None]


def _jobs(context: Context, observed: RoundObject, plan: RoundPlan) -> Iterator[Obj]:
    if plan.tasks is not None:
        yield taskset_job.build(context.config, observed, plan.tasks)
    for evaluation in plan.evaluate:
        if plan.status.task_set is not None:
            yield evaluate_job.build(context.config, observed, evaluation, plan.status.task_set)
