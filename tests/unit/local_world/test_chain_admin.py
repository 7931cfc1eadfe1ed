"""The chain's admin face, its command line, and the process that a pod runs."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import bittensor as bt
import pytest

from bitagent_local.chain import seed
from bitagent_local.chain.__main__ import main
from bitagent_local.chain.keys import address
from bitagent_local.chain.testing import running, sign, weights_call, world


def _request(url: str, body: Any = None) -> tuple[int, Any]:
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data=data), timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


async def _ask(url: str, body: Any = None) -> tuple[int, Any]:
    return await asyncio.to_thread(_request, url, body)


async def test_state_tells_what_a_test_asserts_on() -> None:
    async with running() as chain:
        chain.server.node.submit(sign(chain.server.node, "//Validator", weights_call()))
        chain.server.node.produce()
        _, state = await _ask(f"{chain.admin}/state")
    (seen,) = state["extrinsics"]
    assert (seen["signer"], seen["call"], seen["error"]) == (
        address("//Validator"),
        "SubtensorModule.set_mechanism_weights",
        None,
    )
    assert seen["args"] == weights_call()
    assert state["weights"][address("//Validator")]["block"] == seen["block"] <= state["block"]
    assert state["neurons"][0]["hotkey"] == address("//Validator")


async def test_neurons_come_and_change() -> None:
    async with running() as chain:
        assert await _ask(f"{chain.admin}/neurons", {"hotkey": "//Late", "commitment": "new/model"}) == (
            200,
            {"uid": 4, "hotkey": address("//Late")},
        )
        assert (await _ask(f"{chain.admin}/neurons", {"hotkey": "//Watcher", "permit": True}))[1]["uid"] == 1


async def test_faults_are_reported_while_they_last() -> None:
    async with running() as chain:
        status, faults = await _ask(f"{chain.admin}/faults", {"stall_blocks": True, "refuse": 30})
        assert (status, faults["stall_blocks"], faults["stall_finality"]) == (200, True, False)
        assert 29 < faults["refuse"] <= 30
        before = (await _ask(f"{chain.admin}/healthz"))[1]["block"]
        await asyncio.sleep(0.2)
        assert (await _ask(f"{chain.admin}/healthz"))[1]["block"] == before


BAD: dict[str, tuple[str, Any, int, str]] = {
    "unknown fault": ("/faults", {"explode": True}, 400, "explode"),
    "bad hotkey": ("/neurons", {"hotkey": "nobody"}, 400, "neither an ss58 address nor a development URI"),
    "bad axon": ("/neurons", {"hotkey": "//A", "axon": "10.0.0.1"}, 400, "no port"),
    "full": ("/neurons", {"hotkey": "//A"}, 400, "subnet 20 is full"),
    "unknown path": ("/nothing", None, 404, "GET /state"),
}


@pytest.mark.parametrize(("path", "body", "status", "message"), BAD.values(), ids=BAD.keys())
async def test_bad_requests_are_explained(path: str, body: Any, status: int, message: str) -> None:
    async with running(world(hyperparameters={"max_allowed_uids": 4})) as chain:
        got, answer = await _ask(chain.admin + path, body)
    assert got == status
    assert message in answer["error"]


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


SEEDS: dict[str, tuple[str, str]] = {
    "misspelt field": ("netuit: 20", "netuit"),
    "same hotkey twice": ("neurons: [{hotkey: //A}, {hotkey: //A}]", "named twice"),
    "more neurons than places": ("{hyperparameters: {max_allowed_uids: 0}, neurons: [{hotkey: //A}]}", "1 neurons"),
    "not YAML": ("{", "neither YAML nor JSON"),
    "long commitment": ("neurons: [{hotkey: //A, commitment: %s}]" % ("é" * 65), "128 bytes"),
}


@pytest.mark.parametrize(("content", "message"), SEEDS.values(), ids=SEEDS.keys())
def test_bad_seeds_name_the_field(content: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "seed.yaml"
    file.write_text(content)
    with pytest.raises(ValueError, match=message):
        seed.load(file)


def test_demo_seed_has_one_validator_and_a_miner_for_every_repository() -> None:
    demo = seed.load(Path(seed.__file__).with_name("demo.yaml"))
    assert [neuron.hotkey for neuron in demo.neurons if neuron.permit] == [address("//Validator")]
    assert [neuron.commitment for neuron in demo.neurons[1:]] == [
        "acme/tiny-fc-1200",
        "blue/tiny-fc-600",
        "coral/tiny-fc-400",
        "delta/tiny-fc-250",
        "echo/tiny-fc-1200-copy",
    ]


def test_process_serves_and_stops_on_sigterm() -> None:
    ports = [_free_port(), _free_port()]
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
            _, log = process.communicate(timeout=10)
        finally:
            process.kill()
    assert process.returncode == 0
    assert "stopped at block" in log


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _until_healthy(url: str) -> None:
    give_up = time.monotonic() + 20
    while True:
        try:
            assert _request(url)[0] == 200
            return
        except OSError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.05)
