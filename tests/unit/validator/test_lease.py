"""The Lease, against an API server of one object."""

from __future__ import annotations

import asyncio
import copy
import re
from typing import Any

import pytest

from bitagent_validator import lease as module
from bitagent_validator.kube import ApiError
from bitagent_validator.lease import Lease, LeaseLost, lease_name

IN_PRODUCTION = (module.RENEW_DEADLINE, module.RETRY, module.DURATION)


class OneObject:
    """Holds one Lease with optimistic locking; `broken` makes every call fail."""

    def __init__(self) -> None:
        self.held: dict[str, Any] | None = None
        self.version = 0
        self.broken = False

    def _check(self) -> None:
        if self.broken:
            raise ApiError("the API server is away", status=0)

    def _store(self, body: dict[str, Any]) -> dict[str, Any]:
        self.version += 1
        self.held = copy.deepcopy(body)
        self.held["metadata"]["resourceVersion"] = str(self.version)
        return copy.deepcopy(self.held)

    async def get(self, at: str) -> dict[str, Any] | None:
        self._check()
        return copy.deepcopy(self.held)

    async def create(self, at: str, body: dict[str, Any]) -> dict[str, Any]:
        self._check()
        if self.held:
            raise ApiError("exists", status=409)
        return self._store(body)

    async def replace(self, at: str, body: dict[str, Any]) -> dict[str, Any]:
        self._check()
        if not self.held or body["metadata"]["resourceVersion"] != self.held["metadata"]["resourceVersion"]:
            raise ApiError("conflict", status=409)
        return self._store(body)


def test_a_holder_gives_up_well_before_others_may_take_over() -> None:
    deadline, retry, duration = IN_PRODUCTION
    assert deadline + retry < duration


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DURATION", 1)
    monkeypatch.setattr(module, "RENEW_DEADLINE", 0.3)
    monkeypatch.setattr(module, "RETRY", 0.05)


def lease(api: OneObject, identity: str) -> Lease:
    return Lease(api, name="l", namespace="n", identity=identity, owner={"uid": "u"})  # type: ignore[arg-type]


async def test_one_holder_at_a_time() -> None:
    api, waited = OneObject(), []
    first = lease(api, "pod-1")
    await first.acquire(waiting=waited.append)
    assert api.held
    assert api.held["metadata"]["ownerReferences"] == [{"uid": "u"}]
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


def test_names_tell_hotkeys_apart_that_differ_in_case_only() -> None:
    one, two = lease_name(20, "5CzRdZLnRxWkyWoGZZbf"), lease_name(20, "5CzRdZLnRxWkyWoGZZbF")
    assert one != two
    assert re.fullmatch(r"bitagent-20-[a-z0-9]{20}-[0-9a-f]{8}", one)
