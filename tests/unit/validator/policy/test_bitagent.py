"""The BitAgent policy: numbers computed by hand, and properties of any policy of its kind."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitagent_crds.policies import BitAgentParameters, PolicyParameters
from bitagent_validator.policy.bitagent import shares, with_newcomers
from bitagent_validator.policy.interface import Candidate, PolicyInput


def scored(
    scores: dict[str, float], *, baseline: float = 0.0, newcomers: tuple[str, ...] = (), **parameters: int
) -> PolicyInput:
    candidates = {hotkey: Candidate(score) for hotkey, score in scores.items()}
    own = PolicyParameters(bit_agent=BitAgentParameters(**parameters))
    return PolicyInput(candidates, baseline=baseline, newcomers=frozenset(newcomers), parameters=own)


def test_by_hand() -> None:
    total = math.exp(5) + math.exp(2.5) - 2
    expected = {"a": (math.exp(5) - 1) / total, "b": (math.exp(2.5) - 1) / total}
    assert shares(scored({"a": 1.0, "b": 0.5}), {}) == pytest.approx(expected)


def test_the_pay_begins_at_the_baseline() -> None:
    floor, high = math.exp(5 * 0.25), math.exp(5 * 0.75)
    result = shares(scored({"a": 0.75, "b": 0.26}, baseline=0.25), {})
    assert result["b"] == pytest.approx((math.exp(5 * 0.26) - floor) / (high + math.exp(5 * 0.26) - 2 * floor))
    assert result["b"] < 0.005


def test_steepness_is_a_parameter() -> None:
    result = shares(scored({"a": 1.0, "b": 0.5}, steepness=2), {})
    assert result["a"] / result["b"] == pytest.approx((math.exp(2) - 1) / (math.exp(1) - 1))


@pytest.mark.parametrize(
    ("newcomers", "part", "each"),
    [
        pytest.param(1, 0.02, 0.02, id="the part is less than the median"),
        pytest.param(4, 0.02, 0.005, id="the part is shared"),
        pytest.param(1, 0.9, 0.25 / 1.25, id="at most what the median miner earns"),
        pytest.param(3, 0.9, 0.25 / 1.75, id="however many there are"),
        pytest.param(2, 0.0, None, id="no part, no pay"),
    ],
)
def test_newcomers(newcomers: int, part: float, each: float | None) -> None:
    paid = {"a": 0.5, "b": 0.25, "c": 0.25}
    result = with_newcomers(paid, frozenset(f"n{number}" for number in range(newcomers)), part=part)
    assert result.get("n0") == (pytest.approx(each) if each is not None else None)
    assert math.fsum(result.values()) == pytest.approx(1)
    assert result["a"] / result["b"] == pytest.approx(2)
    assert "n0" not in result or result["n0"] <= result["b"] * (1 + 1e-12)


@pytest.mark.parametrize(
    ("scores", "newcomers"),
    [pytest.param({}, (), id="no scores"), pytest.param({}, ("a",), id="newcomers alone: there is no median yet")],
)
def test_no_hotkey_is_paid_without_a_score(scores: dict[str, float], newcomers: tuple[str, ...]) -> None:
    assert shares(scored(scores, newcomers=newcomers), {}) == {}


BASELINE = 0.125
SCORES = st.dictionaries(st.sampled_from("abcdefgh"), st.floats(BASELINE + 1e-6, 1), min_size=1)


@given(scores=SCORES, newcomers=st.sets(st.sampled_from("xyz")))
def test_shares_sum_to_one(scores: dict[str, float], newcomers: set[str]) -> None:
    result = shares(scored(scores, baseline=BASELINE, newcomers=tuple(newcomers)), {})
    assert result.keys() == scores.keys() | newcomers
    assert math.isclose(math.fsum(result.values()), 1, rel_tol=1e-12)
    assert all(share > 0 for share in result.values())
    assert sum(result[hotkey] for hotkey in newcomers) <= 0.02 + 1e-12


@given(scores=SCORES, random=st.randoms(use_true_random=False))
def test_order_does_not_matter(scores: dict[str, float], random: object) -> None:
    shuffled = list(scores)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    again = scored({h: scores[h] for h in shuffled}, baseline=BASELINE)
    assert shares(scored(scores, baseline=BASELINE), {}) == shares(again, {})


@given(scores=SCORES)
def test_a_better_score_never_earns_less(scores: dict[str, float]) -> None:
    result = shares(scored(scores, baseline=BASELINE), {})
    ranked = sorted(scores, key=lambda h: scores[h])
    assert all(result[low] <= result[high] for low, high in pairwise(ranked))


@given(scores=SCORES, raised=st.floats(BASELINE, 1))
def test_raising_a_score_raises_its_share(scores: dict[str, float], raised: float) -> None:
    hotkey = min(scores)
    higher = {**scores, hotkey: max(raised, scores[hotkey])}
    before, after = (shares(scored(each, baseline=BASELINE), {}) for each in (scores, higher))
    assert after[hotkey] >= before[hotkey] * (1 - 1e-12)
