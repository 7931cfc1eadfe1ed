"""Files that are replaced whole, and digests of what files hold."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from bitagent_crds.texts import digest_of
from bitagent_evaluator.support import files
from bitagent_evaluator.support.files import (
    digest_of_pieces,
    hash_pieces,
    hex_digits,
    read_pieces,
    sha256_of,
    write_atomically,
)

CONTENT = b"0123456789" * 10
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def test_a_write_replaces_the_file_and_leaves_no_other(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    for content in (b"old", b"new"):
        write_atomically(path, content)
        assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_fails_leaves_the_old_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.json"
    write_atomically(path, b"old")

    def full(handle: int) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize(("start", "end"), [(0, None), (0, 100), (3, 97), (99, None), (100, None), (50, 50), (90, 500)])
def test_a_part_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: int, end: int | None) -> None:
    monkeypatch.setattr(files, "PIECE_BYTES", 7)
    path = tmp_path / "x"
    path.write_bytes(CONTENT)
    pieces = list(read_pieces(path, start, end))
    assert b"".join(pieces) == CONTENT[start:end]
    assert all(0 < len(piece) <= 7 for piece in pieces)


def test_digests_do_not_depend_on_the_pieces() -> None:
    pieces = [CONTENT[:1], b"", CONTENT[1:]]
    assert sha256_of(pieces) == SHA256
    assert digest_of_pieces(pieces) == digest_of(CONTENT) == f"sha256:{SHA256}"
    assert hex_digits(digest_of(CONTENT)) == SHA256
    assert hex_digits(digest_of(CONTENT), 12) == SHA256[:12]


def test_a_hash_can_be_continued() -> None:
    state = hash_pieces([CONTENT[:50]])
    state.update(CONTENT[50:])
    assert state.hexdigest() == SHA256
