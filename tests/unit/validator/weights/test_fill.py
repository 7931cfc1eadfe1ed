"""A row that the subnet takes: burning, and rows that are too short."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bitagent_crds.validator import Burn, Fill, WithoutResult
from bitagent_validator.chain.facts import Subnet
from bitagent_validator.weights.fill import Part, burn_target, change_between, filled_row, with_burn
from bitagent_validator.weights.vector import fits

Make = Callable[..., Any]
OWNER = "5CnxbRk7DKntFz5E8za9NxFmP253fShWWBj3xf5C8L5TnaMF"


@pytest.fixture
def five(subnet: Callable[..., Subnet], neuron: Make) -> Callable[..., Subnet]:
    """Make a subnet of five: me, a, b, c and the owner."""

    def make(**rules: Any) -> Subnet:
        others = {"c": neuron("c", uid=3), OWNER: neuron(OWNER, uid=4, coldkey="cold")}
        return subnet(neurons=subnet().neurons | others, owner_hotkey=OWNER, owner_coldkey="cold", **rules)

    return make


@pytest.mark.parametrize(
    ("shares", "fill", "rules", "paid"),
    [
        pytest.param({"a": 0.9, "b": 0.1}, Fill.BURN, {"min_weights": 2}, "ab", id="long enough"),
        pytest.param({"a": 0.9, "b": 0.1}, Fill.BURN, {"min_weights": 3}, "abO", id="the owner fills"),
        pytest.param({"a": 0.9, "b": 0.1}, Fill.BURN, {"min_weights": 4}, "abcO", id="V1: the owner is not enough"),
        pytest.param({"a": 0.9, "b": 0.1}, Fill.BURN, {"min_weights": 64}, "abcOm", id="as long as the subnet is"),
        pytest.param({"a": 0.9, "b": 0.1}, Fill.EQUAL, {"min_weights": 4}, "abcOm", id="equal: all others"),
        pytest.param({"a": 0.9, "b": 0.1}, Fill.NONE, {"min_weights": 4}, "ab", id="none"),
        pytest.param({}, Fill.BURN, {"min_weights": 1}, "O", id="V2: no one scored"),
        pytest.param({}, Fill.BURN, {"min_weights": 3}, "Oab", id="no one scored, and the row is too short"),
        pytest.param({}, Fill.EQUAL, {"min_weights": 1}, "abcO", id="no one scored: all but oneself"),
        pytest.param({}, Fill.NONE, {"min_weights": 1}, "", id="no one scored: none"),
        pytest.param({"me": 1.0}, Fill.BURN, {"min_weights": 4}, "m", id="a single weight for oneself is exempt"),
        pytest.param(
            {"a": 1.0, "b": 1e-9}, Fill.BURN, {"min_weights": 2}, "ab", id="what was rounded to 0 counts again"
        ),
        pytest.param({"a": 0.7, "b": 0.3}, Fill.BURN, {"max_weight": 30000}, "abO", id="for the largest share"),
    ],
)
def test_a_row_that_the_subnet_takes(five: Make, shares: Any, fill: Fill, rules: Any, paid: str) -> None:
    facts = five(**rules)
    row = filled_row(shares, fill=fill, target=OWNER, subnet=facts)
    assert set(row) == {{"m": "me", "O": OWNER}.get(letter, letter) for letter in paid}
    assert all(0 < value <= 65535 for value in row.values())
    if row and fill is not Fill.NONE and paid != "m":
        assert len(row) >= min(5, facts.rules.min_weights)
        assert fits(row, rules=facts.rules)


def test_fillers_get_the_smallest_weight(five: Make) -> None:
    row = filled_row({"a": 0.9, "b": 0.1}, fill=Fill.BURN, target=OWNER, subnet=five(min_weights=4))
    assert row == {"a": 65535, "b": 7282, OWNER: 1, "c": 1}


@pytest.mark.parametrize(
    ("shares", "percentage", "expected"),
    [
        pytest.param({"a": 0.75, "b": 0.25}, 0, {"a": 0.75, "b": 0.25}, id="nothing"),
        pytest.param({"a": 0.75, "b": 0.25}, 80, {"a": 0.15, "b": 0.05, OWNER: 0.8}, id="outside the normalisation"),
        pytest.param({"a": 0.75, "b": 0.25}, 100, {OWNER: 1.0}, id="everything"),
        pytest.param({"a": 0.5, OWNER: 0.5}, 50, {"a": 0.25, OWNER: 0.75}, id="the owner has earned, too"),
        pytest.param({}, 50, {}, id="nothing to share"),
    ],
)
def test_burning(shares: Any, percentage: int, expected: Any) -> None:
    assert with_burn(shares, percentage=percentage, target=OWNER) == pytest.approx(expected)
    assert with_burn(shares, percentage=percentage, target="") == shares, "without a target nothing is burnt"


@pytest.mark.parametrize(
    ("target", "changes", "burnt"),
    [
        pytest.param("SubnetOwner", {}, True, id="the owner as the chain has it"),
        pytest.param("SubnetOwner", {"owner_hotkey": "gone"}, False, id="the owner has no slot"),
        pytest.param(OWNER, {"owner_hotkey": "other"}, True, id="another hotkey of the owner's coldkey"),
        pytest.param(OWNER, {"owner_hotkey": "other", "owner_coldkey": "x"}, False, id="no longer the owner's"),
        pytest.param(OWNER, {"neurons": {}}, False, id="it has lost its slot"),
    ],
)
def test_the_target_belongs_to_the_owner(five: Make, target: str, changes: Any, burnt: bool) -> None:
    from dataclasses import replace

    found = burn_target(Burn(target=target), replace(five(), **changes))
    assert (found.hotkey, not found.problem) == (OWNER if burnt else "", burnt)


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        pytest.param(Part({"a": 1.0}, WithoutResult.BURN), {"a": 1.0}, id="it pays"),
        pytest.param(Part({}), {}, id="to the others"),
        pytest.param(Part({}, WithoutResult.BURN), {OWNER: 1.0}, id="burnt"),
        pytest.param(Part({}, WithoutResult.HOLD, {"a": 3, "b": 1}), {"a": 0.75, "b": 0.25}, id="held"),
        pytest.param(Part({}, WithoutResult.HOLD), {}, id="nothing to hold"),
    ],
)
def test_a_competition_without_a_result(part: Part, expected: Any) -> None:
    assert part.effective(OWNER) == expected


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        pytest.param({"a": 2, "b": 1}, {"a": 65534, "b": 32767}, 0.0, id="the same in another scale"),
        pytest.param({"a": 1}, {"b": 1}, 1.0, id="all of it"),
        pytest.param({"a": 1, "b": 1}, {"a": 1}, 0.5, id="half"),
        pytest.param({}, {"a": 1}, 0.0, id="nothing before"),
    ],
)
def test_how_much_changes(before: Any, after: Any, change: float) -> None:
    assert change_between(before, after) == pytest.approx(change, abs=1e-4)
