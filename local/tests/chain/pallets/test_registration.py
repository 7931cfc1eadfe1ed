"""Slots: registration for TAO, slots that change hands, immunity, hotkeys that change; balances and fees."""

from __future__ import annotations

from typing import Any

import pytest

from bitagent_local.chain.extrinsics import InvalidExtrinsic
from bitagent_local.chain.keys import address
from bitagent_local.chain.node import ChainNode
from bitagent_local.chain.pallets import balances
from bitagent_local.chain.pallets.neurons import Slot, to_prune
from bitagent_local.chain.seed import Neuron
from bitagent_local.chain.testing import node, sign, weights_call, world

VALIDATOR, WATCHER, MINER, OTHER, LATE = (
    address(f"//{name}") for name in ("Validator", "Watcher", "Miner", "Other", "Late")
)
TAO = 10**9


def _register(chain: ChainNode, coldkey: str = "//Late-cold", hotkey: str = LATE, *, nonce: int = 0) -> bytes:
    return sign(chain, coldkey, {"netuid": 20, "hotkey": hotkey}, function="burned_register", nonce=nonce)


def _funded(**rules: Any) -> ChainNode:
    chain = node(world(hyperparameters={"weights_rate_limit": 0, **rules}))
    chain.set_balance(address("//Late-cold"), TAO)
    return chain


def test_a_registration_costs_the_burn() -> None:
    chain = _funded(burn="0.25")
    chain.submit(_register(chain))
    assert chain.produce()[0].error is None
    assert (chain.subnet.uid(LATE), chain.subnet.size) == (4, 5)
    assert chain.subnet.coldkey(LATE) == address("//Late-cold")
    assert balances.free(chain.blocks.state(None), address("//Late-cold")) == TAO * 3 // 4


REFUSED: dict[str, tuple[str, str, dict[str, Any], str]] = {
    "not enough": ("//Late-cold", LATE, {"burn": "2"}, "NotEnoughBalanceToStake"),
    "closed": ("//Late-cold", LATE, {"registration_allowed": False}, "SubNetRegistrationDisabled"),
    "registered": ("//Miner-cold", MINER, {}, "HotKeyAlreadyRegisteredInSubNet"),
    "another's hotkey": ("//Late-cold", address("//Owner"), {}, "NonAssociatedColdKey"),
}


@pytest.mark.parametrize(("coldkey", "hotkey", "rules", "error"), REFUSED.values(), ids=REFUSED.keys())
def test_refused_registrations(coldkey: str, hotkey: str, rules: dict[str, Any], error: str) -> None:
    chain = _funded(**rules)
    chain.submit(_register(chain, coldkey, hotkey))
    assert chain.produce()[0].error == f"SubtensorModule.{error}"


def test_in_a_full_subnet_the_slot_of_the_least_earning_changes_hands() -> None:
    chain = _funded(max_allowed_uids=4, immunity_period=0)
    chain.submit(sign(chain, "//Validator", weights_call(dests=[2, 3], weights=[1, 2])))
    while chain.subnet.get("SubnetEpochIndex") == 0:
        chain.produce()
    chain.submit(_register(chain))
    (included,) = chain.produce()
    assert included.error is None
    # The watcher has stake without a permit and a voice: nothing was earned in slot 1.
    assert (chain.subnet.uid(LATE), chain.subnet.uid(WATCHER)) == (1, None)
    assert chain.subnet.registered_at(1) == included.block


def test_what_pointed_at_a_slot_is_0_when_it_changes_hands() -> None:
    chain = node()
    chain.submit(sign(chain, "//Validator", weights_call(weights=[1, 2])))
    chain.produce()
    uid = chain.replace(MINER, Neuron.model_validate({"hotkey": "//Late", "stake": 7}))
    chain.produce()
    assert uid == 2
    assert chain.weights() == {VALIDATOR: {"block": 1, "weights": {LATE: 0, OTHER: 65535}}}
    state = chain.blocks.state(None)
    assert state.get("SubtensorModule", "Axons", 20, MINER) is None
    # Commitments outlive a registration.
    assert state.get("Commitments", "CommitmentOf", 20, MINER) is not None
    assert (chain.subnet.stake(LATE), chain.subnet.last_update(2, mechanism=0)) == (7 * TAO, 2)


def slot(uid: int, emission: int = 0, *, registered_at: int = 0, immune: bool = False, owners: bool = False) -> Slot:
    return Slot(uid, emission, registered_at, immune, owners)


