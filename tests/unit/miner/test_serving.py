"""The serving process's end, within this process."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from bitagent_local.chain.testing import key
from bitagent_miner import serving
from bitagent_miner.admission import Callers, Rules
from bitagent_miner.endpoint import EndpointSettings
from bitagent_miner.handlers import Names
from bitagent_miner.settings import Settings
from bitagent_wire.addresses import AddressRule
from bitagent_wire.client import ask, open_session
from bitagent_wire.messages import IsAlive, Message, QueryTask
from bitagent_wire.outcomes import Answer, MinerAddress, Outcome


def settings_of(hotkey: Path, model: str, chain: int, port: int, operations: int, **more: Any) -> Settings:
    """Return settings of a miner on loopback; the last numbers are ports."""
    return Settings(
        hotkey_file=hotkey,
        netuid=20,
        endpoints=(f"ws://127.0.0.1:{chain}",),
        model=EndpointSettings(url=model, model="m"),
        names=Names(submitted=None, running="m"),
        rules=Rules(callers=Callers.ANYONE),
        host="127.0.0.1",
        port=port,
        operations_port=operations,
        **more,
    )


async def test_requests_under_way_are_answered_and_no_new_ones_at_the_end(
    openai: Any, hotkey_file: Any, unused_tcp_port_factory: Any
) -> None:
    port, operations, dead = (unused_tcp_port_factory() for _ in range(3))
    asked, answer, stop = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def slow(_request: web.Request) -> web.Response:
        asked.set()
        await answer.wait()
        return web.json_response({"choices": [{"message": {"content": "late"}}]})

    async with openai(answer=slow) as model:
        settings = settings_of(hotkey_file("//Miner"), model.url, dead, port, operations)
        running = asyncio.create_task(serving.run(settings, stop=stop))
        try:
            async with asyncio.timeout(60):
                await _until(running, port, Outcome.ANSWERED)
                # The chain does not answer: alive, and not ready.
                assert [await _status(operations, path) for path in ("healthz", "readyz")] == [200, 503]
                late = asyncio.create_task(_ask(port, QueryTask()))
                await asyncio.wait({asyncio.create_task(asked.wait()), late}, return_when=asyncio.FIRST_COMPLETED)
                stop.set()
                await _until(running, port, Outcome.UNREACHABLE)
                assert not running.done()
                answer.set()
                found = await late
                await running
        finally:
            answer.set()
            stop.set()
            await asyncio.wait({running})
    assert found.outcome is Outcome.ANSWERED
    assert isinstance(found.message, QueryTask)
    assert found.message.response == "late"


async def test_one_address_cannot_take_all_connections(
    openai: Any, hotkey_file: Any, unused_tcp_port_factory: Any
) -> None:
    port, operations, dead = (unused_tcp_port_factory() for _ in range(3))
    stop = asyncio.Event()
    async with openai() as model:
        settings = settings_of(hotkey_file("//Miner"), model.url, dead, port, operations, connections=1)
        running = asyncio.create_task(serving.run(settings, stop=stop))
        try:
            async with asyncio.timeout(60):
                await _until(running, port, Outcome.ANSWERED)
                held = []
                while (await _ask(port, IsAlive())).outcome is not Outcome.RATE_LIMITED:
                    # Refused itself, if the question before it has not quite ended.
                    held.append((await asyncio.open_connection("127.0.0.1", port))[1])
                metrics = await _text(operations, "metrics")
                for each in held:
                    each.close()
                await _until(running, port, Outcome.ANSWERED)
        finally:
            stop.set()
            await asyncio.wait({running})
    found = dict(line.rsplit(" ", 1) for line in metrics.splitlines() if not line.startswith("#"))
    assert float(found["bitagent_miner_connections"]) == 1
    assert float(found["bitagent_miner_refused_connections_total"]) >= 1


async def _until(running: asyncio.Task[None], port: int, outcome: Outcome) -> None:
    while (await _ask(port, IsAlive())).outcome is not outcome:
        if (await asyncio.wait({running}, timeout=0.02))[0]:
            running.result()
            raise AssertionError("the miner ended")


async def _ask(port: int, message: Message) -> Answer[Message]:
    miner = MinerAddress(key("//Miner").ss58_address, "127.0.0.1", port)
    async with open_session() as session:
        return await ask(
            session, signer=key("//Validator"), miner=miner, message=message, timeout_seconds=15, rule=AddressRule.LOCAL
        )


async def _status(port: int, path: str) -> int:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/{path}") as response:
        return response.status


async def _text(port: int, path: str) -> str:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/{path}") as response:
        return await response.text()
