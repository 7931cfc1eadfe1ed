"""The documents of the ConfigMaps, and all of them together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
)

from bitagent_validator.state.base import Document
from bitagent_validator.state.rows import HISTORY_MAX, Mechanism, Reveal, Row, RowState, Setting, in_state
from bitagent_validator.state.scores import OnlineState, ScoredRound, Submission


class Rows(Document):
    """The document of the last settings, and of the rows of mechanism 0.

    Rows of other mechanisms, which earlier versions kept here, are still read.
    """

    version: Annotated[int, Field(ge=1, le=1)] = 1
    genesis: str = ""
    pending: dict[Mechanism, Annotated[Row, in_state(RowState.PENDING)]] = {}
    accepted: dict[Mechanism, Annotated[Row, in_state(RowState.ACCEPTED)]] = {}
    history: Annotated[tuple[Setting, ...], Field(max_length=HISTORY_MAX)] = ()


class MechanismRows(Document):
    """The document of the rows of one mechanism other than 0: a row has an entry for each paid hotkey."""

    version: Annotated[int, Field(ge=1, le=1)] = 1
    pending: Annotated[Row, in_state(RowState.PENDING)] | None = None
    accepted: Annotated[Row, in_state(RowState.ACCEPTED)] | None = None


class CompetitionState(Document):
    """The document of one competition."""

    version: Annotated[int, Field(ge=1, le=1)] = 1
    scored: ScoredRound | None = None
    owners: dict[str, dict[str, Submission]] = {}
    refused: dict[str, dict[str, str]] = {}
    tried: tuple[str, ...] = ()
    held: dict[str, int] = {}
    online: OnlineState | None = None

    @model_serializer(mode="wrap")
    def _without_online(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what no competition has that asks no miners: earlier versions can read the document then."""
        stored: dict[str, Any] = handler(self)
        return stored if self.online is not None else {k: v for k, v in stored.items() if k != "online"}


