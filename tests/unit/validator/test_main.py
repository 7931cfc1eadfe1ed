"""The process around the loop: command line, log of a failure, probes, name of the Lease."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bitagent_crds.names import hotkey_lease
from bitagent_validator.main import arguments, main


@pytest.fixture
def _own_logging() -> Iterator[None]:
    """Leave the root logger as it was."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:], root.level = handlers, level


@pytest.mark.usefixtures("_own_logging")
def test_a_missing_hotkey_ends_in_one_readable_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["run", "--name", "val", "--namespace", "ns", "--hotkey-file", str(tmp_path / "hotkey")]
    assert main([*command, "--log-format", "json"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "does the Secret of spec.wallet have this key" in json.loads(line)["message"]


def test_the_hotkey_file_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    command = ["run", "--name", "val", "--namespace", "ns"]
    assert arguments().parse_args(command).hotkey_file == Path("/etc/bitagent/wallet/hotkey")
    monkeypatch.setenv("BITAGENT_HOTKEY_FILE", "/elsewhere")
    assert arguments().parse_args(command).hotkey_file == Path("/elsewhere")


def test_names_tell_hotkeys_apart_that_differ_in_case_only() -> None:
    one, two = hotkey_lease(20, "5CzRdZLnRxWkyWoGZZbf"), hotkey_lease(20, "5CzRdZLnRxWkyWoGZZbF")
    assert one != two
    assert re.fullmatch(r"bitagent-20-[a-z0-9]{20}-[0-9a-f]{8}", one)


def test_a_replay_of_no_cases_is_refused_with_the_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in").write_text('{"kind": "other"}\n')
    assert main(["policy", "--replay", str(tmp_path / "in"), str(tmp_path / "out")]) == 1
    assert "line 1: " in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_plan_without_an_api_server_ends_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "missing"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    assert main(["weights", "plan", "--name", "val", "--namespace", "ns"]) == 1
    assert "no API server" in capsys.readouterr().err
