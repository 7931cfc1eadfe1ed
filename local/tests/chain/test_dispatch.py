"""Effects of calls, and the pallet's errors."""

from __future__ import annotations

from typing import Any

import pytest

from bitagent_local.chain.keys import address
from bitagent_local.chain.testing import node, sign, weights_call, world

VALIDATOR, MINER, OTHER = address("//Validator"), address("//Miner"), address("//Other")


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
    "sealed weights required": ("//Validator", {}, {"commit_reveal_weights_enabled": True}, "CommitRevealEnabled"),
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
