"""Reconciles one MinerModel."""

from __future__ import annotations

from bitagent_operator.plan import minermodel
from bitagent_operator.plan.questions import NO_ANSWERS
from bitagent_operator.pods import fetch_job
from bitagent_operator.reconcile.context import ROUNDS_OF_QUESTIONS, STALE, Context, Undecided
from bitagent_operator.store import Key


async def reconcile(context: Context, key: Key) -> float | None:
    """One pass; seconds until the next one is due by itself. A deleted model needs nothing: its Jobs go with it."""
    answers = NO_ANSWERS
    for _ in range(ROUNDS_OF_QUESTIONS):
        model = context.store.models.get(key)
        if model is None or model.meta.deleting:
            return None
        plan = minermodel.plan(
            model,
            jobs=context.store.jobs.of(key),
            pods=context.store.pods.of(key),
            rounds=context.store.rounds_of(key.name),
            answers=answers,
            now=context.now(),
            unschedulable_after=context.unschedulable_after,
        )
        if not plan.questions:
            break
        answers = await context.answer(key, plan.questions, answers)
    else:
        raise Undecided(f"{key}: its pods keep changing; trying again")
    wanted = [fetch_job.build(context.config, model, plan.fetch)] if plan.fetch is not None else []
    refusal = await context.create_jobs(wanted)
    if not await context.write_status(key.kind, model.meta, model.status, plan.status):
        return STALE
    await context.delete_jobs(plan.delete)
    await context.tell(key, model.meta, plan.notices, refusal)
    return plan.again
