"""What must outlive the pod: the scores of the last complete rounds, the row being sent, and the last row accepted.

One ConfigMap per Validator, `<name>-scores`, owned by it. Scores are taken over from an EvalRound as soon as it is
complete, so that deleting the round loses nothing. The document is written with an optimistic lock: of two writers,
the one who knew less starts over.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bitagent_validator.kube import Api, Obj, path
from bitagent_validator.policy.interface import Score, Standings
from bitagent_validator.seen import ValidatorObject
from bitagent_validator.weights.plan import Intent, Sent
from bitagent_validator.weights.vector import Wanted

KEY = "state.json"


class StateUnreadable(Exception):
    """The ConfigMap holds something else; the message says what to do."""


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class HotkeyScore(_Document):
    """One hotkey's best score in a round."""

    score: Annotated[float, Field(ge=0, le=1)]
    registered_at: int | None
    """The block of its registration then; None if it was not registered."""


class ScoredRound(_Document):
    """The last complete round of one competition."""

    round: str
    epoch: int
    block: int
    """The epoch's first block."""
    scores: dict[str, HotkeyScore]

    def standings(self, entrants: frozenset[str]) -> Standings:
        """As a policy wants it."""
        scores = {hotkey: Score(s.score, s.registered_at) for hotkey, s in self.scores.items()}
        return Standings(self.block, scores, entrants)


class PendingRow(_Document):
    """A row that was about to be sent, or was sent, and is not yet known to be on the chain."""

    since: int
    """The finalised block at that time."""
    row: dict[str, int]
    rounds: tuple[str, ...]
    account: str = ""
    """Whose row it is: `netuid/hotkey`."""

    def intent(self) -> Intent:
        """As the planner wants it."""
        return Intent(Wanted(self.row, self.rounds), self.since)


class AcceptedRow(_Document):
    """The last row that the chain accepted."""

    digest: str
    block: int
    at: datetime
    rounds: tuple[str, ...]
    extrinsic: str
    hotkeys: int
    account: str = ""
    """Whose row it is: `netuid/hotkey`."""

    def sent(self) -> Sent:
        """As the planner wants it."""
        return Sent(self.digest, self.block)


class State(_Document):
    """The whole document."""

    version: Annotated[int, Field(ge=1, le=1)] = 1
    genesis: str = ""
    """The chain that all of this is about, by the hash of its block 0; empty before a chain was read."""
    scored: dict[str, ScoredRound] = {}
    """By competition."""
    owners: dict[str, dict[str, str]] = {}
    """Of each round whose scores are still to come, by uid: the hotkeys by MinerModel, as they were when its set was frozen."""
    pending: PendingRow | None = None
    accepted: AcceptedRow | None = None


class Store:
    """The ConfigMap. `state` is what it held when last read or written."""

    def __init__(self, api: Api, owner: ValidatorObject) -> None:
        self.state = State()
        self._api = api
        self._owner = owner
        self._name = f"{owner.name}-scores"
        self._version: str | None = None
        self._loaded = False

    async def load(self) -> None:
        """Read the document, unless it is known already.

        Raises:
            ApiError: The API server did not answer.
            StateUnreadable: It is not a state document, or that of an earlier Validator of this name.
        """
        if self._loaded:
            return
        obj = await self._api.get(path("v1", "configmaps", namespace=self._owner.namespace, name=self._name))
        self.state = State() if obj is None else _parse(obj, owner=self._owner.uid)
        self._version = obj["metadata"]["resourceVersion"] if obj else None
        self._loaded = True

    async def save(self, state: State) -> None:
        """Write the document; it counts only when this returns.

        Raises:
            ApiError: Not written: refused, or changed by someone else. It is read again before the next use.
        """
        self._loaded = False
        body = self._manifest(state)
        if self._version is None:
            obj = await self._api.create(path("v1", "configmaps", namespace=self._owner.namespace), body)
        else:
            body["metadata"]["resourceVersion"] = self._version
            obj = await self._api.apply(
                path("v1", "configmaps", namespace=self._owner.namespace, name=self._name), body
            )
        self.state = state
        self._version = obj["metadata"]["resourceVersion"]
        self._loaded = True

    def _manifest(self, state: State) -> Obj:
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": self._name,
                "namespace": self._owner.namespace,
                "labels": {"app.kubernetes.io/managed-by": self._api.manager},
                "ownerReferences": [self._owner.owner_reference],
            },
            "data": {KEY: state.model_dump_json()},
        }


def _parse(obj: Obj, *, owner: str) -> State:
    owners = obj["metadata"].get("ownerReferences") or []
    if owners and all(reference["uid"] != owner for reference in owners):
        raise StateUnreadable(
            f"ConfigMap {obj['metadata']['name']} belongs to an earlier Validator of this name and should go with it: "
            "if it stays, delete it"
        )
    try:
        return State.model_validate_json((obj.get("data") or {}).get(KEY, ""))
    except ValidationError as error:
        raise StateUnreadable(
            f"ConfigMap {obj['metadata']['name']} holds no state of this version in {KEY}; delete it to start over: "
            f"scores are then taken from the last complete rounds that are still there. {error}"
        ) from error
