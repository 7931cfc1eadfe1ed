"""The command line, and the process that a pod runs."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bitagent_local.cluster.host import SOURCES
from bitagent_local.hub import pack
from bitagent_local.hub.__main__ import main

MODELS = SOURCES / "models"


def test_missing_model_folder_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "list.yaml"
    file.write_text("repositories: [{repo: a/b, branches: {main: {model: tiny-fc-0}}}]")
    monkeypatch.setattr(sys, "argv", ["hub", "pack", "--root", str(tmp_path / "root"), str(file)])
    assert main() == 2
    assert "a/b names the model folder" in capsys.readouterr().err
    assert not list((tmp_path / "root").glob("a/*"))


def test_empty_root_is_not_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["hub", "serve", "--root", str(tmp_path), "--port", "0"])
    assert main() == 2
    assert "holds no repositories" in capsys.readouterr().err


def test_process_packs_serves_and_stops_on_sigterm(tmp_path: Path) -> None:
    count = len(pack.load(MODELS / "repositories.yaml").repositories)
    command = [sys.executable, "-m", "bitagent_local.hub", "serve", "--host", "127.0.0.1", "--port", "0"]
    with subprocess.Popen(
        [*command, "--root", str(tmp_path), "--pack", str(MODELS / "repositories.yaml")],
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stderr is not None
            assert f"{count} repositories on http port" in process.stderr.readline()
            process.send_signal(signal.SIGTERM)
            _, log = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 0
    assert "stopped" in log
