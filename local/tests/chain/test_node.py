"""The chain without sockets: blocks, epochs, times and registrations."""

from __future__ import annotations

import pytest

from bitagent_local.chain.keys import address
from bitagent_local.chain.node import ChainNode
from bitagent_local.chain.peer import Peer
from bitagent_local.chain.rpc import call
from bitagent_local.chain.scale import from_hex, to_hex
from bitagent_local.chain.seed import Neuron
from bitagent_local.chain.testing import node, world


def test_epochs_run_every_tempo_blocks() -> None:
    chain = node(world(tempo=3))
    seen = []
    for _ in range(7):
        chain.produce()
        seen.append((chain.blocks.head.number, chain.subnet.get("LastEpochBlock"), chain.subnet.next_epoch()))
    assert seen == [(1, 0, 3), (2, 0, 3), (3, 3, 6), (4, 3, 6), (5, 3, 6), (6, 6, 9), (7, 6, 9)]
    assert chain.subnet.get("SubnetEpochIndex") == 2


def test_chain_starts_at_its_start_block_with_computed_times() -> None:
    first, second = (node(world(start_block=1000, genesis_timestamp=1_700_000_000)) for _ in range(2))
    for chain in (first, second):
        chain.produce()
        chain.produce()
    assert first.blocks.head.number == 1001
    assert first.blocks.head.hash == second.blocks.head.hash
    assert first.blocks.numbered(500) is None
    assert first.blocks.state(None).get("Timestamp", "Now") == 1_700_000_000_050


def test_genesis_hash_depends_on_the_block_time() -> None:
    seed = world(genesis_timestamp=1_700_000_000)
    assert node(seed, 0.05).blocks.genesis.hash != node(seed, 12).blocks.genesis.hash


def test_the_genesis_is_that_of_the_seed_at_any_time() -> None:
    now = iter((1e9, 2e9))
    one, two = (ChainNode(world(), milliseconds_per_block=1000, clock=lambda: next(now)) for _ in range(2))
    one.produce()
    assert one.blocks.genesis.hash == two.blocks.genesis.hash
    assert one.blocks.genesis.hash != node(world(tempo=11), 1).blocks.genesis.hash


def test_registering_again_changes_what_may_change() -> None:
    chain = node()
    uid = chain.register(Neuron(hotkey="//Validator", coldkey="//Validator-cold", stake=5, permit=False))
    late = chain.register(Neuron.model_validate({"hotkey": "//Late"}))
    chain.produce()
    neurons = {neuron.uid: neuron for neuron in chain.subnet.neurons()}
    assert (uid, late) == (0, 4)
    assert (neurons[0].stake, neurons[0].permit, neurons[0].registered_at) == (5 * 10**9, False, 0)
    assert (neurons[4].hotkey, neurons[4].registered_at, neurons[4].last_update) == (address("//Late"), 1, 1)


def test_a_full_subnet_of_the_owner_refuses_a_registration() -> None:
    chain = node(world(hyperparameters={"max_allowed_uids": 1}, neurons=[{"hotkey": "//A"}], owner_hotkey="//A"))
    with pytest.raises(ValueError, match="subnet 20 is full: 1 neurons"):
        chain.register(Neuron.model_validate({"hotkey": "//Late"}))


def test_chosen_parts_of_the_metagraph() -> None:
    """As clients before SDK 11 ask: by positions in the record."""
    chain = node(world(hyperparameters={"mechanisms": 2}))
    chain.produce()
    name = "SubnetInfoRuntimeApi_get_selective_mechagraph"
    described = chain.runtime.apis["SubnetInfoRuntimeApi"]["get_selective_mechagraph"]
    names = list(chain.runtime.neutral(chain.runtime.inner_type(described["output"])))
    positions = [names.index(part) for part in ("hotkeys", "last_update", "validators")]
    asked = chain.runtime.encode(described["inputs"][2][1], positions)
    answer = call(Peer(chain), "state_call", [name, to_hex(bytes([20, 0, 1]) + asked)])
    found = chain.runtime.decode(described["output"], from_hex(answer))
    assert found["netuid"] == 4096 + 20
    assert found["hotkeys"][0] == address("//Validator")
    assert (found["last_update"], found["validators"], found["tempo"]) == ([0, 0, 0, 0], [0], None)
