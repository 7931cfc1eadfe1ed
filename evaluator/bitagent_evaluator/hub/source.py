"""A repository, wherever it is: a commit, a list of files, and bytes of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class RemoteFile:
    """One file of a commit."""

    size: int
    sha256: str | None
    """Hex digest when the repository states one (large files do)."""


@dataclass(frozen=True)
class Snapshot:
    """A resolved revision."""

    commit: str
    files: Mapping[str, RemoteFile]
    license: str = ""
    """Licence by the repository's own tags; empty when it has none."""

    @property
    def sizes(self) -> dict[str, int]:
        """Size in bytes of every file."""
        return {name: file.size for name, file in self.files.items()}


class Source(Protocol):
    """Where a model comes from. Methods raise FetchError, and Transient for what a retry may cure."""

    def resolve(self) -> Snapshot:
        """The commit that the revision points to now, and its files."""
        ...

    def stream(self, snapshot: Snapshot, name: str, start: int, end: int) -> Iterator[bytes]:
        """The bytes from `start` up to, not including, `end` of a file."""
        ...


def digest_of_files(digests: Mapping[str, str]) -> str:
    """`sha256:` over the sorted lines `name sha256`: one digest for a set of files, whatever order they came in."""
    lines = "".join(f"{name} {digest}\n" for name, digest in sorted(digests.items()))
    return "sha256:" + hashlib.sha256(lines.encode()).hexdigest()


def sha256_of(pieces: Iterable[bytes]) -> str:
    """Hex SHA-256 of a stream."""
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()
