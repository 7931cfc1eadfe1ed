"""The same question to other endpoints: at an honest height, nothing else shows that a node lies."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from bitagent_validator.chain.connection import (
    ChainUnavailable,
    CommitmentsUnreadable,
    Connection,
    SubnetNotFound,
    connect,
)

T = TypeVar("T")

OTHERS_MAX = 2
"""Endpoints that have to say something: two that agree decide against the one that is used."""
ASK_SECONDS = 8.0
"""Time limit of one: the pass waits for it."""


async def ask_elsewhere(urls: Sequence[str], *, genesis: str, read: Callable[[Connection], Awaitable[T]]) -> list[T]:
    """Return what endpoints of the same chain say: the first of them that say it in time.

    Further ones are asked only for those that say nothing: one that is away for good must not leave another unasked.
    """

    async def one(url: str) -> list[T]:
        try:
            async with asyncio.timeout(ASK_SECONDS), connect(url) as other:
                return [await read(other)] if other.genesis == genesis else []
        except (ChainUnavailable, CommitmentsUnreadable, SubnetNotFound, TimeoutError):
            return []

    said: list[T] = []
    left = list(urls)
    while left and len(said) < OTHERS_MAX:
        asked, left = left[: OTHERS_MAX - len(said)], left[OTHERS_MAX - len(said) :]
        said += [each for answers in await asyncio.gather(*map(one, asked)) for each in answers]
    return said
