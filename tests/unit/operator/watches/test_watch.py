"""Full lists and watches, kind by kind, into the cache and the queue."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable
from typing import TYPE_CHECKING, Any, cast

import pytest

from bitagent_kube.client import Client, Listing
from bitagent_kube.errors import ApiError
from bitagent_kube.health import Health
from bitagent_kube.resources import DEPLOYMENTS, JOBS, MODELS, PODS, ROUNDS, VALIDATORS, ApiResource
from bitagent_operator.metrics.counters import Metrics
from bitagent_operator.observed.cache import Cache, Key, Kind
from bitagent_operator.watches import kopf_watch, watch
from bitagent_operator.watches.watch import Watcher

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make

MODEL_A, MODEL_B, ROUND_R = Key(Kind.MODEL, "a"), Key(Kind.MODEL, "b"), Key(Kind.ROUND, "r")
AWAY = ApiError(code=503, reason="Unavailable", message="away")
MISSING = ApiError(code=404, reason="NotFound", message="the server could not find the requested resource")


class Lists:
    """An API server that answers lists; `errors` of a kind come instead of its list."""

    namespace = "ns"

    def __init__(self, **objects: list[dict[str, Any]]) -> None:
        self.objects, self.asked = objects, dict[str, str]()
        self.errors: dict[str, ApiError] = {}
        self.unserved: set[str] = set()
        self.version = "1000000"
        """Of each list; that of its objects is less."""

    async def pages(self, resource: ApiResource, *, labels: str = "") -> AsyncGenerator[Listing]:
        """Pages of one object; an error comes after them."""
        self.asked[resource.kind] = labels
        for obj in self.objects.get(resource.kind, []):
            yield Listing([obj], self.version)
        if resource.kind in self.errors:
            raise self.errors[resource.kind]

    async def served(self, resource: ApiResource) -> bool:
        return resource.kind not in self.unserved


class World:
    """A watcher of such a server, and the keys that it enqueued."""

    def __init__(self, lists: Lists) -> None:
        self.lists, self.cache, self.keys = lists, Cache(), list[Key]()
        self.health, self.metrics = watch.list_health(300), Metrics()
        client = cast(Client, lists)
        self.watcher = Watcher(client, self.cache, self.enqueue, every=300, health=self.health, metrics=self.metrics)

    def enqueue(self, keys: Iterable[Key]) -> None:
        self.keys += keys

    async def list_all(self) -> None:
        for resource in watch.WATCHED:
            await self.watcher.relist(resource)

    def served(self, kind: str) -> float | None:
        return self.metrics.registry.get_sample_value("bitagent_operator_kind_served", {"kind": kind})


async def test_full_lists_make_the_cache_equal_and_enqueue_everything(make: Make) -> None:
    models = [make.model_raw("a"), make.model_raw("b")]
    world = World(Lists(MinerModel=models, EvalRound=[make.round_raw("r")]))
    await world.list_all()
    assert set(world.keys) == set(world.watcher.keys()) == {MODEL_A, MODEL_B, ROUND_R}
    assert world.watcher.tried.is_set()
    world.keys.clear()
    del models[1]
    await world.watcher.relist(MODELS)
    assert (world.cache.model("a") is not None, world.cache.model("b")) == (True, None)
    assert set(world.keys) == {MODEL_A, MODEL_B}


async def test_nothing_is_reconciled_before_what_its_plan_depends_on(make: Make) -> None:
    world = World(Lists(MinerModel=[make.model_raw("a")], EvalRound=[make.round_raw("r")]))
    for resource in (MODELS, ROUNDS, PODS):
        await world.watcher.relist(resource)
    assert (world.keys, world.watcher.keys()) == ([], [])
    await world.watcher.relist(JOBS)
    assert set(world.keys) == {MODEL_A, ROUND_R}, "all that waited"
    assert not world.watcher.known(Kind.VALIDATOR)


async def test_an_unchanged_job_concerns_nothing_in_a_later_list(make: Make) -> None:
    world = World(Lists(MinerModel=[make.model_raw("a")]))
    await world.list_all()
    world.keys.clear()
    await world.watcher.relist(JOBS)
    assert world.keys == []
    await world.watcher.relist(MODELS)
    assert world.keys == [MODEL_A], "objects themselves are looked at again"


async def test_a_kind_whose_definition_is_missing_stops_no_other(make: Make) -> None:
    """Its objects are gone."""
    lists = Lists(MinerModel=[make.model_raw("a")], EvalRound=[make.round_raw("r")])
    lists.errors["Validator"] = MISSING
    lists.unserved.add("Validator")
    world = World(lists)
    world.cache.put("Validator", make.validator_raw("v"))
    await world.list_all()
    assert world.watcher.tried.is_set()
    assert set(world.watcher.keys()) == {MODEL_A, ROUND_R}
    assert len(world.cache.validators) == 0, "they were deleted with their definition"
    assert "validators.bitagent.io are not served" in world.health.problems["Validator"]
    assert (world.served("Validator"), world.served("MinerModel")) == (0, 1)
    lists.errors.clear()
    assert not await world.watcher.relist(VALIDATORS), "kopf would not find it yet"
    lists.unserved.clear()
    assert await world.watcher.relist(VALIDATORS)
    assert (world.health.problems, world.served("Validator")) == ({}, 1)


@pytest.mark.parametrize(("missing", "left"), [("MinerModel", "EvalRound"), ("EvalRound", "MinerModel")])
async def test_what_needs_no_missing_kind_is_reconciled(make: Make, missing: str, left: str) -> None:
    lists = Lists(
        MinerModel=[make.model_raw("a")], EvalRound=[make.round_raw("r")], Validator=[make.validator_raw("v")]
    )
    lists.errors[missing] = MISSING
    lists.unserved.add(missing)
    world = World(lists)
    await world.list_all()
    keys = {"MinerModel": MODEL_A, "EvalRound": ROUND_R}
    assert {keys[left], Key(Kind.VALIDATOR, "v")} <= set(world.watcher.keys())
    assert (world.served(missing), world.served(left), world.served("Validator")) == (0, 1, 1)


@pytest.mark.parametrize("error", [AWAY, MISSING], ids=["fails", "not found by a server that says it serves it"])
async def test_a_kind_that_cannot_be_listed_stops_what_depends_on_it(
    make: Make, error: ApiError, caplog: pytest.LogCaptureFixture
) -> None:
    lists = Lists(EvalRound=[make.round_raw("r")], Validator=[make.validator_raw("v")])
    lists.errors["Job"] = error
    world = World(lists)
    for _ in range(3):
        await world.list_all()
    assert world.watcher.tried.is_set()
    assert set(world.keys) == {Key(Kind.VALIDATOR, "v")}
    assert "jobs cannot be listed" in world.health.problems["Job"]
    assert len([r for r in caplog.records if r.levelname == "ERROR"]) == 1, "once"
    lists.errors.clear()
    await world.watcher.relist(JOBS)
    assert ROUND_R in world.keys
    assert not world.health.problems


async def test_a_list_that_fails_later_deletes_nothing(make: Make) -> None:
    lists = Lists(MinerModel=[make.model_raw("a")])
    world = World(lists)
    await world.list_all()
    lists.errors["MinerModel"] = AWAY
    assert not await world.watcher.relist(MODELS)
    assert world.cache.model("a") is not None
    assert world.watcher.known(Kind.MODEL)


async def test_only_our_jobs_pods_and_deployments_are_listed() -> None:
    world = World(Lists())
    await world.list_all()
    ours = "app.kubernetes.io/managed-by=bitagent-operator"
    assert world.lists.asked == {
        "EvalRound": "", "MinerModel": "", "Validator": "", "Job": ours, "Pod": ours, "Deployment": ours,
    }  # fmt: skip


async def test_full_lists_that_all_fail_end_the_life_in_the_end() -> None:
    world, now = World(Lists()), 0.0
    world.health.clock = lambda: now
    await world.list_all()
    world.lists.errors |= {resource.kind: AWAY for resource in watch.WATCHED}
    now = 5 * 300 + 60
    await world.list_all()
    assert not world.health.alive, "five in a row, and a minute"
    del world.lists.errors["Deployment"]
    await world.watcher.relist(DEPLOYMENTS)
    assert world.health.alive, "the API server answers"


class Watches:
    """In place of kopf: one watch of each kind at a time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.deliver: dict[str, kopf_watch.Deliver] = {}
        self.ends: dict[str, asyncio.Future[None]] = {}
        self.begun: asyncio.Queue[str] = asyncio.Queue()
        monkeypatch.setattr("bitagent_operator.watches.watch.kopf_watch.watch", self.watch)

    async def watch(
        self, resource: ApiResource, *, namespace: str, labelled: bool, deliver: kopf_watch.Deliver
    ) -> None:
        assert (namespace, labelled) == ("ns", resource in (JOBS, PODS, DEPLOYMENTS))
        self.deliver[resource.kind] = deliver
        self.ends[resource.kind] = asyncio.get_running_loop().create_future()
        self.begun.put_nowait(resource.kind)
        await self.ends[resource.kind]

    async def until_begun(self, *kinds: str) -> None:
        waiting = set(kinds)
        while waiting:
            waiting.discard(await asyncio.wait_for(self.begun.get(), 60))


