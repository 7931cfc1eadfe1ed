"""The work queue, on a clock that jumps: ten minutes of back-off take milliseconds."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from bitagent_operator.runtime.queue import WorkQueue


class JumpingLoop(asyncio.SelectorEventLoop):
    """Instead of waiting, the clock moves on."""

    def __init__(self) -> None:
        self._now = 0.0
        loop = self

        class Selector(selectors.DefaultSelector):
            def select(self, timeout: float | None = None) -> Any:
                loop._now += timeout or 0.0
                return super().select(0)

        super().__init__(Selector())

    def time(self) -> float:
        return self._now


def play(scenario: Callable[[], Awaitable[None]]) -> None:
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        runner.run(scenario())  # type: ignore[arg-type]


def now() -> float:
    return round(asyncio.get_running_loop().time(), 1)


def test_a_burst_is_one_run_and_failures_back_off() -> None:
    runs: list[float] = []

    async def work(key: str) -> None:
        runs.append(now())
        if len(runs) < 10:
            raise OSError("not yet")

    async def scenario() -> None:
        queue = WorkQueue(work)
        task = asyncio.create_task(queue.run())
        for _ in range(100):
            queue.add("a")
        await asyncio.sleep(600)
        task.cancel()

    play(scenario)
    assert runs == [0.0, 0.2, 0.6, 1.4, 3.0, 6.2, 12.6, 25.4, 51.0, 102.2]


def test_an_event_does_not_shorten_a_back_off() -> None:
    runs: list[float] = []

    async def work(key: str) -> None:
        runs.append(now())
        await asyncio.sleep(0.1)
        raise OSError("never")

    async def scenario() -> None:
        queue = WorkQueue(work, backoff=(8.0, 8.0))
        task = asyncio.create_task(queue.run())
        for _ in range(200):
            queue.add("a")  # also while it runs
            await asyncio.sleep(0.1)
        task.cancel()

    play(scenario)
    assert runs == [0.0, 8.1, 16.2]


def test_a_key_never_runs_twice_at_once() -> None:
    busy: set[str] = set()
    done: list[str] = []

    async def work(key: str) -> None:
        assert key not in busy
        busy.add(key)
        await asyncio.sleep(3)
        busy.discard(key)
        done.append(key)

    async def scenario() -> None:
        queue = WorkQueue(work, workers=4)
        task = asyncio.create_task(queue.run())
        for i in range(400):
            queue.add(f"k{i % 8}")
            await asyncio.sleep(0.1)
        await asyncio.sleep(60)
        assert len(queue) == 0
        task.cancel()

    play(scenario)
    assert set(done) == {f"k{i}" for i in range(8)}


def test_an_event_during_the_work_is_not_lost() -> None:
    runs: list[float] = []

    async def scenario() -> None:
        async def work(key: str) -> None:
            runs.append(now())
            if len(runs) == 1:
                queue.add("a")
                await asyncio.sleep(1)

        queue = WorkQueue(work)
        task = asyncio.create_task(queue.run())
        queue.add("a")
        await asyncio.sleep(10)
        task.cancel()

    play(scenario)
    assert runs == [0.0, 1.0]


@pytest.mark.parametrize(
    ("again", "times"),
    [
        pytest.param(5.0, [0.0, 5.0, 10.0], id="later"),
        pytest.param(0.0, None, id="at once, but paced"),
        pytest.param(None, [0.0], id="when something happens"),
    ],
)
def test_work_says_when_it_is_due_again(again: float | None, times: list[float] | None) -> None:
    runs: list[float] = []

    async def work(key: str) -> float | None:
        runs.append(now())
        return again

    async def scenario() -> None:
        queue = WorkQueue(work)
        task = asyncio.create_task(queue.run())
        queue.add("a")
        await asyncio.sleep(12)
        task.cancel()

    play(scenario)
    assert runs == times if times is not None else 40 <= len(runs) <= 49


def test_a_sooner_time_wins() -> None:
    runs: list[float] = []

    async def work(key: str) -> None:
        runs.append(now())

    async def scenario() -> None:
        queue = WorkQueue(work)
        task = asyncio.create_task(queue.run())
        queue.add("a", delay=50)
        queue.add("a", delay=5)
        queue.add("a", delay=20)
        await asyncio.sleep(100)
        task.cancel()

    play(scenario)
    assert runs == [5.0]


def test_the_lowest_rank_of_those_that_are_due_comes_first() -> None:
    done: list[str] = []

    async def work(key: str) -> None:
        done.append(key)
        await asyncio.sleep(1)

    async def scenario() -> None:
        queue = WorkQueue(work, workers=1, rank=lambda key: 0 if key.startswith("round") else 1)
        task = asyncio.create_task(queue.run())
        for n in range(5):
            queue.add(f"model{n}")
        queue.add("round-later", delay=1.5)
        await asyncio.sleep(0.5)
        queue.add("round-new")
        await asyncio.sleep(10)
        task.cancel()

    play(scenario)
    assert done == ["model0", "round-new", "round-later", "model1", "model2", "model3", "model4"]


def test_a_worker_that_waits_holds_up_no_other() -> None:
    done: dict[str, float] = {}

    async def work(key: str) -> None:
        await asyncio.sleep(1)  # a request
        done[key] = now()

    async def scenario() -> None:
        queue = WorkQueue(work)
        task = asyncio.create_task(queue.run())
        for n in range(16):
            queue.add(f"k{n}")
        await asyncio.sleep(10)
        task.cancel()

    play(scenario)
    assert set(done.values()) == {1.0}


def test_how_long_keys_wait_and_which_back_off() -> None:
    async def work(key: str) -> None:
        if key == "bad":
            raise OSError("no")
        await asyncio.sleep(10)

    async def scenario() -> None:
        queue = WorkQueue(work, workers=1, backoff=(100.0, 100.0))
        task = asyncio.create_task(queue.run())
        assert (queue.oldest_seconds(), queue.backing_off) == (0.0, 0)
        for key in ("bad", "long", "waits"):
            queue.add(key)
        await asyncio.sleep(4)
        assert (round(queue.oldest_seconds()), queue.backing_off, len(queue)) == (4, 1, 3)
        await asyncio.sleep(30)
        assert (round(queue.oldest_seconds()), queue.backing_off, len(queue)) == (0, 1, 1)
        task.cancel()

    play(scenario)


def test_the_same_expected_failure_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    errors = [OSError("a"), OSError("a"), OSError("b"), ValueError("a bug"), ValueError("a bug"), OSError("b")]

    async def work(key: str) -> None:
        if errors:
            raise errors.pop(0)

    async def scenario() -> None:
        queue = WorkQueue(work)
        task = asyncio.create_task(queue.run())
        queue.add("a")
        await asyncio.sleep(100)
        task.cancel()

    with caplog.at_level("DEBUG", logger="bitagent_operator.runtime.queue"):
        play(scenario)
    levels = [(r.levelname, r.exc_info is not None and bool(r.exc_info)) for r in caplog.records]
    assert levels == [
        ("INFO", False),
        ("DEBUG", False),
        ("INFO", False),
        ("WARNING", True),
        ("WARNING", True),
        ("INFO", False),
    ]


def test_one_failing_key_does_not_hold_up_the_others() -> None:
    good: list[str] = []

    async def work(key: str) -> None:
        if key == "bad":
            raise RuntimeError("broken")
        good.append(key)

    async def scenario() -> None:
        queue = WorkQueue(work, workers=1)
        task = asyncio.create_task(queue.run())
        for key in ("bad", "a", "b"):
            queue.add(key)
        await asyncio.sleep(1)
        task.cancel()

    play(scenario)
    assert good == ["a", "b"]
