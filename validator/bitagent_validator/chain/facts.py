"""Facts read from the chain at one block. Plain data: no SDK type leaves this folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

RAO = 10**9
"""Smallest units in one token."""

WeightRow = Mapping[str, int]
"""A row of weights by target hotkey, as the chain stores it: u16, the largest is 65535."""


@dataclass(frozen=True)
class Neuron:
    """One registered hotkey."""

    uid: int
    hotkey: str
    stake: int
    """In rao."""
    permit: bool
    """Whether it may set weights for others."""
    registered_at: int
    """The block of its registration; a hotkey that left and came back has a new one."""
    last_update: int
    """The block at which it last set weights; that of its registration if it never did."""


@dataclass(frozen=True)
class Rules:
    """The subnet's rules for setting weights."""

    rate_limit: int
    """Fewest blocks between two settings of one hotkey."""
    version_key: int
    """A lower version key is refused."""
    min_weights: int
    """Fewest targets of a row."""
    max_weight: int
    """Largest share of one target, of 65535."""
    commit_reveal: bool
    """Weights are sent sealed and are not readable before the chain reveals them."""
    stake_threshold: int
    """Least stake of a hotkey that sets weights, in rao."""
    activity_cutoff: int
    """A validator that has not set weights for so many blocks loses its say."""


@dataclass(frozen=True)
class Subnet:
    """A subnet at one finalised block, as one hotkey sees it."""

    netuid: int
    block: int
    neurons: Mapping[str, Neuron]
    """By hotkey."""
    rules: Rules
    hotkey: str
    """The validator's."""
    row: WeightRow
    """The weights that the validator's hotkey has on the chain, by the hotkeys that hold the slots now."""

    @property
    def me(self) -> Neuron | None:
        """The validator's own neuron, when it is registered."""
        return self.neurons.get(self.hotkey)
