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
    Without a clock, as in a round of a person, all of them count so if one has no block. A model whose object is gone
    counts by what was frozen of it: its block, or else the beginning of the round. It would otherwise be the first of
    all, and a copy that is evaluated early could keep the place of its original by leaving.
    """
    entries = list(entries)
    found = {entry.model: _present(entry, models) for entry in entries}
    blocks = {entry.model: _block(entry, model) for entry in entries if (model := found[entry.model]) is not None}
    by_creation = clock is None and None in blocks.values()
    keys = {
        entry.model: _gone(entry, clock, by_creation=by_creation)
        if (model := found[entry.model]) is None
        else _key(model, blocks[entry.model], clock, by_creation=by_creation)
        for entry in entries
    }
    return _owners_first(keys, entries, found)


def _owners_first(
    keys: dict[str, Seniority], entries: Iterable[ModelResult], models: Mapping[str, ModelObject | None]
) -> dict[str, Seniority]:
    """Return the keys with the owner first among the models of one commit.

    The owner's is that whose hotkey the commit's own card names. Whoever made the commit wrote the card, so naming
    another miner's commit, however early and by whatever name of its repository or of a clone, makes no one the first.
    """
    same: dict[str, dict[str, str | None]] = {}
    """By commit: models and their hotkeys."""
    cards: dict[str, set[str]] = {}
    for entry in entries:
        model = models[entry.model]
        facts = model.status.resolved if model is not None else None
        commit = entry.commit or (facts.commit if facts is not None else None)
        if commit is None or (model is not None and model.spec.source.hugging_face is None):
            continue
        same.setdefault(commit, {})[entry.model] = _hotkey(entry, model)
        if facts is not None and facts.commit == commit and facts.card_hotkey is not None:
            cards.setdefault(commit, set()).add(facts.card_hotkey)
    for commit, named in cards.items():
        if len(named) > 1:
            continue  # a commit has one card, so a hub is wrong about one of them
        hotkeys = same[commit]
        earliest = min(keys[name] for name in hotkeys)
        keys |= {name: (*earliest[:2], "") for name, hotkey in hotkeys.items() if hotkey in named}
    return keys


def _present(entry: ModelResult, models: Mapping[str, ModelObject]) -> ModelObject | None:
    model = models.get(entry.model)
    return None if model is None or replaced(entry, model) else model


def _gone(entry: ModelResult, clock: ChainClock | None, *, by_creation: bool) -> Seniority:
    """Return the key of a model whose object is deleted or replaced. When it was created is not known any more."""
    if by_creation:
        return (float("-inf"), 0.0, entry.model)
    if entry.commit_block is not None:
        return (float(entry.commit_block), float("inf"), entry.model)
    return (clock.block if clock is not None else float("-inf"), float("inf"), entry.model)


def _key(model: ModelObject, block: int | None, clock: ChainClock | None, *, by_creation: bool) -> Seniority:
    name = model.meta.name
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


def _hotkey(entry: ModelResult, model: ModelObject | None) -> str | None:
    """Return the hotkey that was frozen with the set, which is the one that is paid."""
    if entry.model_uid is not None or model is None:
        return entry.hotkey
    return model.spec.miner.hotkey if model.spec.miner is not None else None


def _block(entry: ModelResult, model: ModelObject) -> int | None:
    """Return the block that was frozen with the set: a validator compares that one with the chain, not a later one.

    An earlier version froze none.
    """
    if entry.model_uid is not None:
        return entry.commit_block
    return model.spec.miner.commit_block if model.spec.miner is not None else None
