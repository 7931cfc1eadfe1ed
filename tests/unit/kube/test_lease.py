"""The Lease, against an API server of one object."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import dataclasses
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from tests.unit.virtual_time import VirtualTimePolicy

from bitagent_kube import lease as module
from bitagent_kube.errors import ApiError
from bitagent_kube.lease import Lease, LeaseLost, Timing
from bitagent_kube.objects import ObjectReference
from bitagent_kube.resources import LEASES

PATIENT = Timing(duration=4, renew_deadline=3, give_up=60, longest=60, attempt=0.9, retry=1, retry_failed=0.2, look=0.5)
QUICK = Timing(duration=1, renew_deadline=0.3, attempt=0.1, retry=0.05, retry_failed=0.02, look=0.05)
CONFLICT = ApiError(code=409, reason="Conflict", message="conflict")
OWNER = ObjectReference("bitagent.io/v1alpha1", "Validator", "n", "val", "u")


@pytest.fixture
def event_loop_policy() -> VirtualTimePolicy:
    return VirtualTimePolicy()


class OneObject:
    """Holds one Lease with optimistic locking; `broken` makes every call fail, `deaf` loses the answer to the next
    write.
    """

    namespace = "n"

    def __init__(self) -> None:
        self.held: dict[str, Any] | None = None
        self.version = 0
        self.broken = False
        self.deaf = False
        self.hangs = False
        self.takes = 0.0
        """Time of each call."""

    async def _check(self) -> None:
        await asyncio.sleep(self.takes)
        if self.hangs:
            await asyncio.Event().wait()
        if self.broken:
            raise ApiError(code=0, reason="NoAnswer", message="the API server is away")

    def _store(self, body: dict[str, Any]) -> dict[str, Any]:
        self.version += 1
        self.held = copy.deepcopy(body)
        self.held["metadata"]["resourceVersion"] = str(self.version)
        if self.deaf:  # what a second attempt after a lost answer comes to
            self.deaf = False
            raise CONFLICT
        return copy.deepcopy(self.held)

    async def get(self, resource: object, name: str) -> dict[str, Any] | None:
        assert (resource, name) == (LEASES, "l")
        await self._check()
        return copy.deepcopy(self.held)

    async def create(self, body: dict[str, Any]) -> dict[str, Any]:
        await self._check()
        if self.held:
            raise CONFLICT
        return self._store(body)

    async def replace(self, body: dict[str, Any]) -> dict[str, Any]:
        await self._check()
        if not self.held or body["metadata"]["resourceVersion"] != self.held["metadata"]["resourceVersion"]:
            raise CONFLICT
        return self._store(body)


def test_a_holder_gives_up_well_before_others_may_take_over() -> None:
    timing = Timing()
    assert timing.renew_deadline + timing.retry < timing.duration


def test_two_attempts_fit_in_the_deadline_even_if_the_first_hangs() -> None:
    timing = Timing()
    assert timing.retry + 2 * timing.attempt + timing.retry_failed <= timing.renew_deadline


def lease(api: OneObject, identity: str, *, owner: ObjectReference | None = OWNER, **timing: float) -> Lease:
    timed = dataclasses.replace(QUICK, **timing)
    return Lease(api, name="l", identity=identity, owner=owner, timing=timed)  # type: ignore[arg-type]


async def test_one_holder_at_a_time() -> None:
    api, waited = OneObject(), []
    first = lease(api, "pod-1")
    await first.acquire(waiting=waited.append)
    assert api.held
    assert api.held["metadata"]["ownerReferences"] == [OWNER.as_owner()]
    assert (api.held["kind"], api.held["metadata"]["namespace"]) == ("Lease", "n")
    keeping = asyncio.create_task(first.keep())
    other = asyncio.create_task(lease(api, "pod-2").acquire(waiting=waited.append))
    await asyncio.sleep(1.3)
    assert not other.done(), "it is renewed, so it is not free"
    keeping.cancel()
    await first.release()
    await asyncio.wait_for(other, 1)
    assert api.held["spec"]["holderIdentity"] == "pod-2"
    assert api.held["spec"]["leaseTransitions"] == 2
    assert set(waited) == {"pod-1"}


async def test_a_dead_holders_lease_is_taken_after_its_duration() -> None:
    api = OneObject()
    await lease(api, "pod-1").acquire(waiting=print)
    began = asyncio.get_running_loop().time()
    await asyncio.wait_for(lease(api, "pod-2").acquire(waiting=lambda _: None), 3)
    assert asyncio.get_running_loop().time() - began > 1
    assert api.held
    assert api.held["spec"]["holderIdentity"] == "pod-2"


async def test_the_same_pod_started_again_goes_on_at_once() -> None:
    api = OneObject()
    await lease(api, "pod-1").acquire(waiting=print)
    await asyncio.wait_for(lease(api, "pod-1").acquire(waiting=print), 0.5)
    assert api.held
    assert api.held["spec"]["leaseTransitions"] == 1


async def test_a_lease_taken_by_another_is_lost() -> None:
    api = OneObject()
    mine = lease(api, "pod-1")
    await mine.acquire(waiting=print)
    assert api.held
    api.held["spec"]["holderIdentity"] = "pod-2"
    api.held["metadata"]["resourceVersion"] = "99"
    with pytest.raises(LeaseLost, match="held by pod-2"):
        await asyncio.wait_for(mine.keep(), 2)


async def test_a_lease_that_cannot_be_renewed_is_lost_before_it_ends() -> None:
    api = OneObject()
    mine = lease(api, "pod-1")
    await mine.acquire(waiting=print)
    api.broken = True
    began = asyncio.get_running_loop().time()
    with pytest.raises(LeaseLost, match="was not renewed"):
        await asyncio.wait_for(mine.keep(), 2)
    assert asyncio.get_running_loop().time() - began < 1


async def test_a_request_that_hangs_does_not_cost_the_lease() -> None:
    """As on a connection to an API server that was shut down: the next attempt opens another one."""
    api = OneObject()
    mine = lease(api, "pod-1", renew_deadline=0.8, duration=2)
    await mine.acquire(waiting=print)
    keeping = asyncio.create_task(mine.keep())
    api.hangs = True
    await asyncio.sleep(0.08)  # the first attempt has begun
    api.hangs = False
    await asyncio.sleep(1.2)
    assert not keeping.done()
    keeping.cancel()


@pytest.mark.parametrize(("takes", "held"), [(0.04, True), (0.12, True), (0.31, False)])
async def test_a_server_that_is_slow_for_good_is_waited_for_within_the_deadline(*, takes: float, held: bool) -> None:
    """An attempt's time, 0.1 s, is too short for one call; taking a Lease needs two."""
    api = OneObject()
    api.takes = takes
    mine = lease(api, "pod-1")
    acquiring = asyncio.create_task(mine.acquire(waiting=lambda _holder: None))
    await asyncio.wait([acquiring], timeout=2)
    assert acquiring.done() == held
    if held:
        keeping = asyncio.create_task(mine.keep())
        await asyncio.sleep(2)
        assert not keeping.done()
        keeping.cancel()
    acquiring.cancel()


