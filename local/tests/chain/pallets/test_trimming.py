"""A subnet that is made smaller: who goes, and that everything follows the slots that are numbered again."""

from __future__ import annotations

from typing import Any

import pytest

from bitagent_local.chain.keys import address
from bitagent_local.chain.node import ChainNode
from bitagent_local.chain.seed import Seed
from bitagent_local.chain.subnet import PALLET, MutableSubnet
from bitagent_local.chain.testing import node

HOTKEYS = ["//Owner", "//A", "//B", "//Validator", "//C"]


def chain(**rules: Any) -> ChainNode:
    neurons = [{"hotkey": uri, "axon": "10.0.0.1:8091", "stake": "9"} for uri in HOTKEYS]
    content = {"netuid": 20, "neurons": neurons, "hyperparameters": {"immunity_period": 0, "mechanisms": 2, **rules}}
    return node(Seed.model_validate(content))


def test_those_that_earn_least_go_and_the_others_follow_their_slots() -> None:
    it = chain()
    subnet = MutableSubnet(it.storage, 20)
    subnet.put("Emission", [0, 0, 5, 7, 0])
    subnet.replace_of_mechanism("LastUpdate", 0, 3, 44)
    subnet.put_row("Weights", 3, {1: 9, 2: 65535, 4: 5}, mechanism=1)
    subnet.storage.put(PALLET, "BlockAtRegistration", (20, 2), 30)
    assert it.trim(3) == [address("//C"), address("//A")], "of equals the highest slot first, and never the owner's"
    it.produce()
    after = it.subnet
    assert [after.hotkey(uid) for uid in range(after.size)] == [address(u) for u in ("//Owner", "//B", "//Validator")]
    assert [after.uid(address(uri)) for uri in HOTKEYS] == [0, None, 1, 2, None]
    assert (after.weights(2, mechanism=1), after.weights(3, mechanism=1)) == ({1: 65535}, {})
    assert (after.last_update(2, mechanism=0), after.registered_at(1)) == (44, 30)
    assert [bool(neuron.axon) for neuron in after.neurons()] == [True] * 3
    assert list(after.get("Emission")) == [0, 5, 7]
    assert int(after.get("MaxAllowedUids")) == 3


def test_a_size_that_is_not_smaller_removes_none() -> None:
    it = chain()
    assert it.trim(200) == []
    assert (it.subnet.size, int(MutableSubnet(it.storage, 20).get("MaxAllowedUids"))) == (5, 200)


@pytest.mark.parametrize(
    ("size", "rules", "match"),
    [
        pytest.param(0, {}, "1 to 256 slots", id="none"),
        pytest.param(257, {}, "1 to 256 slots", id="more than there may be"),
        pytest.param(4, {"immunity_period": 5000}, "immune", id="all are immune"),
    ],
)
def test_sizes_that_a_subnet_may_not_have(size: int, rules: Any, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        chain(**rules).trim(size)
