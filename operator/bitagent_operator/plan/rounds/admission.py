"""Which models take part in a round: the frozen set, and admission by facts, before any GPU is used.

A verdict that needs no GPU is final at once. An admitted entry carries commit and weights digest and keeps them: the
tasks may be known by then, so what a miner pushes to a branch while the model waits for a slot must not be what is
evaluated. Only a changed spec, until the evaluation starts, makes it wait for its files again.

In a round with `tasks.seedFrom` the commit of every model is fixed while the seed cannot be known, and nothing that
decides its answers may change from then on. Whatever is not fixed when the seed is published is too late.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from bitagent_crds.admission import refuse, refuse_memory
from bitagent_crds.conditions import ConditionType, Reason
from bitagent_crds.evalround import EvalRoundSpec, ModelSelection
from bitagent_crds.model_result import FINAL_STATES, ModelResult, ResultState
from bitagent_crds.schema import is_later
from bitagent_crds.seeds import SeedFrom
from bitagent_kube.conditions import clip, find
from bitagent_operator.observed.objects import ModelObject, RoundObject, changed
from bitagent_operator.plan.identity import fixed, frozen, not_admitted, of_files, origin, replaced, submitted
from bitagent_operator.plan.inputs import Pass
from bitagent_operator.plan.jobs.outcome import MESSAGE_LENGTH
from bitagent_operator.plan.models.fetch import (
    RECENT,
    FetchResult,
    fetch_result,
    named_commit,
    recent_enough,
    refused_by_others,
    valid_for,
)
from bitagent_operator.plan.models.resolution import resolved_for
from bitagent_operator.plan.rounds.attribution import FETCH_CAUSES

MAX_MODELS = 1024
"""Models that a round can hold: as many results as a status takes."""


@dataclass(frozen=True)
class Selection:
    """The models of a round."""

    names: tuple[str, ...]
    """Sorted; MAX_MODELS at most."""
    left_out: int = 0
    """How many match as well."""


def select(
    selection: ModelSelection,
    models: Iterable[ModelObject],
    *,
    models_per_hotkey: int = 0,
    seed_block: int | None = None,
    suspended: frozenset[str] = frozenset(),
) -> Selection:
    """Return the models to freeze. A listed name that does not exist is kept, and its result will report that.

    `suspended`: names of models that are suspended and cannot be read, besides `models`.

    If more match than a round can hold, each hotkey has a place for its last commitment before any has one for another:
    those whose first commit blocks are the earliest, then those whose objects are the oldest. Models beyond what their
    hotkey may have come last, and so do those that were committed after `seed_block`, which are too late.
    """
    models = list(models)
    if selection.names is not None:
        names = set(selection.names) - suspended - {m.meta.name for m in models if m.spec.suspend}
    else:
        present = (m for m in models if not m.spec.suspend and not m.meta.deleting)
        labels = (selection.match_labels or {}).items()
        names = {m.meta.name for m in present if labels <= m.meta.labels.items()}
    if len(names) <= MAX_MODELS:
        return Selection(tuple(sorted(names)))
    chosen = _earliest([m for m in models if m.meta.name in names], models_per_hotkey, seed_block)[:MAX_MODELS]
    return Selection(tuple(sorted(m.meta.name for m in chosen)), len(names) - len(chosen))


def frozen_set(names: Iterable[str], models: Iterable[ModelObject]) -> list[ModelResult]:
    """Return the results of a set that is frozen now: each says which object it means, and whose that is."""
    known = {m.meta.name: m for m in models}
    return [
        ModelResult.model_validate({"model": name, **(submitted(known[name]) if name in known else {})})
        for name in names
    ]


def unreadable(selection: ModelSelection, found: Mapping[str, str]) -> dict[str, str]:
    """Return the models that cannot be read and that the selection means; `found` were listed by its labels."""
    return {name: error for name, error in found.items() if selection.names is None or name in selection.names}


def _earliest(models: Sequence[ModelObject], models_per_hotkey: int, seed_block: int | None) -> list[ModelObject]:
    """Return the models in the order in which they may compete."""
    by_hotkey: dict[str, list[ModelObject]] = {}
    keys: dict[str, tuple[bool, int, float, datetime, str]] = {}
    for model in sorted(models, key=lambda m: (m.meta.created, m.meta.name)):
        if model.spec.miner is None:
            keys[model.meta.name] = (False, 0, float("inf"), model.meta.created, model.meta.name)
        else:
            by_hotkey.setdefault(model.spec.miner.hotkey, []).append(model)
    for owned in by_hotkey.values():
        most = models_per_hotkey or len(owned)
        in_time = [m for m in owned[:most] if seed_block is None or (_block(m) or 0) <= seed_block]
        last_first = sorted(in_time, key=_commitment, reverse=True)
        since = min((_block_or_never(m) for m in in_time), default=float("inf"))
        for turn, model in enumerate(last_first):
            keys[model.meta.name] = (False, turn, since, model.meta.created, model.meta.name)
        for model in owned:
            late = (True, 0, _block_or_never(model), model.meta.created, model.meta.name)
            keys.setdefault(model.meta.name, late)
    return sorted(models, key=lambda m: keys[m.meta.name])


def _block(model: ModelObject) -> int | None:
    return model.spec.miner.commit_block if model.spec.miner is not None else None


def _block_or_never(model: ModelObject) -> float:
    block = _block(model)
    return float("inf") if block is None else float(block)


def _commitment(model: ModelObject) -> tuple[bool, int, datetime, str]:
    """Return the order of commitments of one hotkey, of which the last one counts."""
    block = _block(model)
    return (block is not None, block or 0, model.meta.created, model.meta.name)


def admit(observed: RoundObject, *, models: Mapping[str, ModelObject], pass_: Pass) -> list[ModelResult]:
    """Return the entries of a started round, with those that are not final judged again.

    A state that only a later version knows is not final: this version decides about the model by its own rules.
    """
    started = observed.status.begun
    if started is None:
        raise ValueError("the round has not started")
    return [
        _entry(r, observed.spec, models.get(r.model), started, pass_) if r.state not in FINAL_STATES else r
        for r in observed.status.results
    ]


def _entry(
    entry: ModelResult, spec: EvalRoundSpec, model: ModelObject | None, started: datetime, pass_: Pass
) -> ModelResult:
    if model is None and pass_.may_exist(entry.model):
        pass_.requests.models.add(entry.model)
        return entry
    if model is None and (error := pass_.live.unreadable.get(entry.model)) is not None:
        if entry.state == ResultState.RUNNING:
            return entry
        return _with(entry, ResultState.PENDING, Reason.MODEL_INVALID, f"its MinerModel cannot be read: {error}")
    if model is not None and replaced(entry, model):
        text = "its MinerModel was deleted, and another one made under its name; the next round has that one"
        return _with(entry, ResultState.REJECTED, Reason.MODEL_REPLACED, text)
    if model is None or model.meta.deleting:
        return _with(entry, ResultState.REJECTED, Reason.MODEL_DELETED, "no MinerModel of this name exists any longer")
    if entry.state == ResultState.RUNNING:
        return entry
    if is_later(entry.state):
        entry = _with(entry, ResultState.PENDING, Reason.WAITING_FOR_TASKS, "")
    if spec.tasks.seed_from is not None:
        return _fixed_entry(entry, spec, spec.tasks.seed_from, model, started, pass_)
    if entry.commit is not None and _same_spec(model, entry.commit):
        return entry
    unknown = not_admitted(model)
    result = fetch_result(model.status, generation=model.meta.generation)
    if result is not None and result.reason is Reason.TOO_MANY_MODELS:
        return _with(entry, ResultState.REJECTED, result.reason, result.message, **unknown)
    bounded = pass_.settings.cache_is_bounded
    if result is None or not recent_enough(result, model.spec, started=started, cache_is_bounded=bounded):
        return _waiting(entry, model, **unknown)
    if refused_by_others(model, result, spec.admission):
        return _waiting(entry, model, **unknown)
    return _judged(entry, spec, model, result, **unknown)


def _fixed_entry(
    entry: ModelResult,
    spec: EvalRoundSpec,
    seed_from: SeedFrom,
    model: ModelObject,
    started: datetime,
    pass_: Pass,
) -> ModelResult:
    """Return the entry of a round whose models are fixed before its seed is known."""
    result = fetch_result(model.status, generation=model.meta.generation)
    if result is not None and result.reason is Reason.TOO_MANY_MODELS:
        return _with(entry, ResultState.REJECTED, result.reason, result.message)
    if entry.commit is None:
        return _fixed(entry, spec, seed_from, model, started, pass_.now)
    if entry.repo != origin(model.spec.source):
        text = "its source was changed after the round had fixed its models; the next round has the new one"
        return _with(entry, ResultState.REJECTED, Reason.COMMIT_TOO_LATE, text)
    if entry.weights_digest is not None:
        return entry
    bounded = pass_.settings.cache_is_bounded
    if result is None or not valid_for(model, result, entry.commit, started=started, cache_is_bounded=bounded):
        return _waiting(entry, model)
    if refused_by_others(model, result, spec.admission):
        return _waiting(entry, model)
    if result.fetched and model.status.resolved is not None and model.status.resolved.commit != entry.commit:
        text = f"its files are those of {model.status.resolved.commit[:12]} now: they were changed after the round had "
        return _with(entry, ResultState.REJECTED, Reason.COMMIT_TOO_LATE, text + "fixed its models")
    return _judged(entry, spec, model, result)


def _fixed(
    entry: ModelResult,
    spec: EvalRoundSpec,
    seed_from: SeedFrom,
    model: ModelObject,
    started: datetime,
    now: datetime,
) -> ModelResult:
    """Return the entry with the commit that takes part, if it is known in time.

    With a seed that was published before the round started (a person repeats one), only named commits take part.
    """
    block = _block(model)
    if block is not None and block > seed_from.block:
        text = f"its commit block {block} is later than block {seed_from.block}, whose hash is part of the seed"
        return _with(entry, ResultState.REJECTED, Reason.COMMIT_TOO_LATE, text)
    if model.spec.suspend:
        return _with(entry, ResultState.REJECTED, Reason.SUSPENDED, "suspended when the round fixed its models")
    commit = resolved_for(model, started=started)
    if seed_from.revealed and (named_commit(model.spec) is None or now > started):
        text = "its revision was not resolved to a commit before the seed was published: name a commit instead"
        return _with(entry, ResultState.REJECTED, Reason.COMMIT_TOO_LATE, text)
    if commit is not None:
        identity = fixed(model, commit, spec.evaluation)
        return _with(entry, ResultState.PENDING, Reason.WAITING_FOR_MODEL, "its commit is fixed", **identity)
    result = fetch_result(model.status, generation=model.meta.generation)
    if result is not None and result.reason.fault.final and result.at >= started - RECENT:
        return _with(entry, ResultState.REJECTED, result.reason, result.message)
    text = "its revision is being resolved to a commit"
    return _with(entry, ResultState.PENDING, Reason.FREEZING_MODELS, text)


def _waiting(entry: ModelResult, model: ModelObject, **identity: object) -> ModelResult:
    """Return the entry of a model whose files are not there yet."""
    if model.spec.suspend:
        text = "suspended before its files were fetched"
        return _with(entry, ResultState.REJECTED, Reason.SUSPENDED, text)
    fetched = find(model.status.conditions, ConditionType.FETCHED)
    text = f"{fetched.reason}: {fetched.message}" if fetched else "not seen by the operator yet"
    return _with(entry, ResultState.PENDING, Reason.WAITING_FOR_MODEL, text, **identity)


def _judged(
    entry: ModelResult, spec: EvalRoundSpec, model: ModelObject, result: FetchResult, **unknown: object
) -> ModelResult:
    """Return the entry by a valid result of its fetch: admitted, or refused; `unknown` if it has no files.

    What was fixed before the seed was known stays as it was then.
    """
    facts = model.status.resolved
    if not result.fetched or facts is None:
        state = ResultState.INFRA_FAULT if result.infrastructure else ResultState.REJECTED
        if result.reason in FETCH_CAUSES:
            state = ResultState.PENDING  # until the others have ended: `evaluations` decides whose trouble it is
        return _with(entry, state, result.reason, result.message, **unknown)
    identity, engine = frozen(model, facts, spec.evaluation), model.spec.engine
    if spec.tasks.seed_from is not None and entry.engine is not None:
        identity, engine = of_files(facts), entry.engine
    refusal = refuse(spec.admission, facts) or refuse_memory(spec.admission, spec.evaluation, engine, facts)
    if refusal is not None:
        return _with(entry, ResultState.REJECTED, refusal.reason, refusal.message, **identity)
    return _with(entry, ResultState.PENDING, Reason.WAITING_FOR_TASKS, "", **identity)


def _same_spec(model: ModelObject, commit: str) -> bool:
    """Whether the last or the running fetch is of the present spec; one that names another commit has changed."""
    hub = model.spec.source.hugging_face
    if hub is not None and named_commit(model.spec) not in (None, commit):
        return False
    fetched = find(model.status.conditions, ConditionType.FETCHED)
    return fetched is not None and fetched.observed_generation == model.meta.generation


def _with(entry: ModelResult, state: ResultState, reason: Reason, message: str, **identity: object) -> ModelResult:
    """Return the entry in another state; `identity`: what is evaluated, unchanged if left out."""
    return changed(entry, state=state, reason=reason, message=clip(message, MESSAGE_LENGTH), **identity)
