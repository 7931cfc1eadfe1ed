"""The start of a round: its set is frozen once, from MinerModels listed just now, never from the cache.

A round waits for what is about to come: models that it selects and that this version cannot read, for as long as that
takes, and models that do not exist, for MODELS_WAIT. A round with `tasks.seedFrom` does not wait for the latter: its
Validator creates one in every epoch, and a set that is frozen late may come after its seed.

A round with `tasksOnly` has an empty set, and looks at no model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from bitagent_crds.conditions import Reason
from bitagent_crds.evalround import EvalRoundStatus, RoundPhase
from bitagent_crds.model_result import ModelResult, ResultState
from bitagent_operator.observed.objects import RoundObject, changed
from bitagent_operator.plan.inputs import LiveReads, Pass
from bitagent_operator.plan.interface import EventReason, RoundPlan
from bitagent_operator.plan.rounds import admission, task_set
from bitagent_operator.plan.rounds import status as round_status
from bitagent_operator.plan.rounds.end import NAMED
from bitagent_operator.plan.rounds.events import events, wait_event
from bitagent_operator.plan.rounds.task_set import TaskSetProgress

MODELS_WAIT = timedelta(seconds=120)
"""How long after its creation, or after a retry, a round waits for models that do not exist."""
LOOK_AGAIN_SECONDS = 5.0
"""Time until it lists the models again: no watch says that a model has come which no set has yet."""
UNREADABLE_SECONDS = 15.0
"""Time until a round that waits for a model which cannot be read lists the models again."""


def plan_start(observed: RoundObject, pass_: Pass) -> RoundPlan:
    """Return what to do for a round whose set is not frozen."""
    if observed.spec.suspend:
        text = "suspended before it started; set spec.suspend to false to start it"
        return RoundPlan(status=_before(observed, Reason.ROUND_SUSPENDED, text, pass_))
    if observed.spec.tasks_only:
        new = round_status.started(observed, [], TaskSetProgress(), left_out=0, pass_=pass_)
        return RoundPlan(status=new, events=events(observed.status, new))
    if pass_.live.candidates is None:
        return RoundPlan(status=observed.status, reads=LiveReads(candidates=observed.spec.models))
    if unreadable := admission.unreadable(observed.spec.models, pass_.live.unreadable):
        waiting = _before(observed, Reason.MODEL_INVALID, _unreadable(unreadable), pass_)
        return _wait(observed, waiting, EventReason.INVALID, UNREADABLE_SECONDS)
    candidates = pass_.live.candidates
    selection = admission.select(
        observed.spec.models,
        candidates,
        models_per_hotkey=pass_.settings.models_per_hotkey,
        seed_block=observed.spec.tasks.seed_from.block if observed.spec.tasks.seed_from is not None else None,
        suspended=pass_.live.suspended,
    )
    missing = set(selection.names) - {m.meta.name for m in candidates}
    until = _waits_until(observed)
    if (missing or not selection.names) and pass_.now < until:
        waiting = _before(observed, Reason.WAITING_FOR_MODELS, _missing(sorted(missing), until), pass_)
        left = min(LOOK_AGAIN_SECONDS, (until - pass_.now).total_seconds())
        return _wait(observed, waiting, EventReason.ROUND_WAITING, left)
    results = [
        _not_found(r.model) if r.model in missing else r for r in admission.frozen_set(selection.names, candidates)
    ]
    tasks = TaskSetProgress()
    if observed.spec.tasks.seed_from is not None:
        # Commits that are named are fixed in the same write as the set.
        frozen = replace(observed, status=changed(observed.status, started_at=pass_.now, results=results))
        results = admission.admit(frozen, models={m.meta.name: m for m in candidates}, pass_=pass_)
        tasks = task_set.progress(frozen, results, jobs=(), pods=(), pass_=pass_)
    new = round_status.started(observed, results, tasks, left_out=selection.left_out, pass_=pass_)
    return RoundPlan(status=new, events=events(observed.status, new))


def _before(observed: RoundObject, reason: Reason, text: str, pass_: Pass) -> EvalRoundStatus:
    phase = RoundPhase.SUSPENDED if reason is Reason.ROUND_SUSPENDED else RoundPhase.PENDING
    return round_status.before_start(observed, phase, reason, text, now=pass_.now)


def _wait(observed: RoundObject, waiting: EvalRoundStatus, event: EventReason, seconds: float) -> RoundPlan:
    if waiting.finished_at is not None:
        return RoundPlan(status=waiting, events=events(observed.status, waiting))
    return RoundPlan(status=waiting, events=wait_event(observed.status, waiting, event), requeue_after=seconds)


def _waits_until(observed: RoundObject) -> datetime:
    """Return until when the round waits for models that do not exist."""
    if observed.spec.tasks.seed_from is not None:
        return observed.meta.created
    return (observed.status.retried_at or observed.meta.created) + MODELS_WAIT


def _missing(names: Sequence[str], until: datetime) -> str:
    text = f"waits until {until:%H:%M:%S} UTC for models to be applied: "
    if not names:
        return text + "no MinerModel matches spec.models"
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{text}there is no MinerModel {', '.join(names[:NAMED])}{more}"


def _unreadable(found: Mapping[str, str]) -> str:
    """Return why the round does not start: without these models it would be a partial round."""
    named = "; ".join(f"{name}: {error}" for name, error in sorted(found.items())[:NAMED])
    more = f"; and {len(found) - NAMED} more" if len(found) > NAMED else ""
    return f"waits for models that the operator cannot read (correct them, delete them, or upgrade): {named}{more}"


def _not_found(name: str) -> ModelResult:
    text = "there was no MinerModel of this name when the round froze its set: a misspelt name?"
    return ModelResult(model=name, state=ResultState.REJECTED, reason=Reason.MODEL_NOT_FOUND, message=text)
