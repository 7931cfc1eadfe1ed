"""Which process of a namespace acts."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from tests.unit.kube.test_lease import OneObject
from tests.unit.virtual_time import VirtualTimePolicy

from bitagent_kube.client import Client
from bitagent_kube.errors import ApiError
from bitagent_kube.health import Health
from bitagent_kube.lease import Lease, Timing
from bitagent_kube.resources import DEPLOYMENTS, ROLE_BINDINGS, ApiResource
from bitagent_operator.metrics.counters import Metrics
from bitagent_operator.runtime import leadership
from bitagent_operator.runtime.leadership import TIMING, Standby, identity, lead, lease_of, release_name

QUICK = Timing(duration=1, renew_deadline=0.3, attempt=0.1, retry=0.05, retry_failed=0.02, look=0.05)


def test_another_process_acts_less_than_five_seconds_after_a_death() -> None:
    assert TIMING.look + TIMING.duration < 5, "seen renewed at the latest after a look, and taken when it ends"


def test_a_holder_has_stopped_before_another_begins() -> None:
    assert TIMING.renew_deadline + 1 <= TIMING.duration
    assert TIMING.deadline(TIMING.lasting(5.0)) > 2 * 5.0, "requests that take 5 s renew it in time"
    assert TIMING.retry + 2 * TIMING.attempt + TIMING.retry_failed <= TIMING.renew_deadline, "one attempt may hang"


@pytest.fixture
def event_loop_policy() -> VirtualTimePolicy:
    return VirtualTimePolicy()


class Term:
    """What is done while the Lease is held."""

    def __init__(self) -> None:
        self.begun, self.ended, self.fail = asyncio.Event(), 0, asyncio.Event()
        self.released_before_its_end = False
        self.lease: Lease | None = None

    async def __call__(self) -> None:
        self.begun.set()
        try:
            await self.fail.wait()
            raise RuntimeError("a bug")
        finally:
            await asyncio.sleep(0.01)
            self.released_before_its_end |= self.lease is not None and not self.lease.held
            self.begun.clear()
            self.ended += 1


class World:
    """Processes that share one Lease."""

    def __init__(self) -> None:
        self.api, self.metrics = OneObject(), Metrics()
        self.health: dict[str, Health] = {}

    def start(self, pod: str, term: Term, *, deployment: str = "op") -> asyncio.Task[None]:
        me = identity(release=deployment, pod=pod)
        term.lease = lease = Lease(cast(Client, self.api), name="l", identity=me, owner=None, timing=QUICK)
        self.health[pod] = Health(limit_seconds=1, stalled="", unready="", ready=True)
        waiting = Standby(namespace="n", release=deployment, health=self.health[pod])
        return asyncio.create_task(lead(lease, term, waiting=waiting, metrics=self.metrics))

    @property
    def leads(self) -> float | None:
        return self.metrics.registry.get_sample_value("bitagent_operator_leader")


async def stop(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def test_a_process_that_ends_in_order_is_followed_at_once() -> None:
    world, first, second = World(), Term(), Term()
    leading = world.start("a", first)
    await asyncio.wait_for(first.begun.wait(), 1)
    standing_by = world.start("b", second)
    await asyncio.sleep(0.2)
    assert not second.begun.is_set()
    assert world.leads == 1
    await stop(leading)
    assert (first.ended, first.released_before_its_end) == (1, False), "its last writes come before"
    await asyncio.wait_for(second.begun.wait(), 0.5)
    await stop(standing_by)
    assert world.leads == 0


async def test_a_process_that_loses_its_lease_stops_and_waits_again() -> None:
    world, term = World(), Term()
    leading = world.start("a", term)
    await asyncio.wait_for(term.begun.wait(), 1)
    world.api.broken = True
    await asyncio.sleep(0.5)
    assert (term.ended, leading.done()) == (1, False)
    world.api.broken = False
    await asyncio.wait_for(term.begun.wait(), 1)
    await stop(leading)


async def test_a_lease_that_another_took_ends_the_term() -> None:
    world, term = World(), Term()
    leading = world.start("a", term)
    await asyncio.wait_for(term.begun.wait(), 1)
    assert world.api.held
    world.api.held["spec"]["holderIdentity"] = "op/b"
    world.api.held["metadata"]["resourceVersion"] = "99"
    await asyncio.sleep(0.3)
    assert term.ended == 1
    await stop(leading)
    assert world.api.held["spec"]["holderIdentity"] == "op/b", "it is not ours to give up"


async def test_a_bug_in_a_term_ends_the_process_and_frees_the_lease() -> None:
    world, term = World(), Term()
    leading = world.start("a", term)
    await asyncio.wait_for(term.begun.wait(), 1)
    term.fail.set()
    with pytest.raises(RuntimeError, match="a bug"):
        await asyncio.wait_for(leading, 1)
    assert world.api.held
    assert world.api.held["spec"]["holderIdentity"] == ""


async def test_another_release_makes_a_process_unready_and_a_replica_does_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    world, first = World(), Term()
    leading = world.start("a", first)
    await asyncio.wait_for(first.begun.wait(), 1)
    replica = world.start("b", Term())
    second = Term()
    foreign = world.start("c", second, deployment="op-two")
    await asyncio.sleep(0.3)
    assert "another release, op, operates namespace n" in world.health["c"].problems["release"]
    assert not world.health["b"].problems
    assert [r.message for r in caplog.records].count("standing by: op/a acts") == 1, "once"
    assert len([r for r in caplog.records if r.levelname == "ERROR"]) == 1, "once"
    await stop(leading, replica)
    await asyncio.wait_for(second.begun.wait(), 2)
    assert not world.health["c"].problems
    await stop(foreign)


async def test_a_process_that_cannot_take_the_lease_is_not_ready() -> None:
    world, term = World(), Term()
    world.api.broken = True
    leading = world.start("a", term)
    await asyncio.sleep(0.2)
    assert list(world.health["a"].problems) == ["lease"]
    world.api.broken = False
    await asyncio.wait_for(term.begun.wait(), 1)
    assert not world.health["a"].problems
    await stop(leading)


@pytest.mark.parametrize(
    ("deployment", "found", "owner"),
    [
        pytest.param("op", {"metadata": {"name": "op", "uid": "d", "resourceVersion": "1"}}, "op", id="it is there"),
        pytest.param("op", None, None, id="it is gone"),
        pytest.param("op", ApiError(code=403, reason="Forbidden", message="no"), None, id="it cannot be read"),
        pytest.param("", None, None, id="by hand"),
    ],
)
async def test_the_lease_is_deleted_with_the_deployment(deployment: str, found: Any, owner: str | None) -> None:
    class Deployments(OneObject):
        async def get(self, resource: object, name: str) -> dict[str, Any] | None:
            if resource != DEPLOYMENTS:
                return await super().get(cast(ApiResource, resource), "l")
            if isinstance(found, Exception):
                raise found
            return cast("dict[str, Any] | None", found)

    api = Deployments()
    lease = lease_of(cast(Client, api), deployment=deployment, home="n", pod="p")
    await lease.acquire(waiting=print)
    assert api.held
    owners = api.held["metadata"].get("ownerReferences", [])
    assert [each["name"] for each in owners] == ([owner] if owner else [])
    assert api.held["metadata"]["name"] == "bitagent-operator", "one for each namespace, whatever the release"
    assert api.held["spec"]["leaseDurationSeconds"] == leadership.TIMING.duration


async def test_the_lease_of_another_namespace_is_deleted_with_the_releases_binding_there() -> None:
    class Bindings(OneObject):
        async def get(self, resource: object, name: str) -> dict[str, Any] | None:
            if resource == ROLE_BINDINGS:
                return {"metadata": {"name": name, "uid": "b", "resourceVersion": "1"}}
            return await super().get(cast(ApiResource, resource), "l")

    api = Bindings()
    lease = lease_of(cast(Client, api), deployment="op", home="elsewhere", pod="p")
    await lease.acquire(waiting=print)
    assert api.held
    (owner,) = api.held["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"]) == ("RoleBinding", "op"), "an owner in another namespace does not count"
    assert api.held["spec"]["holderIdentity"] == "elsewhere/op/p"


@pytest.mark.parametrize("deleted", [True, False], ids=["the Lease is created again", "the Lease is taken"])
async def test_a_binding_that_was_created_again_owns_the_lease(deleted: bool) -> None:
    """Kubernetes deletes a Lease whose owner is gone: two processes might then act, time after time."""

    class Bindings(OneObject):
        uid = "old"

        async def get(self, resource: object, name: str) -> dict[str, Any] | None:
            if resource == ROLE_BINDINGS:
                return {"metadata": {"name": name, "uid": self.uid, "resourceVersion": "1"}}
            return await super().get(cast(ApiResource, resource), "l")

    api = Bindings()
    lease = lease_of(cast(Client, api), deployment="op", home="elsewhere", pod="p")
    await lease.acquire(waiting=print)
    api.uid = "new"
    if deleted:
        api.held = None
    else:
        await lease.release()
    keeping = asyncio.create_task(lease.keep() if deleted else lease.acquire(waiting=print))
    await asyncio.sleep(2 * TIMING.retry)
    keeping.cancel()
    assert api.held
    assert [each["uid"] for each in api.held["metadata"]["ownerReferences"]] == ["new"]


@pytest.mark.parametrize(
    ("deployment", "home", "release"),
    [
        pytest.param("op", "n", "op", id="its own namespace, as before there were others"),
        pytest.param("op", "elsewhere", "elsewhere/op", id="of another namespace, with the same name"),
        pytest.param("", "elsewhere", "", id="by hand"),
    ],
)
def test_releases_of_two_namespaces_are_not_the_same(deployment: str, home: str, release: str) -> None:
    assert release_name(deployment=deployment, home=home, namespace="n") == release


async def test_a_release_that_watches_from_elsewhere_is_another_release() -> None:
    world, first, second = World(), Term(), Term()
    leading = world.start("a", first)
    await asyncio.wait_for(first.begun.wait(), 1)
    foreign = world.start("b", second, deployment=release_name(deployment="op", home="elsewhere", namespace="n"))
    await asyncio.sleep(0.3)
    assert not second.begun.is_set()
    assert list(world.health["b"].problems) == ["release"]
    await stop(leading, foreign)
