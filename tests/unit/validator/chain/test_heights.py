"""The height of another endpoint: read by a few requests, and not known if any of them is answered oddly."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from bitagent_validator.chain import heights
from bitagent_validator.chain.agreement import Claim
from bitagent_validator.chain.heights import Height, height

STAMP = 1_800_000_000_000
GOOD = {
    1: "0xgenesis",
    2: "0xhead",
    3: {"number": "0x2a"},
    4: "0x" + STAMP.to_bytes(8, "little").hex(),
}


@asynccontextmanager
async def node(answer: Callable[[int], Any]) -> AsyncIterator[str]:
    """A node that answers each request by its number; `answer` gives the whole message."""

    async def handle(socket: ServerConnection) -> None:
        async for text in socket:
            await socket.send(answer(json.loads(text)["id"]))

    async with serve(handle, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield f"ws://127.0.0.1:{port}"


def answers(**changes: Any) -> Callable[[int], str]:
    """Good answers but for those of `changes`, by `rN` for request N."""

    def of(number: int) -> str:
        return json.dumps({"id": number, "result": changes.get(f"r{number}", GOOD[number])})

    return of


async def test_a_height_is_a_block_and_its_time() -> None:
    async with node(answers()) as url:
        assert await height(url) == Height("0xgenesis", Claim(42, STAMP / 1000))


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(answers(r3=None), id="no header"),
        pytest.param(answers(r3=["0x2a"]), id="a header that is a list"),
        pytest.param(answers(r3={"number": "x"}), id="a number that is none"),
        pytest.param(answers(r4=None), id="no time"),
        pytest.param(answers(r4="0xzz"), id="a time that is not hexadecimal"),
        pytest.param(lambda number: json.dumps({"id": number, "error": {"code": -32005}}), id="a refusal"),
        pytest.param(lambda number: json.dumps({"id": number + 1, "result": 1}), id="answers to other requests"),
        pytest.param(lambda number: "[]", id="no object"),
        pytest.param(lambda number: "{", id="no JSON"),
        pytest.param(lambda number: json.dumps({"id": number, "result": "x" * 300_000}), id="a very long answer"),
    ],
)
async def test_odd_answers_say_nothing(monkeypatch: pytest.MonkeyPatch, answer: Callable[[int], str]) -> None:
    monkeypatch.setattr(heights, "SECONDS", 0.5)
    async with node(answer) as url:
        assert await height(url) is None


async def test_an_endpoint_that_is_away_says_nothing(unused_tcp_port: int) -> None:
    assert await height(f"ws://127.0.0.1:{unused_tcp_port}") is None
