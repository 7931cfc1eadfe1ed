"""A model directory on a mounted volume, treated like a repository whose commit is the digest of its files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bitagent_crds.conditions import Reason
from bitagent_evaluator.hub.errors import FetchError
from bitagent_evaluator.hub.source import RemoteFile, Snapshot, digest_of_files, sha256_of
from bitagent_evaluator.safety.selection import MAX_FILES, fetched_files

_PIECE_BYTES = 4 << 20


def pieces(path: Path, start: int = 0, end: int | None = None) -> Iterator[bytes]:
    """The bytes of a file from `start` to `end`."""
    left = (path.stat().st_size if end is None else end) - start
    with path.open("rb") as file:
        file.seek(start)
        while left > 0 and (piece := file.read(min(_PIECE_BYTES, left))):
            left -= len(piece)
            yield piece


class ModelDirectory:
    """A directory that holds one model."""

    def __init__(self, path: Path, *, max_bytes: int | None = None, follow_links: bool = False) -> None:
        """`max_bytes` is the largest total size of files that are worth reading; None: any.

        With `follow_links` links count as files; only for a directory of one's own: a link may lead out of a volume into the pod.
        """
        self._path = path
        self._max_bytes = max_bytes
        self._follow_links = follow_links

    def resolve(self) -> Snapshot:
        """Digests of everything that would be fetched; the commit follows from them. Raises FetchError."""
        if not self._path.is_dir():
            raise FetchError(Reason.REPOSITORY_NOT_FOUND, f"{self._path} is no directory of the volume")
        found = (entry for entry in self._path.iterdir() if entry.is_file())
        entries = [entry for entry in found if self._follow_links or not entry.is_symlink()]
        if len(entries) > MAX_FILES:
            raise FetchError(Reason.TOO_LARGE, f"{self._path} has more than {MAX_FILES} files")
        sizes = {entry.name: entry.stat().st_size for entry in entries}
        total = sum(sizes[name] for name in fetched_files(sizes))
        if self._max_bytes is not None and total > self._max_bytes:
            raise FetchError(Reason.TOO_LARGE, f"the files have {total} bytes, allowed {self._max_bytes}")
        digests = {name: sha256_of(pieces(self._path / name)) for name in fetched_files(sizes)}
        files = {name: RemoteFile(size, digests.get(name)) for name, size in sizes.items()}
        return Snapshot(digest_of_files(digests).removeprefix("sha256:")[:40], files)

    def stream(self, snapshot: Snapshot, name: str, start: int, end: int) -> Iterator[bytes]:
        """Bytes of one file."""
        del snapshot
        return pieces(self._path / name, start, end)
