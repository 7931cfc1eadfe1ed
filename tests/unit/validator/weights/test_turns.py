"""One transaction of a hotkey at a time, by a lock in this process and a Lease among processes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from bitagent_crds.names import turn_lease
from bitagent_kube.lease import LeaseLost
from bitagent_kube.objects import ObjectReference
from bitagent_validator.weights import turns as module
from bitagent_validator.weights.turns import Turns

HOTKEY = "5CnxbRk7DKntFz5E8za9NxFmP253fShWWBj3xf5C8L5TnaMF"


class Lease:
    """A Lease that is free, and what happened to it."""

    log: list[str]
    lost = False

    def __init__(self, _: Any, *, name: str, identity: str, owner: ObjectReference) -> None:
        assert (name, identity) == (turn_lease(HOTKEY), "pod-1")

    async def acquire(self, *, waiting: Callable[[str], None]) -> None:
        self.log.append("acquired")

    async def keep(self) -> None:
        if self.lost:
            raise LeaseLost("another")
        await asyncio.Event().wait()

    async def release(self) -> None:
        self.log.append("released")


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> Turns:
    monkeypatch.setattr(Lease, "log", [], raising=False)
    monkeypatch.setattr(module, "Lease", Lease)
    owner = ObjectReference("v1", "Validator", "ns", "val", "u")
    client: Any = None
    return Turns(client, hotkey=HOTKEY, identity="pod-1", owner=owner)


async def test_rows_of_several_mechanisms_take_turns(turns: Turns) -> None:
    async def submit(name: str) -> None:
        async with turns.turn():
            Lease.log.append(f"{name} begins")
            await asyncio.sleep(0.01)
            Lease.log.append(f"{name} ends")

    await asyncio.gather(submit("0"), submit("1"))
    assert Lease.log == [
        *("acquired", "0 begins", "0 ends", "released"),
        *("acquired", "1 begins", "1 ends", "released"),
    ]


async def test_a_turn_that_cannot_be_had_costs_no_weights(turns: Turns, monkeypatch: pytest.MonkeyPatch) -> None:
    async def acquire(*_: Any, **__: Any) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(Lease, "acquire", acquire)
    monkeypatch.setattr(module, "WAIT_SECONDS", 0.01)
    async with asyncio.timeout(60), turns.turn():
        Lease.log.append("submits")
    assert Lease.log == ["submits"]


@pytest.mark.parametrize("lost", [False, True])
async def test_a_turn_ends_with_what_it_is_for(turns: Turns, monkeypatch: pytest.MonkeyPatch, lost: bool) -> None:
    monkeypatch.setattr(Lease, "lost", lost)

    async def fail() -> None:
        async with turns.turn():
            await asyncio.sleep(0.01)
            raise KeyError

    with pytest.raises(KeyError):
        await fail()
    assert Lease.log == ["acquired", "released"]
