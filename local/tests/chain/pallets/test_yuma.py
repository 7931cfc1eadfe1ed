"""Yuma consensus by hand: small subnets whose results are a few fractions."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitagent_local.chain.pallets.yuma import Input, counted, epoch, top, weighted_median


def subnet(**changes: Any) -> Input:
    """Two validators with 60 and 40 of the stake (uids 0 and 1) and two miners (2 and 3), at block 100."""
    fields: dict[str, Any] = {
        "block": 100,
        "stake": [60, 40, 0, 0],
        "permits": [True, True, False, False],
        "last_update": [90, 90, 0, 0],
        "registered_at": [0, 0, 0, 0],
        "weights": [{2: 3, 3: 1}, {2: 1, 3: 3}, {}, {}],
        "bonds": [{}, {}, {}, {}],
        "commit_blocks": [None] * 4,
        "owner": None,
        "bonds_since": 80,
        "stake_threshold": 0,
        "activity_cutoff": 50,
        "max_validators": 128,
        "kappa": 0.5,
        "bonds_moving_average": 0.9,
        "bonds_penalty": 1.0,
    }
    return Input(**(fields | changes))


def test_the_majority_clips_the_minority() -> None:
    """60 % agree on 3/4 and 1/4; the others' 3/4 for uid 3 is clipped to 1/4, their 1/4 for uid 2 stays."""
    result = epoch(subnet())
    assert result.consensus == pytest.approx([0, 0, 0.75, 0.25])
    assert result.validator_trust == pytest.approx([1, 0.5, 0, 0])
    # 0.6 * 3/4 + 0.4 * 1/4 = 0.55 and 0.6 * 1/4 + 0.4 * 1/4 = 0.25
    assert result.incentive == pytest.approx([0, 0, 0.55 / 0.8, 0.25 / 0.8])
    # Bonds of uid 2: 0.45 and 0.10; of uid 3: 0.15 and 0.10.
    bought = [0.45 / 0.55 * 0.55 / 0.8 + 0.15 / 0.25 * 0.25 / 0.8, 0.1 / 0.55 * 0.55 / 0.8 + 0.1 / 0.25 * 0.25 / 0.8]
    assert result.dividends == pytest.approx([*bought, 0, 0])
    assert sum(result.emission) == pytest.approx(1)
    assert result.emission == pytest.approx([bought[0] / 2, bought[1] / 2, 0.55 / 1.6, 0.25 / 1.6])
    assert result.server_emission == pytest.approx([0, 0, 0.55 / 1.6, 0.25 / 1.6])


def test_equal_rows_have_full_trust() -> None:
    row = {2: 65535, 3: 21845}
    result = epoch(subnet(weights=[row, row, {}, {}]))
    assert result.validator_trust[:2] == pytest.approx([1, 1])
    assert result.dividends == pytest.approx([0.6, 0.4, 0, 0])


def test_bonds_move_by_a_tenth() -> None:
    """Old bonds of uid 2 are all the first's; new ones are as 0.45 to 0.10."""
    result = epoch(subnet(bonds=[{2: 65535}, {}, {}, {}]))
    first, second = 0.9 + 0.1 * 0.45 / 0.55, 0.1 * 0.1 / 0.55
    assert result.bonds[0][2] == pytest.approx(1)
    assert result.bonds[1][2] == pytest.approx(second / first)


def test_bonds_with_a_slot_that_changed_hands_are_void() -> None:
    fresh, old = (
        epoch(subnet(bonds=bonds, registered_at=[0, 0, 85, 0])) for bonds in ([{}] * 4, [{2: 65535}, *[{}] * 3])
    )
    assert fresh.bonds == old.bonds


def test_without_weights_the_stake_earns() -> None:
    result = epoch(subnet(weights=[{}] * 4))
    assert result.emission == pytest.approx([0.6, 0.4, 0, 0])
    assert result.server_emission == [0] * 4
    assert result.validator_emission == pytest.approx([0.6, 0.4, 0, 0])


def test_the_inactive_have_no_voice() -> None:
    result = epoch(subnet(last_update=[49, 90, 0, 0]))
    assert result.active == [False, True, False, False]
    assert result.consensus == pytest.approx([0, 0, 0.25, 0.75])
    assert result.validator_emission[0] == 0


PERMITS: dict[str, tuple[dict[str, Any], list[bool]]] = {
    "by stake": ({}, [True, True, False, False]),
    "the largest only": ({"max_validators": 1}, [True, False, False, False]),
    "above the threshold": ({"stake_threshold": 50}, [True, False, False, False]),
    "the owner's always": ({"max_validators": 1, "owner": 3}, [True, False, False, True]),
    "lost": ({"stake": [0, 40, 0, 0]}, [False, True, False, False]),
}


