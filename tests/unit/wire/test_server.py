"""Requests that our server refuses, on both wires, and what it remembers. Answers are in test_client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from bitagent_wire import axon, btauth
from bitagent_wire.messages import IsAlive, Message, QueryTask
from bitagent_wire.outcomes import MinerAddress, Protocol
from bitagent_wire.replays import ReplayMemory
from bitagent_wire.server import Call, Rejected, Rejection, Served, runner

NOW = 1_800_000_000 * 10**9
TASK = b'{"messages": [{"role": "user", "content": "q"}]}'
Post = Callable[..., Any]


def modern(signer: Any, receiver: str, *, name: str = "QueryTask", body: bytes = TASK, nonce: int = NOW) -> Any:
    return btauth.headers(signer, method="POST", target=f"/{name}", body=body, receiver=receiver, nonce=nonce)


def old(signer: Any, receiver: str, *, name: str = "QueryTask", nonce: int = NOW, uuid: str = "u", **_rest: Any) -> Any:
    named: dict[str, Any] = {"fields": {}, "required": (), "host": "h", "port": 1, "timeout_seconds": 5}
    return axon.request(signer, name=name, receiver=receiver, nonce=nonce, uuid=uuid, **named)[0]


WIRES = pytest.mark.parametrize("sign", [modern, old], ids=["btauth", "axon"])


async def post(
    session: aiohttp.ClientSession, miner: MinerAddress, headers: Any, body: bytes = TASK, name: str = "QueryTask"
) -> tuple[int, dict[str, Any], Any]:
    url = f"http://127.0.0.1:{miner.port}/{name}"
    async with session.post(url, data=body, headers=headers) as response:
        return response.status, dict(response.headers), json.loads(await response.read() or b"null")


@WIRES
async def test_a_request_is_answered_once(session: Any, validator: Any, serve: Any, sign: Any) -> None:
    served: list[Served] = []
    async with serve(clock=lambda: NOW, observe=served.append) as miner:
        headers = sign(validator, miner.hotkey)
        statuses = [(await post(session, miner, headers))[0] for _ in range(2)]
        again = (await post(session, miner, sign(validator, miner.hotkey, nonce=NOW - 1)))[0]
    assert (statuses, again) == ([200, 401], 200)
    assert [each.rejection for each in served] == [None, Rejection.UNAUTHORISED, None]
    assert {each.hotkey for each in served} == {validator.ss58_address}


async def test_a_longer_time_limit_makes_no_old_request_new(session: Any, validator: Any, serve: Any) -> None:
    """The time limit decides how old a request may be, and on the old wire it is not signed."""
    now = [NOW]
    async with serve(clock=lambda: now[0]) as miner:
        headers = old(validator, miner.hotkey)
        assert (await post(session, miner, headers))[0] == 200
        for seconds in (20, 60):
            now[0] = NOW + seconds * 10**9
            assert (await post(session, miner, headers | {"timeout": "60"}))[0] == 401
            assert (await post(session, miner, old(validator, miner.hotkey, nonce=now[0])))[0] == 200


@WIRES
async def test_an_unverified_request_uses_no_nonce(
    session: Any, validator: Any, keys: Any, serve: Any, sign: Any
) -> None:
    memory = ReplayMemory()
    async with serve(clock=lambda: NOW, replays=memory) as miner:
        forged = sign(keys("//Other"), miner.hotkey)
        for header in (btauth.HOTKEY, f"{axon.DENDRITE}hotkey"):
            if header in forged:
                forged[header] = validator.ss58_address
        status = (await post(session, miner, forged))[0]
    assert (status, len(memory)) == (401, 0)


@WIRES
@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(b'{"messages": 5}', 422, id="wrong type"),
        pytest.param(b"<html>", 422, id="not JSON"),
        pytest.param(b"", 422, id="empty"),
        pytest.param(b" " * 2000, 413, id="too large"),
        pytest.param(b'{"messages":[{"role":"x\\r\\nSet-Cookie: a","content":""}]}', 422, id="line breaks"),
    ],
)
async def test_bodies(session: Any, validator: Any, serve: Any, sign: Any, body: bytes, status: int) -> None:
    async with serve(clock=lambda: NOW, maximum_bytes=1000) as miner:
        found, headers, content = await post(session, miner, sign(validator, miner.hotkey, body=body), body)
    assert found == status
    assert "Set-Cookie" not in headers
    assert headers.get(axon.STATUS_CODE, str(status)) == str(status)
    assert content["message" if sign is old else "error"]


@WIRES
@pytest.mark.parametrize(
    ("changes", "status"),
    [
        pytest.param({"nonce": NOW - 3600 * 10**9}, 401, id="stale"),
        pytest.param({"nonce": NOW + 3600 * 10**9}, 401, id="ahead"),
        pytest.param({"name": "NoSuchMessage"}, 404, id="unknown"),
    ],
)
async def test_headers(
    session: Any, validator: Any, serve: Any, sign: Any, changes: dict[str, Any], status: int
) -> None:
    async with serve(clock=lambda: NOW) as miner:
        headers = sign(validator, miner.hotkey, **changes)
        found = await post(session, miner, headers, name=changes.get("name", "QueryTask"))
    assert found[0] == status


async def test_a_request_for_another_hotkey_is_refused(session: Any, validator: Any, serve: Any, keys: Any) -> None:
    other = keys("//Other").ss58_address
    async with serve(clock=lambda: NOW) as miner:
        assert [(await post(session, miner, sign(validator, other)))[0] for sign in (modern, old)] == [401, 401]


async def test_a_request_without_signature_is_refused(session: Any, serve: Any) -> None:
    served: list[Served] = []
    async with serve(observe=served.append) as miner:
        status, headers, content = await post(session, miner, {})
    assert (status, content["error"]["reason"]) == (401, "Unauthorised")
    assert axon.STATUS_CODE not in headers
    assert served[0].protocol is None


@WIRES
async def test_who_is_not_admitted_costs_no_verification(session: Any, validator: Any, serve: Any, sign: Any) -> None:
    def admit(hotkey: str, name: str) -> None:
        raise Rejected(Rejection.BLACKLISTED, f"{hotkey} may not send {name}")

    async with serve(admit=admit) as miner:
        status, _, content = await post(session, miner, sign(validator, miner.hotkey))
    assert status == 403
    assert validator.ss58_address in str(content)


@WIRES
async def test_a_handler_that_fails_is_an_answer_500(session: Any, validator: Any, serve: Any, sign: Any) -> None:
    async def broken(_call: Call) -> Message:
        raise RuntimeError("a secret of this machine")

    async with serve(clock=lambda: NOW, handlers={QueryTask: broken}) as miner:
        status, _, content = await post(session, miner, sign(validator, miner.hotkey))
    assert status == 500
    assert "secret" not in str(content)


async def test_encoded_bodies_are_refused(session: Any, validator: Any, serve: Any) -> None:
    async with serve(clock=lambda: NOW) as miner:
        headers = modern(validator, miner.hotkey) | {"Content-Encoding": "gzip"}
        assert (await post(session, miner, headers))[0] == 415


async def test_a_slow_body_is_refused(validator: Any, serve: Any) -> None:
    async with serve(clock=lambda: NOW, body_seconds=0.1) as miner:
        reader, writer = await asyncio.open_connection("127.0.0.1", miner.port)
        headers = modern(validator, miner.hotkey) | {"Host": "x", "Content-Length": "100"}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(f"POST /QueryTask HTTP/1.1\r\n{lines}\r\n".encode() + b"{")
        assert (await asyncio.wait_for(reader.readline(), 60)).startswith(b"HTTP/1.1 408")
        writer.close()


async def test_bodies_that_arrive_at_once_are_bounded_together(session: Any, validator: Any, serve: Any) -> None:
    async with serve(clock=lambda: NOW, body_seconds=600.0, small_bytes=0, buffered_bytes=1000) as miner:
        _, writer = await asyncio.open_connection("127.0.0.1", miner.port)
        headers = modern(validator, miner.hotkey) | {"Host": "x", "Content-Length": "1000"}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(f"POST /QueryTask HTTP/1.1\r\n{lines}\r\n".encode() + b" " * 990)
        await writer.drain()
        found = []
        async with asyncio.timeout(60):
            while 503 not in found:
                found.append((await post(session, miner, modern(validator, miner.hotkey, nonce=NOW - len(found))))[0])
        writer.close()
        await writer.wait_closed()
        async with asyncio.timeout(60):
            while found[-1] != 200:
                found.append((await post(session, miner, modern(validator, miner.hotkey, nonce=NOW - len(found))))[0])


async def test_small_bodies_are_answered_while_large_ones_hold_the_room(
    session: Any, validator: Any, serve: Any
) -> None:
    """Anyone may claim a validator's hotkey until the whole body is there; the validator itself is answered."""
    async with serve(clock=lambda: NOW, body_seconds=600.0, small_bytes=100, buffered_bytes=1000) as miner:
        headers = modern(validator, miner.hotkey) | {"Host": "x", "Content-Length": "2000"}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        _, writer = await asyncio.open_connection("127.0.0.1", miner.port)
        writer.write(f"POST /QueryTask HTTP/1.1\r\n{lines}\r\n".encode() + b" " * 1100)
        await writer.drain()
        large, found = b" " * 200 + b"{}", []
        async with asyncio.timeout(60):
            while 503 not in found:
                own = modern(validator, miner.hotkey, nonce=NOW - len(found), body=large)
                found.append((await post(session, miner, own, large))[0])
        own = modern(validator, miner.hotkey, nonce=NOW - 100 - len(found))
        assert (await post(session, miner, own))[0] == 200
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("drip", [False, True], ids=["silent", "one header after the other"])
async def test_a_connection_without_a_request_is_closed(drip: bool) -> None:
    running = runner(web.Application(), idle_seconds=0.2)
    await running.setup()
    await web.TCPSite(running, "127.0.0.1", 0).start()

    async def write(writer: asyncio.StreamWriter) -> None:
        writer.write(b"POST /IsAlive HTTP/1.1\r\n")
        while drip:
            writer.write(b"a: b\r\n")
            await asyncio.sleep(0.05)

    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.addresses[0][1])
        writing = asyncio.create_task(write(writer))
        assert await asyncio.wait_for(reader.read(), 60) == b""
        writing.cancel()
        writer.close()
    finally:
        await running.cleanup()


