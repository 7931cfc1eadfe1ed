"""A Validator whose hotkey another one uses says so."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from bitagent_kube.errors import ApiError
from bitagent_kube.resources import ApiResource
from bitagent_validator.objects import ValidatorObject
from bitagent_validator.running.standby import other_owner, standby_reports
from bitagent_validator.wallet import Account

ME = ValidatorObject("val2", "ns", "mine", 3, None, {})
ACCOUNT = Account("5CnxbRk7DKntFz5E8za9NxFmP253fShWWBj3xf5C8L5TnaMF", Path("/hotkey"))


class Server:
    """An API server with one Lease."""

    def __init__(self, owner: dict[str, str]) -> None:
        self.lease = {"metadata": {"ownerReferences": [owner]}}
        self.written: list[dict[str, Any]] = []

    async def get(self, _: ApiResource, name: str) -> dict[str, Any]:
        assert name == "lease"
        return self.lease

    async def write_status(self, _: ApiResource, name: str, status: dict[str, Any]) -> dict[str, Any]:
        self.written.append(status)
        return status


@pytest.mark.parametrize(
    ("owner", "reports"),
    [
        pytest.param({"name": "val", "uid": "another"}, 1, id="V15: another Validator"),
        pytest.param({"name": "val2", "uid": "mine"}, 0, id="another pod of this one, which reports itself"),
    ],
)
async def test_who_acts_is_reported(owner: dict[str, str], reports: int) -> None:
    server: Any = Server(owner)
    async with standby_reports(server, ME, ACCOUNT, lease="lease") as held_by:
        for _ in range(3):
            held_by("pod-1")
            await asyncio.sleep(0.01)
    assert len(server.written) == reports
    for status in server.written:
        (weights,) = (c for c in status["conditions"] if c["type"] == "WeightsCurrent")
        assert (weights["status"], weights["reason"]) == ("False", "StandingBy")
        assert "Validator val (pod pod-1)" in status["message"]


async def test_a_report_that_failed_is_made_again() -> None:
    server: Any = Server({"name": "val", "uid": "another"})
    get, answers = server.get, iter([False, True, True])

    async def sometimes(*args: Any) -> Any:
        if not next(answers):
            raise ApiError(code=503, reason="ServiceUnavailable", message="away")
        return await get(*args)

    server.get = sometimes
    async with standby_reports(server, ME, ACCOUNT, lease="lease") as held_by:
        for _ in range(3):
            held_by("pod-1")
            await asyncio.sleep(0.01)
    assert len(server.written) == 1


@pytest.mark.parametrize("lease", [None, {"metadata": {}}, {"metadata": {"ownerReferences": None}}])
def test_a_lease_of_no_one(lease: Any) -> None:
    assert other_owner(lease, uid="mine") == ""
