"""The same question to other endpoints; what real ones answer is in the tests of its users."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from bitagent_validator.chain import elsewhere
from bitagent_validator.chain.connection import ChainUnavailable, CommitmentsUnreadable, SubnetNotFound


class Endpoint:
    """`l` is one block behind, and gets the next one soon; `n` gets none, and `f` is far behind."""

    def __init__(self, url: str) -> None:
        self.url, self.endpoint, self.genesis = url, url, "another" if url == "o" else "0x1"

    async def head(self) -> int:
        return {"l": 6, "n": 6, "f": 4}.get(self.url, 7)

    async def blocks(self, *, stall_seconds: float, finalized: bool) -> AsyncIterator[int]:
        assert (self.url in "ln", stall_seconds > 0, finalized) == (True, True, False)
        yield 6
        if self.url == "n":
            raise TimeoutError
        yield 7
        raise AssertionError("what comes later is not asked for")


@pytest.mark.parametrize(
    ("endpoints", "said", "asked"),
    [
        pytest.param("", "", "", id="there is none"),
        pytest.param("ab", "ab", "ab", id="both"),
        pytest.param("abc", "ab", "ab", id="no more than decide"),
        pytest.param("xbc", "bc", "xbc", id="another in place of one that is away"),
        pytest.param("xyc", "c", "xyc", id="also if those before it are all away"),
        pytest.param("oxb", "b", "oxb", id="one of another chain says nothing"),
        pytest.param("xsu", "", "xsu", id="nor does any that cannot answer"),
        pytest.param("lb", "lb", "lb", id="one that gets the block a moment later"),
        pytest.param("nb", "b", "nb", id="but not one that gets none"),
        pytest.param("fb", "b", "fb", id="nor one that is far behind"),
    ],
)
async def test_the_first_that_say_something(
    monkeypatch: pytest.MonkeyPatch, endpoints: str, said: str, asked: str
) -> None:
    tried: list[str] = []

    @asynccontextmanager
    async def connect(url: str) -> AsyncIterator[Any]:
        tried.append(url)
        if url in "xy":
            raise ChainUnavailable("it is away")
        yield Endpoint(url)

    async def read(connection: Any) -> str:
        if connection.url == "s":
            raise SubnetNotFound("it has no such subnet")
        if connection.url == "u":
            raise CommitmentsUnreadable("it has none")
        return str(connection.url)

    monkeypatch.setattr(elsewhere, "connect", connect)
    found = await elsewhere.ask_elsewhere(list(endpoints), genesis="0x1", block=7, read=read)
    assert ("".join(found), "".join(tried)) == (said, asked)
