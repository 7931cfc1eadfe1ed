"""The operator's process: its command line, its failures, its signals."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bitagent_operator.__main__ import main

Ports = Callable[[], int]


def test_help_names_where_the_configuration_is(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert "BITAGENT_CONFIG" in capsys.readouterr().out


def test_an_unknown_word_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--verbose"])
    assert ended.value.code == 2
    assert "--verbose" in capsys.readouterr().err


def test_a_missing_configuration_is_told_and_fails(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("BITAGENT_CONFIG", "/nowhere/config.yaml")
    assert main([]) == 1


def test_of_several_namespaces_an_explanation_needs_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configuration = {
        "namespace": "n",
        "watch": {"namespaces": ["a", "b"]},
        "images": {"evaluator": "e", "validator": "v"},
        "cache": {"claimName": "c"},
        "artifacts": {"claimName": "a"},
    }
    (tmp_path / "config.yaml").write_text(json.dumps(configuration))
    monkeypatch.setenv("BITAGENT_CONFIG", str(tmp_path / "config.yaml"))
    assert main(["explain", "er", "r"]) == 1
    assert "--namespace NAME" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_signal_before_the_first_list_ends_it_in_order(
    tmp_path: Path, unused_tcp_port_factory: Ports, name: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # an API server that takes requests and answers none
        silent.settimeout(30)
        cluster = {"name": "c", "cluster": {"server": f"http://127.0.0.1:{silent.getsockname()[1]}"}}
        context = {"name": "c", "context": {"cluster": "c", "user": "u"}}
        kubeconfig = {
            "clusters": [cluster],
            "contexts": [context],
            "users": [{"name": "u", "user": {}}],
            "current-context": "c",
        }
        configuration = {
            "namespace": "n",
            "images": {"evaluator": "e", "validator": "v"},
            "cache": {"claimName": "c"},
            "artifacts": {"claimName": "a"},
            "healthPort": unused_tcp_port_factory(),
            "metricsPort": unused_tcp_port_factory(),
        }
        environment = dict(os.environ)
        environment.pop("KUBERNETES_SERVICE_HOST", None)
        for variable, content in (("KUBECONFIG", kubeconfig), ("BITAGENT_CONFIG", configuration)):
            path = tmp_path / f"{variable}.yaml"
            path.write_text(json.dumps(content))
            environment[variable] = str(path)
        process = subprocess.Popen([sys.executable, "-m", "bitagent_operator"], env=environment)
        try:
            silent.accept()
            process.send_signal(signal.Signals[name])
            assert process.wait(timeout=60) == 0
        finally:
            process.kill()
            process.wait()