def patient(api: OneObject, identity: str = "pod-1") -> Lease:
    return Lease(api, name="l", identity=identity, owner=OWNER, timing=PATIENT)  # type: ignore[arg-type]


async def share_held(mine: Lease, seconds: float) -> float:
    """For which part of the time it is held."""
    found = []
    for _ in range(int(seconds * 10)):
        await asyncio.sleep(0.1)
        found.append(mine.held)
    return sum(found) / len(found)


@pytest.mark.parametrize("takes", [1.4, 5.0, 10.0])
async def test_a_lease_lasts_longer_while_requests_are_slow(takes: float) -> None:
    api = OneObject()
    mine = patient(api)
    await mine.acquire(waiting=print)
    keeping = asyncio.create_task(mine.keep())
    assert await share_held(mine, 10) == 1
    api.takes = takes
    await asyncio.sleep(2 + 8 * takes)
    assert await share_held(mine, 300) == 1, "once that is known"
    assert api.held
    assert PATIENT.duration < api.held["spec"]["leaseDurationSeconds"] <= 60
    api.takes = 0.0
    await asyncio.sleep(30)
    assert api.held["spec"]["leaseDurationSeconds"] == PATIENT.duration, "another process acts soon again"
    assert api.held["spec"]["leaseTransitions"] == 1
    assert not keeping.done()
    keeping.cancel()


