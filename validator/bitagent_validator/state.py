"""State that outlives the pod: the results of the last complete rounds, and the pending and the last accepted weights.

It is one ConfigMap per Validator, `<name>-scores`, owned by it. Results are copied from an EvalRound as soon as it is
complete, so that deleting the round loses nothing; if the ConfigMap is lost, they are copied again from the rounds that
still exist. They are bounded: those of five rounds, and of registered hotkeys. resourceVersion is an optimistic lock:
of two writers, the one with the older version fails and reads the document again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

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
from bitagent_crds.names import MANAGED_BY_LABEL
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

    registered_at: int | None
    """The block of the hotkey's registration when the results were recorded."""
    block: int | None = None
    """The block of the commitment of the model that counted last; None if it has none."""
    results: Annotated[tuple[RoundResult | None, ...], Field(min_length=1, max_length=SMOOTHING_MAX)]
    """By round, the last one at the end, as many as there were since its first; None for a round without a model."""

    @model_validator(mode="before")
    @classmethod
    def _from_one_score(cls, value: object) -> object:
        """Accept the documents of earlier versions, which hold the score of the last round only."""
        if isinstance(value, dict) and "score" in value:
            rest = {name: member for name, member in value.items() if name != "score"}
            return {"results": ({"state": ResultState.SUCCEEDED, "score": value["score"]},), **rest}
        return value

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


class Submission(_Document):
    """The miner of one model, as it was when a round froze its set."""

    hotkey: str
    block: int | None = None
    """The block of the commitment; None if it has none."""

    @model_validator(mode="before")
    @classmethod
    def _from_hotkey(cls, value: object) -> object:
        """Accept the documents of earlier versions, which hold the hotkey only."""
        return {"hotkey": value} if isinstance(value, str) else value


class RowState(StrEnum):
    """Progress of a row of weights towards the chain."""

    PLANNED = "Planned"
    """Computed in this pass and not recorded."""
    PENDING = "Pending"
    """Recorded, and then perhaps sent; not known to be on the chain."""
    ACCEPTED = "Accepted"
    """Seen on the chain."""


_FIELDS: Mapping[RowState, frozenset[str]] = {
    RowState.PLANNED: frozenset({"weights"}),
    RowState.PENDING: frozenset({"weights", "since"}),
    RowState.ACCEPTED: frozenset({"digest", "hotkeys", "block", "at", "extrinsic"}),
}
"""What a row has in each state, beside `rounds` and `account`."""


