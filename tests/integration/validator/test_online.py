"""Miners on both wires are asked fresh tasks and for their models, by the process that is in a validator's pod."""

from __future__ import annotations

import asyncio
import json
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bittensor_core
import pytest
from aiohttp import web
from tests.examiner import Examiner, listening

from bitagent_local.chain import keys
from bitagent_wire import axon, btauth
from bitagent_wire.messages import GetHFModelName, Message, QueryResult, QueryTask
from bitagent_wire.outcomes import Protocol
from bitagent_wire.server import Call, MessageServer, runner

pytestmark = pytest.mark.integration

COMMIT = "c" * 40
A, B, C, D = (keys.address(f"//{name}") for name in "abcd")


@dataclass
class Miner:
    """One miner, and what it was sent."""

    name: str
    answer: str
    old: bool = False
    """Whether it knows the old wire only."""
    port: int = 0
    calls: list[Call] = field(default_factory=list)

    async def handle(self, call: Call) -> Message:
        self.calls.append(call)
        if isinstance(call.message, QueryTask):
            return call.message.model_copy(update={"response": self.answer})
        if isinstance(call.message, GetHFModelName):
            return call.message.model_copy(update={"hf_model_name": f"{self.name}/served"})
        return call.message

    def feedback(self) -> list[str]:
        return [call.message.results for call in self.calls if isinstance(call.message, QueryResult)]

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        server = MessageServer(
            bittensor_core.Keypair.from_uri(f"//{self.name}"),
            dict.fromkeys((QueryTask, QueryResult, GetHFModelName), self.handle),
        )

        @web.middleware
        async def of_the_old_wire(request: web.Request, handler: Any) -> web.StreamResponse:
            if self.old and btauth.VERSION in request.headers:
                return web.json_response({"message": "no"}, status=401, headers={axon.STATUS_CODE: "401"})
            answer: web.StreamResponse = await handler(request)
            return answer

        app = web.Application(middlewares=[of_the_old_wire], client_max_size=1 << 24)
        app.add_routes(server.routes())
        async with _listening(app) as self.port:
            yield


@asynccontextmanager
async def _listening(app: web.Application) -> AsyncIterator[int]:
    running = runner(app)
    await running.setup()
    site = web.TCPSite(running, "127.0.0.1", 0)
    await site.start()
    try:
        yield running.addresses[0][1]
    finally:
        await running.cleanup()


async def flood(_: web.Request) -> web.StreamResponse:
    return web.Response(body=b"x" * (6 << 20))


@dataclass
class Outside:
    """What is outside of the validator: miners, and the examiner on its socket."""

    socket: Path
    good: Miner = field(default_factory=lambda: Miner("a", "right"))
    fair: Miner = field(default_factory=lambda: Miner("b", "half", old=True))
    hostile_port: int = 0
    examiner: Examiner = field(default_factory=Examiner)
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _ends: asyncio.Event = field(default_factory=asyncio.Event)
    _ready: threading.Event = field(default_factory=threading.Event)
    _examiner_ends: asyncio.Event = field(default_factory=asyncio.Event)

    def run(self) -> None:
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        hostile = web.Application()
        hostile.add_routes([web.post("/{name}", flood)])
        async with self.good.serving(), self.fair.serving(), _listening(hostile) as self.hostile_port:
            async with listening(self.socket, self.examiner):
                self._ready.set()
                await self._examiner_ends.wait()
            self.socket.unlink(missing_ok=True)
            await self._ends.wait()

    def start(self) -> None:
        threading.Thread(target=self.run, daemon=True).start()
        assert self._ready.wait(60)

    def end_examiner(self) -> None:
        self._loop.call_soon_threadsafe(self._examiner_ends.set)

    def end(self) -> None:
        self.end_examiner()
        self._loop.call_soon_threadsafe(self._ends.set)


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Outside]:
    made = Outside(tmp_path / "examiner.sock")
    made.start()
    yield made
    made.end()


def build(world: Any, pool: dict[str, Any]) -> None:
    """Be the operator: the pool's tasks are built."""
    held = {"type": "Complete", "status": "True", "reason": "RoundComplete"}
    status = {
        "taskSet": {"digest": "sha256:" + "a" * 64, "count": 5, "uri": "claim/rounds", "baseline": "0.100000"},
        "conditions": [held | {"lastTransitionTime": "2026-01-01T00:00:00Z"}],
    }
    world.plane.api.merge(world.at("evalrounds", pool["metadata"]["name"]) + "/status", {"status": status})


def online_state(world: Any) -> dict[str, Any]:
    config = world.plane.api.get(world.at("configmaps", "val-scores-fc", group="api/v1"))
    found: dict[str, Any] = json.loads(config["data"]["state.json"])["online"]
    return found


