"""Many requests, a few of them open at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

T = TypeVar("T")


async def for_each(items: Iterable[T], do: Callable[[T], Awaitable[None]], *, concurrency: int) -> None:
    """Await `do(item)` for every item, at most `concurrency` at a time, begun in order.

    The first exception cancels what is under way and is raised as it is, not in a group: the callers know whose fault it is by its type.
    """
    rest = iter(items)

    async def work() -> None:
        for item in rest:
            await do(item)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(work())
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None
