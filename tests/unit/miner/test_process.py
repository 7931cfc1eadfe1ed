"""The miner as a process: it registers its address on the chain, another process finds it there and asks it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from typing import Any

import aiohttp
import pytest

from bitagent_local.chain.keys import address
from bitagent_local.chain.testing import running
from bitagent_miner.main import main

MINER = address("//Other")


async def command(*argv: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bitagent_miner.main",
        *argv,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "BITAGENT_MINER_REFRESH": "0.3"},
    )


async def asked(*argv: str) -> tuple[int, Any]:
    process = await command("ask", *argv)
    out, err = await process.communicate()
    assert out, err.decode()
    return process.returncode or 0, json.loads(out)


async def test_serve_registers_and_answers_until_sigterm(
    openai: Any, hotkey_file: Any, unused_tcp_port_factory: Any
) -> None:
    port, operations = unused_tcp_port_factory(), unused_tcp_port_factory()
    chained = ("--netuid", "20", "--hotkey-file")
    async with running() as chain, openai() as model:
        node = ("--chain-endpoint", chain.endpoint)
        serve = await command(
            "serve",
            *chained,
            str(hotkey_file("//Other")),
            *node,
            *("--model-url", model.url, "--model", "m", "--submit", "me/it", "--listen-port", str(port)),
            # The chain refuses 127.0.0.1 itself.
            *("--announce", f"127.0.0.2:{port}", "--operations-port", str(operations)),
        )
        try:
            async with asyncio.timeout(120), aiohttp.ClientSession() as session:
                while await _metric(session, operations, "bitagent_miner_announced") != 1:  # noqa: ASYNC110 - of a process
                    await asyncio.sleep(0.05)
                ready = await session.get(f"http://127.0.0.1:{operations}/readyz")
                assert ready.status == 200
            validator = (*chained, str(hotkey_file("//Validator")), *node, "--local")
            watcher = (*chained, str(hotkey_file("//Watcher")), *node, "--local")
            found = await asyncio.gather(
                asked("uid", "3", *validator),
                asked("uid", "3", *validator, "--wire", "Axon"),
                asked("uid", "3", *validator, "--message", "GetHFModelName"),
                asked("uid", "3", *watcher, "--message", "IsAlive"),
                asked("uid", "3", *validator, "--message", "QueryResult", "--body", '{"results": "[b]well done[/b]"}'),
            )
            async with aiohttp.ClientSession() as session:
                answered = await _metric(
                    session, operations, 'requests_total{message="QueryTask",result="Answered",wire="axon"}'
                )
        finally:
            serve.send_signal(signal.SIGTERM)
            out, err = await asyncio.wait_for(serve.communicate(), 60)
    assert serve.returncode == 0, err.decode()
    task, old, name, refused, feedback = found
    assert task == (0, {**task[1], "outcome": "Answered", "wire": "btauth/1", "signed": True})
    assert task[1]["answer"] == {"response": '[weather(city="Lisbon")]', "hf_run_model_name": "m"}
    assert (old[1]["outcome"], old[1]["wire"], old[1]["answer"]) == ("Answered", "axon", task[1]["answer"])
    assert name[1]["answer"] == {"hf_model_name": "me/it"}
    assert (refused[0], refused[1]["outcome"]) == (1, "Refused")
    assert feedback[0] == 0
    assert out.decode() == f"feedback from {address('//Validator')}\n  well done\n"
    assert answered == 1


async def _metric(session: aiohttp.ClientSession, port: int, name: str) -> float | None:
    try:
        async with session.get(f"http://127.0.0.1:{port}/metrics") as response:
            lines = (await response.text()).splitlines()
    except aiohttp.ClientConnectionError:
        return None
    return next((float(line.rpartition(" ")[2]) for line in lines if name in line and not line.startswith("#")), None)


def test_mistakes_end_in_one_line(capsys: Any, tmp_path: Any) -> None:
    missing = ["--hotkey-file", str(tmp_path / "none")]
    assert main(["serve", *missing]) == 2
    assert main(["serve", *missing, "--model-url", "http://x/v1", "--model", "m"]) == 1
    assert main(["commit", "no-name", *missing]) == 1
    assert main(["show", "--hotkey", "x"]) == 2
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("miner", "said"),
    [
        pytest.param(["17"], "'17' is neither ADDRESS:PORT nor uid N", id="a uid without its word"),
        pytest.param(["uid"], "'uid' is neither ADDRESS:PORT nor uid N", id="no number"),
        pytest.param(["uid", "x"], "'uid x' is neither ADDRESS:PORT nor uid N", id="not a number"),
        pytest.param(["10.0.0.1:1"], "--miner-hotkey", id="an address without its hotkey"),
        pytest.param(["10.0.0.1:1", "--body", "@/none"], "--body @/none", id="no such body"),
    ],
)
def test_whom_and_what_to_ask(miner: list[str], said: str, capsys: Any, hotkey_file: Any) -> None:
    assert main(["ask", *miner, "--hotkey-file", str(hotkey_file("//Other"))]) == 2
    assert said in capsys.readouterr().err


def test_a_private_address_names_the_option_that_allows_it(capsys: Any, hotkey_file: Any) -> None:
    argv = ["ask", "127.0.0.1:1", "--miner-hotkey", MINER, "--hotkey-file", str(hotkey_file("//Other"))]
    assert main(argv) == 1
    out, err = capsys.readouterr()
    assert json.loads(out)["outcome"] == "AddressRefused"
    assert "--local" in err
    assert main([*argv, "--local", "--timeout", "2"]) == 1
    assert "--local" not in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--listen-port", "--operations-port"])
def test_a_port_in_use_names_its_option(
    option: str, capsys: Any, hotkey_file: Any, unused_tcp_port_factory: Any
) -> None:
    ports = {"--listen-port": unused_tcp_port_factory(), "--operations-port": unused_tcp_port_factory()}
    with socket.create_server(("0.0.0.0", ports[option])):
        argv = ["serve", "--model-url", "http://127.0.0.1:1/v1", "--model", "m", "--chain-endpoint", "ws://127.0.0.1:1"]
        given = [str(each) for pair in ports.items() for each in pair]
        assert main([*argv, *given, "--hotkey-file", str(hotkey_file("//Other"))]) == 1
    assert f"bitagent-miner: {option}: " in capsys.readouterr().err
