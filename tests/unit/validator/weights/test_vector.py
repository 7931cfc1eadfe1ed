"""From shares to weights."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from bittensor.intents import normalize
from bittensor.intents.weights import clip_to_max_weight
from hypothesis import given
from hypothesis import strategies as st

from bitagent_validator.chain.facts import Subnet
from bitagent_validator.state.rows import weights_digest
from bitagent_validator.weights.vector import U16_MAX, combine, fits, quantize, same_weights

Make = Callable[..., Subnet]


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        pytest.param({"x": {"a": 1.0}, "y": {"b": 1.0}}, {"a": 0.7, "b": 0.3}, id="by reward share"),
        pytest.param({"x": {"a": 0.5, "b": 0.5}, "y": {"b": 1.0}}, {"a": 0.35, "b": 0.65}, id="added up by hotkey"),
        pytest.param({"x": {"a": 1.0}}, {"a": 1.0}, id="no complete round: its part goes to the others"),
        pytest.param({"x": {}, "y": {"b": 1.0}}, {"b": 1.0}, id="a competition that pays no hotkey: the same"),
        pytest.param({}, {}, id="no complete round at all: no weights"),
        pytest.param({"x": {}}, {}, id="no hotkey anywhere: no weights"),
    ],
)
def test_combine(shares: dict[str, dict[str, float]], expected: dict[str, float]) -> None:
    assert combine(shares, reward_shares={"x": 70, "y": 30}) == pytest.approx(expected)


SHARES = st.dictionaries(st.sampled_from("abcdef"), st.floats(0.001, 1), min_size=1).map(
    lambda raw: {h: v / math.fsum(raw.values()) for h, v in raw.items()}
)


@given(x=SHARES, y=SHARES, part=st.integers(1, 99))
def test_combined_weights_sum_to_one(x: dict[str, float], y: dict[str, float], part: int) -> None:
    combined = combine({"x": x, "y": y}, reward_shares={"x": part, "y": 100 - part})
    assert math.isclose(math.fsum(combined.values()), 1, rel_tol=1e-9)
    assert combined == combine({"y": y, "x": x}, reward_shares={"y": 100 - part, "x": part})


def test_quantize_by_hand(subnet: Make) -> None:
    assert quantize({"a": 0.5, "b": 0.25, "c": 0.0}, rules=subnet().rules) == {"a": 65535, "b": 32768}
    assert quantize({}, rules=subnet().rules) == {}


def test_quantize_keeps_to_the_subnets_limit(subnet: Make) -> None:
    row = quantize({"a": 0.9, "b": 0.06, "c": 0.04}, rules=subnet(max_weight=32768).rules)
    assert row["a"] / sum(row.values()) <= 32768 / 65535 + 1e-4
    assert row["b"] > row["c"]


def test_rounding_never_passes_the_subnets_limit(subnet: Make) -> None:
    """Clipped as exactly as floats allow, the largest share is 0.06 of a u16 step too large once it is rounded."""
    weights = {f"h{i:02}": math.exp(5 * i / 11) for i in range(12)}
    for limit in range(16300, 16400):
        rules = subnet(max_weight=limit).rules
        assert fits(quantize(weights, rules=rules), rules=rules)


@given(weights=SHARES, limit=st.integers(0, U16_MAX))
def test_rows_keep_to_the_limit_or_are_equal(subnet: Make, weights: dict[str, float], limit: int) -> None:
    rules = subnet(max_weight=limit).rules
    row = quantize(weights, rules=rules)
    assert row.keys() == {hotkey for hotkey, weight in weights.items() if weight}
    assert fits(row, rules=rules) is (len(row) * limit >= U16_MAX)
    assert fits(row, rules=rules) or set(row.values()) == {U16_MAX}


@given(weights=SHARES, limit=st.integers(0, U16_MAX))
def test_the_sdk_sends_the_row_as_it_is(subnet: Make, weights: dict[str, float], limit: int) -> None:
    """It clips and scales once more; a row that it changed would never be found on the chain."""
    rules = subnet(max_weight=limit).rules
    row = quantize(weights, rules=rules)
    levels = [float(level) for level in row.values()]
    if limit < U16_MAX:
        levels = clip_to_max_weight(levels, limit / U16_MAX)
    indices, sent = normalize(range(len(row)), levels)
    assert same_weights(row, {list(row)[index]: level for index, level in zip(indices, sent, strict=True)})
    if fits(row, rules=rules):
        assert max(sent) * U16_MAX <= limit * sum(sent)


@given(weights=SHARES)
def test_quantized_rows_are_what_the_chain_takes(subnet: Make, weights: dict[str, float]) -> None:
    row = quantize(weights, rules=subnet().rules)
    assert max(row.values()) == 65535
    assert all(0 < value <= 65535 for value in row.values())
    assert weights_digest(row) == weights_digest(dict(reversed(row.items())))


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        pytest.param({"a": 65535, "b": 100}, {"b": 101, "a": 65535}, True, id="rounding of the chain"),
        pytest.param({"a": 65535, "b": 100}, {"a": 65535, "b": 102}, False, id="another weight"),
        pytest.param({"a": 65535}, {"z": 65535}, False, id="the slot changed hands"),
        pytest.param({"a": 65535}, {}, False, id="nothing there"),
        pytest.param({"a": 65535, "b": 1}, {"a": 65535}, True, id="a weight that rounds to nothing"),
        pytest.param({"a": 65535, "b": 2}, {"a": 65535}, False, id="a small weight that is missing"),
    ],
)
def test_same_weights(left: dict[str, int], right: dict[str, int], same: bool) -> None:
    assert same_weights(left, right) is same
    assert same_weights(right, left) is same