async def test_a_full_memory_refuses(session: Any, validator: Any, serve: Any) -> None:
    async with serve(clock=lambda: NOW, replays=ReplayMemory(per_hotkey=1)) as miner:
        found = [(await post(session, miner, modern(validator, miner.hotkey, nonce=NOW - n)))[0] for n in range(2)]
    assert found == [200, 429]


@pytest.mark.parametrize(("sign", "protocol", "seconds"), [(modern, Protocol.BTAUTH, None), (old, Protocol.AXON, 5.0)])
async def test_a_handler_gets_who_asks_and_how(
    session: Any, validator: Any, serve: Any, sign: Any, protocol: Protocol, seconds: float | None
) -> None:
    calls: list[Call] = []

    async def handler(call: Call) -> Message:
        calls.append(call)
        return IsAlive(response=True)

    async with serve(clock=lambda: NOW, handlers={IsAlive: handler}) as miner:
        body = b"{}"
        await post(session, miner, sign(validator, miner.hotkey, name="IsAlive", body=body), body, "IsAlive")
    assert calls == [Call(IsAlive(), validator.ss58_address, protocol, seconds)]


async def test_an_answer_goes_out_on_the_wire_of_its_request(session: Any, validator: Any, serve: Any) -> None:
    async with serve(clock=lambda: NOW) as miner:
        _, by_btauth, short = await post(session, miner, modern(validator, miner.hotkey))
        _, by_axon, whole = await post(session, miner, old(validator, miner.hotkey))
    assert btauth.ANSWER_SIGNATURE in by_btauth
    assert axon.STATUS_CODE not in by_btauth
    assert set(short) == {"response", "hf_run_model_name"}
    assert by_axon[axon.STATUS_CODE] == "200"
    assert whole["messages"][0]["content"] == "q"
    assert whole["dendrite"] == {"hotkey": validator.ss58_address, "nonce": NOW, "uuid": "u"}
