"""The operator's process: its command line, its failures, its signals."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bitagent_kube.health import Health
from bitagent_operator.__main__ import LOG_LEVELS, _run, main
from bitagent_operator.config import Config

Ports = Callable[[], int]


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """What `main` configures is the whole process's: later tests look for lines of other levels."""
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    levels = {name: logging.getLogger(name).level for name in LOG_LEVELS}
    yield
    root.setLevel(level)
    root.handlers[:] = handlers
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


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


async def test_a_bug_in_one_namespace_does_not_end_the_process(
    monkeypatch: pytest.MonkeyPatch, unused_tcp_port_factory: Ports
) -> None:
    """It is named at /readyz while that namespace pauses, and counted when it begins again."""
    begun: list[str] = []
    again, next_attempt = asyncio.Event(), asyncio.Event()

    class Paused:
        """`asyncio` whose pauses are as long as the test's."""

        def __getattr__(self, name: str) -> Any:
            return getattr(asyncio, name)

        async def sleep(self, _seconds: float) -> None:
            await next_attempt.wait()

    monkeypatch.setattr("bitagent_kube.parts.asyncio", Paused())

    async def operate(config: Config, *, health: Health, **_: object) -> None:
        begun.append(config.namespace)
        if begun.count("b") == 1 and config.namespace == "b":
            raise KeyError("a member that is missing")
        health.ready = True
        if begun.count("b") == 2:
            again.set()
        await asyncio.Event().wait()

    monkeypatch.setattr("bitagent_operator.__main__.operate", operate)
    health_port, metrics_port = unused_tcp_port_factory(), unused_tcp_port_factory()
    configuration = {
        "namespace": "home",
        "watch": {"namespaces": ["a", "b"]},
        "images": {"evaluator": "e", "validator": "v"},
        "cache": {"claimName": "c"},
        "artifacts": {"claimName": "a"},
        "healthPort": health_port,
        "metricsPort": metrics_port,
    }
    running = asyncio.create_task(_run(Config.model_validate(configuration)))
    async with aiohttp.ClientSession() as session, asyncio.timeout(60):

        async def ask(url: str) -> tuple[int, str]:
            async with session.get(url) as answer:
                return answer.status, await answer.text()

        while "b" not in begun:  # noqa: ASYNC110 - nothing says when
            await asyncio.sleep(0.01)
        status, text = await ask(f"http://127.0.0.1:{health_port}/readyz")
        assert (status, "KeyError" in text, "b: " in text) == (503, True, True)
        next_attempt.set()
        await again.wait()
        assert await ask(f"http://127.0.0.1:{health_port}/readyz") == (200, "ok")
        _, exported = await ask(f"http://127.0.0.1:{metrics_port}/metrics")
        assert 'bitagent_operator_restarts_total{namespace="b"} 1.0' in exported
    assert begun == ["a", "b", "b"]
    running.cancel()
    await asyncio.wait([running])
