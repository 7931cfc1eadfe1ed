"""Archives of others."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import pytest

from bitagent_cli.files.receiver import ArchiveRefused, unpack


def archive(path: Path, *entries: tarfile.TarInfo, content: bytes = b"12345") -> Path:
    with tarfile.open(path, "w:gz") as out:
        for entry in entries:
            entry.size = len(content) if entry.isreg() else 0
            out.addfile(entry, io.BytesIO(content) if entry.isreg() else None)
    return path


def entry(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.type, found.linkname = kind, link
    return found


def test_files_are_written(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    done = unpack(archive(tmp_path / "a", entry("tasks/t.jsonl"), entry("results/k/m.json")), target, max_bytes=10)
    assert (done.files, done.bytes) == (2, 10)
    assert (target / "results/k/m.json").read_bytes() == b"12345"
    assert (target / "results/k/m.json").stat().st_mode & 0o111 == 0


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(entry("../x"), id="above"),
        pytest.param(entry("a/../../x"), id="above, later"),
        pytest.param(entry("/etc/x"), id="absolute"),
        pytest.param(entry("a b"), id="space"),
        pytest.param(entry("a\x1bb"), id="control character"),
        pytest.param(entry("/".join("abcdefghi")), id="deep"),
        pytest.param(entry("x" * 200), id="long"),
        pytest.param(entry("l", tarfile.SYMTYPE, "/etc/passwd"), id="symbolic link"),
        pytest.param(entry("l", tarfile.LNKTYPE, "a"), id="hard link"),
        pytest.param(entry("d", tarfile.CHRTYPE), id="device"),
        pytest.param(entry("p", tarfile.FIFOTYPE), id="pipe"),
        pytest.param(entry("d", tarfile.DIRTYPE), id="folder"),
    ],
)
def test_anything_but_a_file_of_a_plain_name_is_refused(bad: tarfile.TarInfo, tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    with pytest.raises(ArchiveRefused):
        unpack(archive(tmp_path / "a", bad), target, max_bytes=100)
    assert list(target.iterdir()) == []
    assert not (tmp_path / "x").exists()


def test_bounds(tmp_path: Path) -> None:
    made = archive(tmp_path / "a", entry("a"), entry("b"), entry("c"))
    for folder in ("bytes", "files"):
        (tmp_path / folder).mkdir()
    with pytest.raises(ArchiveRefused, match="--max-bytes"):
        unpack(made, tmp_path / "bytes", max_bytes=14)
    with pytest.raises(ArchiveRefused, match="more than 2 files"):
        unpack(made, tmp_path / "files", max_bytes=100, max_files=2)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(ArchiveRefused, match="twice"):
        unpack(archive(tmp_path / "a", entry("a"), entry("a")), tmp_path / "out", max_bytes=100)


@pytest.mark.parametrize(
    "content", [b"", b"no archive", gzip.compress(b"x" * 2000), b"\x1f\x8b"], ids=["empty", "text", "no tar", "cut"]
)
def test_what_is_no_archive(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(content)
    with pytest.raises(ArchiveRefused, match="damaged"):
        unpack(path, tmp_path, max_bytes=100)


def test_one_that_is_cut_off(tmp_path: Path) -> None:
    whole = archive(tmp_path / "a", entry("a"), content=bytes(range(256)) * 400).read_bytes()
    (tmp_path / "a").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "out").mkdir()
    with pytest.raises(ArchiveRefused, match="damaged"):
        unpack(tmp_path / "a", tmp_path / "out", max_bytes=10**6)
