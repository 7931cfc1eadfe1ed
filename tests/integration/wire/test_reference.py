"""The old wire against its reference: our client asks a real Axon of bittensor 10.5, a real Dendrite asks our miner."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import bittensor_core
import pytest
from aiohttp import web
from tests.integration.wire.reference import PEER, ensure_reference

from bitagent_miner.admission import Rules, refusal
from bitagent_miner.chain import Neuron, Subnet
from bitagent_miner.endpoint import Completion
from bitagent_miner.handlers import Handlers, Names
from bitagent_miner.metrics import Metrics
from bitagent_miner.rates import RateLimit
from bitagent_miner.turns import Turns
from bitagent_wire.addresses import AddressRule
from bitagent_wire.client import ask, open_session
from bitagent_wire.messages import (
    ChatMessage,
    GetHFModelName,
    GetHFRunModelName,
    IsAlive,
    Message,
    QueryResult,
    QueryTask,
    Role,
    Tool,
    ToolArgument,
)
from bitagent_wire.outcomes import Answer, MinerAddress, Outcome, Preference, Protocol
from bitagent_wire.server import MessageServer, runner

pytestmark = pytest.mark.integration

TASK = QueryTask(
    messages=[ChatMessage(role=Role.USER, content="Łódź?")],
    tools=[Tool(name="weather", description="w", arguments={"city": ToolArgument(required=True)})],
)


def key(uri: str) -> Any:
    return bittensor_core.Keypair.create_from_uri(uri)


@pytest.fixture(scope="session")
def reference() -> Path:
    """The reference's interpreter."""
    return ensure_reference()


async def _peer(reference: Path, *argv: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        str(reference),
        str(PEER),
        *argv,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )


@pytest.fixture(scope="module")
async def axon(reference: Path, unused_tcp_port_factory: Any) -> AsyncIterator[MinerAddress]:
    """A real Axon."""
    port = unused_tcp_port_factory()
    process = await _peer(reference, "axon", "//Miner", str(port))
    try:
        assert process.stdout is not None
        async with asyncio.timeout(60):
            assert (await process.stdout.readline()).strip() == b"serving"
            while not await _listens(port):  # noqa: ASYNC110 - of another process
                await asyncio.sleep(0.05)
        yield MinerAddress(key("//Miner").ss58_address, "127.0.0.1", port)
    finally:
        process.kill()
        await process.wait()


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionError:
        return False
    writer.close()
    return True


async def asked(miner: MinerAddress, message: Message, *, signer: str = "//Validator") -> Answer[Message]:
    async with open_session() as session:
        return await ask(
            session, signer=key(signer), miner=miner, message=message, timeout_seconds=20, rule=AddressRule.LOCAL
        )


@pytest.mark.parametrize("preference", [Preference.AUTO, Preference.AXON])
@pytest.mark.parametrize(
    ("message", "fields"),
    [
        pytest.param(
            TASK, {"response": "[echo(text='Łódź?', tools=1)]", "hf_run_model_name": "reference/model"}, id="task"
        ),
        pytest.param(QueryResult(results="[b]x[/b]"), {"results": "[b]x[/b]"}, id="required field"),
        pytest.param(IsAlive(), {"response": True}, id="alive"),
        pytest.param(GetHFModelName(), {"hf_model_name": "reference/model"}, id="model"),
    ],
)
async def test_a_real_axon_answers(
    axon: MinerAddress, message: Message, fields: dict[str, Any], preference: Preference
) -> None:
    answer = await asked(MinerAddress(axon.hotkey, axon.host, axon.port, preference), message)
    assert (answer.outcome, answer.protocol, answer.detail) == (Outcome.ANSWERED, Protocol.AXON, "")
    assert answer.message == message.model_copy(update=fields)


@pytest.mark.parametrize(
    ("message", "signer", "hotkey", "outcome"),
    [
        pytest.param(IsAlive(), "//Watcher", "//Miner", Outcome.REFUSED, id="blacklisted"),
        pytest.param(GetHFRunModelName(), "//Validator", "//Miner", Outcome.UNSUPPORTED, id="unknown message"),
        pytest.param(IsAlive(), "//Validator", "//Other", Outcome.UNAUTHORISED, id="another hotkey"),
        pytest.param(QueryTask(), "//Validator", "//Miner", Outcome.FAILED, id="the miner fails"),
    ],
)
async def test_what_a_real_axon_refuses(
    axon: MinerAddress, message: Message, signer: str, hotkey: str, outcome: Outcome
) -> None:
    answer = await asked(MinerAddress(key(hotkey).ss58_address, axon.host, axon.port), message, signer=signer)
    assert (answer.outcome, answer.protocol) == (outcome, Protocol.AXON)


