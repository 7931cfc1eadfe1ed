"""One file of a snapshot onto the disk: resumed where an earlier attempt stopped, verified by size and SHA-256, synced."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from bitagent_crds.conditions import Reason
from bitagent_evaluator.hub.directory import pieces
from bitagent_evaluator.hub.errors import FetchError, Transient
from bitagent_evaluator.hub.retries import retried
from bitagent_evaluator.hub.source import RemoteFile, Snapshot, Source

_FILE_MODE = 0o644


def download(
    source: Source, snapshot: Snapshot, name: str, folder: Path, *, advance: Callable[[int], None] = lambda _: None
) -> str:
    """Bring `name` to `folder / name`; its hex SHA-256. `advance` is told bytes as they are on disk.

    The partial file has a name that follows from `name`, so that a killed attempt is continued by the next one. Raises FetchError.
    """
    file = snapshot.files[name]
    target, partial = folder / name, folder / f"{name}.part"
    if target.exists() and target.stat().st_size == file.size:
        advance(file.size)
        return _hash(target).hexdigest()
    advance(partial.stat().st_size if partial.exists() else 0)
    arrived = set()
    for _ in range(2):
        digest = retried(
            lambda: _attempt(source, snapshot, name, partial, advance),
            f"downloading {name}",
            progressed=_Growth(partial),
        )
        if file.sha256 in (None, digest):
            partial.rename(target)
            return digest
        partial.unlink()
        arrived.add(digest)
    # What breaks on the way breaks differently each time.
    reason = Reason.CORRUPT_WEIGHTS if len(arrived) == 1 else Reason.FETCH_FAILED
    raise FetchError(
        reason,
        f"{name} arrived twice, with SHA-256 {' and '.join(sorted(arrived))}; the repository states {file.sha256}",
    )


class _Growth:
    """Did the file grow since the last question? A slow connection that breaks often is still progress."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._size = self._now()

    def _now(self) -> int:
        return self._path.stat().st_size if self._path.exists() else 0

    def __call__(self) -> bool:
        before, self._size = self._size, self._now()
        return self._size > before


def _hash(path: Path) -> hashlib._Hash:
    digest = hashlib.sha256()
    for piece in pieces(path):
        digest.update(piece)
    return digest


def _attempt(source: Source, snapshot: Snapshot, name: str, partial: Path, advance: Callable[[int], None]) -> str:
    file: RemoteFile = snapshot.files[name]
    have = partial.stat().st_size if partial.exists() else 0
    if have > file.size:
        partial.unlink()
        have = 0
    digest = _hash(partial) if have else hashlib.sha256()
    with partial.open("ab") as sink:
        os.fchmod(sink.fileno(), _FILE_MODE)
        for piece in source.stream(snapshot, name, have, file.size):
            sink.write(piece)
            digest.update(piece)
            have += len(piece)
            advance(len(piece))
        sink.flush()
        os.fsync(sink.fileno())
    if have != file.size:
        raise Transient(f"{have} of {file.size} bytes arrived")
    return digest.hexdigest()
