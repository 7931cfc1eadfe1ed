"""Facts read from the chain at one block. Plain data; no SDK type leaves this folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

RAO = 10**9
"""Smallest units in one token."""

WeightsByHotkey = Mapping[str, int]
"""A validator's weights by target hotkey, as the chain stores them: u16, the largest is 65535."""


@dataclass(frozen=True)
class Neuron:
    """One registered hotkey."""

    uid: int
    hotkey: str
    stake: int
    """In rao."""
    permit: bool
    """Whether it holds a validator permit."""
    registered_at: int
    """The block of its registration; a hotkey that registers again after losing its slot has a new one."""
    last_update: int
    """The block at which it last set weights; the block of its registration if it never did."""


@dataclass(frozen=True)
class Commitment:
    """What a hotkey has committed to on a subnet: the last commitment, which replaces earlier ones."""

    text: str
    """Empty while it is sealed, and for data that is not text."""
    block: int | None
    """The block of that commitment; the same text committed again moves it. None if the chain does not keep it, as of
    one that was sealed and is revealed."""


@dataclass(frozen=True)
class Rules:
    """The subnet's rules for setting weights."""

    rate_limit: int
    """Minimum number of blocks between two weight settings of one hotkey."""
    version_key: int
    """Minimum version key that the subnet accepts."""
    min_weights: int
    """Minimum number of hotkeys in a row of weights."""
    max_weight: int
    """Maximum share of one hotkey, in units of 1/65535."""
    commit_reveal: bool
    """Whether weights are sent encrypted and stay unreadable until the chain reveals them."""
    stake_threshold: int
    """Minimum stake for setting weights, in rao."""
    activity_cutoff: int
    """Number of blocks without new weights after which the chain ignores a validator."""


@dataclass(frozen=True)
class Subnet:
    """A subnet at one finalised block, with the weights of one hotkey."""

    netuid: int
    block: int
    neurons: Mapping[str, Neuron]
    """By hotkey."""
    rules: Rules
    hotkey: str
    """The validator's own."""
    weights: WeightsByHotkey
    """The weights that `hotkey` has on the chain, by the hotkeys that hold the slots now."""

    @property
    def me(self) -> Neuron | None:
        """The validator's own neuron; None if it is not registered."""
        return self.neurons.get(self.hotkey)
