"""Objects of one kind in memory. No I/O.

Filled by watches, full lists and the answers to our own requests, in any order: the newer resourceVersion wins, and
an object whose deletion was seen does not come back by an older event.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from pydantic import ValidationError

from bitagent_kube.objects import Obj, ObjectMeta, version_of

T = TypeVar("T")

DELETIONS_KEPT = 10_000
"""uids of deleted objects that are remembered between two full lists."""

_UNREADABLE = (ValueError, KeyError, TypeError, AttributeError)
_SAID = 3
"""Errors of one object that a message quotes."""

log = logging.getLogger(__name__)


def said(error: Exception) -> str:
    """Return what is wrong with an object, in one line: `spec.models.matchLabels: ...`."""
    if not isinstance(error, ValidationError):
        return str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
    found = error.errors(include_url=False, include_context=False, include_input=False)
    texts = [": ".join(t for t in (".".join(map(str, each["loc"])), each["msg"]) if t) for each in found[:_SAID]]
    more = f" and {len(found) - _SAID} more" if len(found) > _SAID else ""
    return "; ".join(texts) + more


@dataclass(frozen=True, slots=True)
class _Entry(Generic[T]):
    name: str
    version: int
    value: T


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An object that exists and that this version cannot read."""

    meta: ObjectMeta
    content: Obj
    """As the API server sent it."""
    error: str
    """Why not: the field, and what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Change(Generic[T]):
    """An object before and after it was taken in; None: it did not or does not exist, or cannot be read."""

    before: T | None
    after: T | None
    unreadable: Unreadable | None = None
    """The object, if it has become unreadable, or was so until it was deleted."""

    @property
    def changed(self) -> bool:
        """Whether anything is new."""
        return self.before is not self.after or self.unreadable is not None


class ObjectCache(Generic[T]):
    """Parsed objects by uid.

    `parse` reads an object as the API server sends it. One that it refuses, by ValueError or by any error that a
    document of another form causes, is logged and kept in `unreadable`; of its value the cache keeps what it had, or,
    with `keep=False`, nothing.
    """

    def __init__(self, kind: str, parse: Callable[[Obj], T], *, keep: bool = True) -> None:
        self.kind, self._parse, self._keep = kind, parse, keep
        self._entries: dict[str, _Entry[T]] = {}
        self.unreadable: dict[str, Unreadable] = {}
        """Objects that cannot be read, by uid."""
        self._deleted: dict[str, int] = {}
        """The version at which each was gone, as far as that is known, else the highest number."""
        self._newest = -1
        """The newest version that was known when the last full list was requested."""
        self._listed = sys.maxsize
        """The version of the list that is taken in, once it is known."""

    def __iter__(self) -> Iterator[T]:
        return (entry.value for entry in self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

    def by_name(self) -> dict[str, T]:
        """Return the objects by name, in the order of their names; of two with one name the newer."""
        entries = sorted(self._entries.values(), key=lambda entry: (entry.name, entry.version))
        return {entry.name: entry.value for entry in entries}

    def put(self, obj: Obj) -> Change[T]:
        """Take in an object, unless it is older than what is known."""
        uid, version, name = obj["metadata"]["uid"], version_of(obj), obj["metadata"]["name"]
        old = self._entries.get(uid)
        before = old.value if old is not None else None
        bad = self.unreadable.get(uid)
        newest = max((known for known in (old and old.version, bad and bad.meta.version) if known), default=-1)
        if version < self._deleted.get(uid, 0) or version <= newest:
            return Change(before, before)
        try:
            after = self._parse(obj)
        except _UNREADABLE as error:
            log.error("%s %s cannot be read; was it written by another version? %s", self.kind, name, error)
            bad = self.unreadable[uid] = Unreadable(ObjectMeta.parse(obj), obj, said(error))
            if self._keep:
                return Change(before, before)
            self._entries.pop(uid, None)
            return Change(before, None, bad)
        self.unreadable.pop(uid, None)
        self._entries[uid] = _Entry(name, version, after)
        return Change(before, after)

    def drop(self, uid: str, *, version: int = sys.maxsize) -> Change[T]:
        """Remove an object that is gone. `version`: that of the event that says so.

        What is served at that version or a later one is no longer in the watched collection, because its labels were
        changed, but exists: it may be taken in again.
        """
        self._deleted[uid] = version
        if len(self._deleted) > DELETIONS_KEPT:
            del self._deleted[next(iter(self._deleted))]
        old, bad = self._entries.pop(uid, None), self.unreadable.pop(uid, None)
        return Change(old.value if old is not None else None, None, None if self._keep else bad)

    def begin_list(self) -> frozenset[str]:
        """Prepare for a full list, before it is requested; return the uids to hand to `replace`.

        Deletions seen so far are forgotten: nothing older than the list can arrive after it.
        """
        self._deleted.clear()
        self._listed = sys.maxsize
        self._newest = max(self._versions(), default=-1)
        return frozenset(self._entries.keys() | self.unreadable.keys())

    def listed_at(self, version: str) -> None:
        """Take note of the version of the list that `begin_list` has prepared, before its objects are taken in.

        If it is older than what was known, the server's store was restored from a backup: its versions begin again
        there, and what it has now is taken in, however old it seems.
        """
        if not version:
            return
        self._listed = int(version)
        if self._listed >= self._newest:
            return
        log.warning("%s: the API server is at version %s after %d: a backup?", self.kind, version, self._newest)
        for uid, entry in self._entries.items():
            self._entries[uid] = replace(entry, version=-1)
        for uid, bad in self.unreadable.items():
            self.unreadable[uid] = replace(bad, meta=replace(bad.meta, version=-1))

    def _versions(self) -> Iterator[int]:
        yield from (entry.version for entry in self._entries.values())
        yield from (bad.meta.version for bad in self.unreadable.values())

    def replace(self, objects: Iterable[Obj], *, known: frozenset[str]) -> list[Change[T]]:
        """Take in a full list; what is in `known` but not in the list was deleted. Objects that came meanwhile stay."""
        listed, changes = set(), []
        for obj in objects:
            listed.add(obj["metadata"]["uid"])
            changes.append(self.put(obj))
        gone = (known & (self._entries.keys() | self.unreadable.keys())) - listed
        return changes + [self.drop(uid, version=self._listed) for uid in gone]
