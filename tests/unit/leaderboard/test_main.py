from __future__ import annotations

import json
from pathlib import Path

import pytest

from bitagent_leaderboard.main import arguments, main
from bitagent_leaderboard.source.origin import Origin
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


def test_objects_of_several_namespaces(tmp_path: Path) -> None:
    items = [objects.obj("MinerModel", "same", objects.model(n)["spec"], namespace=f"team-{n}") for n in (2, 1)]
    (tmp_path / "objects.json").write_text(json.dumps({"items": items}))
    assert main(["export", str(tmp_path / "out"), "--objects", str(tmp_path / "objects.json")]) == 0
    for n in (1, 2):
        assert objects.hotkey(n) in (tmp_path / f"out/namespaces/team-{n}/models/same/index.html").read_text()


@pytest.mark.parametrize(
    ("words", "of_a", "of_b"),
    [
        pytest.param([], None, None, id="none"),
        pytest.param(["--artifacts", "/all"], "/all", "/all", id="of all"),
        pytest.param(["--artifacts", "a=/x"], "/x", None, id="of one"),
        pytest.param(["--artifacts", "a=/x", "--artifacts", "/all"], "/x", "/all", id="of one and of the others"),
        pytest.param(["--artifacts", "/all=1"], "/all=1", "/all=1", id="a folder with a sign"),
    ],
)
def test_artifacts_of_a_namespace(words: list[str], of_a: str | None, of_b: str | None) -> None:
    options = arguments().parse_args(["serve", "--namespace", "a", "--namespace", "b", *words])
    origin = Origin(tuple(options.namespace), None, tuple(options.artifacts))
    found = [origin.artifacts_of(name) for name in ("a", "b")]
    assert found == [Path(each) if each is not None else None for each in (of_a, of_b)]


@pytest.mark.parametrize(
    "words",
    [
        ["serve"],
        ["export", "x", "--namespace", "a", "--objects", "b"],
        ["serve", "--namespace", "a/b"],
        ["serve", "--namespace", "a", "--site", "http://x.org"],
        ["serve", "--namespace", "a", "--hub", "javascript:x"],
        ["serve", "--namespace", "a", "--archive", "s3://b=http://x"],
        ["serve", "--namespace", "a", "--archive", "https://x"],
        ["serve", "--namespace", "a", "--base-path", "board/../x y"],
    ],
    ids=lambda words: " ".join(words),
)
def test_refused_arguments(words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
