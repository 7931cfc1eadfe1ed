"""Archive a round: every file is created, never overwritten, and read back; the index is written last.

An attempt that was killed at any point leaves a part without an index; the next one finds what is there by its content
and adds the rest. Read back and hashed, because servers differ in the checksums that they keep, and an object of an
earlier attempt has to be read anyway.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from bitagent_crds.archive import INDEX_NAME, ArchivedFile, ArchiveIndex
from bitagent_crds.conditions import Reason
from bitagent_crds.leaderboard import LEADERBOARD_NAME
from bitagent_crds.texts import digest_of
from bitagent_evaluator.archive.folder import list_files, open_file
from bitagent_evaluator.archive.reports import reports
from bitagent_evaluator.archive.store import ArchiveStore, Stored
from bitagent_evaluator.support.faults import InfrastructureFault
from bitagent_evaluator.support.files import PIECE_BYTES, hash_pieces

SINGLE_BYTES = 16 << 20
"""Files up to this size are one conditional request; larger ones are uploaded in parts."""
PART_BYTES = 16 << 20
"""Size of a part: 10,000 of them, the most that S3 takes, are 156 GiB."""
WORKERS = 4
"""Files that are written at once; each may be in memory."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sizes:
    """How files are uploaded."""

    single: int = SINGLE_BYTES
    part: int = PART_BYTES


USUAL = Sizes()


def archive(
    store: ArchiveStore,
    root: Path,
    *,
    name: str,
    uid: str,
    expected: Sequence[str] = (),
    leaderboard: bytes | None = None,
    sizes: Sizes = USUAL,
) -> ArchiveIndex:
    """Archive the folder of a round and return the index. Equal folders have equal archives, but for their reports.

    `expected`: what the folder must hold; `leaderboard`: the signed leaderboard, if there is one. Raises
    InfrastructureFault, and OSError if the folder cannot be read.
    """
    listing = list_files(root)
    if lacking := listing.lacks(expected):
        text = f"the volume does not hold {lacking[0]} ({len(lacking)} of {len(expected)} parts of the round are not "
        text += "there): is the claim another one, or were the files removed? No archive is made of the rest"
        raise InfrastructureFault(Reason.INFRASTRUCTURE_FAULT, text)
    known = _index(store)
    if known is not None:
        _check_complete(known, root, listing.files, store)
        _log.info("the archive is complete already: %d files", len(known.files))
        return known
    with ThreadPoolExecutor(WORKERS) as pool:
        files = list(pool.map(lambda path: _copy(store, root, path, sizes), listing.files))
    if leaderboard is not None:
        files.append(_create(store, LEADERBOARD_NAME, leaderboard))
    files += [_write(store, path, page) for path, page in reports(root, listing.evaluations())]
    files.sort(key=lambda file: file.path)
    index = ArchiveIndex(round=name, round_uid=uid, files=files, left_out=list(listing.left_out))
    store.create(INDEX_NAME, index.content())
    _require(INDEX_NAME, store.look(INDEX_NAME), len(index.content()), index.digest)
    _log.info("%d files are archived, %d left out", len(files), len(listing.left_out))
    return index


def _index(store: ArchiveStore) -> ArchiveIndex | None:
    content = store.read(INDEX_NAME)
    if content is None:
        return None
    try:
        return ArchiveIndex.model_validate_json(content)
    except ValidationError as error:
        text = f"{INDEX_NAME} is there, and is not the index of an archive; remove it from the archive"
        raise InfrastructureFault(Reason.ARCHIVE_CONFLICT, text) from error


def _check_complete(known: ArchiveIndex, root: Path, paths: Iterable[str], store: ArchiveStore) -> None:
    """Check that a complete archive is one of these files, and that all of its objects are still there."""
    mine = {path: _measure(root, path).digest for path in paths}
    if (found := known.copied()) != mine:
        other = sorted(set(mine.items()) ^ set(found.items()))[0][0]
        text = f"{INDEX_NAME} is of other files than the volume's: {other} differs; move that archive elsewhere"
        raise InfrastructureFault(Reason.ARCHIVE_CONFLICT, text)
    with ThreadPoolExecutor(WORKERS) as pool:
        for file, stored in zip(known.files, pool.map(store.look, [f.path for f in known.files]), strict=True):
            _require(file.path, stored, file.bytes, file.digest)


def _measure(root: Path, path: str) -> Stored:
    with open_file(root, path) as file:
        digest = hash_pieces(iter(lambda: file.read(PIECE_BYTES), b"")).hexdigest()
        return Stored(file.tell(), f"sha256:{digest}")


def _copy(store: ArchiveStore, root: Path, path: str, sizes: Sizes) -> ArchivedFile:
    """Bring a file into the archive, unless it is there; return what was read back."""
    with open_file(root, path) as file:
        content = file.read(sizes.single + 1)
        if len(content) <= sizes.single:
            store.create(path, content)
            mine = Stored(len(content), digest_of(content))
        else:
            del content
            mine = _measure(root, path)
            if store.look(path) is None:
                file.seek(0)
                store.upload(path, file, part_bytes=sizes.part)
    _require(path, store.look(path), mine.bytes, mine.digest)
    return ArchivedFile(path=path, bytes=mine.bytes, digest=mine.digest)


def _create(store: ArchiveStore, path: str, content: bytes) -> ArchivedFile:
    """Write what is not a file of the volume, and never changes."""
    store.create(path, content)
    _require(path, store.look(path), len(content), digest_of(content))
    return ArchivedFile(path=path, bytes=len(content), digest=digest_of(content), derived=True)


def _write(store: ArchiveStore, path: str, content: bytes) -> ArchivedFile:
    """Write what follows from the files. One of another version of this program, without an index, is replaced."""
    store.replace(path, content)
    _require(path, store.look(path), len(content), digest_of(content))
    return ArchivedFile(path=path, bytes=len(content), digest=digest_of(content), derived=True)


def _require(path: str, stored: Stored | None, size: int, digest: str) -> None:
    """Raise InfrastructureFault unless the archive holds this content."""
    if stored is None:
        text = f"{path} was written and is not there; does something remove objects from the archive?"
        raise InfrastructureFault(Reason.ARCHIVE_UNAVAILABLE, text)
    if (stored.bytes, stored.digest) != (size, digest):
        text = f"{path}: the archive holds {stored.digest} ({stored.bytes} bytes), the round has {digest} ({size} "
        text += "bytes); remove that object from the archive if it does not belong to another round"
        raise InfrastructureFault(Reason.ARCHIVE_CONFLICT, text)