async def test_a_server_that_is_slow_from_the_start_is_waited_for() -> None:
    api = OneObject()
    api.takes = 5.0
    mine = patient(api)
    await asyncio.wait_for(mine.acquire(waiting=lambda _holder: None), 60)
    keeping = asyncio.create_task(mine.keep())
    await asyncio.sleep(30)
    assert await share_held(mine, 100) == 1
    keeping.cancel()


async def test_a_holder_that_waits_does_not_act_and_gives_up_in_the_end() -> None:
    api, loop = OneObject(), asyncio.get_running_loop()
    mine = patient(api)
    await mine.acquire(waiting=print)
    began, api.broken = loop.time(), True
    keeping = asyncio.create_task(mine.keep())
    await asyncio.sleep(PATIENT.renew_deadline)
    assert await share_held(mine, 50) == 0
    assert not keeping.done()
    with pytest.raises(LeaseLost, match="was not renewed"):
        await keeping
    assert 60 <= loop.time() - began < 62


async def test_the_same_failure_is_logged_once_while_a_holder_waits(caplog: pytest.LogCaptureFixture) -> None:
    api = OneObject()
    mine = patient(api)
    await mine.acquire(waiting=print)
    api.broken = True
    keeping = asyncio.create_task(mine.keep())
    await asyncio.sleep(50)
    keeping.cancel()
    assert len(caplog.records) == 1


async def test_a_holder_that_waits_takes_nothing_from_another() -> None:
    """That one may have acted meanwhile."""
    api = OneObject()
    mine = patient(api)
    await mine.acquire(waiting=print)
    keeping = asyncio.create_task(mine.keep())
    api.broken = True
    await asyncio.sleep(10)
    assert api.held
    api.held["spec"]["holderIdentity"] = "pod-2"
    api.held["metadata"]["resourceVersion"] = "99"
    api.broken = False
    with pytest.raises(LeaseLost, match="held by pod-2"):
        await asyncio.wait_for(keeping, 20)


@pytest.mark.parametrize("ends", [True, False], ids=["in order", "at once"])
async def test_a_holder_that_waits_learns_that_another_has_acted_and_is_gone(*, ends: bool) -> None:
    """What it decided before is not carried out, although the Lease is free again."""
    api, other_way = OneObject(), OneObject()
    mine = patient(api)
    await mine.acquire(waiting=print)
    keeping = asyncio.create_task(mine.keep())
    api.broken = True
    await asyncio.sleep(10)
    other_way.held, other_way.version = api.held, api.version
    other = patient(other_way, "pod-2")
    await other.acquire(waiting=lambda _holder: None)
    if ends:
        await other.release()
    else:
        await asyncio.sleep(20)
    api.held, api.version, api.broken = other_way.held, other_way.version, False
    with pytest.raises(LeaseLost):
        await asyncio.wait_for(keeping, 20)


class Unreliable(OneObject):
    """Requests take any time on their way, answers too, and some of these are lost."""

    def __init__(self, random: Random) -> None:
        super().__init__()
        self._random = random

    async def _check(self) -> None:
        slow = self._random.choice((0.01, 0.3, 1.0, 6.0))
        await asyncio.sleep(self._random.random() * slow)

    async def _answer(self, found: Any) -> Any:
        await asyncio.sleep(self._random.random() * self._random.choice((0.01, 0.3, 1.0, 6.0)))
        if self._random.random() < 0.1:
            await asyncio.Event().wait()
        return found

    async def get(self, resource: object, name: str) -> dict[str, Any] | None:
        found: dict[str, Any] | None = await self._answer(await super().get(resource, name))
        return found

    async def create(self, body: dict[str, Any]) -> dict[str, Any]:
        made: dict[str, Any] = await self._answer(await super().create(body))
        return made

    async def replace(self, body: dict[str, Any]) -> dict[str, Any]:
        made: dict[str, Any] = await self._answer(await super().replace(body))
        return made


