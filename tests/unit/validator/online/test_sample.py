"""Which miners a step asks: by the seed alone, and never those that are left out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bitagent_crds.online import LeftOutReason
from bitagent_validator.chain.facts import RAO, Neuron
from bitagent_validator.online.sample import draw, step_seed, task_seed

SEED = step_seed(genesis="0xg", block_hash="0xb", netuid=20, competition="fc")
Make = Callable[..., Any]


@pytest.fixture
def field(neuron: Make) -> dict[str, Neuron]:
    return {hotkey: neuron(hotkey, uid=uid) for uid, hotkey in enumerate(f"miner-{n}" for n in range(40))}


def drawn(neurons: dict[str, Neuron], **changes: Any) -> list[str]:
    given: dict[str, Any] = {"seed": SEED, "size": 10, "own": "me", "excluded": (), "validator_stake": 4096}
    return [neuron.hotkey for neuron in draw(neurons, **(given | changes)).miners]


def test_the_order_of_arrival_changes_nothing(field: dict[str, Neuron]) -> None:
    assert drawn(field) == drawn(dict(reversed(list(field.items()))))
    assert len(set(drawn(field))) == 10


@pytest.mark.parametrize("part", ["genesis", "block_hash", "netuid", "competition"])
def test_each_part_of_the_seed_counts(part: str) -> None:
    parts: dict[str, Any] = {"genesis": "0xg", "block_hash": "0xb", "netuid": 20, "competition": "fc"}
    other = step_seed(**(parts | {part: 21 if part == "netuid" else "other"}))
    assert other != step_seed(**parts)
    assert task_seed(other) != task_seed(SEED) != SEED


def test_one_more_hotkey_replaces_one_other_at_most(field: dict[str, Neuron], neuron: Make) -> None:
    before = drawn(field)
    for n in range(20):
        after = drawn(field | {f"new-{n}": neuron(f"new-{n}")})
        assert len(set(before) - set(after)) <= 1


def test_all_are_asked_in_turn(field: dict[str, Neuron]) -> None:
    seeds = (step_seed(genesis="0xg", block_hash=f"0x{n}", netuid=20, competition="fc") for n in range(60))
    assert {hotkey for seed in seeds for hotkey in drawn(field, seed=seed)} == field.keys()


@pytest.mark.parametrize(
    ("stake", "permit", "reason"),
    [
        pytest.param(5000, True, LeftOutReason.VALIDATOR, id="a validator"),
        pytest.param(4096, True, None, id="a permit with too little stake"),
        pytest.param(5000, False, None, id="stake without a permit"),
    ],
)
def test_who_is_left_out(
    field: dict[str, Neuron], neuron: Make, stake: int, permit: bool, reason: LeftOutReason | None
) -> None:
    all_ = field | {"x": neuron("x", stake=stake * RAO, permit=permit), "me": neuron("me")}
    found = draw(all_, seed=SEED, size=100, own="me", excluded={"miner-3", "not here"}, validator_stake=4096)
    expected = {"me": LeftOutReason.OWN, "miner-3": LeftOutReason.EXCLUDED} | ({"x": reason} if reason else {})
    assert found.left_out == expected
    assert {each.hotkey for each in found.miners} == all_.keys() - expected.keys()
