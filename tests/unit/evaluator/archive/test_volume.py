"""Folders of rounds: which are removed when their round is gone, and that a kill at any point is completed later."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from bitagent_evaluator.archive.volume import (
    QUIET_SECONDS,
    RECORD,
    REMOVED,
    FinishedRecord,
    Swept,
    free_bytes,
    read_record,
    remove,
    sweep,
    write_record,
)

DIGEST = "sha256:" + "d" * 64


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "rounds"
    folder.mkdir()
    return folder


def made(root: Path, uid: str, record: FinishedRecord | None = None, *, age: float = QUIET_SECONDS + 1) -> Path:
    folder = root / uid
    (folder / "results").mkdir(parents=True)
    (folder / "results/x").write_text("x")
    if record is not None:
        write_record(root, uid, record)
        moment = (folder / RECORD).stat().st_mtime - age
        os.utime(folder / RECORD, (moment, moment))
        os.utime(folder / "results/x", (moment - 1, moment - 1))
    return folder


MINE, ARCHIVED = FinishedRecord(namespace="ns"), FinishedRecord(namespace="ns", archive=DIGEST)
OTHER = FinishedRecord(namespace="another", archive=DIGEST)


@pytest.mark.parametrize(
    ("record", "require_archive", "removed"),
    [
        pytest.param(MINE, False, True, id="finished"),
        pytest.param(MINE, True, False, id="not archived"),
        pytest.param(ARCHIVED, True, True, id="archived"),
        pytest.param(FinishedRecord(namespace="ns", needs_archive=False), True, True, id="never archived"),
        pytest.param(OTHER, False, False, id="of another namespace"),
        pytest.param(None, False, False, id="without a record"),
    ],
)
def test_the_folder_of_a_round_that_is_gone(
    root: Path, record: FinishedRecord | None, require_archive: bool, removed: bool
) -> None:
    folder = made(root, "gone", record)
    swept = sweep(root, known=frozenset(), namespace="ns", require_archive=require_archive)
    assert folder.exists() is not removed
    assert swept == Swept(removed=int(removed), unrecorded=int(not removed))


def test_the_folder_of_a_round_that_exists_stays(root: Path) -> None:
    folder = made(root, "known", ARCHIVED)
    assert sweep(root, known=frozenset({"known"}), namespace="ns", require_archive=False) == Swept(0, 0)
    assert folder.exists()


def test_a_record_that_is_young_protects_its_folder(root: Path) -> None:
    folder = made(root, "gone", ARCHIVED, age=0)
    assert sweep(root, known=frozenset(), namespace="ns", require_archive=False) == Swept(0, 0)
    assert folder.exists()


@pytest.mark.parametrize("content", ["", "{}", '{"namespace": 7}', "x"])
def test_a_record_that_cannot_be_read_is_none(root: Path, content: str) -> None:
    folder = made(root, "gone")
    (folder / RECORD).write_text(content)
    assert read_record(root, "gone") is None
    assert sweep(root, known=frozenset(), namespace="ns", require_archive=False).unrecorded == 1


def test_files_and_links_beside_the_folders_stay(root: Path, tmp_path: Path) -> None:
    target = made(tmp_path, "elsewhere", ARCHIVED)
    (root / "link").symlink_to(target)
    (root / "file").write_text("x")
    assert sweep(root, known=frozenset(), namespace="ns", require_archive=False) == Swept(0, 0)
    assert target.exists()
    assert (root / "file").exists()


def test_a_link_inside_a_folder_is_removed_and_not_followed(root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "x").write_text("x")
    folder = made(root, "u")
    (folder / "link").symlink_to(outside)
    remove(root, "u")
    assert not folder.exists()
    assert (outside / "x").exists()


def test_a_removal_that_was_killed_is_completed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = made(root, "u", ARCHIVED)

    class Killed(BaseException):
        pass

    def killed(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", killed)
        with pytest.raises(Killed):
            remove(root, "u")
    assert not folder.exists()
    assert list(root.iterdir()) != []
    sweep(root, known=frozenset({"u"}), namespace="ns", require_archive=True)
    assert list(root.iterdir()) == []


def test_what_a_retried_round_writes_meanwhile_stays(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(root, "u")
    kept, rmtree = root / "u/new", shutil.rmtree

    def slow(path: Path, **options: Any) -> None:
        rmtree(path, **options)
        if path.name == f"{REMOVED}u":
            (root / "u").mkdir()
            kept.write_text("x")

    monkeypatch.setattr(shutil, "rmtree", slow)
    remove(root, "u")
    assert kept.exists()


def test_a_removal_beside_another_one_is_harmless(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = made(root, f"{REMOVED}u")
    unlink, rmtree = os.unlink, shutil.rmtree

    def raced(path: Path, **options: Any) -> None:
        with monkeypatch.context() as patched:
            patched.setattr(os, "unlink", lambda *a, **k: (unlink(*a, **k), unlink(*a, **k)))
            rmtree(path, **options)

    monkeypatch.setattr(shutil, "rmtree", raced)
    sweep(root, known=frozenset(), namespace="ns", require_archive=False)
    assert not left.exists()


@pytest.mark.parametrize("require_archive", [True, False])
def test_files_that_are_younger_than_the_archive_stay(root: Path, require_archive: bool) -> None:
    folder = made(root, "gone", ARCHIVED)
    moment = (folder / RECORD).stat().st_mtime
    os.utime(folder / "results/x", (moment + 60, moment + 60))
    swept = sweep(root, known=frozenset(), namespace="ns", require_archive=require_archive)
    assert (swept.unrecorded == 1, folder.exists()) == (require_archive, require_archive)


def test_removing_twice_is_harmless(root: Path) -> None:
    folder = made(root, "u")
    remove(root, "u")
    remove(root, "u")
    assert not folder.exists()


@pytest.mark.parametrize("uid", ["", "..", "a/b", "../x", ".removed-u"])
def test_what_is_no_uid_is_refused(root: Path, uid: str) -> None:
    with pytest.raises(ValueError, match="not the uid"):
        remove(root, uid)


def test_a_round_without_files_gets_no_folder(root: Path) -> None:
    write_record(root, "u", MINE)
    assert list(root.iterdir()) == []


def test_free_space_is_measured(root: Path) -> None:
    assert 0 < free_bytes(root) <= shutil.disk_usage(root).free
