"""Sealed weights: what a commit must satisfy, and what becomes of it in its reveal epoch."""

from __future__ import annotations

from typing import Any

import pytest

from bitagent_local.chain.extrinsics import InvalidExtrinsic
from bitagent_local.chain.keys import address
from bitagent_local.chain.node import ChainNode
from bitagent_local.chain.pallets import drand
from bitagent_local.chain.pallets.escrow import OpenRow
from bitagent_local.chain.seed import Hyperparameters, Neuron
from bitagent_local.chain.testing import node, sign, world

VALIDATOR, MINER, OTHER = (address(f"//{name}") for name in ("Validator", "Miner", "Other"))
NOW = 1_800_000_000
"""A time when drand has rounds."""
ROUND = drand.round_at(NOW)
COMMIT = b"sealed row"


def _chain(**rules: Any) -> ChainNode:
    chain = node(
        world(
            tempo=5,
            genesis_timestamp=NOW,
            drand_delay=0,
            hyperparameters={"commit_reveal_weights_enabled": True, "weights_rate_limit": 0, **rules},
        )
    )
    chain.produce()
    return chain


def _commit(chain: ChainNode, signer: str = "//Validator", *, nonce: int = 0, **changes: Any) -> bytes:
    args = {
        "netuid": 20,
        "mecid": 0,
        "commit": COMMIT,
        "reveal_round": ROUND,
        "commit_reveal_version": 4,
    }
    return sign(chain, signer, args | changes, function="commit_timelocked_mechanism_weights", nonce=nonce)


def _row(**changes: Any) -> OpenRow:
    fields: dict[str, Any] = {"hotkey": VALIDATOR, "targets": (2, 3), "values": (1, 2), "version_key": 0}
    return OpenRow(**(fields | changes))


REFUSED: dict[str, tuple[str, dict[str, Any], dict[str, Any], str]] = {
    "another version": (
        "//Validator",
        {"commit_reveal_version": 3},
        {},
        "SubtensorModule.IncorrectCommitRevealVersion",
    ),
    "unregistered": ("//Unregistered", {}, {}, "SubtensorModule.HotKeyNotRegisteredInSubNet"),
    "no such mechanism": ("//Validator", {"mecid": 1}, {}, "SubtensorModule.MechanismDoesNotExist"),
    "plain weights": (
        "//Validator",
        {},
        {"commit_reveal_weights_enabled": False},
        "SubtensorModule.CommitRevealDisabled",
    ),
}


@pytest.mark.parametrize(("signer", "args", "rules", "error"), REFUSED.values(), ids=REFUSED.keys())
def test_refused_commits(signer: str, args: dict[str, Any], rules: dict[str, Any], error: str) -> None:
    chain = _chain(**rules)
    chain.submit(_commit(chain, signer, **args))
    assert chain.produce()[0].error == error


POOL: dict[str, tuple[str, dict[str, Any], dict[str, Any], str]] = {
    "a round that has passed": ("//Validator", {"reveal_round": 1}, {}, "Custom error: 15"),
    "too little stake": ("//Validator", {}, {"stake_threshold": "1001"}, "Custom error: 1"),
    "garbage of a miner": ("//Miner", {"commit": b"12345"}, {"stake_threshold": "1"}, "Custom error: 1"),
}


@pytest.mark.parametrize(("signer", "args", "rules", "words"), POOL.values(), ids=POOL.keys())
def test_the_pool_refuses_commits(signer: str, args: dict[str, Any], rules: dict[str, Any], words: str) -> None:
    chain = _chain(**rules)
    with pytest.raises(InvalidExtrinsic) as refused:
        chain.submit(_commit(chain, signer, **args))
    assert str(refused.value) == words


def test_a_rate_limited_hotkey_has_one_commit_in_the_pool() -> None:
    chain = _chain(weights_rate_limit=2)
    chain.submit(_commit(chain))
    with pytest.raises(InvalidExtrinsic) as refused:
        chain.submit(_commit(chain, nonce=1, commit=b"another"))
    assert refused.value.code == 1014


def test_ten_commits_wait_in_an_epoch_and_not_eleven() -> None:
    chain = _chain()
    for nonce in range(11):
        chain.submit(_commit(chain, nonce=nonce))
    errors = [included.error for included in chain.produce()]
    assert errors == [None] * 10 + ["SubtensorModule.TooManyUnrevealedCommits"]


