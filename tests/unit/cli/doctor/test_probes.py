"""Pods that try something."""

from __future__ import annotations

import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bitagent_cli.doctor import probes
from bitagent_cli.doctor.probes import answer, as_fetch, denying_policy, probe_pod, to_api_server, to_hub
from bitagent_cli.doctor.seen import Probed
from bitagent_cli.files.pod import PodSettings


@pytest.fixture
def server() -> Iterator[int]:
    """A server that answers 404."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(404)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running.server_address[1]
        running.shutdown()


def run(program: str, folder: Path, port: int) -> dict[str, Any]:
    log = folder / "log"
    environment = os.environ | {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(port)}
    text = program.replace("/dev/termination-log", str(log))
    subprocess.run([sys.executable, "-c", text], env=environment, check=True, timeout=60)
    found: dict[str, Any] = json.loads(log.read_text())
    return found


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "TRY_SECONDS", 0)


def test_the_programs_reach_what_is_there(server: int, tmp_path: Path) -> None:
    assert run(to_api_server(deny=False), tmp_path, server)["open"] is True
    assert run(to_hub(f"http://127.0.0.1:{server}"), tmp_path, server) == {"open": True, "message": "HTTP 404"}


def test_the_programs_do_not_reach_what_is_not_there(tmp_path: Path) -> None:
    assert run(to_api_server(deny=True), tmp_path, 9)["open"] is False
    assert run(to_hub("http://127.0.0.1:9"), tmp_path, 9)["open"] is False
    assert run(to_hub("no address"), tmp_path, 9)["open"] is False


def pod() -> dict[str, Any]:
    return probe_pod(PodSettings(), name="p", namespace="ns", look="l", image="i", program="x")


def test_the_pod_has_no_volume_of_others_and_no_owner() -> None:
    made = pod()
    assert [volume["name"] for volume in made["spec"]["volumes"]] == ["tmp"]
    assert "ownerReferences" not in made["metadata"]
    assert made["spec"]["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True


def test_the_policy_is_of_that_pod_alone() -> None:
    selector = denying_policy(name="p", namespace="ns", look="l")["spec"]["podSelector"]["matchLabels"]
    assert selector.items() <= pod()["metadata"]["labels"].items()
    assert selector != denying_policy(name="p", namespace="ns", look="m")["spec"]["podSelector"]["matchLabels"]


def test_the_pod_of_a_fetch_has_the_labels_of_its_policies() -> None:
    labels = as_fetch(pod())["metadata"]["labels"]
    assert labels["app.kubernetes.io/managed-by"] == "bitagent-operator"
    assert labels["app.kubernetes.io/component"] == "fetch"


def ended(message: str, code: int = 0) -> dict[str, Any]:
    terminated = {"exitCode": code, "message": message}
    phase = "Failed" if code else "Succeeded"
    return {"status": {"phase": phase, "containerStatuses": [{"state": {"terminated": terminated}}]}}


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        pytest.param({"status": {"phase": "Running"}}, None, id="runs"),
        pytest.param(ended('{"open": true, "message": "m"}'), Probed(True, "m"), id="reached"),
        pytest.param(ended('{"open": false, "message": "m"}'), Probed(False, "m"), id="not reached"),
        pytest.param(ended("python3: not found", 127), Probed(None, "the pod failed: python3: not found"), id="failed"),
        pytest.param(ended("", 1), Probed(None, "the pod failed: exit code 1"), id="without a word"),
        pytest.param({"status": {"phase": "Failed"}}, Probed(None, "the pod failed: exit code unknown"), id="lost"),
    ],
)
def test_answers(seen: dict[str, Any], expected: Probed | None) -> None:
    assert answer(seen) == expected
