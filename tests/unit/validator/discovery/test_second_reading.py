"""What other endpoints say about commitments that are new, and when they are asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from bitagent_local.chain.keys import address
from bitagent_local.chain.testing import running, world
from bitagent_validator.chain.published import Published
from bitagent_validator.discovery.second_reading import (
    PAUSE_SECONDS,
    Opinion,
    SecondReadings,
    opinion_of,
    published_elsewhere,
)

ONE, TWO = Published(7, b"one"), Published(9, b"two")


@pytest.mark.parametrize(
    ("said", "others", "expected"),
    [
        pytest.param({"a": ONE}, [{"a": ONE}], Opinion(), id="the same"),
        pytest.param({"a": ONE}, [{"a": TWO}], Opinion(frozenset("a")), id="something else"),
        pytest.param({"a": ONE}, [{"a": Published(8, b"one")}], Opinion(frozenset("a")), id="another block"),
        pytest.param({"a": ONE}, [{}], Opinion(frozenset("a")), id="invented"),
        pytest.param({}, [{"a": ONE}], Opinion(frozenset("a")), id="hidden"),
        pytest.param({}, [{}], Opinion(), id="both without one"),
        pytest.param({"a": None}, [{}], Opinion(frozenset("a")), id="one of an unknown form is one"),
        pytest.param({"a": ONE}, [{"a": TWO}, {"a": ONE}], Opinion(), id="one of two says the same"),
        pytest.param({"a": ONE}, [{"a": TWO}, {}], Opinion(frozenset("a")), id="none of two says the same"),
        pytest.param({"a": ONE}, [{}, {}], Opinion(frozenset("a"), outvoted=True), id="two say the same against it"),
        pytest.param({"a": ONE}, [], Opinion(unconfirmed=frozenset("a")), id="no other says anything"),
        pytest.param({"a": ONE, "b": TWO}, [{"a": ONE}], Opinion(), id="only what is new is compared"),
    ],
)
def test_what_others_say(said: Any, others: Any, expected: Opinion) -> None:
    assert opinion_of(said, others, changed={"a"}) == expected


class Others:
    def __init__(self) -> None:
        self.says: list[Mapping[str, Published | None]] = []
        self.asked = 0
        self.now = 0.0
        self.readings = SecondReadings(elsewhere=self.elsewhere, clock=lambda: self.now)

    async def elsewhere(self, urls: Sequence[str], **_: Any) -> list[Mapping[str, Published | None]]:
        self.asked += 1
        return self.says

    async def compare(self, said: Mapping[str, Published | None], hotkeys: str = "ab", urls: Any = ("u",)) -> Opinion:
        return await self.readings.compare(said, hotkeys=set(hotkeys), others=urls, genesis="0x1", netuid=20, block=9)


async def test_others_are_asked_when_something_is_new() -> None:
    it = Others()
    it.says = [{"a": ONE}]
    for _ in range(3):
        assert await it.compare({"a": ONE}) == Opinion()
    assert it.asked == 1
    it.says = [{"a": ONE, "b": TWO}]
    assert await it.compare({"a": ONE, "b": TWO}) == Opinion()
    assert await it.compare({"b": TWO}) == Opinion(doubtful=frozenset("a"))
    assert await it.compare({"b": TWO}) == Opinion(doubtful=frozenset("a")), "until it is decided"
    assert it.asked == 4
    assert await it.compare({"b": TWO}, hotkeys="b") == Opinion()
    assert await it.compare({"a": ONE, "b": TWO}) == Opinion()
    assert it.asked == 5, "who registers again is new"


async def test_others_that_do_not_answer_are_left_alone_for_a_while() -> None:
    it = Others()
    for _ in range(3):
        assert await it.compare({"a": ONE}) == Opinion(unconfirmed=frozenset("ab"))
    assert it.asked == 1
    it.now, it.says = PAUSE_SECONDS, [{"a": ONE}]
    assert await it.compare({"a": ONE}) == Opinion()
    assert await it.compare({"a": TWO}, urls=()) == Opinion()
    assert it.asked == 2, "an only endpoint is believed"


async def test_the_other_endpoints_of_this_chain_are_read(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BITTENSOR_RUNTIME_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "runtime-cache"))
    async with running(world()) as chain:
        node, urls = chain.server.node, ["ws://127.0.0.1:9", chain.endpoint]
        genesis, at = "0x" + node.blocks.genesis.hash.hex(), node.finalized.number
        (said,) = await published_elsewhere(urls, genesis=genesis, netuid=20, block=at)
        assert said == {address("//Miner"): Published(0, b"acme/tiny-fc-1200")}
        assert await published_elsewhere(urls, genesis="0x2", netuid=20, block=at) == []
        assert await published_elsewhere(urls, genesis=genesis, netuid=20, block=at + 10**6) == []
