"""The files of a round, listed and opened without following a link."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from bitagent_evaluator.archive.folder import list_files, open_file

KEY = "results/0123456789ab"


def test_lists_files_in_order(folder: Path) -> None:
    listing = list_files(folder)
    assert listing.files == (
        f"{KEY}/responses.jsonl", f"{KEY}/verdicts.jsonl", "tasks/manifest.json", "tasks/tasks.jsonl",
    )  # fmt: skip
    assert (listing.left_out, listing.evaluations()) == ((), ["0123456789ab"])


def test_an_empty_round_has_no_files(tmp_path: Path) -> None:
    assert list_files(tmp_path).files == ()


STRANGE: dict[str, Callable[[Path, Path], None]] = {
    "a link to a file": lambda path, secret: path.symlink_to(secret),
    "a link to a folder": lambda path, secret: path.symlink_to(secret.parent),
    "a pipe": lambda path, secret: os.mkfifo(path),
}


@pytest.mark.parametrize("make", STRANGE.values(), ids=STRANGE)
def test_what_is_no_plain_file_is_left_out(make: Callable[[Path, Path], None], folder: Path, tmp_path: Path) -> None:
    secret = tmp_path / "elsewhere" / "credentials"
    secret.parent.mkdir()
    secret.write_text("secret")
    make(folder / KEY / "manifest.json", secret)
    listing = list_files(folder)
    assert listing.left_out == (f"{KEY}/manifest.json",)
    assert not [path for path in listing.files if "manifest.json/" in path]
    assert listing.evaluations() == []


@pytest.mark.parametrize("name", ["a b", "ü", ".partial", "x?y", "a\nb", "%2e%2e"])
def test_names_that_need_an_escape_are_left_out(name: str, folder: Path) -> None:
    (folder / KEY / name).write_text("x")
    listing = list_files(folder)
    assert listing.left_out == (f"{KEY}/{name}",)
    assert len(listing.files) == 4


@pytest.mark.parametrize("name", ["index.json", "reports"])
def test_what_would_collide_with_the_archives_own_files_is_left_out(name: str, folder: Path) -> None:
    (folder / name).mkdir()
    (folder / name / "x.html").write_text("x")
    listing = list_files(folder)
    assert listing.left_out == (name,)
    assert len(listing.files) == 4


@pytest.mark.parametrize("part", ["results", KEY, f"{KEY}/responses.jsonl"])
def test_a_link_that_replaces_a_part_of_the_path_is_not_followed(part: str, folder: Path, tmp_path: Path) -> None:
    (folder / part).rename(tmp_path / "moved")
    (folder / part).symlink_to(tmp_path / "moved")
    with pytest.raises(OSError, match=part.rpartition("/")[2]):
        open_file(folder, f"{KEY}/responses.jsonl")


def test_opens_a_file(folder: Path) -> None:
    with open_file(folder, f"{KEY}/responses.jsonl") as file:
        assert file.read() == b"answers\n"