PRUNED: dict[str, tuple[list[Slot], int, int | None]] = {
    "least emission": ([slot(0, 5), slot(1, 3), slot(2, 9)], 0, 1),
    "oldest of equals": ([slot(0, registered_at=9), slot(1, registered_at=4)], 0, 1),
    "lowest uid of equals": ([slot(0), slot(1)], 0, 0),
    "immune last": ([slot(0, 0, immune=True), slot(1, 9)], 0, 1),
    "immune if there is no other": ([slot(0, 4, immune=True), slot(1, 3, immune=True)], 0, 1),
    "too few outside immunity": ([slot(0, 4, immune=True), slot(1, 3), slot(2, 2)], 2, 0),
    "never the owner": ([slot(0, 0, owners=True), slot(1, 9)], 0, 1),
    "only the owner": ([slot(0, owners=True)], 0, None),
}


@pytest.mark.parametrize(("slots", "min_non_immune", "expected"), PRUNED.values(), ids=PRUNED.keys())
def test_which_slot_is_taken(slots: list[Slot], min_non_immune: int, expected: int | None) -> None:
    assert to_prune(slots, min_non_immune=min_non_immune) == expected


def _swap(chain: ChainNode, coldkey: str, old: str, new: str, netuid: int | None = 20) -> str | None:
    args = {"hotkey": old, "new_hotkey": new, "netuid": netuid}
    chain.submit(sign(chain, coldkey, args, function="swap_hotkey"))
    return chain.produce()[0].error


def test_a_swap_keeps_slot_stake_and_weights() -> None:
    chain = node()
    chain.submit(sign(chain, "//Validator", weights_call(weights=[1, 2])))
    chain.produce()
    before = chain.subnet.registered_at(2)
    assert _swap(chain, "//Miner-cold", MINER, LATE, None) is None
    assert (chain.subnet.uid(LATE), chain.subnet.uid(MINER)) == (2, None)
    assert chain.weights()[VALIDATOR]["weights"] == {LATE: 32767, OTHER: 65535}
    assert chain.subnet.registered_at(2) == before
    assert chain.blocks.state(None).get("SubtensorModule", "Axons", 20, LATE)["port"] == 8091


SWAPS: dict[str, tuple[str, str, str, str]] = {
    "of another coldkey": ("//Other-cold", MINER, LATE, "NonAssociatedColdKey"),
    "with itself": ("//Miner-cold", MINER, MINER, "NewHotKeyIsSameWithOld"),
    "with a registered one": ("//Miner-cold", MINER, OTHER, "HotKeyAlreadyRegisteredInSubNet"),
}


@pytest.mark.parametrize(("coldkey", "old", "new", "error"), SWAPS.values(), ids=SWAPS.keys())
def test_refused_swaps(coldkey: str, old: str, new: str, error: str) -> None:
    assert _swap(node(), coldkey, old, new) == f"SubtensorModule.{error}"


def test_a_fee_is_charged_to_the_coldkey_and_reported() -> None:
    chain = node(world(fee="0.5"))
    chain.submit(sign(chain, "//Validator", weights_call()))
    chain.produce()
    state, cold = chain.blocks.state(None), address("//Validator-cold")
    assert balances.free(state, cold) == 100 * TAO - TAO // 2
    assert balances.free(state, VALIDATOR) == 0
    paid = [event for event in state.get("System", "Events") if "TransactionFeePaid" in repr(event)]
    assert cold in repr(paid)
    assert str(TAO // 2) in repr(paid)


def test_an_empty_coldkey_cannot_pay() -> None:
    chain = node(world(fee="0.5"))
    chain.set_balance(address("//Validator-cold"), 0)
    with pytest.raises(InvalidExtrinsic, match="Inability to pay some fees"):
        chain.submit(sign(chain, "//Validator", weights_call()))


TRANSFERS: dict[str, tuple[int, str | None]] = {
    "some": (TAO, None),
    "too much": (1000 * TAO, "Balances.InsufficientBalance"),
    "all": (100 * TAO, "Balances.Expendability"),
    "dust": (1, "Balances.ExistentialDeposit"),
}


@pytest.mark.parametrize(("rao", "error"), TRANSFERS.values(), ids=TRANSFERS.keys())
def test_transfers(rao: int, error: str | None) -> None:
    chain, fresh = node(), address("//Fresh")
    args = {"dest": fresh, "value": rao}
    chain.submit(sign(chain, "//Miner-cold", args, pallet="Balances", function="transfer_keep_alive"))
    assert chain.produce()[0].error == error
    assert balances.free(chain.blocks.state(None), fresh) == (0 if error else rao)
