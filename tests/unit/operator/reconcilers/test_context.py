"""Requests of the reconcilers: what is counted, and what is done at the same time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from tests.unit.operator.reconcilers.test_invalid_objects import QUOTA, Refusing, put
from tests.unit.operator.reconcilers.test_reconcile import Operator

from bitagent_kube.errors import ApiError, not_sent
from bitagent_kube.resources import ApiResource
from bitagent_operator.observed.cache import Key, Kind
from bitagent_operator.plan.inputs import NO_RESULTS, LiveReads
from bitagent_operator.reconcilers.context import REQUESTS_IN_FLIGHT, Context

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make

Obj = dict[str, Any]
ROUND = Key(Kind.ROUND, "r")


def job(name: str, *, owner: str = "uid-r") -> Obj:
    labels = {"app.kubernetes.io/component": "evaluate", "bitagent.io/round": "r", "bitagent.io/attempt": "1"}
    metadata = {"name": name, "labels": labels, "ownerReferences": [{"uid": owner, "controller": True}]}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {}}


def counted(context: Context, name: str, **labels: str) -> float | None:
    return context.metrics.registry.get_sample_value(f"bitagent_operator_{name}_total", labels)


async def test_a_job_counts_for_the_process_that_created_it(make: Make) -> None:
    server = Refusing(make)
    first, second = Operator(server).context, Operator(server).context
    await first.create_jobs(ROUND, [job("r-1"), job("r-2")])
    await second.create_jobs(ROUND, [job("r-2"), job("r-3")])
    assert counted(first, "jobs_created", component="evaluate") == 2
    assert counted(second, "jobs_created", component="evaluate") == 1


async def test_a_job_of_somebody_else_does_not_count(make: Make) -> None:
    server = Refusing(make)
    server.put("Job", job("r-1", owner="someone"))
    context = Operator(server).context
    await context.create_jobs(ROUND, [job("r-1")])
    assert counted(context, "jobs_created", component="evaluate") is None
    assert counted(context, "jobs_refused", component="evaluate", reason="JobRefused") == 1


async def test_each_refused_try_counts(make: Make) -> None:
    server = Refusing(make)
    server.refuses = lambda _job: QUOTA
    context = Operator(server).context
    for _ in range(2):
        await context.create_jobs(ROUND, [job("r-1")])
    assert counted(context, "jobs_refused", component="evaluate", reason="JobRefused") == 2


async def test_a_job_that_this_process_may_not_create_is_not_refused(make: Make) -> None:
    """As while its Lease is renewed late: the pass fails, and what was sent counts."""
    server = Refusing(make)
    server.refuses = lambda made: not_sent("POST") if made["metadata"]["name"] == "r-1" else None
    context = Operator(server).context
    with pytest.raises(ApiError, match="not sent"):
        await context.create_jobs(ROUND, [job("r-1"), job("r-2")])
    assert counted(context, "jobs_created", component="evaluate") == 1
    assert counted(context, "jobs_refused", component="evaluate", reason="JobRefused") is None
    assert context.refusals.of(ROUND, owner="uid-r") == {}


class Slow(Refusing):
    """Answers a read when enough of them wait at the same time."""

    def __init__(self, make: Make, *, together: int) -> None:
        super().__init__(make)
        self.together, self.waiting, self.go = together, 0, asyncio.Event()

    async def get(self, resource: ApiResource, name: str) -> Obj | None:
        self.waiting += 1
        if self.waiting == self.together:
            self.go.set()
        await asyncio.wait_for(self.go.wait(), 60)
        return await super().get(resource, name)


async def test_models_are_read_at_the_same_time(make: Make) -> None:
    server = Slow(make, together=REQUESTS_IN_FLIGHT)
    names = [f"m{n}" for n in range(2 * REQUESTS_IN_FLIGHT)]
    for name in names[1:]:
        put(server, make.model_raw(name), "MinerModel")
    context = Operator(server).context
    found = await context.read_live(ROUND, LiveReads(models=frozenset(names)), NO_RESULTS)
    assert found.missing_models == {"m0"}
    assert all(context.cache.model(name) is not None for name in names[1:])


async def test_models_of_a_kind_that_is_not_served_are_not_missing(make: Make) -> None:
    server = Refusing(make)
    server.unserved.add("MinerModel")
    found = await Operator(server).context.read_live(ROUND, LiveReads(models=frozenset({"m"})), NO_RESULTS)
    assert (found.missing_models, set(found.unreadable)) == (frozenset(), {"m"})


async def test_requests_that_are_made_at_the_same_time_all_end_before_an_error_is_raised(make: Make) -> None:
    context, done = Operator(Refusing(make)).context, list[int]()

    async def request(number: int) -> None:
        await asyncio.sleep(0)
        if number == 1:
            raise ApiError(code=500, reason="", message="no")
        done.append(number)

    with pytest.raises(ApiError):
        await context.in_parallel(request(n) for n in range(4))
    assert done == [0, 2, 3]
