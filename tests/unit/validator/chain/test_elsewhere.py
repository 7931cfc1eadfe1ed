"""The same question to other endpoints; what real ones answer is in the tests of its users."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from bitagent_validator.chain import elsewhere
from bitagent_validator.chain.connection import ChainUnavailable, CommitmentsUnreadable, SubnetNotFound


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
        yield SimpleNamespace(url=url, genesis="another" if url == "o" else "0x1")

    async def read(connection: Any) -> str:
        if connection.url == "s":
            raise SubnetNotFound("it has no such subnet")
        if connection.url == "u":
            raise CommitmentsUnreadable("it has none")
        return str(connection.url)

    monkeypatch.setattr(elsewhere, "connect", connect)
    found = await elsewhere.ask_elsewhere(list(endpoints), genesis="0x1", read=read)
    assert ("".join(found), "".join(tried)) == (said, asked)
