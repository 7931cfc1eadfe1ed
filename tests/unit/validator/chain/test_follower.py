"""Nodes that are behind, limit requests or answer oddly are left for the next endpoint."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from bitagent_crds.conditions import Reason
from bitagent_validator.chain import follower as module
from bitagent_validator.chain.connection import ChainUnavailable
from bitagent_validator.chain.follower import Down, Follower, Up
from bitagent_validator.chain.heights import Height


class Node:
    """A node without a network."""

    def __init__(self, url: str, **changes: Any) -> None:
        self.url = self.endpoint = url
        self.genesis = "0x1"
        self.block_seconds = 12.0
        self.block = 100
        self.age: float | None = 3.0
        self.fails: Exception | None = None
        self.__dict__.update(changes)

    async def head_age(self) -> float | None:
        if self.fails:
            raise self.fails
        return self.age

    async def finalized(self) -> int:
        return self.block

    async def head(self) -> int:
        return self.block + 3

    async def blocks(self, *, stall_seconds: float, finalized: bool) -> AsyncIterator[int]:
        yield self.block if finalized else self.block + 3
        await asyncio.Event().wait()


@pytest.fixture
def follow(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Follow nodes until a state is reached; return the states before it."""
    monkeypatch.setattr(module, "BACKOFF_SECONDS", (0.001, 0.01))

    @asynccontextmanager
    async def run(*nodes: Node, **settings: Any) -> AsyncIterator[tuple[list[Up | Down], Any]]:
        by_url = {node.url: node for node in nodes}

        @asynccontextmanager
        async def connect(url: str) -> AsyncIterator[Node]:
            yield by_url[url]

        async def height(url: str) -> Height:
            return Height(by_url[url].genesis, by_url[url].block)

        monkeypatch.setattr(module, "connect", connect)
        monkeypatch.setattr(module, "height", height)
        states: list[Up | Down] = []
        changed = asyncio.Event()

        def record() -> None:
            states.append(follower.state)
            changed.set()

        follower = Follower([node.url for node in nodes], changed=record, **settings)

        async def until_up(url: str) -> None:
            async with asyncio.timeout(30):
                while not (isinstance(follower.state, Up) and follower.state.connection.url == url):
                    changed.clear()
                    await changed.wait()

        task = asyncio.create_task(follower.run())
        try:
            yield states, until_up
        finally:
            task.cancel()
            await asyncio.wait({task})

    return run


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        pytest.param({"age": 400.0}, Reason.CHAIN_BEHIND, id="V9: old blocks"),
        pytest.param({"fails": AttributeError("'NoneType'")}, Reason.CHAIN_UNREACHABLE, id="V10: any exception"),
        pytest.param(
            {"fails": ChainUnavailable("429", reason=Reason.RATE_LIMITED_BY_NODE, retry_after=60)},
            Reason.RATE_LIMITED_BY_NODE,
            id="requests are limited",
        ),
    ],
)
async def test_the_next_endpoint_is_used(follow: Any, first: Any, reason: Reason) -> None:
    async with follow(Node("ws://one", **first), Node("ws://two")) as (states, until_up):
        await until_up("ws://two")
    assert next(state.reason for state in states if isinstance(state, Down)) is reason


async def test_an_endpoint_that_is_far_behind_another_is_left(follow: Any) -> None:
    async with follow(Node("ws://one", block=100), Node("ws://two", block=200), heights_seconds=0.01) as found:
        states, until_up = found
        await until_up("ws://one")
        await until_up("ws://two")
    assert Reason.CHAIN_BEHIND in [state.reason for state in states if isinstance(state, Down)]


async def test_the_height_of_another_chain_says_nothing(follow: Any) -> None:
    two = Node("ws://two", block=900, genesis="0x2")
    async with follow(Node("ws://one"), two, heights_seconds=0.01) as (states, until_up):
        await until_up("ws://one")
        await asyncio.sleep(0.1)
    assert not [state for state in states if isinstance(state, Down)]


@pytest.mark.parametrize(("finalized", "block"), [(True, 100), (False, 103)], ids=["finalised", "V20: best"])
async def test_which_block_is_read(follow: Any, finalized: bool, block: int) -> None:
    async with follow(Node("ws://one"), finalized=finalized) as (states, until_up):
        await until_up("ws://one")
    assert next(state.block for state in states if isinstance(state, Up)) == block


@pytest.mark.parametrize(
    ("age", "skewed"),
    [(None, False), (0.0, False), (30.0, False), (-10.0, False), (-20.0, True), (38.0, False), (60.0, True)],
)
def test_the_clock_is_compared_with_the_newest_block(age: float | None, skewed: bool) -> None:
    connection: Any = SimpleNamespace(block_seconds=12.0)
    assert (Up(connection, 1, age).skew is not None) is skewed