def test_miners_are_asked_scored_and_paid(
    start_world: Callable[..., Any], eventually: Callable[..., Any], outside: Outside
) -> None:
    """Equal models, unequal answers; a restart; an examiner that dies."""
    online = {"everyBlocks": 8, "timeoutSeconds": 30, "alphaPercent": 50, "pool": {"everyBlocks": 100000, "count": 5}}
    world = start_world(competition={"online": online}, discovery={"axons": {"everyBlocks": 20, "timeoutSeconds": 30}})
    for name, port in (("a", outside.good.port), ("b", outside.fair.port), ("c", outside.hostile_port)):
        world.chain.post("neurons", hotkey=f"//{name}", axon=f"127.0.0.1:{port}")
    folder = world.folder / "transcripts"
    options = ("--examiner-socket", str(outside.socket), "--transcripts-dir", str(folder))
    process = world.start("pod-1", *options)

    (pool,) = eventually(world.pools, what="the pool is created")
    assert pool["spec"]["tasks"]["count"] == 5
    assert len(pool["spec"]["tasks"]["seed"]) == 64
    eventually(lambda: world.condition("OnlineCurrent") == ("Unknown", "PoolPending"), what="the pool is awaited")
    build(world, pool)
    eventually(lambda: world.condition("OnlineCurrent") == ("True", "OnlineStepDone"), what="a step counted")
    eventually(lambda: online_state(world)["means"][A][2] >= 2, what="two steps are recorded")
    (status,) = world.validator()["status"]["online"]
    results = {each["hotkey"]: (each["outcome"], each["score"]) for each in status["results"]}
    assert results == {
        A: ("Scored", "1.000000"),
        B: ("Scored", "0.500000"),
        C: ("TooLarge", "0.000000"),
        D: ("NotServing", "0.000000"),
    }
    assert {each["hotkey"]: each["reason"] for each in status["leftOut"]} == {keys.address("//Validator"): "Own"}
    assert status["pool"] == pool["metadata"]["name"]
    assert {call.protocol for call in outside.good.calls} == {Protocol.BTAUTH}
    assert {call.protocol for call in outside.fair.calls} == {Protocol.AXON}
    assert {call.hotkey for call in outside.good.calls} == {keys.address("//Validator")}
    assert outside.fair.feedback()[0].startswith("Score 0.500")
    assert all(each.pool.round_uid == pool["metadata"]["uid"] for each in outside.examiner.tasks)

    found = eventually(lambda: m if len(m := served(world)) == 2 else None, what="axons name two models")
    assert {repo: obj["spec"]["miner"]["hotkey"] for repo, obj in found.items()} == {"a/served": A, "b/served": B}
    name = found["a/served"]["metadata"]["name"]
    resolved = {"commit": COMMIT, "sizeBytes": 1, "parameters": 1, "architecture": "X", "at": "2026-01-01T00:00:00Z"}
    world.plane.api.merge(world.at("minermodels", name) + "/status", {"status": {"resolved": resolved}})
    eventually(lambda: revision(world, "a/served") == COMMIT, what="the model is pinned to the commit")

    world.stop(process, signal.SIGTERM)
    before = online_state(world)
    process = world.start("pod-2", *options)
    eventually(lambda: online_state(world)["means"][B][2] > before["means"][B][2], what="a step after the restart")
    assert online_state(world)["means"][A][0] == before["means"][A][0]

    round_ = world.wait_round()
    world.complete(round_, {"a": "0.600000", "b": "0.600000"})
    eventually(lambda: {A, B} <= world.chain.weights().keys(), what="weights are set")
    weights = world.chain.weights()
    assert weights[A] > weights[B], "equal models, and better answers"

    outside.end_examiner()
    eventually(lambda: world.condition("OnlineCurrent") == ("False", "ExaminerUnavailable"), what="its end is reported")
    assert world.condition("PassComplete")[0] == "True"
    eventually(lambda: world.condition("WeightsCurrent")[0] == "True", what="weights are current all the same")
    lines = [json.loads(line) for path in sorted(folder.iterdir()) for line in path.read_text().splitlines()]
    assert any(line["counts"] and len(line["miners"]) == 4 for line in lines)
    assert lines[-1]["reason"] == "ExaminerUnavailable"

    (competition,) = world.validator()["spec"]["competitions"]
    del competition["online"]
    world.plane.api.merge(world.at("validators", "val"), {"spec": {"competitions": [competition]}})
    eventually(lambda: not world.pools(), what="the pools are deleted")
    assert world.rounds()
    eventually(lambda: world.condition("OnlineCurrent") == ("", ""), what="nothing is reported about answers")


def served(world: Any) -> dict[str, dict[str, Any]]:
    """The MinerModels of axons, by repository."""
    items = world.plane.api.get(world.at("minermodels"))["items"]
    made = [i for i in items if i["metadata"].get("labels", {}).get("bitagent.io/submitted-by") == "axon"]
    return {i["spec"]["source"]["huggingFace"]["repo"]: i for i in made}


def revision(world: Any, repo: str) -> str:
    return str(served(world)[repo]["spec"]["source"]["huggingFace"]["revision"])
