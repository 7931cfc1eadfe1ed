"""Plain weights: the pallet's checks in their order, what the pool refuses first, and the rows that are stored."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from bitagent_local.chain.dispatch import dispatch
from bitagent_local.chain.extrinsics import Call, InvalidExtrinsic
from bitagent_local.chain.keys import address
from bitagent_local.chain.pallets.registry import DispatchError, Origin
from bitagent_local.chain.pallets.weights import upscaled
from bitagent_local.chain.peer import Peer
from bitagent_local.chain.rpc import call as rpc
from bitagent_local.chain.scale import from_hex
from bitagent_local.chain.seed import Hyperparameters
from bitagent_local.chain.testing import node, sign, weights_call, world

VALIDATOR, WATCHER, MINER, OTHER = (address(f"//{name}") for name in ("Validator", "Watcher", "Miner", "Other"))


def _set(signer: str = "//Validator", rules: dict[str, Any] | None = None, **args: Any) -> str | None:
    """Return the error with which the call itself is refused, past the pool."""
    chain = node(world(hyperparameters={"weights_rate_limit": 0, **(rules or {})}))
    origin = Origin(chain.storage, address(signer), 1)
    try:
        dispatch(origin, Call("SubtensorModule", "set_mechanism_weights", weights_call(**args)))
    except DispatchError as refused:
        return refused.name
    return None


def test_weights_are_stored_scaled_to_the_largest() -> None:
    chain = node()
    chain.submit(sign(chain, "//Validator", weights_call(weights=[200, 100])))
    (included,) = chain.produce()
    assert included.error is None
    assert chain.weights() == {VALIDATOR: {"block": 1, "weights": {MINER: 65535, OTHER: 32767}}}


REFUSED: dict[str, tuple[str, dict[str, Any], dict[str, Any], str]] = {
    # signer, arguments, hyperparameters, error
    "unregistered": ("//Unregistered", {}, {}, "HotKeyNotRegisteredInSubNet"),
    "no permit": ("//Watcher", {}, {}, "NeuronNoValidatorPermit"),
    "old version key": ("//Validator", {"version_key": 2}, {"weights_version": 3}, "IncorrectWeightVersionKey"),
    "too few weights": ("//Validator", {}, {"min_allowed_weights": 3}, "WeightVecLengthIsLow"),
    "three of at least eight": (
        "//Validator",
        {"dests": [1, 2, 3], "weights": [1] * 3},
        {"min_allowed_weights": 8},
        "WeightVecLengthIsLow",
    ),
    "empty where one is needed": ("//Validator", {"dests": [], "weights": []}, {}, "WeightVecLengthIsLow"),
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
    "sealed weights required": ("//Validator", {}, {"commit_reveal_weights_enabled": True}, "CommitRevealEnabled"),
    # A subnet that is not there has the default of its rule, which is sealed weights.
    "no such subnet": ("//Validator", {"netuid": 21}, {}, "CommitRevealEnabled"),
    "no such mechanism": ("//Validator", {"mecid": 1}, {}, "MechanismDoesNotExist"),
    # Of two faults the first in the pallet's order is named.
    "stake before permit": ("//Watcher", {"dests": [2, 2]}, {"stake_threshold": "11"}, "NotEnoughStakeToSetWeights"),
    "version before permit": ("//Watcher", {}, {"weights_version": 3}, "IncorrectWeightVersionKey"),
    "permit before twice": ("//Watcher", {"dests": [2, 2]}, {}, "NeuronNoValidatorPermit"),
    "unknown before length": (
        "//Validator",
        {"dests": [2, 9]},
        {"min_allowed_weights": 3},
        "UidVecContainInvalidOne",
    ),
    "lengths before the mechanism": ("//Validator", {"mecid": 1, "weights": [1]}, {}, "WeightVecNotEqualSize"),
}


@pytest.mark.parametrize(("signer", "args", "rules", "error"), REFUSED.values(), ids=REFUSED.keys())
def test_refused_weights(signer: str, args: dict[str, Any], rules: dict[str, Any], error: str) -> None:
    assert _set(signer, rules, **args) == error


TAKEN: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "all of a small subnet": (
        "//Validator",
        {"dests": [0, 1, 2, 3], "weights": [1] * 4},
        {"min_allowed_weights": 8},
    ),
    "all zero": ("//Validator", {"weights": [0, 0]}, {}),
    "empty without a minimum": ("//Validator", {"dests": [], "weights": []}, {"min_allowed_weights": 0}),
    "one for oneself": ("//Watcher", {"dests": [1], "weights": [7]}, {"min_allowed_weights": 4}),
    "any version key of 0": ("//Validator", {"version_key": 0}, {"weights_version": 0}),
}


@pytest.mark.parametrize(("signer", "args", "rules"), TAKEN.values(), ids=TAKEN.keys())
def test_taken_weights(signer: str, args: dict[str, Any], rules: dict[str, Any]) -> None:
    assert _set(signer, rules, **args) is None


def test_the_owners_hotkey_needs_neither_permit_nor_stake() -> None:
    seed = world(owner_hotkey="//Watcher", hyperparameters={"stake_threshold": "11"})
    chain = node(seed)
    chain.submit(sign(chain, "//Watcher", weights_call()))
    assert chain.produce()[0].error is None
    assert list(chain.weights()) == [WATCHER]


POOL: dict[str, tuple[str, dict[str, Any], str]] = {
    "too little stake": ("//Watcher", {"stake_threshold": "11"}, "Custom error: 1"),
    "too fast": ("//Validator", {"weights_rate_limit": 3}, "Custom error: 6"),
}


@pytest.mark.parametrize(("signer", "rules", "words"), POOL.values(), ids=POOL.keys())
def test_the_pool_refuses_before_any_block(signer: str, rules: dict[str, Any], words: str) -> None:
    chain = node(world(hyperparameters=rules))
    if "weights_rate_limit" in rules:
        chain.submit(sign(chain, signer, weights_call()))
        chain.produce()
    with pytest.raises(InvalidExtrinsic) as refused:
        chain.submit(sign(chain, signer, weights_call(), nonce=chain.next_nonce(address(signer))))
    assert str(refused.value) == words


def test_rate_limit_counts_blocks_since_the_last_setting() -> None:
    chain = node(world(hyperparameters={"weights_rate_limit": 3}))
    nonce, settings = 0, []
    for _ in range(5):
        with suppress(InvalidExtrinsic):
            chain.submit(sign(chain, "//Validator", weights_call(), nonce=nonce))
            nonce += 1
        settings += [included.block for included in chain.produce()]
    assert settings == [1, 4]


def test_a_second_setting_in_one_block_is_dropped_and_banned() -> None:
    chain = node(world(hyperparameters={"weights_rate_limit": 3}))
    raws = [sign(chain, "//Validator", weights_call(), nonce=nonce) for nonce in range(2)]
    for raw in raws:
        chain.submit(raw)
    assert [included.extrinsic.raw for included in chain.produce()] == raws[:1]
    assert [dropped.raw for dropped in chain.take_dropped()] == raws[1:]
    with pytest.raises(InvalidExtrinsic) as banned:
        chain.submit(raws[1])
    assert banned.value.code == 1012
    assert chain.next_nonce(VALIDATOR) == 1


def test_mechanisms_have_rows_updates_and_rate_limits_of_their_own() -> None:
    chain = node(world(hyperparameters={"weights_rate_limit": 100, "mechanisms": 2}))
    chain.submit(sign(chain, "//Validator", weights_call(weights=[1, 1])))
    chain.produce()
    chain.submit(sign(chain, "//Validator", weights_call(mecid=1, weights=[1, 2]), nonce=1))
    assert chain.produce()[0].error is None
    assert [chain.weights(mechanism)[VALIDATOR] for mechanism in (0, 1)] == [
        {"block": 1, "weights": {MINER: 65535, OTHER: 65535}},
        {"block": 2, "weights": {MINER: 32767, OTHER: 65535}},
    ]
    assert chain.blocks.state(None).get("SubtensorModule", "Weights", 4096 + 20, 0) == [(2, 32767), (3, 65535)]


def test_a_mechanism_that_is_added_later_has_lists_of_its_own() -> None:
    chain = node()
    chain.produce()
    chain.set_rules(Hyperparameters(mechanisms=2))
    chain.submit(sign(chain, "//Validator", weights_call(mecid=1)))
    (included,) = chain.produce()
    assert included.error is None
    answer = rpc(Peer(chain), "state_call", ["SubnetInfoRuntimeApi_get_mechagraph", "0x140001"])
    graph = chain.runtime.decode(
        chain.runtime.apis["SubnetInfoRuntimeApi"]["get_mechagraph"]["output"], from_hex(answer)
    )
    assert (graph["netuid"], graph["last_update"], graph["incentives"]) == (4096 + 20, [2, 0, 0, 0], [0] * 4)
    assert rpc(Peer(chain), "state_call", ["SubnetInfoRuntimeApi_get_mechagraph", "0x140002"]) == "0x00"


SCALES: dict[str, tuple[list[int], list[int]]] = {
    "empty": ([], []),
    "zeros": ([0, 0], [0, 0]),
    "largest": ([3, 1], [65535, 21845]),
    "rounded down": ([200, 100], [65535, 32767]),
}


@pytest.mark.parametrize(("values", "expected"), SCALES.values(), ids=SCALES.keys())
def test_scaling(values: list[int], expected: list[int]) -> None:
    assert upscaled(values) == expected


def test_an_unknown_call_is_filtered() -> None:
    chain = node()
    chain.submit(sign(chain, "//Validator", {"remark": b"hello"}, pallet="System", function="remark"))
    (included,) = chain.produce()
    assert included.error == "System.CallFiltered"
    assert "ExtrinsicFailed" in repr(chain.blocks.state(None).get("System", "Events")[-1])
