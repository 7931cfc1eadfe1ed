"""State that outlives the pod: the results of the last complete rounds, and the pending and the last accepted weights.

It is a ConfigMap of the Validator, `<name>-scores`, with the rows, and one for each competition,
`<name>-scores-<competition>`, all owned by it. Results are copied from an EvalRound as soon as it is complete, so that
deleting the round loses nothing; if a ConfigMap is lost, they are copied again from the rounds that still exist.

No ConfigMap grows beyond what the API server takes: one holds the results of five rounds and an average of online
scores, of registered hotkeys only, and the submissions of two rounds. resourceVersion is an optimistic lock: of two
writers, the one with the older version fails and reads the document again.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from bitagent_crds.fields import digest_of
from bitagent_crds.model_result import ResultState
from bitagent_crds.names import MANAGED_BY_LABEL, state_config_map
from bitagent_crds.policies import SMOOTHING_MAX
from bitagent_kube.client import Client
from bitagent_kube.objects import Obj
from bitagent_kube.resources import CONFIG_MAPS
from bitagent_validator.objects import ValidatorObject

KEY = "state.json"


class StateUnreadable(Exception):
    """The ConfigMap holds no state document of this Validator; the message says what to do."""


class _Document(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_by_name=True, validate_by_alias=True, serialize_by_alias=True
    )


class RoundResult(_Document):
    """What one complete round says about one hotkey: the result of its model that counts.

    It is stored as the list of its fields without the trailing defaults, because there are many.
    """

    state: ResultState
    score: Annotated[float, Field(ge=0, le=1)] = 0.0
    win_rate: Annotated[float, Field(ge=0, le=1)] | None = None
    """Share of the batches that it won against the round's best models (policy WinRate); None for others."""
    near_copy: bool = False
    """Whether the model is a near copy of an earlier one of another hotkey."""

    @model_validator(mode="before")
    @classmethod
    def _from_list(cls, value: object) -> object:
        return dict(zip(cls.model_fields, value, strict=False)) if isinstance(value, list) else value

    @model_serializer(mode="plain")
    def _as_list(self) -> list[Any]:
        length = 4 if self.near_copy else 3 if self.win_rate is not None else 2 if self.score else 1
        return [self.state.value, self.score, self.win_rate, self.near_copy][:length]


class HotkeyScore(_Document):
    """What the last complete rounds say about one hotkey, under one registration."""

    registered_at: int
    """The block of the hotkey's registration when the results were recorded."""
    block: int | None = None
    """The block of the commitment of the model that counted last; None if it has none."""
    results: Annotated[tuple[RoundResult | None, ...], Field(min_length=1, max_length=SMOOTHING_MAX)]
    """By round, the last one at the end, as many as there were since its first; None for a round without a model."""

    @property
    def last(self) -> RoundResult | None:
        """The result in the last complete round."""
        return self.results[-1]


class ScoredRound(_Document):
    """The last complete round of one competition, with the results of the rounds before it."""

    round: str
    epoch: int
    block: int
    """The first block of the epoch."""
    scores: dict[str, HotkeyScore]
    """By hotkey: those that were registered when the round was recorded."""
    baselines: Annotated[tuple[Annotated[float, Field(ge=0, le=1)], ...], Field(max_length=SMOOTHING_MAX)] = ()
    """Score of the best constant answer in each of the last rounds, the last one at the end; 0 where none is known."""

    def baseline(self, rounds_ago: int = 0) -> float:
        """Return the score of the best constant answer in the last round, or in an earlier one."""
        return self.baselines[-1 - rounds_ago] if rounds_ago < len(self.baselines) else 0.0


class OnlineMean(_Document):
    """The moving average of one hotkey's online scores, under one registration; stored as the list of its fields."""

    registered_at: int
    """The block of the hotkey's registration."""
    mean: Annotated[float, Field(ge=0, le=1)]
    count: Annotated[int, Field(ge=1)]
    """Number of steps that it was in."""
    block: int
    """The block of the last of them."""

    @model_validator(mode="before")
    @classmethod
    def _from_list(cls, value: object) -> object:
        return dict(zip(cls.model_fields, value, strict=True)) if isinstance(value, list) else value

    @model_serializer(mode="plain")
    def _as_list(self) -> list[Any]:
        return [self.registered_at, self.mean, self.count, self.block]


