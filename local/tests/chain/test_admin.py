"""The HTTP interface for tests: state, faults and neurons."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from typing import Any

import pytest

from bitagent_local.chain.keys import address
from bitagent_local.chain.testing import running, sign, weights_call, world


def _request(url: str, body: Any = None) -> tuple[int, Any]:
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data=data), timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


async def _ask(url: str, body: Any = None) -> tuple[int, Any]:
    return await asyncio.to_thread(_request, url, body)


async def test_state_has_extrinsics_weights_and_neurons() -> None:
    async with running() as chain:
        chain.server.node.submit(sign(chain.server.node, "//Validator", weights_call()))
        chain.server.node.produce()
        _, state = await _ask(f"{chain.admin}/state")
    (seen,) = state["extrinsics"]
    assert (seen["signer"], seen["call"], seen["error"]) == (
        address("//Validator"),
        "SubtensorModule.set_mechanism_weights",
        None,
    )
    assert seen["args"] == weights_call()
    assert state["weights"][address("//Validator")]["block"] == seen["block"] <= state["block"]
    assert state["neurons"][0]["hotkey"] == address("//Validator")


async def test_neurons_come_and_change() -> None:
    async with running() as chain:
        assert await _ask(f"{chain.admin}/neurons", {"hotkey": "//Late", "commitment": "new/model"}) == (
            200,
            {"uid": 4, "hotkey": address("//Late")},
        )
        assert (await _ask(f"{chain.admin}/neurons", {"hotkey": "//Watcher", "permit": True}))[1]["uid"] == 1


async def test_faults_are_reported_while_they_last() -> None:
    async with running() as chain:
        status, faults = await _ask(f"{chain.admin}/faults", {"stall_blocks": True, "refuse": 30})
        assert (status, faults["stall_blocks"], faults["stall_finality"]) == (200, True, False)
        assert 29 < faults["refuse"] <= 30
        before = (await _ask(f"{chain.admin}/healthz"))[1]["block"]
        await asyncio.sleep(0.2)
        assert (await _ask(f"{chain.admin}/healthz"))[1]["block"] == before


BAD: dict[str, tuple[str, Any, int, str]] = {
    "unknown fault": ("/faults", {"explode": True}, 400, "explode"),
    "bad hotkey": ("/neurons", {"hotkey": "Late"}, 400, "neither an ss58 address nor a development URI"),
    "bad axon": ("/neurons", {"hotkey": "//A", "axon": "10.0.0.1"}, 400, "no port"),
    "full": ("/neurons", {"hotkey": "//A"}, 400, "subnet 20 is full"),
    "unknown path": ("/nothing", None, 404, "GET /state"),
}


@pytest.mark.parametrize(("path", "body", "status", "message"), BAD.values(), ids=BAD.keys())
async def test_bad_requests_are_explained(path: str, body: Any, status: int, message: str) -> None:
    async with running(world(hyperparameters={"max_allowed_uids": 4})) as chain:
        got, answer = await _ask(chain.admin + path, body)
    assert got == status
    assert message in answer["error"]
