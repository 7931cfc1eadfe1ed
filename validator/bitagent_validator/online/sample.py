"""Which miners a step asks, and its seeds, by the hash of a block. Pure.

The same block, subnet, competition and registered hotkeys give the same sample on every validator with the same spec. A
hotkey that only one of two validators sees replaces one other at most.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from bitagent_crds.online import LeftOutReason
from bitagent_validator.chain.facts import Neuron
from bitagent_validator.policy.eligibility import is_validator


@dataclass(frozen=True)
class Sample:
    """The miners of one step."""

    miners: tuple[Neuron, ...]
    """In the order in which they were drawn."""
    left_out: Mapping[str, LeftOutReason]
    """Registered hotkeys that are never asked."""


def step_seed(*, genesis: str, block_hash: str, netuid: int, competition: str) -> str:
    """Return the seed of one step, 64 hex digits."""
    parts = ["bitagent online 1", genesis, block_hash, netuid, competition]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def task_seed(seed: str) -> str:
    """Return the seed by which a step's task is drawn from the pool."""
    return _mixed(seed, "task")


def draw(
    neurons: Mapping[str, Neuron], *, seed: str, size: int, own: str, excluded: Collection[str], validator_stake: int
) -> Sample:
    """Return the `size` miners whose hotkeys the seed puts first; `validator_stake` is in tokens."""
    left_out = {
        hotkey: reason
        for hotkey, neuron in sorted(neurons.items())
        if (reason := _left_out(neuron, own=own, excluded=excluded, validator_stake=validator_stake)) is not None
    }
    drawn = sorted(neurons.keys() - left_out.keys(), key=lambda hotkey: _mixed(seed, hotkey))[:size]
    return Sample(tuple(neurons[hotkey] for hotkey in drawn), left_out)


def _left_out(neuron: Neuron, *, own: str, excluded: Collection[str], validator_stake: int) -> LeftOutReason | None:
    if neuron.hotkey == own:
        return LeftOutReason.OWN
    if neuron.hotkey in excluded:
        return LeftOutReason.EXCLUDED
    return LeftOutReason.VALIDATOR if is_validator(neuron, stake=validator_stake) else None


def _mixed(seed: str, text: str) -> str:
    return hashlib.sha256(f"{seed} {text}".encode()).hexdigest()
