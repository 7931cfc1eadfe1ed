"""Whatever is received: no function of the wire raises anything but its own errors, and the server answers."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitagent_wire import axon, btauth
from bitagent_wire.auth import AuthError
from bitagent_wire.messages import MESSAGES, IsAlive, Message, Misread, QueryResult, QueryTask, answered, read
from bitagent_wire.outcomes import words

HOTKEY = "5CnxbRk7DKntFz5E8za9NxFmP253fShWWBj3xf5C8L5TnaMF"
NAMES = (
    *(btauth.VERSION, btauth.HOTKEY, btauth.RECEIVER, btauth.NONCE, btauth.CRYPTO, btauth.SIGNATURE),
    *(btauth.ANSWER_SIGNATURE, "timeout", "computed_body_hash"),
    *(f"{axon.DENDRITE}{name}" for name in ("hotkey", "nonce", "uuid", "signature")),
)
VALUES = st.one_of(
    st.sampled_from(["1", HOTKEY, str(10**18), "0x" + "00" * 64, axon.BODY_HASH, "inf", "-1", "ed25519", "\udcff"]),
    st.text(st.characters(), max_size=140),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
)


@given(headers=st.dictionaries(st.sampled_from(NAMES), VALUES), body=st.binary(max_size=64))
def test_headers(headers: dict[str, str], body: bytes) -> None:
    now = 10**18
    with contextlib.suppress(AuthError):
        btauth.verify(btauth.parse(headers), method="POST", target="/\udcff", body=body, own_hotkey=HOTKEY, now=now)
    with contextlib.suppress(AuthError):
        claim = axon.parse(headers)
        axon.verify(claim, own_hotkey=HOTKEY, now=now)
        assert claim.uuid.isascii()
    with contextlib.suppress(AuthError):
        btauth.verify_answer(headers, status=200, body=body, nonce=1, caller=HOTKEY, sender=HOTKEY)
    with contextlib.suppress(AuthError):
        axon.verify_answer(headers, nonce=1, uuid="u")


def test_a_target_that_is_no_text_is_signed_as_it_was_sent(validator: Any) -> None:
    named: dict[str, Any] = {"method": "POST", "target": "/\udcff", "body": b""}
    headers = btauth.headers(validator, receiver=HOTKEY, nonce=10**18, **named)
    btauth.verify(btauth.parse(headers), own_hotkey=HOTKEY, now=10**18, **named)


@given(
    kind=st.sampled_from(sorted(MESSAGES)),
    body=st.one_of(
        st.binary(max_size=100), JSON.map(lambda value: repr(value).replace("'", '"').encode("utf-8", "replace"))
    ),
)
def test_bodies(kind: str, body: bytes) -> None:
    asked: list[Message] = [QueryTask(), IsAlive(), QueryResult(results="r")]
    with contextlib.suppress(Misread):
        assert read(MESSAGES[kind], body).kind() == kind
    for message in asked:
        with contextlib.suppress(Misread):
            assert answered(message, body).kind() == message.kind()


@given(text=st.text(st.characters(), max_size=2000))
def test_words(text: str) -> None:
    found = words(text)
    assert found.isprintable()
    assert len(found) <= 200


def _request(headers: dict[str, str], *, target: bytes = b"/QueryTask", body: bytes = b"{}") -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    length = f"Host: x\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return b"POST " + target + b" HTTP/1.1\r\n" + (lines + length).encode("latin-1") + body


@pytest.mark.parametrize(
    ("target", "changes"),
    [
        pytest.param(b"/QueryTask?\xff\xfe", {}, id="a target that is no text"),
        pytest.param(b"/\xff", {}, id="a name that is no text"),
        pytest.param(b"/QueryTask", {f"{axon.DENDRITE}uuid": "\xff"}, id="a uuid that is no text"),
        pytest.param(b"/QueryTask", {f"{axon.DENDRITE}hotkey": "\xff"}, id="a hotkey that is no text"),
        pytest.param(b"/QueryTask", {btauth.HOTKEY: "\xff"}, id="a hotkey of btauth that is no text"),
        pytest.param(b"/QueryTask", {"timeout": "1e999"}, id="an endless time limit"),
    ],
)
async def test_bytes_on_the_connection(validator: Any, serve: Any, target: bytes, changes: dict[str, str]) -> None:
    now = 1_800_000_000 * 10**9
    async with serve(clock=lambda: now) as miner:
        named: dict[str, Any] = {
            "required": (),
            "host": "h",
            "port": 1,
            "timeout_seconds": 5,
            "nonce": now,
            "uuid": "u",
        }
        old = axon.request(validator, name="QueryTask", fields={}, receiver=miner.hotkey, **named)[0]
        new = btauth.headers(
            validator, method="POST", target="/QueryTask", body=b"{}", receiver=miner.hotkey, nonce=now
        )
        statuses = []
        for headers in (old | changes, new | changes):
            reader, writer = await asyncio.open_connection("127.0.0.1", miner.port)
            writer.write(_request(headers, target=target))
            statuses.append(int((await asyncio.wait_for(reader.readline(), 60)).split()[1]))
            writer.close()
    assert all(200 <= status < 500 for status in statuses)
