"""Atomic writes of files, and SHA-256 of files and streams."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from bitagent_crds.texts import DIGEST_PREFIX

PIECE_BYTES = 4 << 20


def write_atomically(path: Path, content: bytes) -> None:
    """Replace `path` by `content`: a reader, or a crash at any time, finds the old content or all of the new one.

    Raises OSError if the file cannot be written; what was there stays.
    """
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def read_pieces(path: Path, start: int = 0, end: int | None = None) -> Iterator[bytes]:
    """Yield the bytes of a file from `start` up to, not including, `end`, PIECE_BYTES at a time."""
    with path.open("rb") as file:
        file.seek(start)
        left = (path.stat().st_size if end is None else end) - start
        while left > 0 and (piece := file.read(min(left, PIECE_BYTES))):
            left -= len(piece)
            yield piece


def hash_pieces(pieces: Iterable[bytes]) -> hashlib._Hash:
    """Return the SHA-256 of the pieces, one after the other, as an object that takes more of them."""
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest


def sha256_of(pieces: Iterable[bytes]) -> str:
    """Return the SHA-256 of the pieces, one after the other, in 64 hex digits."""
    return hash_pieces(pieces).hexdigest()


def digest_of_pieces(pieces: Iterable[bytes]) -> str:
    """Return the SHA-256 of the pieces, one after the other, as a digest of the contract."""
    return DIGEST_PREFIX + sha256_of(pieces)


def hex_digits(digest: str, count: int = 64) -> str:
    """Return the first hex digits of a digest of the contract."""
    return digest.removeprefix(DIGEST_PREFIX)[:count]