async def test_concurrent_requests_to_a_real_axon(axon: MinerAddress) -> None:
    answers = await asyncio.gather(*(asked(axon, TASK) for _ in range(20)))
    assert {answer.outcome for answer in answers} == {Outcome.ANSWERED}


async def test_only_btauth_asks_no_axon(axon: MinerAddress) -> None:
    answer = await asked(MinerAddress(axon.hotkey, axon.host, axon.port, Preference.BTAUTH), IsAlive())
    assert (answer.outcome, answer.protocol) == (Outcome.UNAUTHORISED, Protocol.BTAUTH)


class Model:
    async def answer(self, task: QueryTask) -> Completion:
        return Completion(f"[echo(text={task.messages[-1].content!r})]")


@asynccontextmanager
async def miner(shown: list[str]) -> AsyncIterator[int]:
    """Run our miner's parts as `serve` does, without a chain."""
    names = ("//Validator", "//Watcher")
    neurons = {
        key(uri).ss58_address: Neuron(uid, key(uri).ss58_address, 100.0, permit=uid == 0, axon=None)
        for uid, uri in enumerate(names)
    }
    subnet = Subnet(20, 1, neurons)
    handlers = Handlers(
        Model(),
        Names(submitted="me/it@main", running="me/running"),
        turns=Turns(parallel=2, waiting=64),
        rate=RateLimit(per_minute=6000, burst=1000),
        timeout_seconds=10.0,
        metrics=Metrics(),
        subnet=lambda: subnet,
        show=shown.append,
    )

    def admit(hotkey: str, _name: str) -> None:
        if (refused := refusal(hotkey, Rules(), subnet)) is not None:
            raise refused

    app = web.Application()
    app.add_routes(MessageServer(key("//Miner"), handlers.by_message(), admit=admit).routes())
    running = runner(app)
    await running.setup()
    await web.TCPSite(running, "127.0.0.1", 0).start()
    try:
        yield int(running.addresses[0][1])
    finally:
        await running.cleanup()


async def dendrite(
    reference: Path, uri: str, port: int, *messages: dict[str, Any], hotkey: str = "//Miner"
) -> list[Any]:
    process = await _peer(reference, "dendrite", uri, "127.0.0.1", str(port), key(hotkey).ss58_address)
    lines = "".join(json.dumps(message) + "\n" for message in messages)
    out, _ = await asyncio.wait_for(process.communicate(lines.encode()), 120)
    return [json.loads(line) for line in out.splitlines() if line.startswith(b"{")]


async def test_a_real_dendrite_asks_our_miner(reference: Path) -> None:
    shown: list[str] = []
    task = {"messages": [{"role": "user", "content": "Łódź?"}], "tools": [{"name": "f", "arguments": {}}]}
    async with miner(shown) as port:
        found = await dendrite(
            reference,
            "//Validator",
            port,
            {"kind": "QueryTask", "fields": task},
            {"kind": "IsAlive"},
            {"kind": "GetHFModelName"},
            {"kind": "QueryResult", "fields": {"results": "[bold]1 of 1[/bold]"}},
            {"kind": "SetHFModelName", "fields": {"hf_model_name": "me/it"}},
            # One uuid for all: requests that arrive out of order are no replays.
            {"kind": "IsAlive", "times": 20},
        )
        refused = await dendrite(reference, "//Watcher", port, {"kind": "IsAlive"})
        misled = await dendrite(reference, "//Validator", port, {"kind": "IsAlive"}, hotkey="//Other")
    assert [each["status"][0] for each in found] == [200] * 25
    assert found[0]["fields"]["response"] == "[echo(text='Łódź?')]"
    assert found[0]["fields"]["hf_run_model_name"] == "me/running"
    assert [found[1]["fields"], found[2]["fields"]] == [{"response": True}, {"hf_model_name": "me/it@main"}]
    assert shown == [f"feedback from {key('//Validator').ss58_address}\n  1 of 1"]
    assert refused[0]["status"][0] == 403
    assert "no validator permit" in refused[0]["status"][1]
    assert misled[0]["status"][0] == 401


async def test_both_show_a_garbled_request_as_no_success(reference: Path, axon: MinerAddress) -> None:
    """A body that is not the message is refused by both, and an Axon shows itself in its answers."""
    async with miner([]) as port, aiohttp.ClientSession() as session:
        for where in (axon.port, port):
            async with session.post(f"http://127.0.0.1:{where}/IsAlive", data=b"{") as response:
                assert response.status == 401
