"""Facts read from the chain at one block. Plain data; no SDK type leaves this folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

RAO = 10**9
"""Smallest units in one token."""

WeightsByHotkey = Mapping[str, int]
"""A validator's weights by target hotkey, as the chain stores them: u16, the largest is 65535."""


@dataclass(frozen=True)
class Axon:
    """Where a hotkey says that it serves. Anyone may write any address on the chain."""

    address: str
    """A literal IPv4 or IPv6 address."""
    port: int
    protocol: int
    """What it says to speak; see `bitagent_wire`."""


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
    coldkey: str = ""
    dividends: float = 0.0
    """From 0 to 1."""
    axon: Axon | None = None
    """None if it serves nothing."""


@dataclass(frozen=True)
class Commit:
    """A sealed row of the validator's own hotkey that the chain has not revealed."""

    epoch: int
    """The subnet's epoch in which it was committed."""
    block: int
    digest: str
    """BlakeTwo256 of its bytes, 0x and 64 hex digits."""


@dataclass(frozen=True)
class MechanismFacts:
    """What the chain holds of one hotkey in one mechanism of the subnet."""

    row: Mapping[int, int] = field(default_factory=dict)
    """u16 by uid, zeros left out."""
    last_update: int = 0
    commits: tuple[Commit, ...] = ()
    """Oldest first."""


@dataclass(frozen=True)
class AccountFacts:
    """What is reported about an account, and decides nothing."""

    balance: int
    """Of the coldkey that owns the hotkey, in rao."""
    trust: float
    """The validator trust of the last epoch, from 0 to 1."""


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
    reveal_period: int = 1
    """Number of epochs after that of a commit in which the chain reveals it."""


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
    uid_weights: Mapping[int, int] = field(default_factory=dict)
    """The same by uid, as the chain stores them."""
    owner_hotkey: str = ""
    """The subnet owner's; it needs neither permit nor stake."""
    owner_coldkey: str = ""
    epoch: int = 0
    """Number of the subnet's epoch; read on subnets with sealed weights only."""
    commits: tuple[Commit, ...] = ()
    """The hotkey's own sealed rows that are not revealed yet, oldest first."""
    mechanisms: Mapping[int, MechanismFacts] = field(default_factory=dict)
    """By number: those that were read."""
    mechanism: int = 0
    """The one that the facts about the validator's own hotkey are about."""
    mechanism_count: int | None = None
    """How many the subnet has; None if only the first was asked for, which each subnet has."""

    def on(self, mechanism: int) -> Subnet:
        """Return the subnet with the weights, the last update and the sealed rows of one mechanism."""
        facts, me = self.mechanisms.get(mechanism), self.me
        if facts is None or me is None:
            return replace(self, mechanism=mechanism)
        holders = {n.uid: n.hotkey for n in self.neurons.values()}
        return replace(
            self,
            neurons={**self.neurons, me.hotkey: replace(me, last_update=facts.last_update)},
            weights={holders.get(uid, f"uid {uid}"): value for uid, value in facts.row.items()},
            uid_weights=facts.row,
            commits=facts.commits,
            mechanism=mechanism,
        )

    def is_owners(self, hotkey: str) -> bool:
        """Whether a hotkey belongs to the subnet's owner."""
        neuron = self.neurons.get(hotkey)
        owned = neuron is not None and bool(self.owner_coldkey) and neuron.coldkey == self.owner_coldkey
        return bool(hotkey) and (hotkey == self.owner_hotkey or owned)

    def has(self, mechanism: int) -> bool:
        """Whether the subnet has a mechanism, as far as is known: its owner may change their number."""
        return self.mechanism_count is None or mechanism < self.mechanism_count

    @property
    def me(self) -> Neuron | None:
        """The validator's own neuron; None if it is not registered."""
        return self.neurons.get(self.hotkey)
