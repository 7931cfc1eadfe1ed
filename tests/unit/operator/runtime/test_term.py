"""The operator while it holds the Lease: its queue and its Events."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest
from tests.unit.operator.reconcilers.test_invalid_objects import Refusing, put
from tests.unit.operator.reconcilers.test_reconcile import Operator as Reconciled

from bitagent_kube.client import Client
from bitagent_kube.clock import ServerClock
from bitagent_operator.metrics.counters import Metrics
from bitagent_operator.observed.cache import Key, Kind
from bitagent_operator.reconcilers.context import Context
from bitagent_operator.runtime import term as module
from bitagent_operator.runtime.late_events import late_events
from bitagent_operator.runtime.term import Operator
from bitagent_operator.watches import watch

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make

Obj = dict[str, Any]


class Server(Refusing):
    """An API server in memory; `posts` is set once an Event is there, and `takes_events` until then holds them up."""

    def __init__(self, make: Make) -> None:
        super().__init__(make)
        self.clock = ServerClock()
        self.takes_events, self.posts = asyncio.Event(), asyncio.Event()
        self.takes_events.set()

    async def create(self, obj: Obj) -> Obj:
        await self.takes_events.wait()
        self.posts.set()
        return await super().create(obj)


def operator_of(server: Server, make: Make) -> Operator:
    return Operator(make.config(), cast(Client, server), Metrics(), watch.list_health(300), instance="p")


async def listed(operator: Operator) -> Operator:
    for resource in watch.WATCHED:
        await operator.watcher.relist(resource)
    await operator.in_sync()
    return operator


async def until(holds: Callable[[], Any]) -> None:
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110 - in memory, nothing says when
            await asyncio.sleep(0.01)


async def stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


async def test_a_process_that_stands_by_does_nothing_and_then_begins_with_everything(make: Make) -> None:
    server = Server(make)
    put(server, make.model_raw("a"), "MinerModel")
    operator = await listed(operator_of(server, make))
    await asyncio.sleep(0.05)
    assert (server.jobs(), server.statuses) == ([], 0)
    term = asyncio.create_task(operator.term())
    await until(server.jobs)
    await stop(term)


async def test_a_pass_does_not_wait_for_its_events(make: Make) -> None:
    server = Server(make)
    server.takes_events.clear()
    put(server, make.round_raw("bad", models={"matchLabels": {"bad key!": "x"}}), "EvalRound")
    put(server, make.model_raw("a"), "MinerModel")
    operator = await listed(operator_of(server, make))
    term = asyncio.create_task(operator.term())
    await until(lambda: server.condition("EvalRound", "bad", "Stalled") and server.jobs())
    assert server.events == []
    server.takes_events.set()
    await asyncio.wait_for(server.posts.wait(), 60)
    await stop(term)


async def test_the_last_events_are_posted_before_the_term_ends(make: Make) -> None:
    server = Server(make)
    server.takes_events.clear()
    put(server, make.round_raw("bad", models={"matchLabels": {"bad key!": "x"}}), "EvalRound")
    operator = await listed(operator_of(server, make))
    term = asyncio.create_task(operator.term())
    await until(lambda: server.condition("EvalRound", "bad", "Stalled"))
    term.cancel()
    await asyncio.sleep(0.01)
    server.takes_events.set()
    await asyncio.wait([term], timeout=60)
    assert [reason for reason, _ in server.events] == ["Invalid"]


async def test_the_end_of_a_term_does_not_wait_long_for_events(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DRAIN_SECONDS", 0.05)
    server = Server(make)
    server.takes_events.clear()
    put(server, make.round_raw("bad", models={"matchLabels": {"bad key!": "x"}}), "EvalRound")
    operator = await listed(operator_of(server, make))
    term = asyncio.create_task(operator.term())
    await until(lambda: server.condition("EvalRound", "bad", "Stalled"))
    await asyncio.wait_for(stop(term), 60)


async def test_after_a_term_nothing_waits_here(make: Make) -> None:
    server, metrics = Server(make), Metrics()
    for number in range(40):
        put(server, make.model_raw(f"a{number}"), "MinerModel")
    operator = await listed(
        Operator(make.config(), cast(Client, server), metrics, watch.list_health(300), instance="p")
    )
    term = asyncio.create_task(operator.term())
    await asyncio.sleep(0)
    waiting = [f"bitagent_operator_{name}" for name in ("queue_length", "queue_oldest_seconds", "events_waiting")]
    assert metrics.registry.get_sample_value(waiting[0]) == 40
    await stop(term)
    assert [metrics.registry.get_sample_value(name) for name in waiting] == [0, 0, 0]


@pytest.mark.parametrize(("ago", "reported"), [(60, ["RoundComplete"]), (3600, [])], ids=["lately", "long ago"])
async def test_the_end_of_a_round_is_reported_by_the_next_process(make: Make, ago: float, reported: list[str]) -> None:
    server = Refusing(make)
    complete = make.condition("Complete", "True", "RoundComplete", at=-ago, message="2 of 2 models have a score")
    times = {"startedAt": "2025-12-31T00:00:00Z", "finishedAt": "2025-12-31T23:00:00Z"}
    put(server, make.round_raw("r", status={"conditions": [complete], "phase": "Complete", **times}), "EvalRound")
    await late_events(Reconciled(server).context)
    assert [reason for reason, _ in server.events] == reported


async def test_the_time_is_that_of_the_api_server(make: Make) -> None:
    """A machine ten minutes behind would find that a model was evaluated before it was created."""

    class Ahead(ServerClock):
        @property
        def offset(self) -> timedelta:
            return timedelta(minutes=10)

    server = Server(make)
    server.clock = Ahead()
    fields = {f.name: getattr(Reconciled(server).context, f.name) for f in dataclasses.fields(Context)}
    context = Context(**fields)
    assert timedelta(minutes=9) < context.now() - datetime.now(UTC) < timedelta(minutes=11)
    assert context.new_pass(Key(Kind.MODEL, "a"), make.model("a").meta).now == context.now()
