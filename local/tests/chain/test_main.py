"""The command line, and the process that a pod runs."""

from __future__ import annotations

import signal
import stat
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import bittensor as bt
import pytest

from bitagent_local.chain.__main__ import main
from bitagent_local.chain.keys import address
from bitagent_local.cluster.ports import free_ports


def test_hotkey_file_is_what_the_wallet_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [tmp_path / name / "default" / "hotkeys" / "validator" for name in ("one", "two")]
    for file in files:
        monkeypatch.setattr(sys, "argv", ["chain", "wallet", "--uri", "//Validator", "--out", str(file)])
        assert main() == 0
    assert files[0].read_bytes() == files[1].read_bytes()
    assert stat.S_IMODE(files[0].stat().st_mode) == 0o600
    wallet = bt.Wallet("default", "validator", path=str(tmp_path / "one"))
    assert wallet.hotkey.ss58_address == address("//Validator")


MISTAKES: dict[str, tuple[list[str], str]] = {
    "not a development key": (["wallet", "--uri", "Validator", "--out", "/dev/null"], "not a development URI"),
    "missing seed": (["serve", "--seed-file", "/no/such/file"], "No such file"),
    "impossible block time": (["serve", "--seconds-per-block", "0"], "between 0.01 and 3600"),
    "impossible tempo": (["serve", "--tempo", "0"], "tempo"),
}


@pytest.mark.parametrize(("argv", "message"), MISTAKES.values(), ids=MISTAKES.keys())
def test_mistakes_end_in_one_line(
    argv: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["chain", *argv])
    assert main() == 2
    assert message in capsys.readouterr().err


def test_process_serves_and_stops_on_sigterm() -> None:
    ports = free_ports(2)
    command = [
        sys.executable,
        "-m",
        "bitagent_local.chain",
        "serve",
        "--host",
        "127.0.0.1",
        "--seconds-per-block",
        "0.1",
    ]
    with subprocess.Popen(
        [*command, "--port", str(ports[0]), "--admin-port", str(ports[1])], stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            _until_healthy(f"http://127.0.0.1:{ports[1]}/healthz")
            process.send_signal(signal.SIGTERM)
            _, log = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 0
    assert "stopped at block" in log


def _until_healthy(url: str) -> None:
    give_up = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(url, timeout=60):
                return
        except OSError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.05)