@pytest.mark.parametrize("seed", range(4))
async def test_never_do_two_processes_hold_it(seed: int) -> None:
    api, held = Unreliable(Random(seed)), {"pod-1": 0, "pod-2": 0}
    leases = {name: patient(api, name) for name in held}

    async def run(mine: Lease) -> None:
        while True:
            await mine.acquire(waiting=lambda _holder: None)
            with contextlib.suppress(LeaseLost):
                await mine.keep()

    running = [asyncio.create_task(run(each)) for each in leases.values()]
    for _ in range(20_000):
        await asyncio.sleep(0.1)
        now = [name for name, each in leases.items() if each.held]
        assert len(now) <= 1
        for name in now:
            held[name] += 1
    for each in running:
        each.cancel()
    assert sum(held.values()) > 8_000, "most of the time one of them does"


async def test_a_lease_that_somebody_has_changed_is_given_up_too() -> None:
    api = OneObject()
    mine = lease(api, "pod-1")
    await mine.acquire(waiting=print)
    assert api.held
    api.held["metadata"] |= {"resourceVersion": "77", "labels": {"by": "hand"}}
    await mine.release()
    assert api.held["spec"]["holderIdentity"] == ""


async def test_a_short_failure_is_survived() -> None:
    api = OneObject()
    mine = lease(api, "pod-1")
    await mine.acquire(waiting=print)
    keeping = asyncio.create_task(mine.keep())
    api.broken = True
    await asyncio.sleep(0.15)
    api.broken = False
    await asyncio.sleep(0.4)
    assert not keeping.done()
    keeping.cancel()


async def test_an_answer_that_was_lost_costs_nothing() -> None:
    """The client sends the request again, which conflicts with its own first attempt."""
    api = OneObject()
    mine = lease(api, "pod-1")
    api.deaf = True
    await asyncio.wait_for(mine.acquire(waiting=lambda holder: pytest.fail(f"{holder} holds it")), 1)
    keeping = asyncio.create_task(mine.keep())
    api.deaf = True
    await asyncio.sleep(0.2)
    assert not api.deaf
    assert not keeping.done()
    keeping.cancel()


async def test_the_time_of_an_acquired_lease_counts_from_its_request() -> None:
    """The answer may come late: others count from the moment at which the Lease was written."""
    api = OneObject()
    mine = lease(api, "pod-1", renew_deadline=1.0, attempt=1.0)
    create = api.create

    async def slow(body: dict[str, Any]) -> dict[str, Any]:
        made = await create(body)
        await asyncio.sleep(0.7)
        return made

    api.create = slow  # type: ignore[method-assign]
    began = asyncio.get_running_loop().time()
    await mine.acquire(waiting=print)
    api.broken = True
    with pytest.raises(LeaseLost, match="was not renewed"):
        await asyncio.wait_for(mine.keep(), 3)
    assert asyncio.get_running_loop().time() - began < 1.5, "1 s and one pause after the request, not the answer"


async def test_an_answer_that_comes_too_late_does_not_acquire_a_lease() -> None:
    waited: list[str] = []
    api = OneObject()
    api.hangs = True
    acquiring = asyncio.create_task(lease(api, "pod-1").acquire(waiting=waited.append))
    await asyncio.sleep(0.4)
    assert set(waited) == {"unknown"}
    api.hangs = False
    await asyncio.wait_for(acquiring, 1)


async def test_a_race_that_is_lost_names_the_winner() -> None:
    api, waited = OneObject(), []
    other = lease(api, "pod-2")

    async def faster(body: dict[str, Any]) -> dict[str, Any]:
        api.create = create  # type: ignore[method-assign]
        await other.acquire(waiting=print)
        return await create(body)

    create, api.create = api.create, faster  # type: ignore[method-assign]
    acquiring = asyncio.create_task(lease(api, "pod-1").acquire(waiting=waited.append))
    await asyncio.sleep(0.1)
    acquiring.cancel()
    assert set(waited) == {"pod-2"}