class State(Document):
    """All documents together."""

    genesis: str = ""
    """The hash of block 0 of the chain that the documents are about; empty before a chain was read."""
    scored: dict[str, ScoredRound] = {}
    """By competition."""
    owners: dict[str, dict[str, Submission]] = {}
    """By `Round.key`, of rounds without recorded results: submissions by MinerModel when its set of models was frozen,
    in the order of their commitments."""
    refused: dict[str, dict[str, str]] = {}
    """By `Round.key`: why the chain contradicts a model's commitBlock, by MinerModel."""
    tried: dict[str, tuple[str, ...]] = {}
    """By competition: hotkeys with a model in a round that failed since the last complete one."""
    held: dict[str, dict[str, int]] = {}
    """By competition: the shares, in units of 1/65535, of the hotkeys that it paid in the last accepted row."""
    online: dict[str, OnlineState] = {}
    """By competition: those that ask miners."""
    pending: dict[Mechanism, Annotated[Row, in_state(RowState.PENDING)]] = {}
    """By mechanism."""
    accepted: dict[Mechanism, Annotated[Row, in_state(RowState.ACCEPTED)]] = {}
    """By mechanism."""
    history: Annotated[tuple[Setting, ...], Field(max_length=HISTORY_MAX)] = ()
    """The last settings, the newest at the end."""

    def with_setting(self, setting: Setting) -> State:
        """Return the state with one more setting."""
        return self.model_copy(update={"history": (*self.history, setting)[-HISTORY_MAX:]})

    def with_reveal(self, mechanism: int, block: int, *, missed: bool) -> State:
        """Return the state in which the sealed row of a block was revealed, or dropped."""
        change = {"missed": True} if missed else {"reveal": Reveal.REVEALED}
        history = tuple(
            each.model_copy(update=change) if (each.mechanism, each.block) == (mechanism, block) else each
            for each in self.history
        )
        return self.model_copy(update={"history": history})

    def with_pending(self, mechanism: int, row: Row | None) -> State:
        """Return the state with another pending row of one mechanism, or with none."""
        return self.model_copy(update={"pending": _with(self.pending, mechanism, row)})

    def with_accepted(self, mechanism: int, row: Row | None) -> State:
        """Return the state with another accepted row of one mechanism, or with none."""
        return self.model_copy(update={"accepted": _with(self.accepted, mechanism, row)})

    def without_blocks_after(self, block: int, *, present: int) -> State:
        """Return the state without rows of later blocks, and with their results as if they were of the present one.

        For what was recorded at a height that is not believed any more: it would keep back all that comes at the
        chain's real height, as would results of a block that is still to come.
        """

        def at_most(found: Mapping[str, Any]) -> dict[str, Any]:
            return {
                name: each.model_copy(update={"block": present}) if each.block > block else each
                for name, each in found.items()
            }

        return self.model_copy(
            update={
                "scored": at_most(self.scored),
                "online": at_most(self.online),
                "pending": {number: row for number, row in self.pending.items() if row.since <= block},
                "accepted": {number: row for number, row in self.accepted.items() if row.block <= block},
                "history": tuple(each for each in self.history if each.block <= block),
            }
        )

    @property
    def rows(self) -> Rows:
        """The document of the last settings and of the rows of mechanism 0."""
        pending = {number: row for number, row in self.pending.items() if number == 0}
        accepted = {number: row for number, row in self.accepted.items() if number == 0}
        return Rows(genesis=self.genesis, pending=pending, accepted=accepted, history=self.history)

    def of_mechanism(self, mechanism: int) -> MechanismRows:
        """Return the document of the rows of another mechanism."""
        return MechanismRows(pending=self.pending.get(mechanism), accepted=self.accepted.get(mechanism))

    @property
    def mechanisms(self) -> frozenset[int]:
        """The mechanisms that have a document of their own and rows in it."""
        return frozenset(self.pending.keys() | self.accepted.keys()) - {0}

    def of_competition(self, competition: str) -> CompetitionState:
        """Return the document of one competition."""
        return CompetitionState(
            scored=self.scored.get(competition),
            owners={key: value for key, value in self.owners.items() if competition_of(key) == competition},
            refused={key: value for key, value in self.refused.items() if competition_of(key) == competition},
            tried=self.tried.get(competition, ()),
            held=self.held.get(competition, {}),
            online=self.online.get(competition),
        )

    @property
    def competitions(self) -> frozenset[str]:
        """The competitions of which something is known."""
        keys = {competition_of(key) for key in self.owners.keys() | self.refused.keys()}
        return frozenset(self.scored.keys() | self.tried.keys() | self.held.keys() | self.online.keys() | keys)

    @classmethod
    def joined(
        cls,
        rows: Rows,
        competitions: Mapping[str, CompetitionState],
        mechanisms: Mapping[int, MechanismRows] | None = None,
    ) -> State:
        """Return the state that these documents hold; that of a mechanism replaces what `rows` has of it."""
        own = mechanisms or {}
        pending = {number: row for number, row in rows.pending.items() if number not in own}
        accepted = {number: row for number, row in rows.accepted.items() if number not in own}
        return cls(
            genesis=rows.genesis,
            pending=pending | {number: each.pending for number, each in own.items() if each.pending},
            accepted=accepted | {number: each.accepted for number, each in own.items() if each.accepted},
            history=rows.history,
            scored={name: each.scored for name, each in competitions.items() if each.scored},
            owners={key: value for each in competitions.values() for key, value in each.owners.items()},
            refused={key: value for each in competitions.values() for key, value in each.refused.items()},
            tried={name: each.tried for name, each in competitions.items() if each.tried},
            held={name: each.held for name, each in competitions.items() if each.held},
            online={name: each.online for name, each in competitions.items() if each.online},
        )


def _with(rows: Mapping[int, Row], mechanism: int, row: Row | None) -> dict[int, Row]:
    others = {number: each for number, each in rows.items() if number != mechanism}
    return others if row is None else {**others, mechanism: row}


def competition_of(key: str) -> str:
    """Return the competition of a key that begins with it."""
    return key.partition("/")[0]
