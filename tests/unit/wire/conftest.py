"""Keys, a server of ours on both wires, and servers that send given bytes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import aiohttp
import bittensor_core
import pytest
from aiohttp import web

from bitagent_wire.client import open_session
from bitagent_wire.messages import GetHFModelName, IsAlive, Message, QueryResult, QueryTask
from bitagent_wire.outcomes import MinerAddress, Preference
from bitagent_wire.server import Call, MessageServer, runner

Serve = Callable[..., AbstractAsyncContextManager[MinerAddress]]
Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def key(uri: str, crypto: int = bittensor_core.CRYPTO_SR25519) -> Any:
    return bittensor_core.Keypair.create_from_uri(uri, crypto)


@pytest.fixture(scope="session")
def keys() -> Callable[..., Any]:
    """Make a key pair of a development URI."""
    return key


@pytest.fixture(scope="session")
def validator() -> Any:
    return key("//Validator")


@pytest.fixture(scope="session")
def miner_key() -> Any:
    return key("//Miner")


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with open_session() as opened:
        yield opened


async def _echo(call: Call) -> Message:
    match call.message:
        case QueryTask() as task:
            said = f"{len(task.messages)} of {call.hotkey[:6]} by {call.protocol}"
            return task.model_copy(update={"response": said, "hf_run_model_name": "me/it"})
        case IsAlive():
            return IsAlive(response=True)
        case GetHFModelName():
            return GetHFModelName(hf_model_name="me/it@main")
        case other:
            return other


HANDLERS = dict.fromkeys((QueryTask, IsAlive, GetHFModelName, QueryResult), _echo)


@pytest.fixture
def serve(miner_key: Any) -> Serve:
    """Serve messages; named arguments are those of MessageServer. The context has the miner's address."""

    @asynccontextmanager
    async def served(*, preference: Preference = Preference.AUTO, **named: Any) -> AsyncIterator[MinerAddress]:
        server = MessageServer(named.pop("signer", miner_key), named.pop("handlers", HANDLERS), **named)
        app = web.Application()
        app.add_routes(server.routes())
        running = runner(app)
        await running.setup()
        site = web.TCPSite(running, "127.0.0.1", 0)
        await site.start()
        try:
            port = running.addresses[0][1]
            yield MinerAddress(miner_key.ss58_address, "127.0.0.1", port, preference)
        finally:
            await running.cleanup()

    return served


@pytest.fixture
def scripted(miner_key: Any) -> Callable[..., AbstractAsyncContextManager[MinerAddress]]:
    """Serve by a function of reader and writer, after the request was read."""

    @asynccontextmanager
    async def served(script: Script, *, preference: Preference = Preference.AUTO) -> AsyncIterator[MinerAddress]:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    int(line.split(b":")[1])
                    for line in head.split(b"\r\n")
                    if line.lower().startswith(b"content-length")
                )
                await reader.readexactly(length)
                await script(reader, writer)
            except (ConnectionError, asyncio.IncompleteReadError):
                pass
            finally:
                writer.close()

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        try:
            port = server.sockets[0].getsockname()[1]
            yield MinerAddress(miner_key.ss58_address, "127.0.0.1", port, preference)
        finally:
            server.close()

    return served
