"""Evaluation pods wrote the volume: what they could lay there, and what is read of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bitagent_leaderboard.model.measured import LONGEST
from bitagent_leaderboard.model.objects import Round
from bitagent_leaderboard.model.reading import RoundReader
from bitagent_leaderboard.source.documents import board_of
from bitagent_leaderboard.source.manifests import ROUNDS, due, read_round
from tests import leaderboard_objects as objects


@pytest.fixture
def made(tmp_path: Path) -> objects.Obj:
    found = objects.round_("x", [objects.scored(1, 0.5, 1), objects.scored(2, 0.4, 2), objects.refused(3)])
    objects.put_manifest(tmp_path, found, 1, objects.manifest(1, 0.5))
    return found


def read(obj: objects.Obj) -> Round:
    return RoundReader()(obj)


def file(folder: Path, obj: objects.Obj, number: int = 1) -> Path:
    return folder / "rounds" / obj["metadata"]["uid"] / "results" / objects.key(number) / "manifest.json"


def test_manifests_by_key(tmp_path: Path, made: objects.Obj) -> None:
    found, counts = read_round(tmp_path, read(made))
    assert {key: each.interval for key, each in found.items()} == {objects.key(1): (0.46, 0.54)}
    assert counts == {"read": 1, "missing": 1, "refused": 0}


def test_another_content_is_refused(tmp_path: Path, made: objects.Obj) -> None:
    file(tmp_path, made).write_bytes(objects.manifest(1, 0.99))
    assert read_round(tmp_path, read(made)) == ({}, {"read": 0, "missing": 1, "refused": 1})


@pytest.mark.parametrize("what", ["manifest", "results", "fifo", "large"])
def test_links_and_what_is_not_a_plain_file_are_refused(tmp_path: Path, made: objects.Obj, what: str) -> None:
    place = file(tmp_path, made)
    if what == "manifest":
        place.rename(tmp_path / "elsewhere")
        place.symlink_to(tmp_path / "elsewhere")
    elif what == "results":
        place.parent.parent.rename(tmp_path / "elsewhere")
        place.parent.parent.symlink_to(tmp_path / "elsewhere")
    elif what == "fifo":
        place.unlink()
        os.mkfifo(place)
    else:
        os.truncate(place, LONGEST + 1)
    found, counts = read_round(tmp_path, read(made))
    assert (found, counts["refused"] >= 1) == ({}, True)


def test_a_round_without_a_uid_of_its_form_has_no_files(tmp_path: Path, made: objects.Obj) -> None:
    made["metadata"]["uid"] = "../../secret"
    assert read_round(tmp_path, read(made))[0] == {}


def test_no_volume(tmp_path: Path, made: objects.Obj) -> None:
    assert read_round(tmp_path / "none", read(made))[1]["missing"] == 2


def test_the_newest_complete_rounds_are_due_first() -> None:
    several = [objects.round_(f"r-{n}", [], end=60 * (n + 1)) for n in range(ROUNDS + 2)]
    board = board_of([*several, objects.round_("running", [], phase="Running", end=10_000)])
    rounds = due(board, {})
    assert [each.name for each in rounds] == [f"r-{n}" for n in range(ROUNDS + 1, 1, -1)]
    known = {rounds[0].uid: rounds[0].version, rounds[1].uid: 99}
    assert [each.name for each in due(board, known)] == [each.name for each in rounds[1:]], "that one has changed"