def test_a_row_is_set_in_the_reveal_epoch_and_last_update_is_the_commits() -> None:
    chain = _chain()
    chain.escrow.put(COMMIT, _row())
    chain.submit(_commit(chain))
    chain.produce()
    while chain.blocks.head.number < 4:
        chain.produce()
        assert chain.weights() == {}
    chain.produce()
    assert chain.subnet.get("SubnetEpochIndex") == 1
    assert chain.weights() == {VALIDATOR: {"block": 2, "weights": {MINER: 32767, OTHER: 65535}}}
    assert "TimelockedWeightsRevealed" in repr(chain.blocks.state(None).get("System", "Events"))
    assert chain.blocks.state(None).get("SubtensorModule", "TimelockedWeightCommits", 20, 0) == []


def test_mechanisms_are_revealed_under_their_own_index() -> None:
    chain = _chain(mechanisms=2)
    chain.escrow.put(COMMIT, _row())
    chain.submit(_commit(chain, mecid=1))
    for _ in range(5):
        chain.produce()
    assert (chain.weights(0), list(chain.weights(1))) == ({}, [VALIDATOR])


DROPPED: dict[str, tuple[OpenRow | None, Hyperparameters, Neuron | None, str]] = {
    "cannot be opened": (None, Hyperparameters(), None, "not handed over"),
    "sealed by another": (_row(hotkey=MINER), Hyperparameters(), None, "sealed by"),
    "permit lost": (
        _row(),
        Hyperparameters(),
        Neuron.model_validate({"hotkey": "//Validator", "permit": False}),
        "NeuronNoValidatorPermit",
    ),
    "stake lost": (_row(), Hyperparameters.model_validate({"stake_threshold": "1001"}), None, "NotEnoughStake"),
    "version key": (_row(), Hyperparameters(weights_version=3), None, "IncorrectWeightVersionKey"),
    "too short": (
        _row(targets=(2,), values=(1,)),
        Hyperparameters(min_allowed_weights=2),
        None,
        "WeightVecLengthIsLow",
    ),
}


@pytest.mark.parametrize(("row", "rules", "neuron", "why"), DROPPED.values(), ids=DROPPED.keys())
def test_what_fails_at_the_reveal_is_dropped_silently(
    row: OpenRow | None, rules: Hyperparameters, neuron: Neuron | None, why: str
) -> None:
    chain = _chain()
    if row:
        chain.escrow.put(COMMIT, row)
    chain.submit(_commit(chain))
    assert chain.produce()[0].error is None
    chain.set_rules(rules)
    if neuron:
        chain.register(neuron)
    for _ in range(6):
        chain.produce()
        assert "TimelockedWeightsRevealed" not in repr(chain.blocks.state(None).get("System", "Events"))
    assert chain.weights() == {}
    (outcome,) = chain.reveals
    assert (outcome.hotkey, outcome.committed_at, outcome.block) == (VALIDATOR, 2, 5)
    assert why in str(outcome.dropped)
    assert chain.blocks.state(None).get("SubtensorModule", "TimelockedWeightCommits", 20, 0) == []


def test_a_missing_round_waits_for_its_epoch_and_is_dropped_with_it() -> None:
    chain = _chain()
    chain.missing_rounds = frozenset({ROUND})
    chain.escrow.put(COMMIT, _row())
    chain.submit(_commit(chain))
    chain.produce()
    while chain.subnet.get("SubnetEpochIndex") < 1:
        chain.produce()
    assert chain.weights() == {}
    assert len(chain.storage.get("SubtensorModule", "TimelockedWeightCommits", 20, 0)) == 1
    chain.missing_rounds = frozenset()
    chain.produce()
    assert list(chain.weights()) == [VALIDATOR]

    late = _chain()
    late.missing_rounds = frozenset({ROUND})
    late.escrow.put(COMMIT, _row())
    late.submit(_commit(late))
    while late.subnet.get("SubnetEpochIndex") < 2:
        late.produce()
    late.missing_rounds = frozenset()
    late.produce()
    assert late.weights() == {}
    assert [f"drand round {ROUND} did not come" in str(outcome.dropped) for outcome in late.reveals] == [True]
    assert late.blocks.state(None).get("SubtensorModule", "TimelockedWeightCommits", 20, 0) == []


ROUNDS: dict[str, tuple[float, int]] = {
    "before the first": (0, 0),
    "first": (1_692_803_367, 1),
    "three seconds later": (1_692_803_370, 2),
}


@pytest.mark.parametrize(("seconds", "expected"), ROUNDS.values(), ids=ROUNDS.keys())
def test_rounds_of_drand(seconds: float, expected: int) -> None:
    assert drand.round_at(seconds) == expected
