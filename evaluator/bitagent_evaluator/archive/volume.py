"""The folders of rounds on the artifact volume: a record of finished ones, and their removal.

A folder without a record, or with one of another namespace, is never removed for its round being gone: it may belong to
a round that runs, to another operator that shares the volume, or to a person.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from pydantic import BaseModel, ConfigDict, ValidationError

from bitagent_crds.fields import Digest
from bitagent_evaluator.support.files import write_atomically

RECORD = ".finished.json"
"""A hidden file, which archives leave out."""
REMOVED = ".removed-"
"""Prefix of a folder while it is removed: what a killed Job leaves belongs to no round any more."""
QUIET_SECONDS = 3600.0
"""Age of the record from which on the folder of a round that does not exist is removed."""
_UID = re.compile(r"[A-Za-z0-9-]{1,64}")
_log = logging.getLogger(__name__)


class FinishedRecord(BaseModel):
    """What is known of a finished round without the API server."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    namespace: str
    archive: Digest | None = None
    """Digest of its archive's index; None: it has none."""
    needs_archive: bool = True
    """Whether it stays until it is archived, where rounds are; not if it only built a task set."""


@dataclass(frozen=True)
class Swept:
    """Folders of rounds that do not exist."""

    removed: int
    unrecorded: int
    """Those that stay, for lack of a record that allows the removal."""


def free_bytes(root: Path) -> int:
    """Return the free space of the volume."""
    found = os.statvfs(root)
    return found.f_bavail * found.f_frsize


def write_record(root: Path, uid: str, record: FinishedRecord) -> None:
    """Record that a round has finished. Raises OSError; a round without files gets no folder."""
    folder = _folder(root, uid)
    if folder.is_dir():
        write_atomically(folder / RECORD, record.model_dump_json().encode())


def read_record(root: Path, uid: str) -> FinishedRecord | None:
    """Return the record of a round; None if there is none that can be read."""
    try:
        return FinishedRecord.model_validate_json((_folder(root, uid) / RECORD).read_bytes())
    except (OSError, ValidationError):
        return None


def remove(root: Path, uid: str) -> None:
    """Remove the folder of a round; repeating it is harmless. Raises OSError.

    It is renamed once and never looked at again: a round that is retried makes another one of this name.
    """
    folder = _folder(root, uid)
    hidden = root / f"{REMOVED}{uid}"
    if hidden.exists():
        _remove_tree(hidden)
    if folder.exists():
        folder.rename(hidden)
        _remove_tree(hidden)


def sweep(root: Path, *, known: frozenset[str], namespace: str, require_archive: bool) -> Swept:
    """Remove the folders of finished rounds of the namespace that do not exist any more. Raises OSError.

    `require_archive`: those without an archive stay, and those of rounds that were retried after it.
    """
    removed, unrecorded = 0, 0
    for folder in sorted(root.iterdir()):
        if folder.name.startswith(REMOVED):
            _remove_tree(folder)
            continue
        if folder.name in known or folder.is_symlink() or not folder.is_dir() or not _UID.fullmatch(folder.name):
            continue
        record = read_record(root, folder.name)
        saved = record is not None and _is_saved(record, folder)
        if record is None or record.namespace != namespace or (require_archive and not saved):
            unrecorded += 1
        elif time.time() - (folder / RECORD).stat().st_mtime >= QUIET_SECONDS:
            remove(root, folder.name)
            removed += 1
            _log.info("removed the files of the round %s, which does not exist any more", folder.name)
    return Swept(removed, unrecorded)


def _is_saved(record: FinishedRecord, folder: Path) -> bool:
    """Whether the files may go where rounds are archived. Raises OSError."""
    return not record.needs_archive or (record.archive is not None and not _written_since(folder))


def _written_since(folder: Path) -> bool:
    """Whether a file is younger than the record: the archive that it names was made before. Raises OSError."""
    recorded = (folder / RECORD).stat().st_mtime_ns
    return any(
        os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_mtime_ns > recorded
        for _, _, names, descriptor in os.fwalk(folder, follow_symlinks=False)
        for name in names
    )


def _remove_tree(folder: Path) -> None:
    """Remove a folder, also while another Job does the same. Raises OSError."""

    def failed(_: object, __: str, error: tuple[type[BaseException], BaseException, TracebackType]) -> None:
        if not isinstance(error[1], FileNotFoundError):
            raise error[1]

    shutil.rmtree(folder, onerror=failed)


def _folder(root: Path, uid: str) -> Path:
    """Return the folder of a round. Raises ValueError if `uid` is not one."""
    if not _UID.fullmatch(uid):
        raise ValueError(f"{uid!r} is not the uid of a round")
    return root / uid
