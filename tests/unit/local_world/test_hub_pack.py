"""Packing the hub's folders, and the command line."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bitagent_local.hub import pack, repository
from bitagent_local.hub.__main__ import main

MODELS = Path(__file__).parents[3] / "local" / "models"
DEMO = [
    "acme/tiny-fc-1200",
    "blue/tiny-fc-600",
    "coral/tiny-fc-400",
    "delta/tiny-fc-250",
    "echo/tiny-fc-1200-copy",
    "bad/truncated",
    "bad/pickle",
    "bad/nan",
    "memo/tiny-memo",
    "sense/tiny-sense",
    "world/tiny-rewriter",
]


def test_demo_list_packs_to_the_same_commits_again(tmp_path: Path) -> None:
    spec = pack.load(MODELS / "repositories.yaml")
    first = pack.pack(spec, folders=MODELS, root=tmp_path / "one")
    second = pack.pack(spec, folders=MODELS, root=tmp_path / "two")
    assert first == second
    assert pack.pack(spec, folders=MODELS, root=tmp_path / "two") == second
    assert list(first) == DEMO
    assert len(set(first.values())) == len(DEMO)
    assert [found.name for found in repository.every(tmp_path / "one")] == sorted(DEMO)
    assert not list((tmp_path / "two").glob("*/.packing-*"))


def test_commit_depends_on_name_and_content(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one")
    commit = pack.commit_id("acme/model", tmp_path)
    assert repository.COMMIT.fullmatch(commit)
    assert pack.commit_id("echo/model", tmp_path) != commit
    (tmp_path / "a.txt").write_text("two")
    assert pack.commit_id("acme/model", tmp_path) != commit


def test_blob_id_is_gits() -> None:
    assert repository.git_blob_id(b"hello\n") == "ce013625030ba8dba906f756967f9e9ca394464a"


LISTS: dict[str, tuple[str, str]] = {
    "no main branch": ("repositories: [{repo: a/b, branches: {dev: {model: tiny-fc-250}}}]", "no branch main"),
    "unknown damage": ("repositories: [{repo: a/b, branches: {main: {model: m, damage: rot}}}]", "no damage 'rot'"),
    "tag of nothing": (
        "repositories: [{repo: a/b, branches: {main: {model: m}}, tags: {v1: dev}}]",
        "unknown branches",
    ),
    "no owner": ("repositories: [{repo: b, branches: {main: {model: m}}}]", "repo"),
    "not YAML": ("{", "not YAML"),
}


@pytest.mark.parametrize(("content", "message"), LISTS.values(), ids=LISTS.keys())
def test_bad_lists_are_explained(content: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "list.yaml"
    file.write_text(content)
    with pytest.raises(ValueError, match=message):
        pack.load(file)


def test_missing_model_folder_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "list.yaml"
    file.write_text("repositories: [{repo: a/b, branches: {main: {model: tiny-fc-0}}}]")
    monkeypatch.setattr(sys, "argv", ["hub", "pack", "--root", str(tmp_path / "root"), str(file)])
    assert main() == 2
    assert "a/b wants the model folder" in capsys.readouterr().err
    assert not list((tmp_path / "root").glob("a/*"))


def test_empty_root_is_not_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["hub", "serve", "--root", str(tmp_path), "--port", "0"])
    assert main() == 2
    assert "holds no repositories" in capsys.readouterr().err


def test_process_packs_serves_and_stops_on_sigterm(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bitagent_local.hub", "serve", "--host", "127.0.0.1", "--port", "0"]
    with subprocess.Popen(
        [*command, "--root", str(tmp_path), "--pack", str(MODELS / "repositories.yaml")],
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stderr is not None
            assert f"{len(DEMO)} repositories on http port" in process.stderr.readline()
            process.send_signal(signal.SIGTERM)
            _, log = process.communicate(timeout=10)
        finally:
            process.kill()
    assert process.returncode == 0
    assert "stopped" in log
