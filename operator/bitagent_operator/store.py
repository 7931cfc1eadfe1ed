"""What was observed, by kind, and what concerns whom. No I/O.

Fed by watches, by full lists and by the answers to our own writes, in any order: the newer resourceVersion wins, and an object whose
deletion was seen does not come back by an older event. Absence proves nothing here: kopf never reports what was deleted while a
watch was lost, and watches of different kinds are not ordered.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, Protocol, TypeVar

from pydantic import ValidationError

from bitagent_operator import naming
from bitagent_operator.observed import (
    DeploymentObject,
    JobObject,
    Meta,
    ModelObject,
    Obj,
    PodObject,
    RoundObject,
    ValidatorObject,
)

log = logging.getLogger(__name__)


class Kind(StrEnum):
    """Kinds that are reconciled."""

    MODEL = "MinerModel"
    ROUND = "EvalRound"
    VALIDATOR = "Validator"


@dataclass(frozen=True, slots=True)
class Key:
    """One object to reconcile."""

    kind: Kind
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class HasMeta(Protocol):
    """Any observed object."""

    @property
    def meta(self) -> Meta: ...  # noqa: D102


T = TypeVar("T", bound=HasMeta)


class Table(Generic[T]):
    """Objects of one kind by uid, also found by the key they concern."""

    def __init__(self, kind: str, parse: Callable[[Obj], T]) -> None:
        self.kind, self._parse = kind, parse
        self._objects: dict[str, T] = {}
        self._by_key: dict[Key, dict[str, T]] = defaultdict(dict)
        self._gone: dict[str, None] = {}

    def __iter__(self) -> Iterator[T]:
        return iter(self._objects.values())

    def __len__(self) -> int:
        return len(self._objects)

    def of(self, key: Key) -> list[T]:
        """The objects that concern a key, oldest first."""
        return sorted(self._by_key.get(key, {}).values(), key=lambda o: (o.meta.created, o.meta.name))

    def get(self, key: Key) -> T | None:
        """The newest object that concerns a key: the object itself, for the kinds that are reconciled."""
        found = self.of(key)
        return found[-1] if found else None

    def put(self, obj: Obj) -> tuple[T | None, T | None]:
        """Take an object in; the object before and after. Equal when it was not newer."""
        uid = obj["metadata"]["uid"]
        old = self._objects.get(uid)
        if uid in self._gone or (old is not None and int(obj["metadata"]["resourceVersion"]) <= old.meta.version):
            return old, old
        try:
            new = self._parse(obj)
        except ValidationError as error:
            name = obj["metadata"]["name"]
            log.error(
                "%s %s cannot be read and is left alone; was it written by another version? %s", self.kind, name, error
            )
            return old, old
        self._objects[uid] = new
        self._by_key[key_of(self.kind, new.meta)][uid] = new
        return old, new

    def drop(self, uid: str) -> T | None:
        """Forget a deleted object; what it was."""
        self._gone[uid] = None
        old = self._objects.pop(uid, None)
        if old is not None:
            key = key_of(self.kind, old.meta)
            self._by_key[key].pop(uid, None)
            if not self._by_key[key]:
                del self._by_key[key]
        return old

    def uids(self) -> frozenset[str]:
        """All that are known."""
        return frozenset(self._objects)

    def forget_deletions(self) -> None:
        """Called before a full list: what is older than the list cannot come back after it."""
        self._gone.clear()


def key_of(kind: str, meta: Meta) -> Key:
    """The key that an object concerns: itself, or what its labels say that it was made for."""
    if kind in tuple(Kind):
        return Key(Kind(kind), meta.name)
    for label, owner in ((naming.VALIDATOR, Kind.VALIDATOR), (naming.ROUND, Kind.ROUND), (naming.MODEL, Kind.MODEL)):
        if label in meta.labels:
            return Key(owner, meta.labels[label])
    return Key(Kind.ROUND, "")


class Store:
    """All tables, and the relations between models and unfinished rounds."""

    def __init__(self) -> None:
        self.models = Table("MinerModel", ModelObject.parse)
        self.rounds = Table("EvalRound", RoundObject.parse)
        self.validators = Table("Validator", ValidatorObject.parse)
        self.jobs = Table("Job", JobObject.parse)
        self.pods = Table("Pod", PodObject.parse)
        self.deployments = Table("Deployment", DeploymentObject.parse)
        self._rounds_of: dict[str, set[str]] = defaultdict(set)

    def put(self, kind: str, obj: Obj) -> list[Key]:
        """Take an object in; the keys that it concerns."""
        old, new = self._table(kind).put(obj)
        if new is None or new is old:
            return []
        return [key_of(kind, new.meta), *self._related(old, new)]

    def drop(self, kind: str, uid: str) -> list[Key]:
        """An object was deleted; the keys that it concerned."""
        old = self._table(kind).drop(uid)
        return [] if old is None else [key_of(kind, old.meta), *self._related(old, None)]

    def replace(self, kind: str, objects: Iterable[Obj], *, known: frozenset[str]) -> list[Key]:
        """Take a full list in; `known` are the uids from before it was read. The keys that it concerns."""
        table, keys, listed = self._table(kind), [], set()
        for obj in objects:
            listed.add(obj["metadata"]["uid"])
            keys += self.put(kind, obj)
        for uid in known & table.uids() - listed:
            keys += self.drop(kind, uid)
        return keys

    def uids(self, kind: str) -> frozenset[str]:
        """Uids known of a kind; call before reading the full list for `replace`."""
        table = self._table(kind)
        table.forget_deletions()
        return table.uids()

    def keys(self) -> list[Key]:
        """Everything that is reconciled."""
        tables = (self.rounds, self.models, self.validators)
        return [key_of(table.kind, found.meta) for table in tables for found in table]

    def model(self, name: str) -> ModelObject | None:
        """The MinerModel of that name."""
        return self.models.get(Key(Kind.MODEL, name))

    def rounds_of(self, model: str) -> list[RoundObject]:
        """Rounds whose frozen set has the model."""
        found = (self.rounds.get(Key(Kind.ROUND, name)) for name in self._rounds_of.get(model, ()))
        return [r for r in found if r is not None]

    def _table(self, kind: str) -> Table[Any]:
        table: Table[Any] = getattr(self, _TABLES[kind])
        return table

    def _related(self, old: HasMeta | None, new: HasMeta | None) -> Iterator[Key]:
        """A model concerns the unfinished rounds that have it; a round concerns its models when it starts and when it ends."""
        either = new or old
        if isinstance(either, ModelObject):
            for name in self._rounds_of.get(either.meta.name, ()):
                observed = self.rounds.get(Key(Kind.ROUND, name))
                if observed is not None and observed.status.finished_at is None:
                    yield Key(Kind.ROUND, name)
        if isinstance(either, RoundObject):
            before = old.status if isinstance(old, RoundObject) else None
            after = new.status if isinstance(new, RoundObject) else None
            if before and after and (before.started_at, before.finished_at) == (after.started_at, after.finished_at):
                return
            for result in either.status.results:
                if after is None and len(self.rounds.of(Key(Kind.ROUND, either.meta.name))) == 0:
                    self._rounds_of[result.model].discard(either.meta.name)
                else:
                    self._rounds_of[result.model].add(either.meta.name)
                yield Key(Kind.MODEL, result.model)


_TABLES = {
    "MinerModel": "models",
    "EvalRound": "rounds",
    "Validator": "validators",
    "Job": "jobs",
    "Pod": "pods",
    "Deployment": "deployments",
}
