"""The unmodified bittensor SDK against the simulated chain, over a real websocket."""

from __future__ import annotations

import asyncio
from typing import Any

import bittensor as bt
import pytest

from bitagent_local.chain.faults import ChainFaultRequest
from bitagent_local.chain.keys import address
from bitagent_local.chain.readback import connected
from bitagent_local.chain.scale import text
from bitagent_local.chain.testing import escrowed, key, running, world

VALIDATOR, WATCHER, MINER, OTHER = (address(f"//{name}") for name in ("Validator", "Watcher", "Miner", "Other"))


NETUID = 20


@pytest.fixture(autouse=True)
def _private_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BITTENSOR_RUNTIME_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "runtime-cache"))


def _intent(**changes: Any) -> bt.SetWeights:
    return bt.SetWeights(NETUID, weights={2: 1.0, 3: 0.5}, **changes)


async def test_reads() -> None:
    async with running(world(start_block=500)) as chain, connected(chain.endpoint) as client:
        graph = await client.subnets.metagraph(NETUID)
        assert graph.hotkeys == [VALIDATOR, WATCHER, MINER, OTHER]
        assert [neuron.validator_permit for neuron in graph] == [True, False, False, False]
        assert [neuron.axon for neuron in graph] == [None, None, "10.0.0.1:8091", "[2001:db8::1]:8091"]
        assert graph.neuron(0).total_stake.alpha == 1000
        assert graph.neuron(2).commitment.value == "acme/tiny-fc-1200"
        assert await client.subnets.metagraph(NETUID + 1) is None
        rules = await client.subnets.subnet_hyperparameters(netuid=NETUID)
        assert (rules["tempo"], rules["weights_rate_limit"], rules["commit_reveal_weights_enabled"]) == (10, 0, False)
        commitments = await client.subnets.commitments(NETUID)
        assert [(hotkey, found.value) for hotkey, found in commitments.items()] == [(MINER, "acme/tiny-fc-1200")]
        assert await client.neurons.uid(OTHER, NETUID) == 3
        assert [neuron.hotkey for neuron in await client.neurons.all(NETUID)] == graph.hotkeys
        assert await client.block_time() == 0.05
        schedule = await client.epochs.epoch_status(NETUID)
        assert schedule["next_epoch_start_block"] == schedule["last_epoch_block"] + 10 > schedule["block"] >= 500


CHAIN_REFUSES: dict[str, tuple[str, dict[str, Any], bt.ErrorCode]] = {
    "no permit": ("//Watcher", {}, bt.ErrorCode.NOT_AUTHORIZED),
    "old version key": ("//Validator", {"weights_version": 3}, bt.ErrorCode.INVALID_ARGUMENT),
    "too little stake": ("//Watcher", {"stake_threshold": "11"}, bt.ErrorCode.LIMIT_EXCEEDED),
}


@pytest.mark.parametrize(("signer", "rules", "code"), CHAIN_REFUSES.values(), ids=CHAIN_REFUSES.keys())
async def test_chain_refuses(signer: str, rules: dict[str, Any], code: bt.ErrorCode) -> None:
    async with running(world(hyperparameters=rules)) as chain, connected(chain.endpoint) as client:
        result = await client.execute(_intent(), key(signer))
        assert not result.success
        assert result.error.code == code
        assert chain.server.node.weights() == {}


PREFLIGHT_REFUSES: dict[str, tuple[str, dict[str, Any], bt.ErrorCode]] = {
    "not registered": ("//Unregistered", {}, bt.ErrorCode.NOT_REGISTERED),
    "too few weights": ("//Validator", {"min_allowed_weights": 3}, bt.ErrorCode.INVALID_ARGUMENT),
}


@pytest.mark.parametrize(("signer", "rules", "code"), PREFLIGHT_REFUSES.values(), ids=PREFLIGHT_REFUSES.keys())
async def test_preflight_refuses(signer: str, rules: dict[str, Any], code: bt.ErrorCode) -> None:
    async with running(world(hyperparameters=rules)) as chain, connected(chain.endpoint) as client:
        with pytest.raises(bt.ChainError) as refused:
            await client.execute(_intent(), key(signer))
        assert refused.value.code == code
        assert not chain.server.node.included


async def test_rate_limit_in_preflight_and_on_chain() -> None:
    async with (
        running(world(hyperparameters={"weights_rate_limit": 8})) as chain,
        connected(chain.endpoint) as client,
    ):
        first = await client.execute(_intent(), key("//Validator"))
        with pytest.raises(bt.ChainError) as refused:
            await client.execute(_intent(), key("//Validator"))
        assert refused.value.code == bt.ErrorCode.RATE_LIMITED
        call = bt.calls.SubtensorModule.set_mechanism_weights(
            netuid=NETUID, mecid=0, dests=[2], weights=[65535], version_key=0
        )
        unchecked = await client.submit_call(call, key("//Validator"), signer="hotkey")
        assert unchecked.error.code == bt.ErrorCode.RATE_LIMITED
        await client.wait_for_block(int(first.extrinsic_id.split("-")[0]) + 8, timeout=60)
        assert (await client.execute(_intent(), key("//Validator"))).success


