"""Full lists and kopf's events, into the cache and the queue."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

import pytest

from bitagent_kube.client import Client
from bitagent_kube.errors import ApiError
from bitagent_kube.resources import ApiResource
from bitagent_operator import watch
from bitagent_operator.cache import Cache, Key, Kind
from bitagent_operator.metrics import Metrics

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make

MODEL_A, MODEL_B, ROUND_R = Key(Kind.MODEL, "a"), Key(Kind.MODEL, "b"), Key(Kind.ROUND, "r")


class Lists:
    """An API server that answers lists; `failures` of them with an error first."""

    def __init__(self, **objects: list[dict[str, Any]]) -> None:
        self.objects, self.asked, self.failures = objects, {}, 0

    async def list(self, resource: ApiResource, *, labels: str = "") -> list[dict[str, Any]]:
        self.asked[resource.kind] = labels
        if self.failures:
            self.failures -= 1
            raise ApiError(code=503, reason="Unavailable", message="away")
        return self.objects.get(resource.kind, [])

    @property
    def client(self) -> Client:
        return cast(Client, self)


class Queue:
    """The keys that were enqueued."""

    def __init__(self) -> None:
        self.keys: list[Key] = []

    def __call__(self, keys: Iterable[Key]) -> None:
        self.keys += keys


async def test_a_full_list_makes_the_cache_equal_and_enqueues_everything(make: Make) -> None:
    cache, queue = Cache(), Queue()
    unchanged = make.model_raw("a")
    for raw in (unchanged, make.model_raw("b")):
        cache.put("MinerModel", raw)
    lists = Lists(MinerModel=[unchanged], EvalRound=[make.round_raw("r")])
    await watch.relist(lists.client, cache, queue)
    assert (cache.model("a") is not None, cache.model("b")) == (True, None)
    assert set(queue.keys) == {MODEL_A, MODEL_B, ROUND_R}


async def test_a_list_that_comes_after_another_failed_changes_nothing(make: Make) -> None:
    """A later list may have begun by then, and what the late one holds may be deleted."""
    may_come, late = asyncio.Event(), [make.model_raw("a")]

    class Slow(Lists):
        async def list(self, resource: ApiResource, *, labels: str = "") -> list[dict[str, Any]]:
            if resource.kind == "MinerModel":
                await may_come.wait()
                return late
            return await super().list(resource, labels=labels)

    lists, cache, queue = Slow(), Cache(), Queue()
    lists.failures = 1
    with pytest.raises(ApiError):
        await watch.relist(lists.client, cache, queue)
    may_come.set()
    await asyncio.sleep(0.01)
    assert (cache.model("a"), queue.keys) == (None, [])


async def test_only_our_jobs_pods_and_deployments_are_listed() -> None:
    lists = Lists()
    await watch.relist(lists.client, Cache(), Queue())
    ours = "app.kubernetes.io/managed-by=bitagent-operator"
    assert lists.asked == {
        "EvalRound": "", "MinerModel": "", "Validator": "", "Job": ours, "Pod": ours, "Deployment": ours,
    }  # fmt: skip


async def test_full_lists_that_fail_are_repeated_sooner_and_end_the_life_in_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slept: list[float] = []
    done = asyncio.Event()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 2:
            done.set()
            await asyncio.Event().wait()

    monkeypatch.setattr("bitagent_operator.watch.asyncio.sleep", sleep)
    lists, health, metrics, now = Lists(), watch.list_health(300), Metrics(), 0.0
    lists.failures = 1
    health.clock = lambda: now
    health.beat()
    now = 5 * 300 + 60
    assert not health.alive, "five in a row, and a minute"
    forever = watch.relist_periodically(lists.client, Cache(), Queue(), every=300, health=health, metrics=metrics)
    task = asyncio.create_task(forever)
    await asyncio.wait_for(done.wait(), 5)
    task.cancel()
    assert slept == [watch.LIST_RETRY_SECONDS, 300]
    assert health.alive
    assert metrics.registry.get_sample_value("bitagent_operator_last_sync_timestamp_seconds")


async def test_events_of_kopf_reach_the_cache(make: Make) -> None:
    cache, queue = Cache(), Queue()
    registry = watch.registry(cache, queue)
    observers = {h.id: cast(Any, h.fn) for h in registry._watching.get_all_handlers()}
    raw = make.model_raw("a")
    await observers["observe-minermodels"](event={"type": "ADDED", "object": raw})
    assert (cache.model("a") is not None, queue.keys) == (True, [MODEL_A])
    await observers["observe-minermodels"](event={"type": "DELETED", "object": raw})
    assert (cache.model("a"), queue.keys) == (None, [MODEL_A, MODEL_A])
    assert set(observers) == {f"observe-{resource.plural}" for resource, _ in watch.WATCHED}


def test_kopf_writes_nothing_to_objects() -> None:
    settings = watch.settings()
    assert (settings.posting.enabled, settings.scanning.disabled, settings.peering.standalone) == (False, True, True)
    ours = "app.kubernetes.io/managed-by=bitagent-operator"
    assert settings.watching.label_selectors["batch", "v1", "jobs"] == ours
    assert ("bitagent.io", "v1alpha1", "minermodels") not in settings.watching.label_selectors
