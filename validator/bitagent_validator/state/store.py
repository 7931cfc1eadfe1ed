"""The ConfigMaps of a validator's state: read, written, and named."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TypeVar

from pydantic import (
    ValidationError,
)

from bitagent_crds.names import MANAGED_BY_LABEL, mechanism_config_map, state_config_map
from bitagent_kube.client import Client
from bitagent_kube.objects import Obj
from bitagent_kube.resources import CONFIG_MAPS
from bitagent_validator.objects import ValidatorObject
from bitagent_validator.state.bounds import fitted
from bitagent_validator.state.documents import CompetitionState, MechanismRows, Rows, State

log = logging.getLogger(__name__)

KEY = "state.json"


class StateUnreadable(Exception):
    """The ConfigMap holds no state document of this Validator; the message says what to do."""


_EMPTY = frozenset({CompetitionState().model_dump_json(), MechanismRows().model_dump_json()})
"""Contents that need no ConfigMap."""
_D = TypeVar("_D", Rows, MechanismRows, CompetitionState)


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
        self._loaded: frozenset[str | int] | None = None
        """The competitions, and the mechanisms other than 0, whose documents are known."""

    async def load(self, competitions: Iterable[str], mechanisms: Iterable[int] = ()) -> None:
        """Read the documents of these unless their content is known.

        Raises ApiError if the API server does not answer, and StateUnreadable if a ConfigMap holds no state document
        or belongs to an earlier Validator of this name.
        """
        numbers = sorted(set(mechanisms) - {0})
        names = sorted(set(competitions))
        needed = frozenset[str | int]([*names, *numbers])
        if self._loaded is not None and needed <= self._loaded:
            return
        self._loaded = None
        rows = await self._read(self._name(), Rows) or Rows()
        # Rows that an earlier version kept in the common document may have been moved before this process began.
        numbers = sorted({*numbers, *rows.pending, *rows.accepted} - {0})
        own = {number: await self._read(self._name(number), MechanismRows) for number in numbers}
        found = {name: await self._read(self._name(name), CompetitionState) or CompetitionState() for name in names}
        self.state = State.joined(rows, found, {number: each for number, each in own.items() if each is not None})
        self._loaded = needed

    async def save(self, state: State) -> None:
        """Write the documents that differ, which is in effect only once this returns.

        Raises ApiError if the write is refused, also because another process has changed a document; all are then read
        again before their next use.
        """
        loaded = self._loaded or frozenset()
        self._loaded = None
        known = loaded | state.competitions | state.mechanisms
        # First those of mechanisms: the rows that an earlier version kept in the common document leave it afterwards.
        contents = {
            self._name(each): state.of_mechanism(each).model_dump_json() for each in known if isinstance(each, int)
        }
        contents[self._name()] = state.rows.model_dump_json()
        left_out: dict[str, str] = {}
        for each in known:
            if isinstance(each, str):
                contents[self._name(each)], left_out[self._name(each)] = fitted(state.of_competition(each))
        for name, content in contents.items():
            empty = name not in self._versions and content in _EMPTY
            if content != self._stored.get(name) and not empty:
                if left_out.get(name):
                    log.warning("ConfigMap %s has no room for everything: it is without %s", name, left_out[name])
                await self._write(name, content)
        self.state = state
        self._loaded = known

    def remember(self, state: State) -> None:
        """Keep a state in memory that the API server refuses to store; it is lost with this process."""
        self.state = state
        self._loaded = state.competitions | state.mechanisms | (self._loaded or frozenset())

    def _name(self, part: str | int = "") -> str:
        name = self._owner.name
        return mechanism_config_map(name, part) if isinstance(part, int) else state_config_map(name, part)

    async def _read(self, name: str, kind: type[_D]) -> _D | None:
        obj = await self._client.get(CONFIG_MAPS, name)
        if obj is None:
            self._versions.pop(name, None)
            self._stored.pop(name, None)
            return None
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
            f"ConfigMap {obj['metadata']['name']} holds no state of this version in {KEY}. If a later one wrote it, "
            "upgrade again; else delete it to start over: scores are then taken from the last complete rounds that "
            f"still exist. {error}"
        ) from error
