"""The command line on a machine without a node."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bitagent_local.cluster.__main__ import main
from bitagent_local.cluster.node import Node
from bitagent_local.cluster.status import inspect


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BITAGENT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("BITAGENT_STATE", str(tmp_path / "state"))
    return tmp_path


def test_status_of_no_node(nowhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--json"]) == 3
    output = json.loads(capsys.readouterr().out)
    assert output["state"] == "down"
    assert output["kubeconfig"] == str(nowhere / "state" / "admin.kubeconfig")
    assert not any(output["components"].values())
    assert inspect(Node()).summary == "down"


def test_up_needs_root(nowhere: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert main(["up"]) == 1
    assert "needs root" in capsys.readouterr().err
