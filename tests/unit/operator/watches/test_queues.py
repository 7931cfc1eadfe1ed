"""Kueue's queues are followed while something waits in one, in the version that is served; else nothing is asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

import pytest
from tests.unit.virtual_time import VirtualTimePolicy

from bitagent_crds.names import QUEUE_LABEL
from bitagent_kube.client import Client, Listing
from bitagent_kube.errors import ApiError
from bitagent_kube.resources import LOCAL_QUEUES, ApiResource
from bitagent_kube.watch import EventType, WatchEvent
from bitagent_operator.observed.cache import Cache, Key, Kind
from bitagent_operator.watches.queues import QueueWatch, read_queues

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make

ROUND = Key(Kind.ROUND, "r")
DENIED = ApiError(code=403, reason="Forbidden", message="may not list localqueues")


@pytest.fixture
def event_loop_policy() -> VirtualTimePolicy:
    return VirtualTimePolicy()


def queue(name: str, *, version: int = 1) -> dict[str, Any]:
    return {"metadata": {"name": name, "uid": f"uid-{name}", "resourceVersion": str(version)}, "spec": {}}


class Server:
    """An API server that serves some versions of Kueue's API; `events` are delivered by the watch of queues."""

    def __init__(self, *served: str) -> None:
        self.versions, self.queues, self.asked = set(served), list[dict[str, Any]](), list[str]()
        self.denied: ApiError | None = None
        self.events: asyncio.Queue[WatchEvent] = asyncio.Queue()

    async def served(self, resource: ApiResource) -> bool:
        self.asked.append("served")
        return resource.version in self.versions

    async def list(self, resource: ApiResource) -> list[dict[str, Any]]:
        self.asked.append(f"list {resource.version} {resource.plural}")
        if self.denied is not None:
            raise self.denied
        return self.queues if resource.plural == "localqueues" else []

    async def listing(self, resource: ApiResource, *, labels: str, fields: str) -> Listing:
        return Listing(await self.list(resource), "1")

    async def watch(self, resource: ApiResource, **_: str) -> AsyncGenerator[WatchEvent, None]:
        self.asked.append(f"watch {resource.plural}")
        while resource.plural == "localqueues":
            yield await self.events.get()
        await asyncio.Event().wait()


class World:
    def __init__(self, make: Make, server: Server) -> None:
        self.server, self.cache, self.keys = server, Cache(), list[Key]()
        labels = {"bitagent.io/round": "r", QUEUE_LABEL: "gpus"}
        meta = make.meta("j", labels=labels, ownerReferences=[{"uid": "uid-r", "controller": True}])
        self.cache.put("Job", {"metadata": meta, "spec": {"suspend": True}})
        self.watch = QueueWatch(cast(Client, server), self.cache, self.enqueue, every=300)

    def enqueue(self, keys: Iterable[Key]) -> None:
        self.keys += keys

    async def until(self, true: Callable[[], object]) -> None:
        for _ in range(10_000):
            if true():
                return
            await asyncio.sleep(0.1)
        raise AssertionError("not within 1,000 s")


@asynccontextmanager
async def following(world: World) -> AsyncIterator[World]:
    running = asyncio.create_task(world.watch.run())
    try:
        yield world
    finally:
        running.cancel()
        await asyncio.wait([running])


async def test_nothing_is_asked_while_nothing_waits_in_a_queue(make: Make) -> None:
    async with following(World(make, Server("v1beta2"))) as world:
        await asyncio.sleep(3600)
        assert world.server.asked == []
        assert not world.cache.queues.read


@pytest.mark.parametrize("version", [each.version for each in LOCAL_QUEUES])
async def test_queues_are_read_in_the_version_that_is_served(make: Make, version: str) -> None:
    server = Server(version)
    server.queues = [queue("gpus")]
    async with following(World(make, server)) as world:
        world.watch.need()
        await world.until(lambda: world.cache.queues.read)
        assert list(world.cache.queues.queues) == ["gpus"]
        assert world.keys == [ROUND]
        assert f"list {version} localqueues" in server.asked
        world.keys.clear()
        await server.events.put(WatchEvent(EventType.DELETED, queue("gpus", version=2)))
        await world.until(lambda: not world.cache.queues.queues)
        assert world.keys == [ROUND], "what waits in it"


async def test_no_kueue_is_part_of_the_state_until_it_comes(make: Make) -> None:
    server = Server()
    async with following(World(make, server)) as world:
        world.watch.need()
        await world.until(lambda: world.cache.queues.read)
        assert not world.cache.queues.installed
        await asyncio.sleep(300)
        assert world.keys == [ROUND], "once, however often it is looked for"
        server.versions.add("v1beta2")
        server.queues = [queue("gpus")]
        await world.until(lambda: world.cache.queues.installed)
        assert world.keys == [ROUND, ROUND]
        server.versions.clear()
        await world.until(lambda: not world.cache.queues.installed)


async def test_what_may_not_be_read_is_said_in_the_servers_words(make: Make) -> None:
    server = Server("v1beta2")
    server.denied = DENIED
    async with following(World(make, server)) as world:
        world.watch.need()
        await world.until(lambda: world.cache.queues.problem)
        assert "may not list localqueues" in world.cache.queues.problem
        assert not world.cache.queues.read, "nothing follows from it"
        server.denied = None
        await world.until(lambda: world.cache.queues.read)
        assert not world.cache.queues.problem


async def test_a_trouble_of_the_server_changes_nothing_that_is_known(make: Make) -> None:
    server = Server()
    async with following(World(make, server)) as world:
        world.watch.need()
        await world.until(lambda: world.cache.queues.read)
        server.versions.add("v1beta2")
        server.denied = ApiError(code=429, reason="TooManyRequests", message="storage is (re)initializing")
        await asyncio.sleep(60)
        assert (world.cache.queues.installed, world.cache.queues.problem) == (False, "")
        server.denied = None
        await world.until(lambda: world.cache.queues.installed)


async def test_the_queues_are_left_alone_once_nothing_has_waited_for_long(make: Make) -> None:
    server = Server("v1beta2")
    async with following(World(make, server)) as world:
        world.watch.need()
        await world.until(lambda: world.cache.queues.read)
        await asyncio.sleep(450)
        world.watch.need()
        await asyncio.sleep(870)
        assert world.cache.queues.read, "a pass has asked for them meanwhile"
        await asyncio.sleep(60)
        assert not world.cache.queues.read
        asked = len(server.asked)
        await asyncio.sleep(3600)
        assert len(server.asked) == asked
        world.watch.need()
        await world.until(lambda: world.cache.queues.read)


@pytest.mark.parametrize(
    ("served", "denied", "read", "installed"),
    [
        pytest.param(["v1beta2"], None, True, True, id="there"),
        pytest.param([], None, True, False, id="no Kueue"),
        pytest.param(["v1beta1"], DENIED, False, True, id="forbidden"),
    ],
)
async def test_one_reading_for_an_explanation(
    served: list[str], denied: ApiError | None, read: bool, installed: bool
) -> None:
    server = Server(*served)
    server.denied = denied
    found = await read_queues(cast(Client, server))
    assert (found.read, found.installed, bool(found.problem)) == (read, installed, denied is not None)
