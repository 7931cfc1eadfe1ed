"""The command that repeats a score is for whoever can run it, and no shell is led astray by it."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bitagent_leaderboard.model.objects import Result, Round
from bitagent_leaderboard.model.reading import RoundReader
from bitagent_leaderboard.pages.commands import PLACE, Archives, Audience, reproduction
from tests import leaderboard_objects as objects

ARCHIVE = "https://files.example.org/x/bitagent/r-1"


def given(**changed: Any) -> tuple[Round, Result]:
    round_ = RoundReader()(objects.round_("r", [objects.scored(1, 0.5, 1) | changed]))
    return round_, round_.results[0]


@pytest.mark.parametrize(
    ("archive", "public", "audience"),
    [(ARCHIVE, True, Audience.ANYONE), (None, True, Audience.SCORE), (None, False, Audience.CLUSTER)],
)
def test_audiences(archive: str | None, public: bool, audience: Audience) -> None:
    command = reproduction(*given(), archive=archive, public=public, site=None)
    assert command is not None
    assert command.audience is audience


def test_commands() -> None:
    found = reproduction(*given(), archive=ARCHIVE, public=True, site=None)
    assert found is not None
    assert (
        f"{ARCHIVE}/results/{objects.key(1)}/{{manifest.json,responses.jsonl,verdicts.jsonl,summary.json}}"
        in found.text
    )
    assert found.text.endswith(f"&& bitagent-eval reproduce r-{objects.key(1)}")
    found = reproduction(*given(), archive=None, public=True, site="https://board.example.org")
    assert found is not None
    assert "--from-round https://board.example.org/rounds/r/round.json --model miner-1/model" in found.text
    found = reproduction(*given(), archive=None, public=True, site=None)
    assert found is not None
    assert f"{PLACE}/rounds/r/round.json" in found.text


@pytest.mark.parametrize(
    "changed", [{"score": None}, {"key": None}, {"resultDigest": None}], ids=["no score", "no key", "no digest"]
)
def test_nothing_to_repeat(changed: dict[str, Any]) -> None:
    assert reproduction(*given(**changed), archive=ARCHIVE, public=True, site=None) is None


def test_files_outside_the_hub_need_the_archive() -> None:
    assert reproduction(*given(repo="volume/x/y"), archive=None, public=True, site=None) is None


def test_words_are_quoted() -> None:
    for archive in (ARCHIVE, None):
        command = reproduction(*given(), archive=archive, public=True, site=None)
        assert command is not None
        assert not [word for word in shlex.split(command.text) if "$" in word or "`" in word or ";" in word]


def test_curl_fetches_what_reproduce_needs(tmp_path: Path) -> None:
    """The one pattern in the address is curl's own."""
    command = reproduction(*given(), archive=f"{tmp_path.as_uri()}/a", public=True, site=None)
    assert command is not None
    source = tmp_path / "a/results" / objects.key(1)
    source.mkdir(parents=True)
    names = {"manifest.json", "responses.jsonl", "verdicts.jsonl", "summary.json"}
    for name in names:
        (source / name).write_text(name)
    fetch = command.text.partition(" && ")[0]
    subprocess.run(["bash", "-c", f"{fetch} --silent"], cwd=tmp_path, check=True)
    assert {file.name for file in (tmp_path / f"r-{objects.key(1)}").iterdir()} == names


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("s3://b/p/ns/r-1/t", "https://h/q/ns/r-1/t"),
        ("s3://b/pp/x", None),
        ("s3://other/p/x", None),
        (None, None),
        ('s3://b/p/"x', None),
    ],
)
def test_archives(address: str | None, public: str | None) -> None:
    assert Archives.parse("s3://b/p=https://h/q").of(address) == public
