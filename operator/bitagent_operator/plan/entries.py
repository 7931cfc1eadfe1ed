"""One model's way through a round, up to its evaluation: waiting for its files, admitted, or rejected.

A verdict that needs no GPU is final at once. An admitted entry carries commit and weights digest and keeps them: the tasks may be known by
then, so what a miner pushes to a branch while the model waits for a slot must not be what is evaluated. Only a changed spec, until the
evaluation starts, makes it wait for its files again.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from bitagent_crds.conditions import ConditionType, Reason
from bitagent_crds.evalround import EvalRoundSpec, ModelResult, ResultState
from bitagent_operator.conditions import clip, find
from bitagent_operator.observed import ModelObject, RoundObject
from bitagent_operator.plan import admission
from bitagent_operator.plan.freshness import fresh, pinned
from bitagent_operator.plan.questions import Answers, Gather
from bitagent_operator.plan.results import MESSAGE_LENGTH


def judge(
    observed: RoundObject, *, models: Mapping[str, ModelObject], answers: Answers, ask: Gather
) -> list[ModelResult]:
    """The entries, those that are still pending judged anew."""
    started = observed.status.started_at
    if started is None:
        raise ValueError("the round has not started")
    return [
        _entry(r, observed.spec, models.get(r.model), started, answers, ask)
        if r.state in (ResultState.PENDING, ResultState.RUNNING)
        else r
        for r in observed.status.results
    ]


def _entry(
    entry: ModelResult,
    spec: EvalRoundSpec,
    model: ModelObject | None,
    started: datetime,
    answers: Answers,
    ask: Gather,
) -> ModelResult:
    if model is None or model.meta.deleting:
        if model is None and entry.model not in answers.gone_models:
            ask.models.add(entry.model)
            return entry
        return _with(entry, ResultState.REJECTED, Reason.MODEL_DELETED, "there is no MinerModel of this name any more")
    if entry.state == ResultState.RUNNING:
        return entry
    if entry.commit is not None and _same_spec(model, entry.commit):
        return entry
    found = fresh(model, since=started)
    if found is None:
        if model.spec.suspend:
            return _with(entry, ResultState.REJECTED, Reason.SUSPENDED, "suspended before its files were there")
        c = find(model.status.conditions, ConditionType.FETCHED)
        text = f"{c.reason}: {c.message}" if c is not None else "not seen by the operator yet"
        waiting = entry.model_copy(update={"commit": None, "weights_digest": None})
        return _with(waiting, ResultState.PENDING, Reason.WAITING_FOR_MODEL, text)
    facts = model.status.resolved
    if not found.fetched or facts is None:
        state = ResultState.INFRA_FAULT if found.infrastructure else ResultState.REJECTED
        unknown = entry.model_copy(update={"commit": None, "weights_digest": None})
        return _with(unknown, state, found.reason, found.message)
    identity = {"commit": facts.commit, "weights_digest": facts.weights_digest}
    admitted = entry.model_copy(update=identity)
    refusal = admission.judge(spec.admission, facts)
    if refusal is not None:
        return _with(admitted, ResultState.REJECTED, refusal.reason, refusal.message)
    return _with(admitted, ResultState.PENDING, Reason.WAITING_FOR_TASKS, "")


def _same_spec(model: ModelObject, commit: str) -> bool:
    """Whether what was last fetched, or is being fetched, is what the present spec names; a spec that names another commit has changed."""
    hub = model.spec.source.hugging_face
    if hub is not None and pinned(model.spec) and hub.revision != commit:
        return False
    c = find(model.status.conditions, ConditionType.FETCHED)
    return c is not None and c.observed_generation == model.meta.generation


def _with(entry: ModelResult, state: ResultState, reason: Reason, message: str) -> ModelResult:
    return entry.model_copy(update={"state": state, "reason": reason, "message": clip(message, MESSAGE_LENGTH)})