class Row(_Document):
    """A row of weights: what one hotkey gives to all others on one subnet.

    In the ConfigMap a row is stored without its state, which follows from its place in the document.
    """

    state: RowState
    rounds: tuple[str, ...]
    """The EvalRounds from which the weights were computed; none if all policies need no round."""
    account: str = ""
    """The hotkey that sets them and its subnet, `netuid/hotkey`; empty while planned."""
    weights: Annotated[dict[str, int], Field(alias="row")] = {}
    """u16 by hotkey, the largest is 65535; empty once accepted."""
    digest: str = Field(default_factory=lambda data: weights_digest(data["weights"]))
    """SHA-256 of the weights by hotkey."""
    hotkeys: int = Field(default_factory=lambda data: len(data["weights"]))
    """Number of hotkeys with a weight above 0."""
    since: int = 0
    """The finalised block when the row became pending: only a later block can include it."""
    block: int = 0
    """The block that includes the accepted row."""
    at: datetime | None = None
    """The time of that block."""
    extrinsic: str = ""
    """The extrinsic that set the accepted row, `block-index`."""

    @property
    def source(self) -> str:
        """What the weights come from, for messages."""
        return f"the weights of {', '.join(self.rounds)}" if self.rounds else "the fixed weights"

    @classmethod
    def planned(cls, weights: Mapping[str, int], rounds: tuple[str, ...]) -> Row:
        """Return a row that was just computed."""
        return cls(state=RowState.PLANNED, rounds=rounds, weights=dict(weights))

    def as_pending(self, *, since: int, account: str) -> Row:
        """Return the row as it is recorded before it is sent."""
        return Row(state=RowState.PENDING, rounds=self.rounds, account=account, weights=self.weights, since=since)

    def as_accepted(self, *, block: int, at: datetime, extrinsic: str) -> Row:
        """Return the row as it is recorded once it was seen on the chain."""
        return Row(
            state=RowState.ACCEPTED,
            rounds=self.rounds,
            account=self.account,
            digest=self.digest,
            hotkeys=self.hotkeys,
            block=block,
            at=at,
            extrinsic=extrinsic,
        )

    @model_validator(mode="after")
    def _has_the_fields_of_its_state(self) -> Row:
        given = self.model_fields_set - {"state", "rounds", "account"}
        if given != _FIELDS[self.state]:
            raise ValueError(f"a row that is {self.state} has {sorted(_FIELDS[self.state])}, not {sorted(given)}")
        return self

    @model_serializer(mode="wrap")
    def _stored(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        names = {"row" if name == "weights" else name for name in _FIELDS[self.state]} | {"rounds", "account"}
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


class State(_Document):
    """The whole document."""

    version: Annotated[int, Field(ge=1, le=1)] = 1
    genesis: str = ""
    """The hash of block 0 of the chain that the document is about; empty before a chain was read."""
    scored: dict[str, ScoredRound] = {}
    """By competition."""
    owners: dict[str, dict[str, Submission]] = {}
    """By the uid of a round without recorded results: submissions by MinerModel when its set of models was frozen, in
    the order of their commitments."""
    refused: dict[str, dict[str, str]] = {}
    """By the uid of a round: why the chain contradicts a model's commitBlock, by MinerModel."""
    tried: dict[str, tuple[str, ...]] = {}
    """By competition: hotkeys with a model in a round that failed since the last complete one."""
    pending: Annotated[Row | None, _in_state(RowState.PENDING)] = None
    accepted: Annotated[Row | None, _in_state(RowState.ACCEPTED)] = None


class StateStore:
    """The ConfigMap. `state` is its content when last read or written."""

    def __init__(self, client: Client, owner: ValidatorObject) -> None:
        self.state = State()
        self._client = client
        self._owner = owner
        self._name = f"{owner.name}-scores"
        self._version: str | None = None
        self._loaded = False

    async def load(self) -> None:
        """Read the document unless its content is known.

        Raises ApiError if the API server does not answer, and StateUnreadable if the ConfigMap holds no state document
        or belongs to an earlier Validator of this name.
        """
        if self._loaded:
            return
        obj = await self._client.get(CONFIG_MAPS, self._name)
        self.state = State() if obj is None else _parse(obj, owner=self._owner.uid)
        self._version = obj["metadata"]["resourceVersion"] if obj else None
        self._loaded = True

    async def save(self, state: State) -> None:
        """Write the document, which is in effect only once this returns.

        Raises ApiError if the write is refused, also because another process has changed the document; it is then read
        again before its next use.
        """
        self._loaded = False
        body = self._manifest(state)
        if self._version is None:
            obj = await self._client.create(body)
        else:
            body["metadata"]["resourceVersion"] = self._version
            obj = await self._client.apply(body)
        self.state = state
        self._version = obj["metadata"]["resourceVersion"]
        self._loaded = True

    def _manifest(self, state: State) -> Obj:
        return {
            "apiVersion": CONFIG_MAPS.api_version,
            "kind": CONFIG_MAPS.kind,
            "metadata": {
                "name": self._name,
                "namespace": self._owner.namespace,
                "labels": {MANAGED_BY_LABEL: self._client.field_manager},
                "ownerReferences": [self._owner.reference.as_owner()],
            },
            "data": {KEY: state.model_dump_json()},
        }


def _parse(obj: Obj, *, owner: str) -> State:
    owners = obj["metadata"].get("ownerReferences") or []
    if owners and all(reference["uid"] != owner for reference in owners):
        raise StateUnreadable(
            f"ConfigMap {obj['metadata']['name']} belongs to an earlier Validator of this name and should be deleted "
            "with it: if it stays, delete it"
        )
    try:
        return State.model_validate_json((obj.get("data") or {}).get(KEY, ""))
    except ValidationError as error:
        raise StateUnreadable(
            f"ConfigMap {obj['metadata']['name']} holds no state of this version in {KEY}; delete it to start over: "
            f"scores are then taken from the last complete rounds that still exist. {error}"
        ) from error
