"""Model sources: a resolved revision with its files, the interface that serves their bytes, and a local directory.

A directory is treated like a repository whose commit is the digest of its files. Repositories on a hub are in `hub`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bitagent_crds.conditions import Reason
from bitagent_crds.texts import digest_of
from bitagent_evaluator.models.validation.files import MAX_FILES, directory_files, fetched_files
from bitagent_evaluator.support.faults import FetchError
from bitagent_evaluator.support.files import hex_digits, read_pieces, sha256_of

COMMIT_DIGITS = 40


@dataclass(frozen=True)
class FileEntry:
    """One file of a commit."""

    size: int
    """Size in bytes."""
    sha256: str | None
    """Hex digest if the repository states one, which it does for large files."""


@dataclass(frozen=True)
class Snapshot:
    """A resolved revision."""

    commit: str
    files: Mapping[str, FileEntry]
    """Files by path."""
    license: str = ""
    """Licence by the repository's own tags; empty without one."""

    @property
    def sizes(self) -> dict[str, int]:
        """Size in bytes of every file."""
        return {name: file.size for name, file in self.files.items()}


class ModelSource(Protocol):
    """One revision of a model; methods repeat what often passes, and raise FetchError if it does not."""

    def resolve(self) -> Snapshot:
        """Return the commit that the revision points to now, and its files."""
        ...

    def stream(self, snapshot: Snapshot, name: str, start: int, end: int) -> Iterator[bytes]:
        """Yield the bytes of a file from `start` up to, not including, `end`."""
        ...


class ModelDirectory:
    """A directory that holds one model, such as a mounted volume."""

    def __init__(self, path: Path, *, max_bytes: int | None = None, follow_links: bool = False) -> None:
        """`max_bytes` is the largest total size of the files; None for any size.

        `follow_links` counts links as files. It is for a directory of the user's own: a link on a volume may lead out
        of the volume into the pod.
        """
        self._path = path
        self._max_bytes = max_bytes
        self._follow_links = follow_links

    def resolve(self) -> Snapshot:
        """Return the directory's files; the commit is the digest of all that are fetched. Raises FetchError."""
        if not self._path.is_dir():
            raise FetchError(Reason.REPOSITORY_NOT_FOUND, f"{self._path} is not a directory of the volume")
        sizes = directory_files(self._path, follow_links=self._follow_links)
        if len(sizes) > MAX_FILES:
            raise FetchError(Reason.TOO_LARGE, f"{self._path} has more than {MAX_FILES} files")
        total = sum(sizes[name] for name in fetched_files(sizes))
        if self._max_bytes is not None and total > self._max_bytes:
            raise FetchError(Reason.TOO_LARGE, f"the files have {total} bytes, allowed {self._max_bytes}")
        digests = {name: sha256_of(read_pieces(self._path / name)) for name in fetched_files(sizes)}
        files = {name: FileEntry(size, digests.get(name)) for name, size in sizes.items()}
        return Snapshot(hex_digits(digest_of_files(digests), COMMIT_DIGITS), files)

    def stream(self, snapshot: Snapshot, name: str, start: int, end: int) -> Iterator[bytes]:
        """Yield the bytes of a file from `start` up to, not including, `end`."""
        del snapshot
        return read_pieces(self._path / name, start, end)


def digest_of_files(digests: Mapping[str, str]) -> str:
    """Return one digest for a set of files, from their hex SHA-256 by name: that of the sorted lines `NAME SHA256`."""
    lines = "".join(f"{name} {digest}\n" for name, digest in sorted(digests.items()))
    return digest_of(lines.encode())
