"""Observed objects by kind, and the keys that each of them concerns. No I/O.

Filled by watches, by full lists and by the answers to the operator's own writes, in any order (see `ObjectCache`).
Absence proves nothing: kopf never reports what was deleted while a watch was lost, and watches of different kinds are
not ordered.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, Protocol, TypeVar

from bitagent_crds.conditions import ConditionType, Reason
from bitagent_crds.evalround import EvalRoundStatus
from bitagent_crds.model_result import ModelResult
from bitagent_crds.names import MODEL_LABEL, ROUND_LABEL, VALIDATOR_LABEL
from bitagent_kube.cache import Change, ObjectCache, Unreadable
from bitagent_kube.conditions import find
from bitagent_kube.objects import Obj, ObjectMeta
from bitagent_operator.observed.objects import ModelObject, RoundObject, ValidatorObject
from bitagent_operator.observed.queues import QueueState
from bitagent_operator.observed.workloads import DeploymentObject, JobObject, PodObject


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
    def meta(self) -> ObjectMeta: ...  # noqa: D102


T = TypeVar("T", bound=HasMeta)


class Table(Generic[T]):
    """Objects of one kind, also by the key that they concern."""

    def __init__(self, kind: str, parse: Callable[[Obj], T]) -> None:
        self.kind = kind
        self._objects = ObjectCache(kind, parse, keep=False)
        self._by_key: dict[Key, dict[str, T]] = defaultdict(dict)

    def __iter__(self) -> Iterator[T]:
        return iter(self._objects)

    def __len__(self) -> int:
        return len(self._objects)

    def of(self, key: Key) -> list[T]:
        """Return the objects that concern a key, oldest first."""
        return sorted(self._by_key.get(key, {}).values(), key=lambda o: (o.meta.created, o.meta.name))

    def get(self, key: Key) -> T | None:
        """Return the newest object that concerns a key: the object itself, for the kinds that are reconciled."""
        found = self.of(key)
        return found[-1] if found else None

    def unreadable(self) -> list[Unreadable]:
        """Return the objects that cannot be read."""
        return list(self._objects.unreadable.values())

    def put(self, obj: Obj) -> Change[T]:
        """Take in an object, unless it is older than what is known."""
        return self._index(self._objects.put(obj))

    def drop(self, uid: str, *, version: int = sys.maxsize) -> Change[T]:
        """Remove an object that is gone; see `ObjectCache.drop`."""
        return self._index(self._objects.drop(uid, version=version))

    def begin_list(self) -> frozenset[str]:
        """Prepare for a full list; return the uids to hand to `replace`."""
        return self._objects.begin_list()

    def listed_at(self, version: str) -> None:
        """Take note of the version of that list, before its objects are taken in."""
        self._objects.listed_at(version)

    def replace(self, objects: Iterable[Obj], *, known: frozenset[str]) -> list[Change[T]]:
        """Take in a full list; what is in `known` but not in the list was deleted."""
        return [self._index(change) for change in self._objects.replace(objects, known=known)]

    def _index(self, change: Change[T]) -> Change[T]:
        if change.before is not None:
            key = key_of(self.kind, change.before.meta)
            self._by_key[key].pop(change.before.meta.uid, None)
            if not self._by_key[key]:
                del self._by_key[key]
        if change.after is not None:
            self._by_key[key_of(self.kind, change.after.meta)][change.after.meta.uid] = change.after
        return change


def key_of(kind: str, meta: ObjectMeta) -> Key:
    """Return the key that an object concerns: itself, or the object in its labels that it was made for."""
    if kind in tuple(Kind):
        return Key(Kind(kind), meta.name)
    for label, owner in ((VALIDATOR_LABEL, Kind.VALIDATOR), (ROUND_LABEL, Kind.ROUND), (MODEL_LABEL, Kind.MODEL)):
        if label in meta.labels:
            return Key(owner, meta.labels[label])
    return Key(Kind.ROUND, "")


class Cache:
    """All tables, and the relations between models and unfinished rounds."""

    def __init__(self) -> None:
        self.models = Table("MinerModel", ModelObject.parse)
        self.rounds = Table("EvalRound", RoundObject.parse)
        self.validators = Table("Validator", ValidatorObject.parse)
        self.jobs = Table("Job", JobObject.parse)
        self.pods = Table("Pod", PodObject.parse)
        self.deployments = Table("Deployment", DeploymentObject.parse)
        tables = (self.models, self.rounds, self.validators, self.jobs, self.pods, self.deployments)
        self._tables: dict[str, Table[Any]] = {table.kind: table for table in tables}
        self.deleted = Counter(dict.fromkeys(Kind, 0))
        """Objects that were deleted since this cache was made, by kind."""
        self.queues = QueueState()
        """Kueue's queues, while something waits in one."""
        self._rounds_of: dict[str, set[str]] = defaultdict(set)
        self._models_of_hotkey: dict[str, dict[str, ModelObject]] = defaultdict(dict)

    def put(self, kind: str, obj: Obj) -> list[Key]:
        """Take in an object; return the keys that it concerns, none if it is not news."""
        return self._keys(kind, self._tables[kind].put(obj))

    def drop(self, kind: str, uid: str, *, version: int = sys.maxsize) -> list[Key]:
        """Remove an object that is gone; return the keys that it concerned. `version`: that of the event about it."""
        return self._keys(kind, self._tables[kind].drop(uid, version=version))

    def begin_list(self, kind: str) -> frozenset[str]:
        """Prepare for a full list of a kind, before it is requested; return the uids to hand to `replace`."""
        return self._tables[kind].begin_list()

    def listed_at(self, kind: str, version: str) -> None:
        """Take note of the version of that list, before its objects are taken in; see `ObjectCache.listed_at`."""
        self._tables[kind].listed_at(version)

    def replace(self, kind: str, objects: Iterable[Obj], *, known: frozenset[str]) -> list[Key]:
        """Take in a full list; return the keys that its changes concern."""
        changes = self._tables[kind].replace(objects, known=known)
        return [key for change in changes for key in self._keys(kind, change)]

    def replace_queues(self, state: QueueState) -> list[Key]:
        """Take in the queues; return the keys of what waits in one and is concerned by the difference."""
        changes = state.changed_from(self.queues)
        self.queues = state
        if not changes:
            return []
        waiting = (job for job in self.jobs if job.queue and job.suspended and job.ended is None)
        keys = (
            key_of(self.jobs.kind, job.meta)
            for job in waiting
            if changes.everything or job.queue in changes.queues or job.meta.uid in changes.jobs
        )
        return list(dict.fromkeys(keys))

    def keys(self) -> list[Key]:
        """Return the keys of everything that is reconciled."""
        tables: tuple[Table[Any], ...] = (self.rounds, self.models, self.validators)
        return [key_of(table.kind, found.meta) for table in tables for found in (*table, *table.unreadable())]

    def observed(self, key: Key) -> ModelObject | RoundObject | ValidatorObject | None:
        """Return the object of a key."""
        found: ModelObject | RoundObject | ValidatorObject | None = self._tables[key.kind].get(key)
        return found

    def unreadable(self, key: Key) -> Unreadable | None:
        """Return the object of a key, if it cannot be read; None if a newer one of its name can."""
        named = (each for each in self._tables[key.kind].unreadable() if each.meta.name == key.name)
        bad = max(named, key=lambda each: each.meta.version, default=None)
        return bad if bad is not None and self._is_newest(key, bad) else None

    def _is_newest(self, key: Key, bad: Unreadable) -> bool:
        readable = self._tables[key.kind].get(key)
        return readable is None or readable.meta.version < bad.meta.version

    def all_unreadable(self) -> dict[str, list[Unreadable]]:
        """Return the objects that cannot be read, by kind; each kind is present."""
        return {kind: table.unreadable() for kind, table in self._tables.items()}

    def unreadable_models(self) -> dict[str, Unreadable]:
        """Return the MinerModels that cannot be read, by name."""
        found = sorted(self.models.unreadable(), key=lambda each: each.meta.version)
        return {b.meta.name: b for b in found if self._is_newest(Key(Kind.MODEL, b.meta.name), b)}

    def model(self, name: str) -> ModelObject | None:
        """Return the MinerModel of that name."""
        return self.models.get(Key(Kind.MODEL, name))

    def rounds_of(self, model: str) -> list[RoundObject]:
        """Return the rounds whose frozen set has the model."""
        found = (self.rounds.get(Key(Kind.ROUND, name)) for name in self._rounds_of.get(model, ()))
        return [r for r in found if r is not None]

    def hotkey_of(self, model: str) -> str:
        """Return the account of the miner of a model; empty without one."""
        found = self.model(model)
        return _hotkey(found) if found is not None else ""

    def older_of_hotkey(self, model: ModelObject) -> list[ModelObject]:
        """Return the models of the same hotkey that were created before this one; none without a hotkey."""
        hotkey = _hotkey(model)
        others = self._models_of_hotkey.get(hotkey, {}).values() if hotkey else ()
        return [other for other in others if _age(other) < _age(model) and not other.meta.deleting]

    def _keys(self, kind: str, change: Change[Any]) -> list[Key]:
        if not change.changed:
            return []
        if change.after is None and kind in self.deleted and change.before is not None and change.unreadable is None:
            self.deleted[Kind(kind)] += 1
        latest: Any = next(o for o in (change.after, change.before, change.unreadable) if o is not None)
        keys = [key_of(kind, latest.meta), *self._related(change), *self._of_rewriter(change)]
        if change.unreadable is not None and kind == Kind.MODEL:
            keys += self._unfinished_rounds_of(latest.meta.name)
        return list(dict.fromkeys(keys))

    def _related(self, change: Change[Any]) -> Iterator[Key]:
        """Yield the other objects that a change concerns.

        A model concerns the unfinished rounds that have it, and the newer models of its hotkey when it comes or goes;
        once it is gone, also finished ones, whose Jobs may keep its volume. A round concerns its models when it starts
        and ends and when its seed is published, and each of them when it fixes its commit and when it admits it.
        """
        latest = change.after if change.after is not None else change.before
        if isinstance(latest, ModelObject):
            yield from self._index_hotkey(change)
            if change.after is None:
                yield from (Key(Kind.ROUND, each.meta.name) for each in self.rounds_of(latest.meta.name))
            else:
                yield from self._unfinished_rounds_of(latest.meta.name)
        if isinstance(latest, RoundObject):
            before = change.before.status if change.before is not None else None
            after = change.after.status if change.after is not None else None
            if before and after and (before.files != after.files or _files_kept(before) != _files_kept(after)):
                # What is free on the volume, and which removals fail, decides whether other rounds keep their files.
                yield from (Key(Kind.ROUND, r.meta.name) for r in self.rounds if r.status.finished_at is not None)
            if before and after and before.fetch_controls != after.fetch_controls:
                yield from (Key(Kind.MODEL, each.model) for each in after.fetch_controls[-1:])
            same_phase = change.before and change.after and _times(change.before) == _times(change.after)
            if before and after and same_phase:
                known = {r.model: _needs_of(r) for r in before.results}
                for result in after.results:
                    if known.get(result.model) != _needs_of(result):
                        yield Key(Kind.MODEL, result.model)
                return
            gone = after is None and len(self.rounds.of(Key(Kind.ROUND, latest.meta.name))) == 0
            for result in latest.status.results:
                rounds = self._rounds_of[result.model]
                if gone:
                    rounds.discard(latest.meta.name)
                else:
                    rounds.add(latest.meta.name)
                if not rounds:
                    del self._rounds_of[result.model]
                yield Key(Kind.MODEL, result.model)

    def _of_rewriter(self, change: Change[Any]) -> Iterator[Key]:
        """Yield the Validator whose rewriter a round begins or ceases to need, and the rounds that wait for one."""
        before, after = change.before, change.after
        latest = after if after is not None else before
        if isinstance(latest, RoundObject) and latest.spec.tasks.reworded_by_validator:
            changed = latest.rewriter and _awaits_tasks(before) != _awaits_tasks(after)
            yield from [Key(Kind.VALIDATOR, latest.rewriter)] if changed else []
        if isinstance(latest, ValidatorObject) and _rewriter(before) != _rewriter(after):
            for each in self.rounds:
                if each.rewriter == latest.meta.name and _awaits_tasks(each):
                    yield Key(Kind.ROUND, each.meta.name)

    def _unfinished_rounds_of(self, model: str) -> Iterator[Key]:
        for name in self._rounds_of.get(model, ()):
            observed = self.rounds.get(Key(Kind.ROUND, name))
            if observed is not None and observed.status.finished_at is None:
                yield Key(Kind.ROUND, name)

    def _index_hotkey(self, change: Change[ModelObject]) -> Iterator[Key]:
        """Index a model by its hotkey; yield the models that now have more or fewer older ones."""
        before, after = change.before, change.after
        if before is not None and (hotkey := _hotkey(before)):
            self._models_of_hotkey[hotkey].pop(before.meta.uid, None)
            if not self._models_of_hotkey[hotkey]:
                del self._models_of_hotkey[hotkey]
        if after is not None and (hotkey := _hotkey(after)):
            self._models_of_hotkey[hotkey][after.meta.uid] = after
        counted = [model for model in (before, after) if model is not None and not model.meta.deleting]
        if len({_hotkey(model) for model in counted}) == 1 and len(counted) == 2:
            return
        for model in counted:
            for other in self._models_of_hotkey.get(_hotkey(model), {}).values():
                if _age(model) < _age(other):
                    yield Key(Kind.MODEL, other.meta.name)