async def test_the_end_is_not_delayed_by_an_api_server_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RELEASE_SECONDS", 0.1)
    api = OneObject()
    mine = lease(api, "pod-1")
    await mine.acquire(waiting=print)
    api.hangs = True
    await asyncio.wait_for(mine.release(), 1)


async def test_whether_it_is_held_does_not_depend_on_a_task_that_runs_in_time() -> None:
    """The event loop may be blocked: what is sent afterwards asks the clock."""
    api = OneObject()
    mine = lease(api, "pod-1")
    assert not mine.held
    await mine.acquire(waiting=print)
    assert mine.held
    await asyncio.sleep(QUICK.renew_deadline)
    assert not mine.held
    await mine.acquire(waiting=print)
    await mine.release()
    assert not mine.held


async def test_a_lease_is_taken_at_the_moment_at_which_it_ends() -> None:
    api = OneObject()
    await lease(api, "pod-1").acquire(waiting=print)
    began = asyncio.get_running_loop().time()
    await asyncio.wait_for(lease(api, "pod-2", look=10).acquire(waiting=lambda _: None), 3)
    assert 1 < asyncio.get_running_loop().time() - began < 2, "not at the next look"


@pytest.mark.parametrize("owner", [None, OWNER], ids=["without an owner", "with an owner"])
async def test_the_lease_belongs_to_the_owner_of_its_holder(owner: ObjectReference | None) -> None:
    api = OneObject()
    first = lease(api, "pod-1", owner=owner)
    await first.acquire(waiting=print)
    assert api.held
    assert api.held["metadata"].get("ownerReferences") == ([owner.as_owner()] if owner else None)
    await first.release()
    other = ObjectReference("apps/v1", "Deployment", "n", "operator", "d")
    await lease(api, "pod-2", owner=other).acquire(waiting=print)
    assert api.held["metadata"]["ownerReferences"] == [other.as_owner()]


async def test_a_renewal_is_one_request() -> None:
    api = OneObject()
    mine = lease(api, "pod-1")
    await mine.acquire(waiting=print)
    reads: list[str] = []
    read = api.get

    async def counted(resource: object, name: str) -> dict[str, Any] | None:
        reads.append(name)
        return await read(resource, name)

    api.get = counted  # type: ignore[method-assign]
    keeping = asyncio.create_task(mine.keep())
    before = api.version
    await asyncio.sleep(0.3)
    keeping.cancel()
    assert api.version > before + 2
    assert reads == []


async def test_a_lease_that_is_deleted_is_made_again_by_its_holder() -> None:
    api = OneObject()
    mine = lease(api, "pod-1")
    await mine.acquire(waiting=print)
    keeping = asyncio.create_task(mine.keep())
    api.held = None
    await asyncio.sleep(0.2)
    assert api.held is not None
    assert not keeping.done()
    keeping.cancel()


async def test_the_same_failure_is_logged_once_while_a_process_waits(caplog: pytest.LogCaptureFixture) -> None:
    api = OneObject()
    api.broken = True
    acquiring = asyncio.create_task(lease(api, "pod-1").acquire(waiting=lambda _: None))
    await asyncio.sleep(0.3)
    acquiring.cancel()
    assert len(caplog.records) == 1


async def test_a_first_failure_delays_a_waiting_process_by_less_than_a_look() -> None:
    """As at the start of a validator, which may read its Lease a moment after the operator knows its hotkey."""
    server, loop, failures = OneObject(), asyncio.get_running_loop(), []
    server.broken = True

    def waiting(_holder: str) -> None:
        failures.append(loop.time())
        server.broken = len(failures) < 6

    timing = Timing(retry_failed=1, look=5)
    began = loop.time()
    await Lease(server, name="l", identity="a", owner=None, timing=timing).acquire(waiting=waiting)
    times = [*failures, loop.time()]
    delays = [after - before for before, after in pairwise(times)]
    assert failures[0] == began
    assert delays[0] <= 1
    assert all(delay <= 5 for delay in delays)
    assert delays[-1] >= 2.5, "it backs off"
