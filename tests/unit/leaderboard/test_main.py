from __future__ import annotations

import json
from pathlib import Path

import pytest

from bitagent_leaderboard.main import main
from tests import leaderboard_objects as objects


def test_an_export_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "objects.json").write_text(json.dumps({"items": objects.demo()}))
    assert main(["export", str(tmp_path / "out"), "--objects", str(tmp_path / "objects.json")]) == 0
    text = (tmp_path / "out/rounds/demo-tools-2/index.html").read_text()
    assert "model-0" in text
    assert "which this page has no access to" in text, "there are no manifests"


@pytest.mark.parametrize("content", ["no", "[]", '{"items": 1}'])
def test_a_file_that_is_none(tmp_path: Path, content: str, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "objects.json").write_text(content)
    assert main(["export", str(tmp_path / "out"), "--objects", str(tmp_path / "objects.json")]) == 1
    assert not (tmp_path / "out").exists()


def test_objects_that_cannot_be_read_are_left_out(tmp_path: Path) -> None:
    bad = objects.model(2)
    bad["spec"] = {}
    (tmp_path / "objects.json").write_text(json.dumps({"items": [objects.model(1), bad, {"kind": "Pod"}, {}]}))
    assert main(["export", str(tmp_path / "out"), "--objects", str(tmp_path / "objects.json")]) == 0
    assert [each.name for each in (tmp_path / "out/models").iterdir()] == ["model-1"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["serve"],
        ["export", "x", "--namespace", "a", "--objects", "b"],
        ["serve", "--namespace", "a", "--site", "http://x.org"],
        ["serve", "--namespace", "a", "--hub", "javascript:x"],
        ["serve", "--namespace", "a", "--archive", "s3://b=http://x"],
        ["serve", "--namespace", "a", "--archive", "https://x"],
        ["serve", "--namespace", "a", "--base-path", "board/../x y"],
    ],
    ids=lambda words: " ".join(words),
)
def test_refused_arguments(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
