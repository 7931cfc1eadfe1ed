"""Which of several models was first: by the block of its commitment, or by the creation of its object."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from bitagent_crds.model_result import ModelResult
from bitagent_operator.observed.objects import ChainClock, ModelObject
from bitagent_operator.plan.identity import replaced
from bitagent_operator.plan.models.fetch import named_commit

Seniority = tuple[float, float, str]
"""Sort key; the smallest was first."""


def seniority(
    entries: Iterable[ModelResult], models: Mapping[str, ModelObject], clock: ChainClock | None
) -> dict[str, Seniority]:
    """Return the keys of entries that compete for one thing, by model.

    Those with a commit block are compared by it. One without any counts from the creation of its object, so that it
    loses only to blocks before that: `clock` says which block that was. One that names no commit, or was edited since,
    counts from the first sight of its commit instead: an old object may stand for weights that were copied yesterday.
    Without a clock, as in a round of a person, all of them count so if one has no block. A model that is deleted after
    its evaluation stays the first.
    """
    found = {entry.model: _present(entry, models) for entry in entries}
    present = [model for model in found.values() if model is not None]
    by_creation = clock is None and any(_block(model) is None for model in present)
    keys = {name: _key(name, model, clock, by_creation=by_creation) for name, model in found.items()}
    return _owners_first(keys, found)


def _owners_first(keys: dict[str, Seniority], models: Mapping[str, ModelObject | None]) -> dict[str, Seniority]:
    """Return the keys with the owner first among the models of one commit.

    The owner's is that whose hotkey the commit's own card names. Whoever made the commit wrote the card, so naming
    another miner's commit, however early and by whatever name of its repository or of a clone, makes no one the first.
    A deleted model keeps its place.
    """
    same: dict[str, dict[str, ModelObject]] = {}
    for name, model in models.items():
        facts = model.status.resolved if model is not None else None
        if model is not None and facts is not None and model.spec.source.hugging_face is not None:
            same.setdefault(facts.commit, {})[name] = model
    for found in same.values():
        if len({_card_hotkey(model) for model in found.values()} - {None}) > 1:
            continue  # a commit has one card, so a hub is wrong about one of them
        earliest = min(keys[name] for name in found)
        for name, model in found.items():
            if _is_owner(model):
                keys[name] = (*earliest[:2], "")
    return keys


def _card_hotkey(model: ModelObject) -> str | None:
    return model.status.resolved.card_hotkey if model.status.resolved is not None else None


def _is_owner(model: ModelObject) -> bool:
    return model.spec.miner is not None and model.spec.miner.hotkey == _card_hotkey(model)


def _present(entry: ModelResult, models: Mapping[str, ModelObject]) -> ModelObject | None:
    model = models.get(entry.model)
    return None if model is None or replaced(entry, model) else model


def _key(name: str, model: ModelObject | None, clock: ChainClock | None, *, by_creation: bool) -> Seniority:
    if model is None:
        return (float("-inf"), 0.0, name)
    block = _block(model)
    created = model.meta.created if block is not None else _since(model)
    if by_creation:
        return (created.timestamp(), float("inf") if block is None else float(block), name)
    if block is not None:
        return (float(block), created.timestamp(), name)
    return (clock.block_at(created) if clock is not None else float("inf"), created.timestamp(), name)


def _since(model: ModelObject) -> datetime:
    seen = model.status.first_seen
    fixed = named_commit(model.spec) is not None and model.meta.generation <= 1
    return model.meta.created if fixed or seen is None else max(model.meta.created, seen.at)


def _block(model: ModelObject) -> int | None:
    return model.spec.miner.commit_block if model.spec.miner is not None else None