class OnlineState(_Document):
    """Online evaluation of one competition, after its last step that counted."""

    block: int
    """The block of that step."""
    pool: str = ""
    """The EvalRound of the task set that it used."""
    baseline: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Score of the best constant answer to the tasks of that pool; 0 if none is known."""
    means: dict[str, OnlineMean] = {}
    """By hotkey: those that are registered."""

    def mean(self, hotkey: str, *, registered_at: int) -> float:
        """Return a hotkey's average; that at which it begins, the median, if it was in no step since it registered."""
        known = self.means.get(hotkey)
        if known is not None and known.registered_at == registered_at:
            return known.mean
        return statistics.median(each.mean for each in self.means.values()) if self.means else 0.0


class Submission(_Document):
    """The miner of one model, as it was when a round froze its set."""

    hotkey: str
    block: int | None = None
    """The block of the commitment; None if it has none."""


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


_REQUIRED: Mapping[RowState, frozenset[str]] = {
    RowState.PLANNED: frozenset({"weights"}),
    RowState.PENDING: frozenset({"account", "weights", "uids", "since"}),
    RowState.ACCEPTED: frozenset({"account", "weights", "uids", "block", "at", "extrinsic"}),
}
"""What a row has in each state, beside `rounds`."""
_OPTIONAL: Mapping[RowState, frozenset[str]] = {
    RowState.PLANNED: frozenset(),
    RowState.PENDING: frozenset({"commit", "epoch", "signed"}),
    RowState.ACCEPTED: frozenset({"commit", "epoch", "reveal"}),
}


