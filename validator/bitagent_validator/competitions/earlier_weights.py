"""Weights that a hotkey had in earlier rounds, against copies that outlive the model they were made of. Pure.

Of equal weights in one round the earliest commitment competes. A copy that was committed later has that place as soon
as the original is gone: because its miner committed a better model, or the same weights with another template, whose
commitment is then the later one. So the weights of each hotkey are remembered with the block before which a round had
fixed its models. A commitment after that block is a copy, whatever is in the round now: its miner could have read the
weights, and no claim to an earlier block helps, since claims are compared with the chain. A model without a commitment,
such as one of a branch, has no block that is earlier.

A hotkey protects its earlier weights while it has a model in the round, under the same registration. One that left
protects nothing: its miner may have moved to another hotkey.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import product

from bitagent_crds.model_result import ModelResult, ResultState
from bitagent_validator.chain.facts import Neuron
from bitagent_validator.state.scores import WEIGHTS_MAX, HotkeyScore, Submission, short_digest


def without_copies(
    results: Iterable[ModelResult],
    *,
    submissions: Mapping[str, Submission],
    known: Mapping[str, HotkeyScore],
    neurons: Mapping[str, Neuron],
    elsewhere: Iterable[Mapping[str, HotkeyScore]] = (),
) -> tuple[ModelResult, ...]:
    """Return the results in which copies of weights of earlier rounds are duplicates.

    `known` has what earlier rounds say, by hotkey, and `elsewhere` the same of other competitions. What a hotkey had
    there counts where it has the same weights in this round: else a copy that is entered here first would keep it out.
    A model of the owner that was a duplicate of such a copy, because of its later commitment, has the place of the
    original; one that was a near copy of it is an improvement. What the copy is a near copy of, the former is as well,
    unless that came after the owner's weights: a copy of one's own would otherwise take the mark away.
    """
    by_model = {result.model: result for result in results}
    own: dict[str, list[str]] = {}
    for model in by_model.keys() & submissions.keys():
        own.setdefault(submissions[model].hotkey, []).append(model)
    here, anywhere = (_owners(own, of, neurons) for of in ([known], [known, *elsewhere]))
    copies: dict[str, tuple[str, int]] = {}
    for model, result in by_model.items():
        mine, digest = submissions.get(model), short_digest(result.weights_digest or "")
        for owners in (here, anywhere):
            owner, fixed = owners.get(digest, ("", 0))
            later = owner and mine is not None and mine.hotkey != owner and (mine.block is None or mine.block > fixed)
            if later and (owners is here or any(by_model[name].duplicate_of == model for name in own[owner])):
                copies[model] = owner, fixed
                break
    for model, (owner, fixed) in copies.items():
        copy = by_model[model]
        for name in own[owner]:
            if by_model[name].near_copy_of == model:
                by_model[name] = by_model[name].model_copy(update={"near_copy_of": None})
            if by_model[name].duplicate_of != model:
                continue
            by_model[name], near = in_place_of(copy, by_model[name]), copy.near_copy_of
            if near is None:
                continue
            # That is a copy of what the owner had, too, or came after these weights.
            if copies.get(near, ("", 0))[0] == owner or (
                near in submissions and (submissions[near].block or 0) > fixed
            ):
                by_model[name] = by_model[name].model_copy(update={"near_copy_of": None})
        unscored = {"state": ResultState.DUPLICATE, "score": None, "near_copy_of": None}
        by_model[model] = copy.model_copy(update=unscored)
    return tuple(by_model.values())


def in_place_of(copy: ModelResult, original: ModelResult) -> ModelResult:
    """Return what an original has instead of being the duplicate of a copy that does not count.

    It was not evaluated itself, so the copy's result is its own if the same files decided it. Equal weights may have
    another template or tokenizer, which the copier chose: then the original has no score in this round. Of what the
    copy is a near copy, the original is one as well: they have the same weights.
    """
    if copy.evaluation_key == original.evaluation_key:
        return copy.model_copy(update={"model": original.model, "duplicate_of": None})
    return original.model_copy(update={"state": ResultState.UNSCORED, "score": None, "duplicate_of": None})


def _owners(
    hotkeys: Iterable[str], competitions: Iterable[Mapping[str, HotkeyScore]], neurons: Mapping[str, Neuron]
) -> dict[str, tuple[str, int]]:
    """Return by digest the hotkey of these that had the weights first, and the block before which it had them."""
    owners: dict[str, tuple[str, int]] = {}
    for hotkey, known in product(sorted(hotkeys), competitions):
        score, neuron = known.get(hotkey), neurons.get(hotkey)
        if score is None or neuron is None or score.registered_at != neuron.registered_at:
            continue
        for digest, block in score.weights.items():
            if digest not in owners or block < owners[digest][1]:
                owners[digest] = hotkey, block
    return owners


def remembered(before: Mapping[str, int], result: ModelResult | None, *, fixed_at: int) -> dict[str, int]:
    """Return the weights of a hotkey after one more round, which had fixed its models before the block `fixed_at`."""
    if result is None or result.state is not ResultState.SUCCEEDED or result.weights_digest is None:
        return dict(before)
    digest = short_digest(result.weights_digest)
    others = {each: block for each, block in before.items() if each != digest}
    kept = list(others.items())[-(WEIGHTS_MAX - 1) :]
    return {**dict(kept), digest: min(fixed_at, before.get(digest, fixed_at))}
