"""`bitagent-eval serve`: it becomes the server of a sound model, and refuses another one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.jobs import EXIT_MODEL_FAULT, EXIT_NO_MODEL
from bitagent_evaluator.cli import serve


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that would have replaced this process."""
    commands: list[list[str]] = []

    def execv(path: str, command: list[str]) -> Any:
        commands.append(command)
        raise SystemExit(0)

    monkeypatch.setattr(os, "execv", execv)
    monkeypatch.setattr(os, "environ", dict(os.environ))
    return commands


def test_it_becomes_the_server(models: Path, started: list[list[str]]) -> None:
    with pytest.raises(SystemExit):
        serve.main([str(models / "tiny-rewriter"), "--gpus=0", "--name=a", "--name=b", "--max-model-length=512"])
    (command,) = started
    assert f"--model={models / 'tiny-rewriter'}" in command
    assert "--max-model-len=512" in command
    assert command[command.index("--served-model-name") :][:3] == ["--served-model-name", "a", "b"]
    assert os.environ["OMP_NUM_THREADS"] == "1"


def test_a_directory_without_a_model_may_get_one(
    tmp_path: Path, started: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert serve.main([str(tmp_path)]) == EXIT_NO_MODEL
    assert "holds no model" in capsys.readouterr().err
    assert started == []


def test_a_model_that_is_not_safe_is_refused(models: Path, tmp_path: Path, started: list[list[str]]) -> None:
    for path in (models / "tiny-rewriter").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "config.json").write_text("{}")
    assert serve.main([str(tmp_path)]) == EXIT_MODEL_FAULT
    assert started == []
