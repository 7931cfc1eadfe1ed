"""Several nodes of one chain, late finality, branches, upgrades and faults of single calls, seen by the real SDK."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import bittensor as bt
import pytest
import websockets

from bitagent_local.chain.endpoint import HEAD_SUBSCRIPTIONS
from bitagent_local.chain.faults import ChainFaultRequest
from bitagent_local.chain.readback import connected
from bitagent_local.chain.scale import to_hex
from bitagent_local.chain.testing import RunningChain, key, running, sign, weights_call, world

NETUID = 20


@pytest.fixture(autouse=True)
def _private_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BITTENSOR_RUNTIME_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "runtime-cache"))


def _faults(chain: RunningChain, **body: Any) -> None:
    chain.server.apply_faults(ChainFaultRequest.model_validate(body))


async def _ask(endpoint: str, method: str, *params: Any) -> Any:
    async with websockets.connect(endpoint) as socket:
        await socket.send(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}))
        return json.loads(await asyncio.wait_for(socket.recv(), 60))


async def _until(probe: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        # Blocks come by the chain's clock; there is no event of the test's own.
        while not probe():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_node_that_is_behind_shows_older_blocks() -> None:
    async with running(endpoints=2) as chain:
        await _until(lambda: chain.server.node.blocks.head.number > 6)
        _faults(chain, endpoint=1, lag=5, stall_blocks=True)
        async with connected(chain.endpoint) as ahead, connected(chain.endpoint_of(1)) as behind:
            late, newest = await behind.block(), await ahead.block()
            assert newest - late == 5
        answer = await _ask(chain.endpoint_of(1), "chain_getBlockHash", newest + 100)
        assert answer["result"] is None


async def test_an_isolated_node_keeps_extrinsics_to_itself() -> None:
    async with running(endpoints=2) as chain:
        node = chain.server.node
        _faults(chain, endpoint=1, isolated=True)
        raw = to_hex(sign(node, "//Validator", weights_call()))
        answer = await _ask(chain.endpoint_of(1), "author_submitExtrinsic", raw)
        assert (len(answer["result"]), len(node.pool), len(node.included)) == (66, 0, 0)
        assert "error" in await _ask(chain.endpoint_of(1), "author_submitExtrinsic", "0x00"), "it checks them"
        _faults(chain, endpoint=1, clear=True)
        await _ask(chain.endpoint_of(1), "author_submitExtrinsic", raw)
        await _until(lambda: len(node.included) == 1)


async def test_a_node_that_is_stuck_keeps_its_branch() -> None:
    async with running(world(finality_lag=4), endpoints=2) as chain:
        node = chain.server.node
        await _until(lambda: node.blocks.head.number > 6)
        _faults(chain, endpoint=1, stuck=True)
        old, _ = node.blocks.head, chain.server.reorg(2, lose=False)
        await _until(lambda: node.blocks.head.number > old.number + 2)

        async def hash_of(endpoint: int, number: int) -> Any:
            return (await _ask(chain.endpoint_of(endpoint), "chain_getBlockHash", number))["result"]

        assert await hash_of(1, old.number) == to_hex(old.hash) != await hash_of(0, old.number)
        assert await hash_of(1, old.number - 1) != await hash_of(0, old.number - 1)
        assert await hash_of(1, old.number - 2) == await hash_of(0, old.number - 2)
        assert await hash_of(1, old.number + 1) is None
        _faults(chain, endpoint=1, stuck=False)
        assert await hash_of(1, old.number) == await hash_of(0, old.number)


async def test_finality_trails_by_the_lag_of_the_seed() -> None:
    async with running(world(finality_lag=3)) as chain, connected(chain.endpoint) as client:
        await _until(lambda: chain.server.node.blocks.head.number > 5)
        node = chain.server.node
        assert node.blocks.head.number - node.finalized.number == 3
        result = await client.execute(bt.SetWeights(NETUID, weights={2: 1.0}), key("//Validator"))
        assert result.success
        assert node.finalized.number >= node.included[0].block


async def test_a_submission_on_a_branch_that_is_left() -> None:
    async with running(world(finality_lag=5)) as chain, connected(chain.endpoint) as client:
        await _until(lambda: chain.server.node.blocks.head.number > 6)
        submission = asyncio.create_task(
            client.execute(bt.SetWeights(NETUID, weights={2: 1.0}), key("//Validator"), period=128)
        )
        node = chain.server.node
        await _until(lambda: bool(node.included))
        first = node.included[0].block
        chain.server.reorg(node.blocks.head.number - first + 1, lose=False)
        assert not node.included
        # The SDK takes this for a failure, but the extrinsic waits in the pool and lands.
        result = await asyncio.wait_for(submission, 60)
        assert (result.success, "retracted" in result.message) == (False, True)
        await _until(lambda: bool(node.included))
        assert node.included[0].block > first
        assert node.weights()


async def test_an_upgrade_changes_version_and_metadata() -> None:
    async with running() as chain:
        before = await _ask(chain.endpoint, "state_getRuntimeVersion")
        assert chain.server.node.upgrade() == before["result"]["specVersion"] + 1
        head = chain.server.node.blocks.head.number
        await _until(lambda: chain.server.node.blocks.head.number > head)
        after = await _ask(chain.endpoint, "state_getRuntimeVersion")
        assert after["result"]["specVersion"] == before["result"]["specVersion"] + 1
        async with connected(chain.endpoint) as client:
            assert (await client.execute(bt.SetWeights(NETUID, weights={2: 1.0}), key("//Validator"))).success


FAULTS: dict[str, tuple[str, Callable[[dict[str, Any]], bool]]] = {
    "limited": (
        "limited",
        lambda answer: answer["error"]["code"] == -32005 and "retry_after" in answer["error"]["data"],
    ),
    "unavailable": ("unavailable", lambda answer: answer["error"]["code"] == -32603),
    "null": ("null", lambda answer: answer["result"] is None),
    "error beside the result": ("error_null", lambda answer: answer["error"] is None and answer["result"]),
    "neither": ("no_result", lambda answer: set(answer) == {"jsonrpc", "id"}),
    "wrong type": ("wrong_type", lambda answer: isinstance(answer["result"], list)),
    "not hexadecimal": ("not_hex", lambda answer: not set(answer["result"][2:]) <= set("0123456789abcdef")),
    "cut": ("cut", lambda answer: len(answer["result"]) == 32),
}


@pytest.mark.parametrize(("kind", "seen"), FAULTS.values(), ids=FAULTS.keys())
async def test_a_call_fails_so_often_and_no_more(kind: str, seen: Callable[[dict[str, Any]], bool]) -> None:
    async with running() as chain:
        _faults(chain, calls=[{"kind": kind, "method": "chain_get*Head", "skip": 1}])
        proper = await _ask(chain.endpoint, "chain_getFinalizedHead")
        assert len(proper["result"]) == 66
        assert seen(await _ask(chain.endpoint, "chain_getFinalizedHead"))
        assert len((await _ask(chain.endpoint, "chain_getFinalizedHead"))["result"]) == 66


async def test_connections_that_fail_in_other_ways() -> None:
    async with running() as chain:
        _faults(chain, calls=[{"kind": "drop"}])
        with pytest.raises(websockets.ConnectionClosed):
            await _ask(chain.endpoint, "chain_getHead")
        _faults(chain, calls=[{"kind": "not_json"}])
        with pytest.raises(json.JSONDecodeError):
            await _ask(chain.endpoint, "chain_getHead")
        _faults(chain, calls=[{"kind": "slow", "seconds": 0.3}])
        began = time.monotonic()
        assert (await _ask(chain.endpoint, "chain_getHead"))["result"]
        assert time.monotonic() - began > 0.25
        async with websockets.connect(chain.endpoint) as socket:
            _faults(chain, calls=[{"kind": "half_open"}])
            for identity in range(2):
                await socket.send(json.dumps({"jsonrpc": "2.0", "id": identity, "method": "chain_getHead"}))
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(socket.recv(), 0.3)


async def test_a_runtime_call_is_named_by_its_own_method() -> None:
    async with running() as chain, connected(chain.endpoint) as client:
        _faults(chain, calls=[{"kind": "null", "method": "*_get_metagraph", "times": 2}])
        assert await client.block() > 0
        with pytest.raises((bt.BittensorError, TypeError, ValueError, AttributeError)):
            await client.subnets.metagraph(NETUID)


HANDSHAKES: dict[str, dict[str, Any]] = {"limited": {"status": 429, "retry_after": 7}, "unavailable": {"status": 503}}


@pytest.mark.parametrize("fault", HANDSHAKES.values(), ids=HANDSHAKES.keys())
async def test_connections_are_refused_with_a_status(fault: dict[str, Any]) -> None:
    async with running() as chain:
        _faults(chain, handshake=fault)
        with pytest.raises(websockets.InvalidStatus) as refused:
            await _ask(chain.endpoint, "chain_getHead")
        response = refused.value.response
        assert response.status_code == fault["status"]
        assert response.headers.get("Retry-After") == (str(fault["retry_after"]) if "retry_after" in fault else None)
        _faults(chain, clear=True)
        assert (await _ask(chain.endpoint, "chain_getHead"))["result"]


async def test_a_wrong_clock_is_in_the_blocks() -> None:
    async with running() as chain, connected(chain.endpoint) as client:
        _faults(chain, clock_offset=-900.0)
        head = chain.server.node.blocks.head.number
        await _until(lambda: chain.server.node.blocks.head.number > head + 1)
        stamp = await client.query(bt.storage.Timestamp.Now, [])
        assert -960 < int(stamp) / 1000 - time.time() < -840


async def test_all_methods_are_named() -> None:
    """Clients before SDK 11 ask for the names before they sign."""
    async with running() as chain:
        names = (await _ask(chain.endpoint, "rpc_methods"))["result"]["methods"]
        assert {"author_submitAndWatchExtrinsic", "state_call", *HEAD_SUBSCRIPTIONS} <= set(names)
        for name in ("chain_getHead", "chain_subscribeNewHeads", "system_health"):
            assert "error" not in await _ask(chain.endpoint, name)


async def test_an_unknown_endpoint_is_named() -> None:
    async with running() as chain:
        with pytest.raises(ValueError, match="no endpoint 3: the chain has 1"):
            _faults(chain, endpoint=3, lag=1)
