from __future__ import annotations

import asyncio

import pytest

from bitagent_miner.turns import QueueFull, Turns


async def hold(turns: Turns, name: str, priority: float, order: list[str], end: asyncio.Event) -> None:
    async with turns.turn(priority):
        order.append(name)
        await end.wait()


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_those_with_most_stake_come_first_and_then_by_arrival() -> None:
    turns, order, end = Turns(parallel=1, waiting=10), [], asyncio.Event()
    tasks = []
    for name, priority in (("first", 0.0), ("poor", 1.0), ("rich", 9.0), ("poor too", 1.0)):
        tasks.append(asyncio.create_task(hold(turns, name, priority, order, end)))
        await settled()
    assert (order, turns.waiting) == (["first"], 3)
    end.set()
    await asyncio.gather(*tasks)
    assert order == ["first", "rich", "poor", "poor too"]
    assert turns.waiting == 0


async def test_a_full_queue_gives_the_place_of_the_least_to_more_stake() -> None:
    turns, order, end = Turns(parallel=1, waiting=1), [], asyncio.Event()
    first = asyncio.create_task(hold(turns, "first", 5.0, order, end))
    await settled()
    poor = asyncio.create_task(hold(turns, "poor", 1.0, order, end))
    await settled()
    with pytest.raises(QueueFull):
        await hold(turns, "as poor", 1.0, order, end)
    rich = asyncio.create_task(hold(turns, "rich", 2.0, order, end))
    with pytest.raises(QueueFull):
        await poor
    end.set()
    await asyncio.gather(first, rich)
    assert order == ["first", "rich"]


async def test_without_places_nothing_waits() -> None:
    turns, end = Turns(parallel=1, waiting=0), asyncio.Event()
    first = asyncio.create_task(hold(turns, "first", 1.0, [], end))
    await settled()
    with pytest.raises(QueueFull):
        await hold(turns, "rich", 9.0, [], end)
    end.set()
    await first


async def test_a_caller_that_leaves_frees_its_place_and_its_turn() -> None:
    turns, order, end = Turns(parallel=1, waiting=2), [], asyncio.Event()
    tasks = [asyncio.create_task(hold(turns, str(n), 0.0, order, end)) for n in range(3)]
    await settled()
    tasks[1].cancel()
    await settled()
    assert turns.waiting == 1
    # The turn is given and the caller leaves in the same moment.
    tasks[0].cancel()
    await asyncio.sleep(0)
    tasks[2].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    async with asyncio.timeout(60), turns.turn(0.0):
        pass
