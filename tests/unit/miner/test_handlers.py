from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from bitagent_miner.endpoint import Completion, ModelFailed
from bitagent_miner.handlers import Handlers, Names
from bitagent_miner.metrics import Metrics
from bitagent_miner.rates import RateLimit
from bitagent_miner.turns import Turns
from bitagent_wire.messages import (
    GetHFModelName,
    GetHFRunModelName,
    IsAlive,
    Message,
    QueryResult,
    QueryTask,
    SetHFModelName,
)
from bitagent_wire.outcomes import Protocol
from bitagent_wire.server import Call, Rejected, Rejection


class Model:
    """Answers after some seconds, or when its `end` is set."""

    def __init__(self, *, seconds: float = 0.0, fails: bool = False, end: asyncio.Event | None = None) -> None:
        self.end = end
        self.seconds, self.fails, self.running, self.most = seconds, fails, 0, 0

    async def answer(self, task: QueryTask) -> Completion:
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await (asyncio.sleep(self.seconds) if self.end is None else self.end.wait())
        finally:
            self.running -= 1
        if self.fails:
            raise ModelFailed("connection to 10.0.0.7 refused")
        return Completion("f()", 5, 2)


class Miner:
    def __init__(self, subnet: Any, model: Model | None = None, **changes: Any) -> None:
        self.metrics, self.shown = Metrics(), list[str]()
        named: dict[str, Any] = {
            "turns": Turns(parallel=1, waiting=1),
            "rate": RateLimit(per_minute=600, burst=100),
            "timeout_seconds": 60.0,
            "metrics": self.metrics,
            "subnet": lambda: subnet(("rich", 100.0, True), ("poor", 1.0, True)),
            "show": self.shown.append,
        }
        names = Names(submitted="me/it@main", running="me/running")
        self.handlers = Handlers(model or Model(), names, **(named | changes)).by_message()

    async def ask(self, message: Message, hotkey: str = "rich", seconds: float | None = None) -> Message:
        return await self.handlers[type(message)](Call(message, hotkey, Protocol.BTAUTH, seconds))

    def value(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(f"bitagent_miner_{name}", labels) or 0.0


async def rejection(call: Any) -> Rejected:
    with pytest.raises(Rejected) as caught:
        await call
    return caught.value


Make = Callable[..., Miner]


@pytest.fixture
def miner(subnet: Any) -> Make:
    return lambda model=None, **changes: Miner(subnet, model, **changes)


async def test_names_and_life(miner: Make) -> None:
    made = miner()
    assert await made.ask(IsAlive()) == IsAlive(response=True)
    assert await made.ask(GetHFModelName()) == GetHFModelName(hf_model_name="me/it@main")
    assert await made.ask(GetHFRunModelName()) == GetHFRunModelName(hf_run_model_name="me/running")
    kept = SetHFModelName(hf_model_name="me/it\x1b[0m")
    assert await made.ask(kept) == kept


async def test_a_task_is_answered_with_the_models_name(miner: Make) -> None:
    made = miner()
    answer = await made.ask(QueryTask())
    assert isinstance(answer, QueryTask)
    assert (answer.response, answer.hf_run_model_name) == ("f()", "me/running")
    assert made.value("tokens_total", kind="answer") == 2
    assert made.value("model_requests_total", result="Answered") == 1


async def test_feedback_is_shown_plain(miner: Make) -> None:
    made = miner()
    await made.ask(QueryResult(results="[bold]2 of 3[/bold]\nwhy\x1b[2J"))
    assert made.shown == ["feedback from rich\n  2 of 3\n  why\\x1b[2J"]
    assert made.value("feedback_total") == 1


@pytest.mark.parametrize("seconds", [None, 0.05], ids=["the miner's", "the caller's"])
async def test_an_answer_has_a_time_limit(miner: Make, seconds: float | None) -> None:
    made = miner(Model(seconds=60), timeout_seconds=0.05 if seconds is None else 60.0)
    assert (await rejection(made.ask(QueryTask(), seconds=seconds))).rejection is Rejection.TIMEOUT
    assert made.value("model_requests_total", result="Timeout") == 1


async def test_waiting_counts_for_the_time_limit(miner: Make) -> None:
    model = Model(seconds=60)
    made = miner(model)
    first = asyncio.create_task(made.ask(QueryTask()))
    await asyncio.sleep(0.01)
    assert (await rejection(made.ask(QueryTask(), seconds=0.05))).rejection is Rejection.TIMEOUT
    first.cancel()
    await asyncio.wait({first})
    assert (model.most, model.running) == (1, 0)


async def test_a_model_that_fails_says_nothing_of_this_machine(miner: Make) -> None:
    found = await rejection(miner(Model(fails=True)).ask(QueryTask()))
    assert (found.rejection, "10.0.0.7" in found.words) == (Rejection.FAILED, False)


async def test_a_full_queue_is_busy_for_those_with_less_stake(miner: Make) -> None:
    end = asyncio.Event()
    made = miner(Model(end=end))
    running = [asyncio.create_task(made.ask(QueryTask(), "poor")) for _ in range(2)]
    await asyncio.sleep(0.01)
    assert (await rejection(made.ask(QueryTask(), "poor"))).rejection is Rejection.BUSY
    rich = asyncio.create_task(made.ask(QueryTask(), "rich"))
    await asyncio.sleep(0.01)
    end.set()
    found = await asyncio.gather(*running, rich, return_exceptions=True)
    assert [isinstance(each, Rejected) for each in found] == [False, True, False]


async def test_a_hotkey_that_asks_too_often_is_limited(miner: Make) -> None:
    made = miner(rate=RateLimit(per_minute=1, burst=1))
    await made.ask(IsAlive())
    assert (await rejection(made.ask(GetHFModelName()))).rejection is Rejection.RATE_LIMITED
    await made.ask(IsAlive(), "poor")
