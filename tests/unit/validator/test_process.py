"""The process around the loop: command line, logs, health."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from bitagent_validator.__main__ import arguments, main
from bitagent_validator.health import STOPPED_SECONDS, Health
from bitagent_validator.logs import JsonFormatter


@pytest.fixture
def _own_logging() -> object:
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


def test_log_lines_are_json_with_the_exception() -> None:
    try:
        raise ValueError("broken\nin two lines")
    except ValueError as error:
        record = logging.LogRecord("n", logging.ERROR, "f", 1, "went %s", ("wrong",), (ValueError, error, None))
    line = JsonFormatter().format(record)
    assert "\n" not in line
    read = json.loads(line)
    assert (read["level"], read["logger"], read["message"]) == ("error", "n", "went wrong")
    assert "in two lines" in read["traceback"]


def test_health_goes_red_only_when_the_loop_has_stopped() -> None:
    now = 0.0
    health = Health(clock=lambda: now)
    now = STOPPED_SECONDS - 1
    assert health.alive
    health.beat()
    now += STOPPED_SECONDS - 1
    assert health.alive
    now += 1
    assert not health.alive
