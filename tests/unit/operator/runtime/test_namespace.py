"""Works that end together."""

from __future__ import annotations

import asyncio

import pytest

from bitagent_operator.runtime.namespace import together, until_one_ends


class Work:
    """Runs until cancelled, or fails when `fail` is set; ends after `seconds`."""

    def __init__(self, ends: list[Work], *, seconds: float = 0.0) -> None:
        self.fail, self._ends, self._seconds = asyncio.Event(), ends, seconds

    async def run(self) -> None:
        try:
            await self.fail.wait()
            raise OSError("a port is taken")
        finally:
            await asyncio.sleep(self._seconds)
            self._ends.append(self)


async def test_the_first_ends_before_the_others() -> None:
    ends: list[Work] = []
    first, second = Work(ends, seconds=0.05), Work(ends)
    running = asyncio.create_task(until_one_ends(first.run(), second.run()))
    await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.wait([running])
    assert ends == [first, second]


async def test_namespaces_end_at_the_same_time() -> None:
    ends: list[Work] = []
    slow, quick = Work(ends, seconds=0.05), Work(ends)
    running = asyncio.create_task(together([slow.run(), quick.run()]))
    await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.wait([running])
    assert ends == [quick, slow]


@pytest.mark.parametrize("several", [until_one_ends, lambda *works: together(works)], ids=["in turn", "together"])
async def test_what_one_raises_is_raised_after_all_have_ended(several: object) -> None:
    ends: list[Work] = []
    good, bad = Work(ends), Work(ends)
    assert callable(several)
    running = asyncio.create_task(several(good.run(), bad.run()))
    bad.fail.set()
    with pytest.raises(OSError, match="a port is taken"):
        await running
    assert set(ends) == {good, bad}
