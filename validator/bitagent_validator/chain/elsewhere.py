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
BEHIND_BLOCKS = 2
"""How far behind one may be that is waited for within that time."""


async def ask_elsewhere(
    urls: Sequence[str], *, genesis: str, block: int, read: Callable[[Connection], Awaitable[T]]
) -> list[T]:
    """Return what endpoints of the same chain say about a block: the first of them that say it in time.

    Further ones are asked only for those that say nothing: one that is away for good must not leave another unasked.
    """

    async def one(url: str) -> list[T]:
        try:
            async with asyncio.timeout(ASK_SECONDS), connect(url) as other:
                if other.genesis != genesis:
                    return []
                await _reached(other, block)
                return [await read(other)]
        except (ChainUnavailable, CommitmentsUnreadable, SubnetNotFound, TimeoutError):
            return []

    said: list[T] = []
    left = list(urls)
    while left and len(said) < OTHERS_MAX:
        asked, left = left[: OTHERS_MAX - len(said)], left[OTHERS_MAX - len(said) :]
        said += [each for answers in await asyncio.gather(*map(one, asked)) for each in answers]
    return said


async def _reached(other: Connection, block: int) -> None:
    """Return once an endpoint has a block: it may get it a moment later than the one that is used.

    Raises ChainUnavailable if it is further behind.
    """
    head = await other.head()
    if head < block - BEHIND_BLOCKS:
        raise ChainUnavailable(f"{other.endpoint} is at block {head}, and block {block} is asked for")
    if head < block:
        async for number in other.blocks(stall_seconds=ASK_SECONDS, finalized=False):
            if number >= block:
                break
