"""The chain without sockets: who may enter the pool, what a call does, what a block says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bitagent_local.chain import metadata, scale
from bitagent_local.chain.blocks import STATES_KEPT, PrunedState, UnknownBlock
from bitagent_local.chain.extrinsics import InvalidExtrinsic, timestamp_inherent
from bitagent_local.chain.keys import address
from bitagent_local.chain.node import Node
from bitagent_local.chain.runtime import Runtime
from bitagent_local.chain.seed import Neuron
from bitagent_local.chain.testing import node, sign, weights_call, world

VALIDATOR, MINER, OTHER = address("//Validator"), address("//Miner"), address("//Other")


@pytest.fixture(scope="module")
def still() -> Node:
    """A chain at block 1 that tests look at and never move."""
    chain = node()
    chain.produce()
    return chain


def test_weights_are_stored_scaled_to_the_largest() -> None:
    chain = node()
    chain.submit(sign(chain, "//Validator", weights_call(weights=[200, 100])))
    (included,) = chain.produce()
    assert included.error is None
    assert chain.weights() == {VALIDATOR: {"block": 1, "weights": {MINER: 65535, OTHER: 32767}}}


REFUSED: dict[str, tuple[str, dict[str, Any], dict[str, Any], str]] = {
    # signer, arguments, hyperparameters, error
    "unregistered": ("//Stranger", {}, {}, "HotKeyNotRegisteredInSubNet"),
    "no permit": ("//Watcher", {}, {}, "NeuronNoValidatorPermit"),
    "old version key": ("//Validator", {"version_key": 2}, {"weights_version": 3}, "IncorrectWeightVersionKey"),
    "too few weights": ("//Validator", {}, {"min_allowed_weights": 3}, "WeightVecLengthIsLow"),
    "all zero": ("//Validator", {"weights": [0, 0]}, {}, "WeightVecLengthIsLow"),
    "too little stake": ("//Watcher", {}, {"stake_threshold": "11"}, "NotEnoughStakeToSetWeights"),
    "one too heavy": ("//Validator", {}, {"max_weights_limit": 40000}, "MaxWeightExceeded"),
    "uneven lists": ("//Validator", {"weights": [1]}, {}, "WeightVecNotEqualSize"),
    "same uid twice": ("//Validator", {"dests": [2, 2]}, {}, "DuplicateUids"),
    "unknown uid": ("//Validator", {"dests": [2, 4]}, {}, "UidVecContainInvalidOne"),
    "more uids than neurons": (
        "//Validator",
        {"dests": [*range(5)], "weights": [1] * 5},
        {},
        "UidsLengthExceedUidsInSubNet",
    ),
    "sealed weights wanted": ("//Validator", {}, {"commit_reveal_weights_enabled": True}, "CommitRevealEnabled"),
    "no such subnet": ("//Validator", {"netuid": 21}, {}, "MechanismDoesNotExist"),
    "no such mechanism": ("//Validator", {"mecid": 1}, {}, "MechanismDoesNotExist"),
}


@pytest.mark.parametrize(("signer", "args", "rules", "error"), REFUSED.values(), ids=REFUSED.keys())
def test_refused_weights(signer: str, args: dict[str, Any], rules: dict[str, Any], error: str) -> None:
    chain = node(world(hyperparameters={"weights_rate_limit": 0} | rules))
    chain.submit(sign(chain, signer, weights_call(**args)))
    (included,) = chain.produce()
    assert included.error == f"SubtensorModule.{error}"
    assert chain.weights() == {}
    events = chain.blocks.state(None).get("System", "Events")
    assert "ExtrinsicFailed" in repr(events[-1])


def test_weight_for_oneself_needs_no_permit() -> None:
    chain = node(world(hyperparameters={"weights_rate_limit": 0, "min_allowed_weights": 4}))
    chain.submit(sign(chain, "//Watcher", weights_call(dests=[1], weights=[7])))
    assert chain.produce()[0].error is None


def test_rate_limit_counts_blocks_since_the_last_setting() -> None:
    chain = node(world(hyperparameters={"weights_rate_limit": 3}))
    outcomes = []
    for nonce in range(5):
        chain.submit(sign(chain, "//Validator", weights_call(), nonce=nonce))
        outcomes.append(chain.produce()[0].error)
    too_fast = "SubtensorModule.SettingWeightsTooFast"
    assert outcomes == [None, too_fast, too_fast, None, too_fast]


def test_unknown_call_is_filtered() -> None:
    chain = node()
    chain.submit(sign(chain, "//Validator", {"remark": b"hello"}, pallet="System", function="remark"))
    assert chain.produce()[0].error == "System.CallFiltered"


def test_commitment_and_axon() -> None:
    chain = node()
    info = {"fields": [{"Raw5": b"hello"}]}
    serving = {
        "version": 1,
        "ip": 0x0A000001,
        "port": 9000,
        "ip_type": 4,
        "protocol": 4,
        "placeholder1": 0,
        "placeholder2": 0,
    }
    chain.submit(sign(chain, "//Other", {"netuid": 20, "info": info}, pallet="Commitments", function="set_commitment"))
    chain.submit(sign(chain, "//Other", {"netuid": 20, **serving}, function="serve_axon", nonce=1))
    assert [included.error for included in chain.produce()] == [None, None]
    state = chain.blocks.state(None)
    assert state.get("Commitments", "CommitmentOf", 20, OTHER)["block"] == 1
    assert state.get("SubtensorModule", "Axons", 20, OTHER)["port"] == 9000


def _mortal(chain: Node) -> bytes:
    return sign(
        chain, "//Validator", weights_call(), era={"period": 4, "phase": 1}, era_block_hash=chain.blocks.head.hash
    )


def _flipped(at: int) -> Callable[[Node], bytes]:
    def make(chain: Node) -> bytes:
        raw = bytearray(sign(chain, "//Validator", weights_call()))
        raw[at] ^= 1
        return bytes(raw)

    return make


INVALID: dict[str, tuple[Callable[[Node], bytes], str]] = {
    "signature changed": (_flipped(60), "bad signature"),
    "last byte of the call changed": (_flipped(-1), "bad signature"),
    "signed for another chain": (
        lambda chain: sign(chain, "//Validator", weights_call(), genesis_hash=bytes(32)),
        "bad signature",
    ),
    "nonce from the future": (lambda chain: sign(chain, "//Validator", weights_call(), nonce=1), "valid in the future"),
    "unsigned": (lambda chain: timestamp_inherent(chain.runtime, 1), "must not be validated"),
    "born in a block that is not there": (
        lambda chain: sign(chain, "//Validator", weights_call(), era={"period": 8, "phase": 6}),
        "ancient birth block",
    ),
    "empty": (lambda chain: b"", "could not be decoded"),
    "cut short": (lambda chain: sign(chain, "//Validator", weights_call())[:-3], "could not be decoded"),
}


@pytest.mark.parametrize(("make", "reason"), INVALID.values(), ids=INVALID.keys())
def test_pool_refuses(still: Node, make: Callable[[Node], bytes], reason: str) -> None:
    with pytest.raises(InvalidExtrinsic, match=reason):
        still.submit(make(still))
    assert still.pool == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
@given(raw=st.binary(max_size=200) | st.binary(max_size=200).map(scale.sized))
def test_pool_survives_garbage(still: Node, raw: bytes) -> None:
    with pytest.raises(InvalidExtrinsic):
        still.submit(raw)


def test_nonces_count_what_is_pending_and_what_was_refused() -> None:
    chain = node()
    chain.submit(sign(chain, "//Stranger", weights_call()))
    assert chain.next_nonce(address("//Stranger")) == 1
    chain.produce()
    assert chain.next_nonce(address("//Stranger")) == 1
    with pytest.raises(InvalidExtrinsic, match="outdated"):
        chain.submit(sign(chain, "//Stranger", weights_call()))


def test_mortal_extrinsic_dies_with_its_era() -> None:
    chain = node()
    chain.produce()
    raw = _mortal(chain)
    for _ in range(4):
        chain.produce()
    with pytest.raises(InvalidExtrinsic, match="bad signature"):
        chain.submit(raw)
    chain.submit(_mortal(chain))
    assert chain.produce()[0].error is None


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


def test_genesis_hash_tells_block_times_apart() -> None:
    seed = world(genesis_timestamp=1_700_000_000)
    assert node(seed, 0.05).blocks.genesis.hash != node(seed, 12).blocks.genesis.hash


def test_the_genesis_is_that_of_the_seed_at_any_time() -> None:
    now = iter((1e9, 2e9))
    one, two = (Node(world(), milliseconds_per_block=1000, clock=lambda: next(now)) for _ in range(2))
    one.produce()
    assert one.blocks.genesis.hash == two.blocks.genesis.hash
    assert one.blocks.genesis.hash != node(world(tempo=11), 1).blocks.genesis.hash


def test_old_states_are_pruned_and_headers_kept() -> None:
    chain = node()
    for _ in range(STATES_KEPT + 1):
        chain.produce()
    genesis = chain.blocks.genesis.hash
    assert chain.blocks.find(genesis).number == 0
    with pytest.raises(PrunedState):
        chain.blocks.state(genesis)
    with pytest.raises(UnknownBlock):
        chain.blocks.find(bytes(32))


def test_registering_again_changes_what_may_change() -> None:
    chain = node()
    uid = chain.register(Neuron(hotkey="//Validator", coldkey="//Validator-cold", stake=5, permit=False))
    late = chain.register(Neuron.model_validate({"hotkey": "//Late"}))
    chain.produce()
    neurons = {neuron.uid: neuron for neuron in chain.subnet.neurons()}
    assert (uid, late) == (0, 4)
    assert (neurons[0].stake, neurons[0].permit, neurons[0].registered_at) == (5 * 10**9, False, 0)
    assert (neurons[4].hotkey, neurons[4].registered_at, neurons[4].last_update) == (address("//Late"), 1, 1)


def test_full_subnet_registers_nobody() -> None:
    chain = node(world(hyperparameters={"max_allowed_uids": 4}))
    with pytest.raises(ValueError, match="subnet 20 is full: 4 neurons"):
        chain.register(Neuron.model_validate({"hotkey": "//Late"}))


def test_metadata_patches_name_the_types_they_mean() -> None:
    runtime = Runtime(milliseconds_per_block=250)
    netuid = runtime.core.storage_entry("SubtensorModule", "Tempo").param_types
    assert netuid == [f"scale_info::{metadata.TYPE_NETUID}"]
    assert runtime.types[metadata.TYPE_U8]["def"] == {"primitive": "u8"}
    assert runtime.core.constant("Aura", "SlotDuration") == 250
    added = runtime.core.storage_entry("SubtensorModule", "SubnetEpochConsensus")
    assert (list(added.param_types), bytes(added.default_bytes)) == (netuid, b"\x00")


def test_metadata_patch_refuses_what_is_not_there() -> None:
    with pytest.raises(ValueError, match="0 u64 constants named NoSuchThing"):
        metadata.with_u64_constant(metadata.recorded(), name="NoSuchThing", value=1)
    with pytest.raises(ValueError, match="pallet Nowhere 0 times"):
        metadata.with_storage_map(
            metadata.recorded(), pallet="Nowhere", item="X", key_type=0, value_type=0, default=b""
        )


@given(value=st.integers(0, (1 << 30) - 1), before=st.binary(max_size=3))
def test_compact_round_trip(value: int, before: bytes) -> None:
    encoded = scale.compact(value)
    assert scale.read_compact(before + encoded, len(before)) == (value, len(before) + len(encoded))


@pytest.mark.parametrize("value", [-1, 1 << 30], ids=["negative", "too large"])
def test_compact_refuses(value: int) -> None:
    with pytest.raises(ValueError, match="out of range"):
        scale.compact(value)