ALL = [resource.kind for resource in watch.WATCHED]


async def test_events_reach_the_cache(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    world, watches = World(Lists()), Watches(monkeypatch)
    running = asyncio.create_task(world.watcher.run())
    await watches.until_begun(*ALL)
    watches.deliver["MinerModel"]("ADDED", make.model_raw("a"))
    assert (world.cache.model("a") is not None, world.keys) == (True, [MODEL_A])
    watches.deliver["MinerModel"]("DELETED", make.model_raw("a"))
    assert (world.cache.model("a"), world.keys) == (None, [MODEL_A, MODEL_A])
    at = world.metrics.registry.get_sample_value(
        "bitagent_operator_watch_last_event_timestamp_seconds", {"kind": "MinerModel"}
    )
    assert at
    running.cancel()


async def test_a_watch_that_ends_is_made_again_after_a_list(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    world, watches = World(Lists()), Watches(monkeypatch)
    running = asyncio.create_task(world.watcher.run())
    await watches.until_begun(*ALL)
    world.lists.objects["MinerModel"] = [make.model_raw("a")]
    watches.ends["MinerModel"].set_exception(kopf_watch.WatchEnded("404"))
    await watches.until_begun("MinerModel")
    assert world.cache.model("a") is not None
    assert watches.begun.empty(), "the others are watched as before"
    running.cancel()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - in memory, nothing says when
            await asyncio.sleep(0.005)


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "QUIET_SECONDS", 0.02)
    monkeypatch.setattr(watch, "BEGINS_SECONDS", 0.02)


async def test_what_was_deleted_before_kopf_had_listed_is_seen_soon(
    make: Make, monkeypatch: pytest.MonkeyPatch, soon: None
) -> None:
    monkeypatch.setattr(watch, "BEGINS_SECONDS", 3600)
    a, b = make.model_raw("a"), make.model_raw("b")
    world, watches = World(Lists(MinerModel=[a, b])), Watches(monkeypatch)
    running = asyncio.create_task(world.watcher.run())
    await watches.until_begun(*ALL)
    for uid in ("second", "third"):  # then kopf lists again, as when its watch was interrupted for long
        world.keys.clear()
        world.lists.objects["MinerModel"] = [a]
        watches.deliver["MinerModel"](kopf_watch.LISTED, a)
        await until(lambda: world.cache.model("b") is None)
        assert world.keys == [MODEL_B], "only what changed: thousands of others are not looked at again"
        watches.deliver["MinerModel"]("ADDED", make.model_raw("b", uid=uid))
        assert world.cache.model("b") is not None
    assert world.cache.model("a") is not None
    running.cancel()


async def test_kopf_delivers_nothing_of_an_empty_list(make: Make, monkeypatch: pytest.MonkeyPatch, soon: None) -> None:
    world, watches = World(Lists(MinerModel=[make.model_raw("a")])), Watches(monkeypatch)
    running = asyncio.create_task(world.watcher.run())
    await watches.until_begun(*ALL)
    world.lists.objects["MinerModel"] = []
    await until(lambda: world.cache.model("a") is None)
    running.cancel()


async def test_lists_of_kopf_do_not_put_off_the_periodic_one(
    make: Make, monkeypatch: pytest.MonkeyPatch, soon: None
) -> None:
    a = make.model_raw("a")
    world, watches = World(Lists(MinerModel=[a])), Watches(monkeypatch)
    monkeypatch.setattr(world.watcher, "_every", 0.3)
    running = asyncio.create_task(world.watcher.run())
    await watches.until_begun(*ALL)
    world.keys.clear()

    def enqueued() -> bool:
        watches.deliver["MinerModel"](kopf_watch.LISTED, a)
        return MODEL_A in world.keys

    await until(enqueued)
    running.cancel()


async def test_a_kind_is_not_watched_before_it_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bitagent_operator.watches.watch.Backoff.next", lambda _self: 0.01)
    world, watches = World(Lists()), Watches(monkeypatch)
    world.lists.unserved.add("Validator")
    running = asyncio.create_task(world.watcher.run())
    await watches.until_begun(*(set(ALL) - {"Validator"}))
    await asyncio.sleep(0.05)
    assert watches.begun.empty()
    world.lists.unserved.clear()
    await watches.until_begun("Validator")
    running.cancel()


async def test_a_bug_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    world, watches = World(Lists()), Watches(monkeypatch)
    running = asyncio.create_task(world.watcher.run())
    await watches.until_begun(*ALL)
    watches.ends["Pod"].set_exception(KeyError("a bug"))
    with pytest.raises(BaseExceptionGroup):
        await asyncio.wait_for(running, 60)


def test_the_process_is_alive_before_its_first_list() -> None:
    health: Health = watch.list_health(300)
    assert (health.alive, health.ready) == (True, False)


async def test_what_a_restored_server_lists_is_taken_in(make: Make) -> None:
    """Its store was restored from a backup: versions begin again at those of that time."""
    present, restored = make.model_raw("a"), make.model_raw("a", suspend=True)
    present["metadata"]["resourceVersion"], restored["metadata"]["resourceVersion"] = "900", "1"
    world = World(Lists(MinerModel=[present], EvalRound=[]))
    world.cache.put("MinerModel", present)
    world.lists.objects["MinerModel"], world.lists.version = [restored], "7"
    assert await world.watcher.relist(MODELS)
    found = world.cache.model("a")
    assert found is not None
    assert found.spec.suspend


async def test_what_a_list_has_said_before_it_breaks_is_not_lost(make: Make) -> None:
    lists = Lists(MinerModel=[make.model_raw("a"), make.model_raw("b")], EvalRound=[make.round_raw("r")])
    world = World(lists)
    await world.list_all()
    world.keys.clear()
    lists.objects["MinerModel"] = [make.model_raw("a")]
    lists.errors["MinerModel"] = AWAY
    assert not await world.watcher.relist(MODELS)
    assert world.keys == [MODEL_A]
    assert world.cache.model("b") is not None, "a list that is not complete deletes nothing"
