"""Nodes that are behind, limit requests or answer oddly are left for the next endpoint."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from bitagent_crds.conditions import Reason
from bitagent_validator.chain import follower as module
from bitagent_validator.chain.agreement import Claim
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
        self.lag = 3.0
        """Seconds since its last finalised block."""
        self.fails: Exception | None = None
        self.later: list[int] = []
        """Blocks of its stream after the first."""
        self.dead = False
        """Whether it answers no other's question about its height."""
        self.__dict__.update(changes)

    async def head_age(self) -> float | None:
        if self.fails:
            raise self.fails
        return self.age

    async def finalized(self) -> int:
        return self.block

    async def claim(self) -> Claim | None:
        return Claim(self.block, time.time() - self.lag) if self.block else None

    async def head(self) -> int:
        return self.block + 3

    async def blocks(self, *, stall_seconds: float, finalized: bool) -> AsyncIterator[int]:
        yield self.block if finalized else self.block + 3
        for block in self.later:
            yield block
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

        async def height(url: str) -> Height | None:
            claim = await by_url[url].claim()
            return None if by_url[url].dead or claim is None else Height(by_url[url].genesis, claim)

        monkeypatch.setattr(module, "connect", connect)
        monkeypatch.setattr(module, "height", height)
        states: list[Up | Down] = []
        changed = asyncio.Event()

        def record() -> None:
            states.append(follower.state)
            changed.set()

        follower = Follower([node.url for node in nodes], changed=record, **settings)
        run.follower = follower  # type: ignore[attr-defined]

        async def until_up(url: str, after: Reason | None = None) -> None:
            async with asyncio.timeout(30):
                while after is not None and after not in _reasons(states):
                    changed.clear()
                    await changed.wait()
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


MAIN_NETWORK = "0x2f0555cc76fc2840a25a6ea3b9637146806f1f44b090c175ffde2a7e5ab36c03"


@pytest.mark.parametrize(
    ("first", "second", "used"),
    [
        pytest.param({}, {"block": 900}, "ws://two", id="another endpoint is far ahead"),
        pytest.param({}, {"block": 0}, "ws://one", id="the chain begins"),
        pytest.param({}, {"block": 900, "genesis": "0x2"}, "ws://one", id="another chain is ahead"),
        pytest.param({}, {"block": 900, "dead": True}, "ws://one", id="no other answers"),
        pytest.param({"genesis": MAIN_NETWORK}, {"dead": True}, "ws://two", id="a network that began long ago"),
    ],
)
async def test_a_node_that_begins_to_synchronise_is_left(follow: Any, first: Any, second: Any, used: str) -> None:
    """It has no final block, and shows the state of block 0."""
    one, two = Node("ws://one", block=0, age=None, **first), Node("ws://two", **second)
    async with follow(one, two) as (states, until_up):
        await until_up(used)
    assert set(_reasons(states)) == ({Reason.CHAIN_BEHIND} if used == "ws://two" else set())


async def test_an_endpoint_that_is_far_behind_another_is_left(follow: Any) -> None:
    """Its newest block is new, and none of its blocks has become final for a while."""
    one = Node("ws://one", block=100, lag=1300.0, dead=True)
    async with follow(one, Node("ws://two", block=200), heights_seconds=0.01) as (states, until_up):
        await until_up("ws://two")
    assert _reasons(states)[0] is Reason.CHAIN_BEHIND


def _reasons(states: list[Up | Down]) -> list[Reason]:
    return [state.reason for state in states if isinstance(state, Down)]


LIE = 10**6


@pytest.mark.parametrize(
    ("nodes", "used", "reasons"),
    [
        pytest.param([{}, {"block": LIE}], "ws://0", set(), id="another endpoint's invented height is not followed"),
        pytest.param([{"block": LIE}, {}, {}], "ws://1", {Reason.CHAIN_CONTRADICTED}, id="two against the first"),
        pytest.param([{"block": LIE, "lag": -4000.0}, {}], "ws://1", {Reason.CHAIN_CONTRADICTED}, id="a block to come"),
        pytest.param([{"lag": -400.0}, {"lag": -400.0}], "ws://0", set(), id="the clock of this machine is behind"),
        pytest.param(
            [{"block_seconds": 1.0, "lag": 3310.0, "later": [3699]}, {"dead": True}],
            "ws://0",
            set(),
            id="an hour becomes final at once, and the clock is 5 minutes behind",
        ),
        pytest.param([{}, {"block": LIE, "lag": -4000.0}], "ws://0", set(), id="another's block to come"),
        pytest.param([{"later": [101, LIE]}, {}], "ws://1", {Reason.CHAIN_CONTRADICTED}, id="a jump in the stream"),
        pytest.param([{"later": [101, LIE]}], "ws://0", set(), id="an only endpoint is believed"),
    ],
)
async def test_a_height_that_contradicts_what_is_known(
    follow: Any, nodes: list[dict[str, Any]], used: str, reasons: set[Reason]
) -> None:
    made = [Node(f"ws://{number}", **changes) for number, changes in enumerate(nodes)]
    async with follow(*made, heights_seconds=0.01) as (states, until_up):
        await until_up(used)
        await asyncio.sleep(0.05)
    assert set(_reasons(states)) == reasons


async def test_an_invented_height_after_the_honest_endpoint_is_lost(follow: Any) -> None:
    """It is refused each time, and the honest endpoint is used when it is back."""
    one, two = Node("ws://one", dead=True), Node("ws://two", block=LIE)
    async with follow(one, two) as (states, until_up):
        await until_up("ws://one")
        (up,) = {id(each.connection): each for each in states if isinstance(each, Up)}.values()
        follow.follower.mark_unusable(up.connection, error=ChainUnavailable("gone"))
        states.clear()
        await until_up("ws://one", after=Reason.CHAIN_CONTRADICTED)
    assert {each.connection.url for each in states if isinstance(each, Up)} == {"ws://one"}


@pytest.mark.parametrize(
    ("others", "agreed", "alone", "contradicting"),
    [
        pytest.param([{}], True, False, {}, id="agrees"),
        pytest.param([{"block": LIE}], False, True, {"ws://0": LIE}, id="contradicts"),
        pytest.param([{"block": LIE}, {}], True, False, {"ws://0": LIE}, id="one of two contradicts"),
        pytest.param([{"dead": True}], False, True, {}, id="is away"),
        pytest.param([], False, False, {}, id="none"),
    ],
)
async def test_what_is_known_of_a_height(
    follow: Any, others: list[dict[str, Any]], agreed: bool, alone: bool, contradicting: dict[str, int]
) -> None:
    nodes = [Node("ws://one"), *(Node(f"ws://{number}", **changes) for number, changes in enumerate(others))]
    async with follow(*nodes) as (states, until_up):
        await until_up("ws://one")
    up = next(state for state in states if isinstance(state, Up))
    assert (up.limit, up.agreed, up.alone, up.contradicting) == (145, agreed, alone, contradicting)
    assert bool(up.contradiction) is bool(contradicting)


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
