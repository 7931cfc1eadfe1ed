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
        with urllib.request.urlopen(urllib.request.Request(url, data=data), timeout=60) as answer:
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
        assert 0 < faults["refuse"] <= 30
        before = (await _ask(f"{chain.admin}/healthz"))[1]["block"]
        await asyncio.sleep(0.2)
        assert (await _ask(f"{chain.admin}/healthz"))[1]["block"] == before


async def test_verbs_change_the_chain() -> None:
    async with running(world(tempo=50, finality_lag=3)) as chain:

        async def post(path: str, **body: Any) -> Any:
            status, answer = await _ask(f"{chain.admin}/{path}", body)
            assert status == 200, answer
            return answer

        assert await post("hyperparameters", weights_rate_limit=7) == {"changed": ["weights_rate_limit"]}
        assert (await post("replace", hotkey="//Miner", by={"hotkey": "//New"}))["uid"] == 2
        await post("swap", hotkey="//Other", by="//Other2")
        await post("balances", account="//New-cold", tao=3)
        assert await post("escrow", commit="0x01", hotkey="//New", uids=[1], weights=[2]) == {"kept": 1}
        before = (await post("blocks", count=5))["block"]
        assert len((await post("reorg", depth=2))["left"]) == 2
        assert (await post("epoch", after=2))["block"] > before + 2
        assert (await post("upgrade"))["spec_version"] == 462
        await post("blocks", count=3)
        _, state = await _ask(f"{chain.admin}/state")
    by_uid = {neuron["uid"]: neuron for neuron in state["neurons"]}
    assert (by_uid[2]["hotkey"], by_uid[2]["balance"]) == (address("//New"), 3)
    assert by_uid[3]["hotkey"] == address("//Other2")
    assert (state["spec_version"], state["epoch"] >= 1) == (462, True)


BAD: dict[str, tuple[str, Any, int, str]] = {
    "unknown fault": ("/faults", {"explode": True}, 400, "explode"),
    "bad hotkey": ("/neurons", {"hotkey": "Late"}, 400, "neither an ss58 address nor a development URI"),
    "bad axon": ("/neurons", {"hotkey": "//A", "axon": "10.0.0.1"}, 400, "no port"),
    "full": ("/neurons", {"hotkey": "//A"}, 400, "subnet 20 is full: 1 neurons"),
    "replaced by a registered one": ("/replace", {"hotkey": "//B", "by": {"hotkey": "//B"}}, 400, "must not"),
    "swap of an unregistered one": ("/swap", {"hotkey": "//A", "by": "//C"}, 400, "is not registered on subnet 20"),
    "trim to nothing": ("/trim", {"size": 0}, 400, "may have 1 to 1 slots"),
    "reorg of final blocks": ("/reorg", {"depth": 2}, 400, "are not final"),
    "unknown rule": ("/hyperparameters", {"tempo": 3}, 400, "tempo"),
    "unknown endpoint": ("/faults", {"endpoint": 2, "lag": 1}, 400, "no endpoint 2"),
    "unknown path": ("/nothing", None, 404, "GET /state"),
}


@pytest.mark.parametrize(("path", "body", "status", "message"), BAD.values(), ids=BAD.keys())
async def test_bad_requests_are_explained(path: str, body: Any, status: int, message: str) -> None:
    alone = world(hyperparameters={"max_allowed_uids": 1}, neurons=[{"hotkey": "//B"}], owner_hotkey="//B")
    async with running(alone) as chain:
        got, answer = await _ask(chain.admin + path, body)
    assert got == status
    assert message in answer["error"]
