"""The model cache: complete models only, published by one rename; models are removed to keep its size.

    <root>/<owner>/<name>/<commit>/             a complete model; its file `.bitagent.json` is the record of its facts
    <root>/<owner>/<name>/.<commit>.partial/    a running fetch, or one that was killed and will be continued
    <root>/.locks/                              a lock file per commit, and `evict`

The record's modification time is the time of last use. What a fetch may remove follows from that time and from what the
operator says about the models (`CacheRoom`): those in use never, those that were evaluated first. A running fetch has
all the room that it needs reserved. Directories are world-readable: evaluation pods mount single models read-only.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from bitagent_crds.conditions import Reason
from bitagent_crds.jobs import CacheRoom
from bitagent_crds.minermodel import ModelFacts
from bitagent_crds.names import cache_id
from bitagent_evaluator.models.digests import directory_model_digest
from bitagent_evaluator.support.faults import FetchError

_log = logging.getLogger(__name__)

RECORD = ".bitagent.json"
_RESERVED = ".reserved"
"""File of a partial folder: the bytes that the model will have."""
FRESH_SECONDS = 3600.0
"""A model used more recently than this is not removed before it was evaluated: a round may be about to mount it."""

SPARE_BYTES = 16 << 20
"""Bytes of the volume that a fetch leaves free, for records and locks."""

_FOLDER_MODE = 0o755
_PARTIAL_SUFFIX = ".partial"


class CacheRecord(BaseModel):
    """What is known about a cached model, so that a repeated fetch reads nothing else."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    facts: ModelFacts
    files: dict[str, int]
    """Size in bytes of every file."""
    template_refusal: str = ""
    """Why prompt formats that use the chat template will refuse the model; empty if they will not."""


@dataclass(frozen=True)
class _Entry:
    path: Path
    id: str
    """`names.cache_id` of the model, also of one that is not complete."""
    size: int
    """Bytes that it has, or that a running fetch has reserved."""
    stored: int
    """Bytes on the volume."""
    used: float


