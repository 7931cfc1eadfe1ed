"""What is kept of weights: the row that is pending, the one that the chain accepted, and the last settings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import (
    BeforeValidator,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from bitagent_crds.texts import digest_of
from bitagent_validator.state.base import Document


class RowState(StrEnum):
    """Progress of a row of weights towards the chain."""

    PLANNED = "Planned"
    """Computed in this pass and not recorded."""
    PENDING = "Pending"
    """Recorded, and then perhaps sent; not known to be on the chain."""
    ACCEPTED = "Accepted"
    """Seen on the chain."""


class Reveal(StrEnum):
    """What became of a row that was sent sealed."""

    OPEN = "Open"
    """It was not sealed: the chain applied it at once."""
    PENDING = "Pending"
    """Its epoch has not come."""
    REVEALED = "Revealed"
    """The chain has applied it."""


ERA_BLOCKS = 32
"""Lifetime of a transaction, in blocks, while blocks become final; one that was not included by then never will be."""

_REQUIRED: Mapping[RowState, frozenset[str]] = {
    RowState.PLANNED: frozenset({"weights"}),
    RowState.PENDING: frozenset({"account", "weights", "uids", "since"}),
    RowState.ACCEPTED: frozenset({"account", "weights", "uids", "block", "at", "extrinsic"}),
}
"""What a row has in each state, beside `rounds`."""
_OPTIONAL: Mapping[RowState, frozenset[str]] = {
    RowState.PLANNED: frozenset({"burnt"}),
    RowState.PENDING: frozenset({"burnt", "commit", "epoch", "signed", "era"}),
    RowState.ACCEPTED: frozenset({"burnt", "commit", "epoch", "reveal"}),
}


class Row(Document):
    """A row of weights: what one hotkey gives to all others in one mechanism of a subnet.

    In the ConfigMap a row is stored without its state, which follows from its place in the document.
    """

    state: RowState
    rounds: tuple[str, ...]
    """The EvalRounds from which the weights were computed; none if all policies need no round."""
    account: str = ""
    """The hotkey that sets them and its subnet, `netuid/hotkey`; empty while planned."""
    weights: Annotated[dict[str, int], Field(alias="row")] = {}
    """u16 by hotkey, the largest is 65535."""
    burnt: dict[str, int] = {}
    """Of the weights: what a hotkey gets as the target of burning. Whether it still is that changes with the owner."""
    uids: tuple[int, ...] = ()
    """The slots to which the weights were sent, in the order of `weights`."""
    since: int = 0
    """The finalised block when the row became pending: only a later block can include it."""
    signed: int | None = None
    """The best block of the node when the last transaction with this row was signed; None if not known."""
    era: int = ERA_BLOCKS
    """Lifetime of its transaction, in blocks."""
    commit: str = ""
    """BlakeTwo256 of the sealed row as it was sent; empty if it was not sealed, or is not known."""
    epoch: int = 0
    """The subnet's epoch when the row was sent; read on subnets with sealed weights only."""
    reveal: Reveal = Reveal.OPEN
    block: int = 0
    """The block that includes the accepted row."""
    at: datetime | None = None
    """The time of that block."""
    extrinsic: str = ""
    """The extrinsic that set the accepted row, `block-index`."""

    @property
    def digest(self) -> str:
        """SHA-256 of the weights by hotkey."""
        return weights_digest(self.weights)

    @property
    def hotkeys(self) -> int:
        """Number of hotkeys with a weight above 0."""
        return len(self.weights)

    @property
    def by_uid(self) -> dict[int, int]:
        """The weights by the slots to which they were sent."""
        return dict(zip(self.uids, self.weights.values(), strict=True))

    @property
    def source(self) -> str:
        """What the weights come from, for messages."""
        return f"the weights of {', '.join(self.rounds)}" if self.rounds else "the fixed weights"

    @classmethod
    def planned(
        cls, weights: Mapping[str, int], rounds: tuple[str, ...], burnt: Mapping[str, int] | None = None
    ) -> Row:
        """Return a row that was just computed."""
        return cls(state=RowState.PLANNED, rounds=rounds, weights=dict(weights), burnt=dict(burnt or {}))

    def as_pending(
        self, *, since: int, account: str, uids: Mapping[str, int], epoch: int = 0, era: int = ERA_BLOCKS
    ) -> Row:
        """Return the row as it is recorded before it is sent; `uids` are the slots by hotkey."""
        return Row(
            state=RowState.PENDING,
            rounds=self.rounds,
            account=account,
            weights=self.weights,
            burnt=self.burnt,
            uids=tuple(uids[hotkey] for hotkey in self.weights),
            since=since,
            epoch=epoch,
            era=era,
        )

    def as_accepted(self, *, block: int, at: datetime, extrinsic: str, reveal: Reveal = Reveal.OPEN) -> Row:
        """Return the row as it is recorded once it was seen on the chain."""
        return Row(
            state=RowState.ACCEPTED,
            rounds=self.rounds,
            account=self.account,
            weights=self.weights,
            burnt=self.burnt,
            uids=self.uids,
            commit=self.commit,
            epoch=self.epoch,
            reveal=reveal,
            block=block,
            at=at,
            extrinsic=extrinsic,
        )

    @model_validator(mode="after")
    def _has_the_fields_of_its_state(self) -> Row:
        given = self.model_fields_set - {"state", "rounds"}
        required, allowed = _REQUIRED[self.state], _REQUIRED[self.state] | _OPTIONAL[self.state]
        if not required <= given <= allowed:
            raise ValueError(f"a row that is {self.state} has {sorted(allowed)}, not {sorted(given)}")
        if self.state is not RowState.PLANNED and len(self.uids) != len(self.weights):
            raise ValueError(f"a row has a slot for each weight, not {len(self.uids)} for {len(self.weights)}")
        return self

    @model_serializer(mode="wrap")
    def _stored(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        stored = _REQUIRED[self.state] | _OPTIONAL[self.state] | {"rounds", "account"}
        # Without burning, and while blocks become final, earlier versions can read the document.
        usual = {name for name, value in (("burnt", {}), ("era", ERA_BLOCKS)) if getattr(self, name) == value}
        names = {"row" if name == "weights" else name for name in stored - usual}
        return {name: value for name, value in handler(self).items() if name in names}


def in_state(state: RowState) -> BeforeValidator:
    """Add the state to a stored row; refuse a row in another state."""

    def check(value: object) -> object:
        if isinstance(value, Row) and value.state is not state:
            raise ValueError(f"this row is {value.state}, not {state}")
        return {**value, "state": state} if isinstance(value, dict) else value

    return BeforeValidator(check)


def weights_digest(weights: Mapping[str, int]) -> str:
    """Return a SHA-256 that identifies weights by hotkey, in any order."""
    text = json.dumps(dict(weights), sort_keys=True, separators=(",", ":"))
    return digest_of(text.encode())


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, such as 1 hotkey or 2 hotkeys."""
    return f"{number} {noun}{'s' * (number != 1)}"


Mechanism = Annotated[int, Field(ge=0, le=7)]
HISTORY_MAX = 50
"""Number of settings that are kept, for people."""


class Setting(Document):
    """One setting that the chain accepted."""

    mechanism: Mechanism = 0
    block: int
    at: datetime
    rounds: tuple[str, ...] = ()
    hotkeys: int
    digest: str
    extrinsic: str
    change: Annotated[float, Field(ge=0, le=1)] = 0.0
    """The part of all weights that went to other hotkeys than before."""
    reveal: Reveal = Reveal.OPEN
    missed: bool = False
    """Whether the chain has dropped the sealed row."""