@pytest.mark.parametrize(("changes", "expected"), PERMITS.values(), ids=PERMITS.keys())
def test_permits(changes: dict[str, Any], expected: list[bool]) -> None:
    result = epoch(subnet(**changes))
    assert result.permits == expected
    assert all(not row for row, permit in zip(result.bonds, expected, strict=True) if not permit)


COUNTED: dict[str, tuple[dict[str, Any], dict[int, float]]] = {
    "all": ({}, {2: 3, 3: 1}),
    "not oneself": ({"weights": [{0: 9, 2: 3}, {}, {}, {}]}, {2: 3}),
    "the owner itself": ({"weights": [{0: 9, 2: 3}, {}, {}, {}], "owner": 0}, {0: 9, 2: 3}),
    "slot changed hands later": ({"registered_at": [0, 0, 91, 0]}, {3: 1}),
    "slot changed hands in that block": ({"registered_at": [0, 0, 90, 0]}, {3: 1}),
    "set since": ({"registered_at": [0, 0, 89, 0]}, {2: 3, 3: 1}),
    "an older commit waits": (
        {"registered_at": [0, 0, 85, 0], "commit_blocks": [84, None, None, None]},
        {3: 1},
    ),
    "no such slot": ({"weights": [{2: 3, 9: 4}, {}, {}, {}]}, {2: 3}),
}


@pytest.mark.parametrize(("changes", "expected"), COUNTED.values(), ids=COUNTED.keys())
def test_weights_that_count(changes: dict[str, Any], expected: dict[int, float]) -> None:
    assert counted(subnet(**changes), 0) == expected


def test_weights_without_a_permit_do_not_count() -> None:
    result = epoch(subnet(permits=[True, False, False, False]))
    assert result.validator_trust == pytest.approx([1, 0, 0, 0])
    assert result.incentive == pytest.approx([0, 0, 0.75, 0.25])


ROWS = st.lists(st.dictionaries(st.integers(0, 6), st.integers(0, 65535), max_size=6), min_size=6, max_size=6)


@given(
    stake=st.lists(st.integers(0, 10**15), min_size=6, max_size=6),
    permits=st.lists(st.booleans(), min_size=6, max_size=6),
    last_update=st.lists(st.integers(0, 100), min_size=6, max_size=6),
    registered_at=st.lists(st.integers(0, 100), min_size=6, max_size=6),
    weights=ROWS,
    bonds=ROWS,
    owner=st.none() | st.integers(0, 5),
)
def test_any_subnet_gets_shares(**fields: Any) -> None:
    result = epoch(subnet(**fields, commit_blocks=[None] * 6))
    for shares in (result.consensus, result.incentive, result.dividends, result.validator_trust, result.emission):
        assert len(shares) == 6
        assert all(-1e-9 <= share <= 1 + 1e-9 for share in shares)
    for total in (sum(result.incentive), sum(result.dividends), sum(result.emission)):
        assert total == pytest.approx(1) or total == pytest.approx(0)
    assert sum(result.server_emission) + sum(result.validator_emission) == pytest.approx(sum(result.emission))


MEDIANS: dict[str, tuple[list[float], list[float], float]] = {
    "no stake": ([0, 0], [0.1, 0.2], 0),
    "one": ([1], [0.3], 0.3),
    "majority low": ([0.6, 0.4], [0.2, 0.7], 0.2),
    "majority high": ([0.4, 0.6], [0.2, 0.7], 0.7),
    "three": ([0.3, 0.3, 0.4], [0.1, 0.5, 0.9], 0.5),
}


@pytest.mark.parametrize(("stake", "scores", "expected"), MEDIANS.values(), ids=MEDIANS.keys())
def test_weighted_median(stake: list[float], scores: list[float], expected: float) -> None:
    assert weighted_median(stake, scores, majority=0.5) == expected


TOP: dict[str, tuple[list[float], int, list[bool]]] = {
    "fewer than places": ([1, 0, 2], 5, [True, False, True]),
    "two": ([1, 3, 2], 2, [False, True, True]),
    "equals": ([1, 1, 1], 1, [False, False, True]),
    "none": ([1, 1], 0, [False, False]),
}


@pytest.mark.parametrize(("values", "count", "expected"), TOP.values(), ids=TOP.keys())
def test_top(values: list[float], count: int, expected: list[bool]) -> None:
    assert top(values, count) == expected