async def test_sealed_weights_are_revealed_in_their_epoch() -> None:
    """As at a quarter of a second and tempo 20: an epoch of 5 s, in which rounds of 3 s come in time."""
    rules = {"commit_reveal_weights_enabled": True, "weights_rate_limit": 0}
    seed = world(hyperparameters=rules, tempo=100, drand_delay=3)
    async with running(seed) as chain, connected(chain.endpoint) as client:
        with escrowed(chain.server.node):
            result = await client.execute(_intent(), key("//Validator"))
        assert result.success
        committed = chain.server.node.included[0].block
        await client.wait_for_block(committed + 205, timeout=60)
        assert await client.weights.weights(NETUID) == {0: pytest.approx({2: 2 / 3, 3: 1 / 3}, abs=1e-4)}
        graph = await client.subnets.metagraph(NETUID)
        assert graph.neuron(0).last_update == committed


async def test_the_sdk_reads_a_sealed_commitment_before_and_after_its_round() -> None:
    async with running(world(drand_delay=0)) as chain, connected(chain.endpoint) as client:
        with escrowed(chain.server.node):
            # The SDK reads a revealed commitment as SCALE text, and takes the length in front off.
            sealed = bt.timelock.encrypt(text("acme/secret"), reveal_in="4s")
        field = {"TimelockEncrypted": {"encrypted": sealed.encrypted, "reveal_round": sealed.reveal_round}}
        call = bt.calls.Commitments.set_commitment(netuid=NETUID, info={"fields": [field]})
        assert (await client.submit_call(call, key("//Other"), signer="hotkey")).success
        before = (await client.subnets.commitments(NETUID))[OTHER]
        assert (before.status, before.value) == ("sealed", None)
        head = await client.block()
        await client.wait_for_block(head + 150, timeout=60)
        after = (await client.subnets.commitments(NETUID))[OTHER]
        assert (after.status, after.value) == ("revealed", "acme/secret")


async def test_sealed_weights_are_queued_and_stay_unread() -> None:
    rules = {"commit_reveal_weights_enabled": True, "weights_rate_limit": 0}
    async with running(world(hyperparameters=rules)) as chain, connected(chain.endpoint) as client:
        result = await client.execute(_intent(), key("//Validator"))
        assert result.success
        queued = await client.weights.timelocked_weight_commits(NETUID)
        assert [commit["hotkey"] for commits in queued.values() for commit in commits] == [VALIDATOR]
        assert await client.weights.weights(NETUID) == {}


async def test_miner_publishes_with_its_hotkey_alone() -> None:
    async with running() as chain, connected(chain.endpoint) as client:
        call = bt.calls.Commitments.set_commitment(netuid=NETUID, info={"fields": [{"Raw9": b"blue/tiny"}]})
        assert (await client.submit_call(call, key("//Other"), signer="hotkey")).success
        assert (await client.execute(bt.ServeAxon(NETUID, "10.1.2.3", 9000), key("//Other"))).success
        graph = await client.subnets.metagraph(NETUID)
        assert (graph.by_hotkey(OTHER).commitment.value, graph.by_hotkey(OTHER).axon) == ("blue/tiny", "10.1.2.3:9000")


async def test_subscriptions_follow_the_chain() -> None:
    async with running() as chain, connected(chain.endpoint) as client:
        numbers = []
        async for header in client.blocks():
            numbers.append(header.number)
            if len(numbers) == 4:
                break
        assert numbers == list(range(numbers[0], numbers[0] + 4))
        epoch = await client.wait_for_epoch(NETUID, timeout=60)
        assert epoch.block - epoch.previous == 10


async def test_stalled_finality_holds_a_submission_until_it_is_lifted() -> None:
    async with running() as chain, connected(chain.endpoint) as client:
        chain.server.apply_faults(ChainFaultRequest(stall_finality=True))
        submission = asyncio.create_task(client.execute(_intent(), key("//Validator")))
        async for _ in client.blocks():
            if chain.server.node.included:
                break
        await client.wait_for_block(chain.server.node.included[0].block + 3, timeout=60)
        assert not submission.done()
        chain.server.apply_faults(ChainFaultRequest(stall_finality=False))
        assert (await asyncio.wait_for(submission, 60)).success


async def test_muted_chain_answers_only_after_the_fault() -> None:
    async with running() as chain, connected(chain.endpoint) as client:
        before = await client.block()
        chain.server.apply_faults(ChainFaultRequest(mute=60))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.block(), 0.3)
        chain.server.apply_faults(ChainFaultRequest(mute=0))
        assert await asyncio.wait_for(client.block(), 60) > before


async def test_dropped_connection_is_reopened_by_the_client() -> None:
    async with running() as chain, connected(chain.endpoint) as client:
        await client.block()
        chain.server.apply_faults(ChainFaultRequest(drop_connections=1))
        assert await asyncio.wait_for(client.block(), 60) > 0


async def test_refused_connection_is_a_connection_error() -> None:
    async with running() as chain:
        chain.server.apply_faults(ChainFaultRequest(refuse=60))
        with pytest.raises(bt.RpcConnectionError):
            async with asyncio.timeout(60), connected(chain.endpoint):
                pytest.fail("the connection was accepted")