class Row(_Document):
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
    uids: tuple[int, ...] = ()
    """The slots to which the weights were sent, in the order of `weights`."""
    since: int = 0
    """The finalised block when the row became pending: only a later block can include it."""
    signed: int | None = None
    """The best block of the node when the last transaction with this row was signed; None if not known."""
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
    def planned(cls, weights: Mapping[str, int], rounds: tuple[str, ...]) -> Row:
        """Return a row that was just computed."""
        return cls(state=RowState.PLANNED, rounds=rounds, weights=dict(weights))

    def as_pending(self, *, since: int, account: str, uids: Mapping[str, int], epoch: int = 0) -> Row:
        """Return the row as it is recorded before it is sent; `uids` are the slots by hotkey."""
        return Row(
            state=RowState.PENDING,
            rounds=self.rounds,
            account=account,
            weights=self.weights,
            uids=tuple(uids[hotkey] for hotkey in self.weights),
            since=since,
            epoch=epoch,
        )

    def as_accepted(self, *, block: int, at: datetime, extrinsic: str, reveal: Reveal = Reveal.OPEN) -> Row:
        """Return the row as it is recorded once it was seen on the chain."""
        return Row(
            state=RowState.ACCEPTED,
            rounds=self.rounds,
            account=self.account,
            weights=self.weights,
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
        names = {"row" if name == "weights" else name for name in stored}
        return {name: value for name, value in handler(self).items() if name in names}


def _in_state(state: RowState) -> BeforeValidator:
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


Mechanism = Annotated[int, Field(ge=0, le=7)]
HISTORY_MAX = 50
"""Number of settings that are kept, for people."""


class Setting(_Document):
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


class Rows(_Document):
    """The document of the rows, for all competitions."""

    version: Annotated[int, Field(ge=1, le=1)] = 1
    genesis: str = ""
    pending: dict[Mechanism, Annotated[Row, _in_state(RowState.PENDING)]] = {}
    accepted: dict[Mechanism, Annotated[Row, _in_state(RowState.ACCEPTED)]] = {}
    history: Annotated[tuple[Setting, ...], Field(max_length=HISTORY_MAX)] = ()


class CompetitionState(_Document):
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


_EMPTY = frozenset({CompetitionState().model_dump_json()})
"""Contents that need no ConfigMap."""
_D = TypeVar("_D", Rows, CompetitionState)


class State(_Document):
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
    pending: dict[Mechanism, Annotated[Row, _in_state(RowState.PENDING)]] = {}
    """By mechanism."""
    accepted: dict[Mechanism, Annotated[Row, _in_state(RowState.ACCEPTED)]] = {}
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

    @property
    def rows(self) -> Rows:
        """The document of the rows."""
        return Rows(genesis=self.genesis, pending=self.pending, accepted=self.accepted, history=self.history)

    def of_competition(self, competition: str) -> CompetitionState:
        """Return the document of one competition."""
        return CompetitionState(
            scored=self.scored.get(competition),
            owners={key: value for key, value in self.owners.items() if _competition_of(key) == competition},
            refused={key: value for key, value in self.refused.items() if _competition_of(key) == competition},
            tried=self.tried.get(competition, ()),
            held=self.held.get(competition, {}),
            online=self.online.get(competition),
        )

    @property
    def competitions(self) -> frozenset[str]:
        """The competitions of which something is known."""
        keys = {_competition_of(key) for key in self.owners.keys() | self.refused.keys()}
        return frozenset(self.scored.keys() | self.tried.keys() | self.held.keys() | self.online.keys() | keys)

    @classmethod
    def joined(cls, rows: Rows, competitions: Mapping[str, CompetitionState]) -> State:
        """Return the state that these documents hold."""
        return cls(
            genesis=rows.genesis,
            pending=rows.pending,
            accepted=rows.accepted,
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


def _competition_of(key: str) -> str:
    return key.partition("/")[0]


class StateStore:
    """The ConfigMaps. `state` is their content when last read or written."""

    def __init__(self, client: Client, owner: ValidatorObject) -> None:
        self.state = State()
        self._client = client
        self._owner = owner
        self._versions: dict[str, str] = {}
        """resourceVersion by the name of a ConfigMap that exists."""
        self._stored: dict[str, str] = {}
        """Content by name."""
        self._loaded: frozenset[str] | None = None
        """The competitions whose documents are known."""

    async def load(self, competitions: Iterable[str]) -> None:
        """Read the documents unless their content is known.

        Raises ApiError if the API server does not answer, and StateUnreadable if a ConfigMap holds no state document
        or belongs to an earlier Validator of this name.
        """
        needed = frozenset(competitions)
        if self._loaded is not None and needed <= self._loaded:
            return
        self._loaded = None
        names = {name: self._name(name) for name in sorted(needed)}
        rows = await self._read(self._name(), Rows)
        found = {name: await self._read(at, CompetitionState) for name, at in names.items()}
        self.state = State.joined(rows, found)
        self._loaded = needed

    async def save(self, state: State) -> None:
        """Write the documents that differ, which is in effect only once this returns.

        Raises ApiError if the write is refused, also because another process has changed a document; all are then read
        again before their next use.
        """
        loaded = self._loaded or frozenset()
        self._loaded = None
        contents = {self._name(): state.rows.model_dump_json()}
        contents |= {self._name(c): state.of_competition(c).model_dump_json() for c in state.competitions | loaded}
        for name, content in contents.items():
            empty = name not in self._versions and content in _EMPTY
            if content != self._stored.get(name) and not empty:
                await self._write(name, content)
        self.state = state
        self._loaded = loaded | state.competitions

    def remember(self, state: State) -> None:
        """Keep a state in memory that the API server refuses to store; it is lost with this process."""
        self.state = state
        self._loaded = state.competitions | (self._loaded or frozenset())

    def _name(self, competition: str = "") -> str:
        return state_config_map(self._owner.name, competition)

    async def _read(self, name: str, kind: type[_D]) -> _D:
        obj = await self._client.get(CONFIG_MAPS, name)
        if obj is None:
            self._versions.pop(name, None)
            self._stored.pop(name, None)
            return kind()
        self._versions[name] = obj["metadata"]["resourceVersion"]
        self._stored[name] = str((obj.get("data") or {}).get(KEY, ""))
        return _parse(obj, kind, owner=self._owner.uid)

    async def _write(self, name: str, content: str) -> None:
        body = self._manifest(name, content)
        if name not in self._versions:
            obj = await self._client.create(body)
        else:
            body["metadata"]["resourceVersion"] = self._versions[name]
            obj = await self._client.apply(body)
        self._versions[name], self._stored[name] = obj["metadata"]["resourceVersion"], content

    def _manifest(self, name: str, content: str) -> Obj:
        return {
            "apiVersion": CONFIG_MAPS.api_version,
            "kind": CONFIG_MAPS.kind,
            "metadata": {
                "name": name,
                "namespace": self._owner.namespace,
                "labels": {MANAGED_BY_LABEL: self._client.field_manager},
                "ownerReferences": [self._owner.reference.as_owner()],
            },
            "data": {KEY: content},
        }


def _parse(obj: Obj, kind: type[_D], *, owner: str) -> _D:
    owners = obj["metadata"].get("ownerReferences") or []
    if owners and all(reference["uid"] != owner for reference in owners):
        raise StateUnreadable(
            f"ConfigMap {obj['metadata']['name']} belongs to an earlier Validator of this name and should be deleted "
            "with it: if it stays, delete it"
        )
    try:
        return kind.model_validate_json((obj.get("data") or {}).get(KEY, ""))
    except ValidationError as error:
        raise StateUnreadable(
            f"ConfigMap {obj['metadata']['name']} holds no state of this version in {KEY}; delete it to start over: "
            f"scores are then taken from the last complete rounds that still exist. {error}"
        ) from error