class ModelCache:
    """The cache below one root directory."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._locks = root / ".locks"
        self.evicted_models = self.evicted_bytes = 0
        """What this process has removed to make room."""

    def find(self, relative: str) -> CacheRecord | None:
        """Return the record of a complete model, and mark the model as used.

        None if there is no model or record, or if a file lacks or has another size.
        """
        folder = self._root / relative
        try:
            record = CacheRecord.model_validate_json((folder / RECORD).read_bytes())
        except (OSError, ValidationError):
            return None
        if missing_files(folder, record):
            return None
        os.utime(folder / RECORD)
        return record

    def damaged(self, relative: str, record: CacheRecord) -> bool:
        """Whether a model's files are not those that were fetched, by their digest; reads all of them."""
        return directory_model_digest(self._root / relative) != record.facts.model_digest

    @contextmanager
    def lock(self, relative: str) -> Iterator[None]:
        """Hold the lock of a commit; waits until another fetch of it has ended."""
        name = hashlib.sha256(relative.encode()).hexdigest()[:24]
        with self._locked(name, f"another fetch of {relative} is running; waiting for it"):
            yield

    @contextmanager
    def _locked(self, name: str, notice: str) -> Iterator[None]:
        self._folder(self._locks)
        with (self._locks / name).open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                _log.info("%s", notice)
                fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def partial(self, relative: str) -> Path:
        """Return the folder that a fetch fills, beside the model's place; it may hold files of a killed fetch."""
        final = self._root / relative
        folder = final.parent / f".{final.name}{_PARTIAL_SUFFIX}"
        self._folder(folder)
        return folder

    def publish(self, relative: str, record: CacheRecord) -> None:
        """Remove files that the record lacks from the partial folder, and rename it to the model's place, durably."""
        partial, final = self.partial(relative), self._root / relative
        for entry in sorted(partial.rglob("*"), reverse=True):  # what is in a folder comes before the folder
            if entry.is_dir() and not entry.is_symlink():
                if not any(entry.iterdir()):
                    entry.rmdir()
            elif entry.relative_to(partial).as_posix() not in record.files:
                entry.unlink()
        with (partial / RECORD).open("w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), 0o644)
            file.write(record.model_dump_json(by_alias=True))
            file.flush()
            os.fsync(file.fileno())
        if final.exists():
            self._remove(final)
        _sync(partial)
        partial.rename(final)
        _sync(final.parent)

    def make_room(self, needed: int, limit: int, *, keep: str, room: CacheRoom) -> str:
        """Remove models until `needed` more bytes fit: into the hotkey's share, and into `limit` (0: unlimited).

        Models in use are never removed; those that were evaluated go first, then those used longest ago, but none that
        was used within FRESH_SECONDS. A hotkey whose share is full gives up its own models, also fresh ones.
        Returns what there is no room in; empty if there is room. Nothing is removed in vain. The model `keep` stays.

        A volume that is smaller than `limit` is the limit. Raises FetchError if it could not hold the model even
        without the others, or if `limit` is 0 and it has less free space than is needed.
        """
        for trash in self._root.glob("*/*/.*.removed-*"):
            shutil.rmtree(trash, ignore_errors=True)
        with self._locked("evict", "another fetch is making room; waiting for it"):
            partial, now = self.partial(keep), time.time()
            entries = [entry for entry in self._entries() if entry.path not in (self._root / keep, partial)]
            held = sum(entry.stored for entry in entries)
            volume = max(0, _free(self._root) - SPARE_BYTES) + _size(partial) + held
            staying = 0 if limit else sum(e.size if now - e.used < FRESH_SECONDS else e.stored for e in entries)
            if needed > volume - staying:
                text = f"{volume - held} of {needed} bytes that it needs are free on the volume of the model cache"
                advice = "enlarge the volume, or let the cache remove models (cache.maxBytes)"
                raise FetchError(Reason.VOLUME_FULL, f"{text}; {advice}")
            if limit == 0:
                (partial / _RESERVED).write_text(str(needed))
                return ""
            limit = min(limit, volume)
            done, own = set(room.done), set(room.same_hotkey)
            free = [entry for entry in entries if entry.id not in room.in_use]
            free.sort(key=lambda entry: (entry.id not in done, entry.used))
            of_hotkey = [entry for entry in entries if entry.id in own]
            excess = sum(entry.size for entry in of_hotkey) + needed - room.share_bytes if room.share_bytes else 0
            leaving = _enough([entry for entry in free if entry.id in own], excess)
            if leaving is None:
                return f"its hotkey's share of {room.share_bytes} bytes"
            rest = [entry for entry in free if entry not in leaving]
            excess = sum(entry.size for entry in entries) + needed - limit - sum(entry.size for entry in leaving)
            more = _enough([e for e in rest if e.id in done or now - e.used >= FRESH_SECONDS], excess)
            if more is None:
                return f"the model cache of {limit} bytes"
            for entry in (*leaving, *more):
                _log.info("removing %s (%d bytes, last used %.0f s ago)", entry.path, entry.size, now - entry.used)
                self._remove(entry.path)
                self.evicted_models += 1
                self.evicted_bytes += entry.stored
            (partial / _RESERVED).write_text(str(needed))
            return ""

    def _entries(self) -> Iterator[_Entry]:
        for record in self._root.glob(f"*/*/*/{RECORD}"):
            with suppress(OSError):
                if not record.parent.name.startswith("."):
                    name = cache_id(str(record.parent.relative_to(self._root)))
                    size = _size(record.parent)
                    yield _Entry(record.parent, name, size, size, record.stat().st_mtime)
        for partial in self._root.glob(f"*/*/.*{_PARTIAL_SUFFIX}"):
            with suppress(OSError):
                newest = max((entry.stat().st_mtime for entry in partial.iterdir()), default=partial.stat().st_mtime)
                final = partial.with_name(partial.name.removeprefix(".").removesuffix(_PARTIAL_SUFFIX))
                stored = _size(partial)
                size = max(stored, _reserved(partial))
                yield _Entry(partial, cache_id(str(final.relative_to(self._root))), size, stored, newest)

    def _remove(self, folder: Path) -> None:
        trash = folder.parent / f".{folder.name}.removed-{os.getpid()}"
        folder.rename(trash)
        shutil.rmtree(trash, ignore_errors=True)

    def _folder(self, folder: Path) -> None:
        missing = [path for path in (folder, *folder.parents) if not path.exists()]
        for path in reversed(missing):
            with suppress(FileExistsError):
                path.mkdir()
                path.chmod(_FOLDER_MODE)


def missing_files(folder: Path, record: CacheRecord) -> list[str]:
    """Return the files of a model that its folder lacks, or has in another size."""
    return [name for name, size in record.files.items() if _size_of(folder / name) != size]


def _size_of(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _enough(entries: Sequence[_Entry], excess: int) -> list[_Entry] | None:
    """Return the first entries that together have `excess` bytes; None if all of them have fewer."""
    chosen: list[_Entry] = []
    for entry in entries:
        if excess <= 0:
            break
        chosen.append(entry)
        excess -= entry.size
    return chosen if excess <= 0 else None


def _reserved(folder: Path) -> int:
    try:
        return int((folder / _RESERVED).read_text())
    except (OSError, ValueError):
        return 0


def _size(folder: Path) -> int:
    return sum(entry.stat().st_size for entry in folder.rglob("*") if not entry.is_dir())


def _free(folder: Path) -> int:
    """Return the bytes that are free on the volume of a folder."""
    volume = os.statvfs(folder)
    return volume.f_bavail * volume.f_frsize


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
