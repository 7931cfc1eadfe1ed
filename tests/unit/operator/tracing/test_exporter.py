"""Traces on their way to a collector, which is a server here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from bitagent_operator.observed.cache import Cache
from bitagent_operator.tracing import exporter as module
from bitagent_operator.tracing.exporter import RECENT, TraceExporter
from bitagent_operator.tracing.otlp import Endpoint

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make

Ports = Callable[[], int]


class Collector:
    """Keeps what it takes; `status` is its answer."""

    def __init__(self) -> None:
        self.status, self.requests = 200, 0
        self.hangs = False
        self.more: dict[str, str] = {}
        """Headers of its answer."""
        self.headers: dict[str, str] = {}
        self.spans: list[dict[str, Any]] = []
        self.resources: list[dict[str, str]] = []
        self.over = asyncio.Event()
        """Ends an answer that hangs."""

    async def take(self, request: web.Request) -> web.Response:
        self.requests += 1
        self.headers = dict(request.headers)
        if self.status != 200:
            return web.Response(status=self.status, body=b"no", headers=self.more)
        for resource in (await request.json())["resourceSpans"]:
            attributes = resource["resource"]["attributes"]
            self.resources.append({a["key"]: a["value"]["stringValue"] for a in attributes})
            self.spans += [span for scope in resource["scopeSpans"] for span in scope["spans"]]
        if self.hangs:
            answer = web.StreamResponse()
            await answer.prepare(request)
            await self.over.wait()
        return web.json_response({})

    @property
    def names(self) -> list[str]:
        return [span["name"] for span in self.spans]


class World:
    """A cache, a collector, and the exporter between them."""

    def __init__(self, make: Make, port: int) -> None:
        self.make, self.cache, self.collector = make, Cache(), Collector()
        self.url = f"http://127.0.0.1:{port}/v1/traces"
        self.time = 200.0
        self.counts: dict[str, int] = {}
        self.looked, self._looks = 0, asyncio.Event()

    def exporter(self) -> TraceExporter:
        def count(outcome: str, spans: int) -> None:
            self.counts[outcome] = self.counts.get(outcome, 0) + spans

        endpoint = Endpoint(self.url, {"X-Scope": "me"})
        return TraceExporter(endpoint, self.cache, namespace="n", now=self._now, count=count)

    def _now(self) -> datetime:
        """Return the time, which each look at the cache begins with."""
        self.looked += 1
        self._looks.set()
        return self.make.at(self.time)

    async def looks(self, number: int = 2) -> None:
        """Return when the last of so many further looks begins: those before it have sent what they found."""
        last = self.looked + number
        async with asyncio.timeout(60):
            while self.looked < last:
                self._looks.clear()
                await self._looks.wait()

    def round(self, name: str = "r", *, ended: float | None = 200.0, models: int = 0) -> None:
        at = lambda s: self.make.at(s).strftime("%Y-%m-%dT%H:%M:%SZ")  # noqa: E731
        results = [{"model": f"m{i}", "startedAt": at(10), "finishedAt": at(20)} for i in range(models)]
        status = {"phase": "Complete", "startedAt": at(0), "results": results}
        status |= {"finishedAt": at(ended)} if ended is not None else {}
        self.cache.put("EvalRound", self.make.round_raw(name, status=status))

    def weights(self, *rounds: str, at: float, extrinsic: str = "7-1", **more: Any) -> None:
        written = {"block": 7, "at": self.make.at(at).strftime("%Y-%m-%dT%H:%M:%SZ"), "rounds": list(rounds)}
        written |= {"digest": self.make.digest("2"), "extrinsic": extrinsic, "hotkeys": 2} | more
        self.cache.put("Validator", self.make.validator_raw("v", status={"lastWeights": written}))


@pytest.fixture
async def world(make: Make, unused_tcp_port_factory: Ports, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.02)
    port = unused_tcp_port_factory()
    made = World(make, port)
    app = web.Application(client_max_size=10**8)
    app.add_routes([web.post("/v1/traces", made.collector.take)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    yield made
    made.collector.over.set()
    await runner.cleanup()


@pytest.fixture
async def running(world: World) -> AsyncIterator[World]:
    task = asyncio.create_task(world.exporter().run())
    yield world
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_a_round_that_ends_is_sent_once(running: World) -> None:
    running.round("runs", ended=None)
    running.round("r")
    await running.looks(4)
    assert running.collector.requests == 1
    assert running.collector.names == ["round r", "wait for the start"]
    assert running.collector.headers["X-Scope"] == "me"
    (resource,) = running.collector.resources
    assert (resource["service.name"], resource["k8s.namespace.name"]) == ("bitagent-operator", "n")
    assert running.counts == {"sent": 2}


async def test_what_ended_long_ago_is_not_sent(running: World) -> None:
    running.time = 200 + RECENT.total_seconds() + 1
    running.round("r")
    running.weights("r", at=200)
    await running.looks()
    assert running.collector.requests == 0


async def test_weights_follow_each_time_the_chain_accepts_them(running: World) -> None:
    running.round("r")
    running.weights("r", "unknown", at=230)
    await running.looks()
    assert running.collector.names == ["round r", "wait for the start", "weights"]
    running.weights("r", at=290, extrinsic="9-1")
    await running.looks()
    assert running.collector.names[3:] == ["weights"]
    assert len({span["traceId"] for span in running.collector.spans}) == 1


async def test_weights_of_a_later_version_are_left_alone(running: World) -> None:
    running.round("r")
    running.weights("r", at=230, block="seven")
    await running.looks()
    assert "weights" not in running.collector.names


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_what_the_collector_cannot_take_now_is_sent_again(
    running: World, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    running.collector.status = status
    running.round("r")
    await running.looks(3)
    running.collector.status = 200
    await running.looks()
    assert running.collector.names == ["round r", "wait for the start"]
    assert len([r for r in caplog.records if "cannot be sent" in r.message]) == 1, "once"


async def test_what_it_refuses_is_dropped(running: World) -> None:
    running.collector.status = 400
    running.round("r")
    await running.looks(4)
    assert (running.collector.requests, running.counts) == (1, {"refused": 2})


async def test_spans_are_taken_however_slowly_the_answer_ends(running: World) -> None:
    running.collector.hangs = True
    running.round("r")
    await running.looks(4)
    assert (running.collector.requests, running.counts) == (1, {"sent": 2})


@pytest.mark.parametrize(
    ("status", "more"),
    [
        pytest.param(307, {"Location": "http://127.0.0.1:1/"}, id="elsewhere"),
        pytest.param(400, {"Content-Type": "text/plain; charset=hex"}, id="in no encoding of texts"),
    ],
)
async def test_an_answer_of_any_kind_is_final(running: World, status: int, more: dict[str, str]) -> None:
    running.collector.status, running.collector.more = status, more
    running.round("r")
    await running.looks(4)
    assert (running.collector.requests, running.counts) == (1, {"refused": 2})


async def test_without_a_collector_nothing_ends(world: World, unused_tcp_port: int) -> None:
    world.url = f"http://127.0.0.1:{unused_tcp_port}/v1/traces"
    task = asyncio.create_task(world.exporter().run())
    world.round("r")
    await world.looks(3)
    assert not task.done()
    assert world.counts["unsent"] > 0
    task.cancel()


async def test_a_bug_ends_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(module, "round_spans", fails)
    task = asyncio.create_task(world.exporter().run())
    world.round("r")
    await world.looks(3)
    assert not task.done()
    task.cancel()


async def test_a_large_round_is_several_requests(running: World) -> None:
    running.round("r", models=module.SPANS_OF_A_REQUEST)
    await running.looks()
    assert running.collector.requests == 2
    assert len(running.collector.spans) == module.SPANS_OF_A_REQUEST + 2
