"""The CNI plugin against no enforcer, and one that refuses."""

from __future__ import annotations

import io
import json
import socketserver
import threading
from pathlib import Path
from typing import Any

import pytest

from bitagent_local.cluster.netpol import plugin


def run_plugin(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str, config: dict[str, Any]
) -> tuple[int, Any]:
    monkeypatch.setenv("CNI_COMMAND", command)
    monkeypatch.setenv("CNI_ARGS", "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=client")
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(config)))
    status = plugin.main()
    out = capsys.readouterr().out
    return status, json.loads(out) if out else None


RESULT = {"cniVersion": "1.0.0", "ips": [{"address": "10.0.0.7/24"}]}


def test_no_pod_starts_without_an_enforcer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = {"socket": str(tmp_path / "none"), "prevResult": RESULT}
    status, output = run_plugin(monkeypatch, capsys, "ADD", config)
    assert status == 1
    assert "does not answer" in output["msg"]
    assert run_plugin(monkeypatch, capsys, "DEL", config) == (0, None)


def test_the_enforcers_reason_reaches_the_kubelet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Refusing(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.rfile.readline()
            self.wfile.write(b"too slow")

    with socketserver.UnixStreamServer(str(tmp_path / "s"), Refusing) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        config = {"socket": str(tmp_path / "s"), "prevResult": RESULT}
        status, output = run_plugin(monkeypatch, capsys, "ADD", config)
    assert (status, output["msg"]) == (1, "too slow")


def test_the_plugin_names_its_versions(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    status, output = run_plugin(monkeypatch, capsys, "VERSION", {"cniVersion": "1.0.0"})
    assert status == 0
    assert "1.0.0" in output["supportedVersions"]
