"""Our client against our server on both wires, and against servers that are hostile."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest

from bitagent_wire import axon, btauth
from bitagent_wire.addresses import AddressRule
from bitagent_wire.client import LARGE_BYTES, MAXIMUM_BYTES, SMALL_BYTES, ask, places
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
from bitagent_wire.outcomes import MinerAddress, Outcome, Preference, Protocol
from bitagent_wire.server import Call, Rejected, Rejection

TASK = QueryTask(
    messages=[ChatMessage(role=Role.USER, content="What is the weather in Łódź?")],
    tools=[Tool(name="weather", description="", arguments={"city": ToolArgument(required=True)})],
)
Scripted = Callable[..., Any]


async def asked(session: aiohttp.ClientSession, signer: Any, miner: MinerAddress, message: Message = TASK, **more: Any):
    named = {"timeout_seconds": 5.0, "rule": AddressRule.LOCAL} | more
    return await ask(session, signer=signer, miner=miner, message=message, **named)


def reply(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@pytest.mark.parametrize(
    ("preference", "protocol", "signed"),
    [
        pytest.param(Preference.AUTO, Protocol.BTAUTH, True, id="auto"),
        pytest.param(Preference.BTAUTH, Protocol.BTAUTH, True, id="btauth"),
        pytest.param(Preference.AXON, Protocol.AXON, False, id="axon"),
    ],
)
@pytest.mark.parametrize(
    ("message", "found"),
    [
        pytest.param(TASK, {"response": "1 of 5"}, id="task"),
        pytest.param(IsAlive(), {"response": True}, id="alive"),
        pytest.param(GetHFModelName(), {"hf_model_name": "me/it@main"}, id="model"),
        pytest.param(QueryResult(results="[bold]1[/bold]"), {"results": "[bold]1[/bold]"}, id="result"),
    ],
)
async def test_answers_on_both_wires(
    session: Any,
    validator: Any,
    serve: Any,
    message: Message,
    found: dict[str, Any],
    preference: Preference,
    protocol: Protocol,
    signed: bool,
) -> None:
    async with serve(preference=preference) as miner:
        answer = await asked(session, validator, miner, message)
    assert (answer.outcome, answer.protocol, answer.signed) == (Outcome.ANSWERED, protocol, signed)
    assert answer.message is not None
    for field, value in found.items():
        got = getattr(answer.message, field)
        assert got.startswith(value) if isinstance(value, str) else got == value
    assert answer.message.fields() | found.__class__() == answer.message.fields()


async def test_the_question_is_what_was_sent_whatever_is_repeated(
    session: Any, validator: Any, scripted: Scripted
) -> None:
    body = json.dumps({"response": "f()", "messages": [], "tools": [1], "hf_run_model_name": None}).encode()

    async def script(_reader: Any, writer: Any) -> None:
        writer.write(reply(body))

    async with scripted(script) as miner:
        answer = await asked(session, validator, miner)
    assert answer.message == TASK.model_copy(update={"response": "f()", "hf_run_model_name": None})


async def test_ed25519_hotkeys_speak_btauth_only(session: Any, keys: Any, serve: Any) -> None:
    signer = keys("//Validator", 0)
    async with serve() as miner:
        modern = await asked(session, signer, miner)
        old = await asked(session, signer, MinerAddress(miner.hotkey, miner.host, miner.port, Preference.AXON))
    assert (modern.outcome, modern.signed) == (Outcome.ANSWERED, True)
    assert (old.outcome, old.protocol) == (Outcome.UNSUITED_KEY, None)


def old_axon(status: int = 401) -> bytes:
    return reply(b'{"message": "Not Verified"}', f"{axon.STATUS_CODE}: {status}", status=f"{status} X")


@pytest.mark.parametrize(
    ("preference", "headers", "requests", "outcome"),
    [
        pytest.param(Preference.AUTO, (f"{axon.STATUS_CODE}: 401",), 2, Outcome.ANSWERED, id="an old axon"),
        pytest.param(Preference.AUTO, (), 1, Outcome.UNAUTHORISED, id="401 of another server"),
        pytest.param(Preference.BTAUTH, (f"{axon.STATUS_CODE}: 401",), 1, Outcome.UNAUTHORISED, id="btauth only"),
    ],
)
async def test_falls_back_only_where_an_axon_shows_itself(
    session: Any,
    validator: Any,
    scripted: Scripted,
    preference: Preference,
    headers: tuple[str, ...],
    requests: int,
    outcome: Outcome,
) -> None:
    seen = 0

    async def script(_reader: Any, writer: Any) -> None:
        nonlocal seen
        seen += 1
        first = reply(b'{"message": "Not Verified"}', *headers, status="401 Unauthorized")
        writer.write(first if seen == 1 else reply(b'{"response": "f()"}'))

    async with scripted(script, preference=preference) as miner:
        answer = await asked(session, validator, miner)
    assert (answer.outcome, seen) == (outcome, requests)


REJECTIONS = [
    pytest.param(Rejection.BLACKLISTED, Outcome.REFUSED, id="blacklisted"),
    pytest.param(Rejection.RATE_LIMITED, Outcome.RATE_LIMITED, id="rate"),
    pytest.param(Rejection.BUSY, Outcome.BUSY, id="busy"),
    pytest.param(Rejection.TIMEOUT, Outcome.BUSY, id="the miner's own time limit"),
    pytest.param(Rejection.FAILED, Outcome.FAILED, id="failed"),
]


@pytest.mark.parametrize("preference", [Preference.BTAUTH, Preference.AXON])
@pytest.mark.parametrize(("rejection", "outcome"), REJECTIONS)
async def test_rejections_keep_the_miners_words(
    session: Any, validator: Any, serve: Any, rejection: Rejection, outcome: Outcome, preference: Preference
) -> None:
    async def handler(_call: Call) -> Message:
        raise Rejected(rejection, "not\r\nyou \x1b[31m\u202e" + "x" * 500)

    async with serve(preference=preference, handlers={QueryTask: handler}) as miner:
        answer = await asked(session, validator, miner)
    assert answer.outcome is outcome
    assert "not" in answer.detail
    assert answer.detail.isprintable()
    assert len(answer.detail) <= 200


def chunks(number: int, *, pause: float) -> Any:
    async def script(_reader: Any, writer: Any) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(number):
            writer.write(b"1\r\n \r\n" if pause else b"10000\r\n" + b" " * 65536 + b"\r\n")
            await writer.drain()
            if pause:
                await asyncio.sleep(pause)

    return script


def sends(content: bytes) -> Any:
    async def script(_reader: Any, writer: Any) -> None:
        writer.write(content)
        await writer.drain()

    return script


def holds(content: bytes) -> Any:
    async def script(reader: Any, writer: Any) -> None:
        writer.write(content)
        await writer.drain()
        await reader.read()  # until the caller leaves

    return script


def endless_headers() -> Any:
    async def script(_reader: Any, writer: Any) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            writer.write(b"".join(b"h%d: x\r\n" % i for i in range(1000)))
            await writer.drain()

    return script


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def endless(head: bytes, piece: bytes) -> Any:
    async def script(_reader: Any, writer: Any) -> None:
        writer.write(head)
        while True:
            writer.write(piece)
            await writer.drain()

    return script


MIB = 1024 * 1024
CHUNKED_GZIP = CHUNKED[:-2] + b"Content-Encoding: gzip\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


LARGE = json.dumps({"response": "x" * MIB * 2}).encode()
HOSTILE = [
    pytest.param(sends(reply(b" " * 20 * MIB)), Outcome.TOO_LARGE, id="20 MB"),
    pytest.param(chunks(400, pause=0), Outcome.TOO_LARGE, id="25 MB in chunks"),
    pytest.param(sends(reply(LARGE)), Outcome.TOO_LARGE, id="a text of 2 MB"),
    pytest.param(chunks(10**6, pause=0.05), Outcome.TIMEOUT, id="slow drip"),
    pytest.param(endless_headers(), Outcome.BROKEN, id="endless headers"),
    pytest.param(endless(CHUNKED + b"0\r\n", b"t: x\r\n" * 1000), Outcome.BROKEN, id="endless trailers"),
    pytest.param(endless(CHUNKED + b"1;", b"a" * 65536), Outcome.TIMEOUT, id="endless chunk extension"),
    pytest.param(endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100), Outcome.TIMEOUT, id="endless 1xx"),
    pytest.param(
        sends(reply(gzip.compress(b"0" * 50 * MIB), "Content-Encoding: gzip")), Outcome.TOO_LARGE, id="gzip bomb"
    ),
    pytest.param(
        endless(CHUNKED_GZIP + chunk(gzip.compress(b'{"response": ""}')), chunk(b"0" * MIB)),
        Outcome.TOO_LARGE,
        id="endless data after gzip",
    ),
    pytest.param(
        endless(CHUNKED_GZIP + chunk(gzip.compress(b"")[:10]), chunk(b"\x00\x00\x00\xff\xff" * 50_000)),
        Outcome.TOO_LARGE,
        id="endless gzip of nothing",
    ),
    pytest.param(sends(reply(b"{}", "Content-Encoding: gzip")), Outcome.WRONG_TYPE, id="no gzip"),
    pytest.param(sends(reply(b"{}", "Content-Encoding: br")), Outcome.WRONG_TYPE, id="brotli"),
    pytest.param(
        sends(reply(b"", "Location: http://127.0.0.1:1/", status="302 Found")), Outcome.REDIRECTED, id="redirect"
    ),
    pytest.param(sends(reply(b"<html>")), Outcome.WRONG_TYPE, id="html"),
    pytest.param(sends(reply(b"{}")), Outcome.WRONG_TYPE, id="no response"),
    pytest.param(sends(reply(b'{"response": 5}')), Outcome.WRONG_TYPE, id="a number"),
    pytest.param(sends(reply(b'{"response": {"a": 1}}')), Outcome.WRONG_TYPE, id="an object"),
    pytest.param(sends(reply(b"[" * 100_000)), Outcome.WRONG_TYPE, id="nested"),
    pytest.param(sends(reply(b'{"response": "\\ud800"}')), Outcome.WRONG_TYPE, id="half a character"),
    pytest.param(sends(b"SSH-2.0-OpenSSH_9.2\r\n"), Outcome.BROKEN, id="not HTTP"),
    pytest.param(sends(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"), Outcome.UNREACHABLE, id="half an answer"),
    pytest.param(sends(b""), Outcome.UNREACHABLE, id="closed"),
    pytest.param(sends(reply(b"x" * 20 * MIB, status="500 Oops")), Outcome.FAILED, id="20 MB of an error"),
    pytest.param(
        sends(reply(b'{"response": "f()"}', f"{btauth.ANSWER_SIGNATURE}: 0x{'00' * 64}")),
        Outcome.BAD_SIGNATURE,
        id="bad signature",
    ),
    pytest.param(
        sends(reply(b'{"response": "f()"}', f"{btauth.ANSWER_SIGNATURE}: 0x12")),
        Outcome.BAD_SIGNATURE,
        id="no signature",
    ),
]


@pytest.mark.parametrize("preference", [Preference.AUTO, Preference.AXON])
@pytest.mark.parametrize(("script", "outcome"), HOSTILE)
async def test_hostile_servers_cost_an_outcome(
    session: Any, validator: Any, scripted: Scripted, script: Any, outcome: Outcome, preference: Preference
) -> None:
    if outcome is Outcome.BAD_SIGNATURE and preference is Preference.AXON:
        outcome = Outcome.ANSWERED  # the old wire's answers are not signed
    seconds = 0.5 if outcome is Outcome.TIMEOUT else 20.0
    async with scripted(script, preference=preference) as miner:
        answer = await asked(session, validator, miner, timeout_seconds=seconds)
    assert answer.outcome is outcome
    assert (answer.message is None) == (outcome is not Outcome.ANSWERED)
    assert answer.bytes_read <= 4 * MIB + 65_536
    assert bool(answer.detail) == (outcome is not Outcome.ANSWERED)
    assert answer.detail.isprintable()


async def test_miners_that_act_together_do_not_fill_the_memory(
    session: Any, validator: Any, serve: Any, scripted: Scripted
) -> None:
    """As many large answers as have a place are read on; of the others the beginning, and small ones as ever."""
    large, free = places(MAXIMUM_BYTES), LARGE_BYTES // MAXIMUM_BYTES
    # Almost as much as is taken, and then nothing more: each keeps what it has until its time is over.
    hostile = holds(b"HTTP/1.1 200 OK\r\nContent-Length: 8000000\r\n\r\n" + b" " * (MAXIMUM_BYTES - 1))
    async with AsyncExitStack() as stack:
        miners = [await stack.enter_async_context(scripted(hostile)) for _ in range(free + 3)]
        good = await stack.enter_async_context(serve())
        first = asyncio.gather(
            *(asked(session, validator, each, timeout_seconds=60.0, large=large) for each in miners[:free])
        )
        async with asyncio.timeout(30):
            while not large.locked():  # noqa: ASYNC110 - of four calls
                await asyncio.sleep(0.01)
        answers = await asyncio.gather(
            *(asked(session, validator, each, timeout_seconds=1.0, large=large) for each in miners[free:]),
            asked(session, validator, good, message=IsAlive(), timeout_seconds=30.0, large=large),
        )
        first.cancel()
        await asyncio.wait({first})
    assert [each.outcome for each in answers] == [Outcome.TIMEOUT] * 3 + [Outcome.ANSWERED]
    assert max(each.bytes_read for each in answers) <= SMALL_BYTES + 65_536
    assert large._value == free, "each place is given back"


async def test_an_answer_of_1_mb_is_an_answer(session: Any, validator: Any, scripted: Scripted) -> None:
    body = json.dumps({"response": "x" * 1_000_000}).encode()
    async with scripted(sends(reply(body))) as miner:
        whole = await asked(session, validator, miner)
        capped = await asked(session, validator, miner, maximum_bytes=500_000)
    assert whole.message is not None
    assert (len(whole.message.response), capped.outcome) == (1_000_000, Outcome.TOO_LARGE)


async def test_half_an_answer_is_limited_in_all(session: Any, validator: Any, scripted: Scripted) -> None:
    """The time limit is for both requests of a fall-back together."""

    async def script(_reader: Any, writer: Any) -> None:
        await asyncio.sleep(0.8)
        writer.write(old_axon())

    async with scripted(script) as miner:
        answer = await asked(session, validator, miner, timeout_seconds=1.5)
    assert (answer.outcome, answer.protocol) == (Outcome.TIMEOUT, Protocol.AXON)


async def test_an_answer_to_another_request_is_replayed(
    session: Any, validator: Any, scripted: Scripted, miner_key: Any
) -> None:
    body = b'{"response": "f()"}'
    signed = btauth.answer_headers(miner_key, status=200, body=body, nonce=7, caller=validator.ss58_address)
    lines = [f"{name}: {value}" for name, value in signed.items()]
    async with scripted(sends(reply(body, *lines))) as miner:
        modern = await asked(session, validator, miner)
    async with scripted(sends(reply(body, f"{axon.DENDRITE}nonce: 7")), preference=Preference.AXON) as miner:
        old = await asked(session, validator, miner)
    without = [line for line in lines if not line.startswith(btauth.NONCE)]
    async with scripted(sends(reply(body, *without))) as miner:
        hidden = await asked(session, validator, miner)
    assert [modern.outcome, old.outcome] == [Outcome.REPLAYED, Outcome.REPLAYED]
    assert hidden.outcome is Outcome.BAD_SIGNATURE


async def test_an_answer_signed_by_another_hotkey_is_refused(
    session: Any, validator: Any, serve: Any, keys: Any
) -> None:
    async with serve() as miner:
        other = MinerAddress(keys("//Other").ss58_address, miner.host, miner.port)
        answer = await asked(session, validator, other)
    # Its request is for another receiver, and the answer that says so is signed by the wrong hotkey.
    assert answer.outcome is Outcome.BAD_SIGNATURE


@pytest.mark.parametrize(
    ("host", "port", "outcome"),
    [
        pytest.param("127.0.0.1", 8091, Outcome.ADDRESS_REFUSED, id="loopback"),
        pytest.param("169.254.169.254", 80, Outcome.ADDRESS_REFUSED, id="metadata"),
        pytest.param("localhost", 8091, Outcome.ADDRESS_REFUSED, id="a name of loopback"),
        pytest.param("8.8.8.8", 0, Outcome.ADDRESS_REFUSED, id="port 0"),
        pytest.param("no.such.host.invalid", 80, Outcome.UNREACHABLE, id="no such name"),
        pytest.param("\udcff", 80, Outcome.ADDRESS_REFUSED, id="no name at all"),
    ],
)
async def test_addresses_that_are_not_asked(
    session: Any, validator: Any, host: str, port: int, outcome: Outcome
) -> None:
    miner = MinerAddress(validator.ss58_address, host, port)
    answer = await asked(session, validator, miner, IsAlive(), rule=AddressRule.PUBLIC)
    assert (answer.outcome, answer.protocol) == (outcome, None)


async def test_a_closed_port_is_unreachable(session: Any, validator: Any, unused_tcp_port: int) -> None:
    miner = MinerAddress(validator.ss58_address, "127.0.0.1", unused_tcp_port)
    assert (await asked(session, validator, miner)).outcome is Outcome.UNREACHABLE


async def test_an_unknown_message_is_unsupported(session: Any, validator: Any, serve: Any) -> None:
    async with serve() as miner:
        modern = await asked(session, validator, miner, GetHFRunModelName())
        old = await asked(
            session,
            validator,
            MinerAddress(miner.hotkey, miner.host, miner.port, Preference.AXON),
            GetHFRunModelName(),
        )
    assert [modern.outcome, old.outcome] == [Outcome.UNSUPPORTED, Outcome.UNSUPPORTED]


async def test_each_call_has_its_own_nonce_and_concurrent_ones_pass(session: Any, validator: Any, serve: Any) -> None:
    async with serve() as miner, serve(preference=Preference.AXON) as old:
        answers = await asyncio.gather(*(asked(session, validator, each, IsAlive()) for each in [miner, old] * 20))
    assert {answer.outcome for answer in answers} == {Outcome.ANSWERED}


async def test_a_cancelled_call_ends_at_once(session: Any, validator: Any, scripted: Scripted) -> None:
    async with scripted(chunks(10**6, pause=0.05)) as miner:
        task = asyncio.create_task(asked(session, validator, miner, timeout_seconds=60.0))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 60)
