"""Epochs over the state: what is stored, permits that come and go, activity, emission as stake."""

from __future__ import annotations

import pytest

from bitagent_local.chain.keys import address
from bitagent_local.chain.node import ChainNode
from bitagent_local.chain.seed import Hyperparameters, Neuron
from bitagent_local.chain.testing import node, sign, weights_call, world

VALIDATORS = ("//One", "//Two")


def _world(**changes: object) -> ChainNode:
    neurons = [{"hotkey": uri, "stake": stake} for uri, stake in zip(VALIDATORS, ("600", "400"), strict=True)]
    neurons += [{"hotkey": "//Miner"}, {"hotkey": "//Other"}]
    return node(world(neurons=neurons, tempo=5, **changes))


def _run_epoch(chain: ChainNode) -> None:
    before = chain.subnet.get("SubnetEpochIndex")
    while chain.subnet.get("SubnetEpochIndex") == before:
        chain.produce()


def _set(chain: ChainNode, *, nonce: int = 0, second: tuple[int, int] = (3, 1)) -> None:
    chain.produce()
    for uri, weights in zip(VALIDATORS, ((3, 1), second), strict=True):
        chain.submit(sign(chain, uri, weights_call(weights=list(weights)), nonce=nonce))


def test_an_epoch_stores_what_yuma_decides() -> None:
    chain = _world()
    _set(chain)
    _run_epoch(chain)
    subnet = chain.subnet
    assert subnet.get("ValidatorTrust") == [65535, 65535, 0, 0]
    assert subnet.of_mechanism("Incentive", 0) == pytest.approx([0, 0, 49151, 16384], abs=1)
    assert subnet.get("Consensus") == pytest.approx([0, 0, 49151, 16384], abs=1)
    assert subnet.get("Dividends") == pytest.approx([39321, 26214, 0, 0], abs=1)
    # Five blocks of 0.82 tokens: half to the validators by stake, half to the miners by weight.
    assert subnet.get("Emission") == pytest.approx([1.23e9, 0.82e9, 1.5375e9, 0.5125e9], rel=1e-4)
    assert subnet.row("Bonds", 0) == {2: 65535, 3: 65535}
    assert subnet.get("LastMechansimStepBlock") == chain.blocks.head.number


def test_a_dissenter_loses_trust() -> None:
    chain = _world()
    _set(chain, second=(1, 3))
    _run_epoch(chain)
    assert chain.subnet.get("ValidatorTrust")[:2] == pytest.approx([65535, 32767], abs=2)


def test_permits_follow_the_stake_unless_they_are_held() -> None:
    chain = _world()
    assert chain.subnet.get("ValidatorPermit") == [True, True, False, False]
    chain.register(Neuron.model_validate({"hotkey": "//Two", "stake": 0}))
    chain.register(Neuron.model_validate({"hotkey": "//Miner", "stake": 5}))
    chain.register(Neuron.model_validate({"hotkey": "//Other", "permit": True}))
    _run_epoch(chain)
    assert chain.subnet.get("ValidatorPermit") == [True, False, True, True]
    chain.set_rules(Hyperparameters(max_validators=1))
    _run_epoch(chain)
    assert chain.subnet.get("ValidatorPermit") == [True, False, False, True]


def test_a_validator_is_inactive_after_the_cutoff() -> None:
    """At tempo 5 a factor of 2000 is 10 blocks; the cutoff in the metagraph is that number."""
    chain = _world(hyperparameters={"activity_cutoff_factor": 2000})
    assert chain.subnet.activity_cutoff() == 10
    chain.submit(sign(chain, "//One", weights_call()))
    chain.produce()
    for _ in range(2):
        _run_epoch(chain)
    assert chain.subnet.get("Active")[0] is True
    _run_epoch(chain)
    assert (chain.blocks.head.number, chain.subnet.get("Active")[0]) == (15, False)


def test_the_default_cutoff_is_277_blocks_at_tempo_20() -> None:
    assert node(world(tempo=20)).subnet.activity_cutoff() == 277


@pytest.mark.parametrize("pay", [True, False], ids=["paid", "only shown"])
def test_emission_becomes_stake_if_the_seed_says_so(pay: bool) -> None:
    chain = _world(pay_emission=pay)
    _set(chain)
    _run_epoch(chain)
    assert (chain.subnet.stake(address("//Miner")) > 0) is pay


def test_a_triggered_epoch_runs_sooner() -> None:
    chain = node(world(tempo=100))
    chain.produce()
    assert chain.plan_epochs(after=3) == 4
    for _ in range(3):
        chain.produce()
    assert (chain.subnet.get("LastEpochBlock"), chain.subnet.next_epoch()) == (4, 104)


def test_another_tempo_moves_the_next_epoch_and_the_cutoff() -> None:
    chain = node(world(tempo=100))
    chain.produce()
    assert chain.plan_epochs(tempo=4) == 4
    for _ in range(3):
        chain.produce()
    assert (chain.subnet.get("LastEpochBlock"), chain.subnet.next_epoch()) == (4, 8)
    assert chain.subnet.activity_cutoff() == 55


def test_mechanisms_share_the_emission() -> None:
    chain = _world(hyperparameters={"mechanisms": 2, "weights_rate_limit": 0})
    chain.produce()
    for nonce, weights in enumerate(([1, 0], [0, 1])):
        chain.submit(sign(chain, "//One", weights_call(mecid=nonce, weights=weights), nonce=nonce))
    _run_epoch(chain)
    subnet = chain.subnet
    assert [subnet.of_mechanism("Incentive", mechanism)[2:] for mechanism in (0, 1)] == [[65535, 0], [0, 65535]]
    assert subnet.get("Emission")[2] == pytest.approx(subnet.get("Emission")[3])