def _files_kept(status: EvalRoundStatus) -> str:
    """Return why a round's files are kept; empty if that is not reported."""
    found = find(status.conditions, ConditionType.FILES_KEPT)
    return found.reason if found is not None else ""


def _awaits_tasks(observed: RoundObject | None) -> bool:
    if observed is None or observed.meta.deleting or observed.spec.suspend:
        return False
    return observed.status.finished_at is None and observed.status.task_set is None


def _rewriter(observed: ValidatorObject | None) -> tuple[object, ...]:
    """Return what rounds that wait for a Validator's rewriter need to know of it."""
    if observed is None:
        return ()
    return observed.meta.uid, observed.spec.rewriter, find(observed.conditions, ConditionType.REWRITER_READY)


def _hotkey(model: ModelObject) -> str:
    """Return the miner's account; empty without a miner."""
    return model.spec.miner.hotkey if model.spec.miner is not None else ""


def _needs_of(result: ModelResult) -> tuple[str | None, str | None, datetime | None]:
    """Return what makes an entry of a running round concern its model: commit, files, and when these were missed."""
    missed = result.finished_at if result.reason is Reason.MODEL_FILES_MISSING else None
    return result.commit, result.weights_digest, missed


def _age(model: ModelObject) -> tuple[datetime, str]:
    return model.meta.created, model.meta.name


def _times(observed: RoundObject) -> tuple[datetime | None, datetime | None, bool]:
    """Return what makes a round concern all of its models: start, end, and whether its seed is published."""
    seed_from = observed.spec.tasks.seed_from
    return observed.status.started_at, observed.status.finished_at, seed_from is not None and seed_from.revealed
