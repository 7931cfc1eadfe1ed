"""Namespaces of one process: what fails in one of them stops no other."""

from __future__ import annotations

import asyncio
import logging

import pytest
from tests.unit.virtual_time import VirtualTimePolicy

from bitagent_kube.health import Health, Parts
from bitagent_kube.parts import FIRST_DELAY, LONGEST_DELAY, STEADY_SECONDS, EndedEarly, Part, together


@pytest.fixture
def event_loop_policy() -> VirtualTimePolicy:
    return VirtualTimePolicy()


class Namespace:
    """Becomes ready and works until cancelled; `fail` ends it."""

    def __init__(self, name: str, *, ending_seconds: float = 0.0) -> None:
        self.name, self.fail, self.error = name, asyncio.Event(), Exception("a bug")
        self.health = Health(limit_seconds=60, stalled="stalled", unready="not listed")
        self.begins: list[float] = []
        self.ends: list[float] = []
        self.restarts, self.returns, self.fails_at_once = 0, False, False
        self._ending = ending_seconds

    async def run(self) -> None:
        clock = asyncio.get_running_loop().time
        self.begins.append(clock())
        self.health.ready = True
        try:
            if not self.fails_at_once:
                await self.fail.wait()
            self.fail.clear()
            if not self.returns:
                raise self.error
        finally:
            await asyncio.sleep(self._ending)
            self.ends.append(clock())

    @property
    def part(self) -> Part:
        def count() -> None:
            self.restarts += 1

        return Part(self.name, self.run, self.health, count)


class Process:
    """The namespaces of a process, and what it says of them."""

    def __init__(self, *namespaces: Namespace) -> None:
        self.running = asyncio.create_task(together([each.part for each in namespaces]))
        self._health = Parts({each.name: each.health for each in namespaces})

    @property
    def unreadiness(self) -> str:
        return self._health.unreadiness

    async def stop(self) -> None:
        self.running.cancel()
        await asyncio.wait([self.running])


async def test_they_end_at_the_same_time() -> None:
    slow, quick = Namespace("a", ending_seconds=5), Namespace("b", ending_seconds=4)
    process = Process(slow, quick)
    await asyncio.sleep(1)
    await process.stop()
    assert slow.ends[0] - quick.ends[0] == pytest.approx(1)


async def test_what_fails_in_one_stops_no_other(caplog: pytest.LogCaptureFixture) -> None:
    good, bad = Namespace("a"), Namespace("b")
    process = Process(good, bad)
    await asyncio.sleep(1)
    assert process.unreadiness == ""
    bad.health.problems["Job"] = "jobs cannot be listed"
    bad.fail.set()
    await asyncio.sleep(FIRST_DELAY / 4)
    assert process.unreadiness.startswith("b: the work ended unexpectedly")
    assert "Exception: a bug" in process.unreadiness
    assert "jobs" not in process.unreadiness, "who looked at them has ended"
    (record,) = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert "namespace b" in record.getMessage()
    assert record.exc_info is not None
    await asyncio.sleep(FIRST_DELAY)
    assert (len(bad.begins), bad.restarts, process.unreadiness) == (2, 1, "")
    assert (len(good.begins), good.ends, good.restarts) == (1, [], 0)
    await process.stop()


@pytest.mark.parametrize("error", [KeyError("spec"), ExceptionGroup("watches", [ValueError("x")]), None])
async def test_however_it_ends_it_is_begun_again(error: Exception | None) -> None:
    good, bad = Namespace("a"), Namespace("b")
    bad.returns = error is None
    bad.error = error or bad.error
    process = Process(good, bad)
    bad.fail.set()
    await asyncio.sleep(2 * FIRST_DELAY)
    assert (bad.restarts, good.ends) == (1, [])
    await process.stop()


async def test_pauses_grow_and_begin_again_after_steady_work() -> None:
    good, bad = Namespace("a"), Namespace("b")
    bad.fails_at_once = True
    process = Process(good, bad)
    await asyncio.sleep(20 * LONGEST_DELAY)
    pauses = [late - early for early, late in zip(bad.begins, bad.begins[1:], strict=False)]
    assert pauses[0] <= FIRST_DELAY
    assert max(pauses[:3]) < LONGEST_DELAY / 2 <= min(pauses[-5:])
    assert max(pauses) <= LONGEST_DELAY
    bad.fails_at_once = False
    await asyncio.sleep(LONGEST_DELAY + STEADY_SECONDS)
    bad.fail.set()
    count = len(bad.begins)
    await asyncio.sleep(FIRST_DELAY)
    assert len(bad.begins) == count + 1
    await process.stop()


@pytest.mark.parametrize("others", [0, 2])
async def test_when_none_works_the_process_ends_with_the_last_error(others: int) -> None:
    """So does the process of one namespace: Kubernetes restarts it."""
    last = Namespace("z")
    last.error = OSError("no API server")
    rest = [Namespace(f"n{number}") for number in range(others)]
    process = Process(*rest, last)
    for each in rest:
        each.fail.set()
    await asyncio.sleep(FIRST_DELAY / 4)
    assert not process.running.done()
    last.fail.set()
    with pytest.raises(OSError, match="no API server"):
        await process.running


async def test_an_end_without_an_error_is_one_when_none_works() -> None:
    last = Namespace("z")
    last.returns = True
    process = Process(last)
    last.fail.set()
    with pytest.raises(EndedEarly, match="namespace z"):
        await process.running


async def test_one_that_waits_for_its_next_begin_ends_with_the_process() -> None:
    good, bad = Namespace("a"), Namespace("b")
    process = Process(good, bad)
    bad.fail.set()
    await asyncio.sleep(FIRST_DELAY / 4)
    await process.stop()
    assert process.running.cancelled()
    assert (len(good.ends), len(bad.begins)) == (1, 1)
