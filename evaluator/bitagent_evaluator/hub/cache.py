"""The model cache: complete models only, published by one rename, kept under a size by removing what was used longest ago.

    <root>/<owner>/<name>/<commit>/             a complete model; its file `.bitagent.json` holds what was established about it
    <root>/<owner>/<name>/.<commit>.partial/    a fetch that runs, or was killed and will be continued
    <root>/.locks/                              a lock file per commit, and `evict`

The record's modification time is the time of last use. Directories are world-readable: evaluation pods mount single models read-only.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from bitagent_crds.minermodel import ModelFacts

_log = logging.getLogger(__name__)

RECORD = ".bitagent.json"
FRESH_SECONDS = 3600.0
"""A model used more recently than this is never removed: a round may be about to mount it."""

_FOLDER_MODE = 0o755
_PARTIAL_SUFFIX = ".partial"


class CacheRecord(BaseModel):
    """What is known of a cached model, so that a repeated fetch reads nothing else."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    facts: ModelFacts
    files: dict[str, int]
    """Size in bytes of every file."""
    template_refusal: str = ""
    """Why prompt formats that use the chat template will refuse the model; empty when the audit found nothing."""


@dataclass(frozen=True)
class _Entry:
    path: Path
    size: int
    used: float


class ModelCache:
    """The cache below one root directory."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._locks = root / ".locks"

    def find(self, relative: str) -> CacheRecord | None:
        """The record of a complete model whose files have their sizes; marks it as used. None when it is not there."""
        folder = self._root / relative
        try:
            record = CacheRecord.model_validate_json((folder / RECORD).read_bytes())
            complete = all((folder / name).stat().st_size == size for name, size in record.files.items())
        except (OSError, ValidationError):
            return None
        if complete:
            os.utime(folder / RECORD)
        return record if complete else None

    @contextmanager
    def lock(self, relative: str) -> Iterator[None]:
        """Hold the commit's lock; waits for another fetch of the same commit to end."""
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
        """The folder that a fetch fills, beside the place where the model will be; it may hold what a killed fetch left."""
        final = self._root / relative
        folder = final.parent / f".{final.name}{_PARTIAL_SUFFIX}"
        self._folder(folder)
        return folder

    def publish(self, relative: str, record: CacheRecord) -> None:
        """Make the filled partial folder the model, at once and durably. Files that the record does not name are removed."""
        partial, final = self.partial(relative), self._root / relative
        for entry in partial.iterdir():
            if entry.name not in record.files:
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

    def discard(self, relative: str) -> None:
        """Forget a partial fetch."""
        shutil.rmtree(self.partial(relative), ignore_errors=True)

    def make_room(self, needed: int, limit: int, *, keep: str) -> bool:
        """Remove models used longest ago until `needed` more bytes stay under `limit` (0: unlimited); False when that is not possible."""
        for trash in self._root.glob("*/*/.*.removed-*"):
            shutil.rmtree(trash, ignore_errors=True)
        if limit == 0:
            return True
        with self._locked("evict", "another fetch is making room; waiting for it"):
            kept = {self._root / keep, self.partial(keep)}
            entries = [entry for entry in self._entries() if entry.path not in kept]
            total = sum(entry.size for entry in entries) + needed
            now = time.time()
            for entry in sorted(entries, key=lambda entry: entry.used):
                if total <= limit:
                    break
                if now - entry.used >= FRESH_SECONDS:
                    _log.info("removing %s (%d bytes, last used %.0f s ago)", entry.path, entry.size, now - entry.used)
                    self._remove(entry.path)
                    total -= entry.size
            return total <= limit

    def _entries(self) -> Iterator[_Entry]:
        for record in self._root.glob(f"*/*/*/{RECORD}"):
            with suppress(OSError):
                if not record.parent.name.startswith("."):
                    yield _Entry(record.parent, _size(record.parent), record.stat().st_mtime)
        for partial in self._root.glob(f"*/*/.*{_PARTIAL_SUFFIX}"):
            with suppress(OSError):
                newest = max((entry.stat().st_mtime for entry in partial.iterdir()), default=partial.stat().st_mtime)
                yield _Entry(partial, _size(partial), newest)

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


def _size(folder: Path) -> int:
    return sum(entry.stat().st_size for entry in folder.iterdir())


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
