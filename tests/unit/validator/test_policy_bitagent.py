"""The BitAgent policy, against numbers worked out by hand and the laws that any policy of its kind obeys."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitagent_crds.validator import Policy
from bitagent_validator.chain.facts import RAO, Neuron
from bitagent_validator.policy import POLICIES
from bitagent_validator.policy.bitagent import shares
from bitagent_validator.policy.interface import Score, Standings

Make = Callable[..., Neuron]
ROUND_BLOCK = 100


def standings(scores: dict[str, float], *, entrants: tuple[str, ...] = (), registered_at: int | None = 10) -> Standings:
    return Standings(ROUND_BLOCK, {h: Score(v, registered_at) for h, v in scores.items()}, frozenset(entrants))


def miners(neuron: Make, *hotkeys: str, **changes: int) -> dict[str, Neuron]:
    return {h: neuron(h, uid=uid, **changes) for uid, h in enumerate(hotkeys)}


def test_by_hand(neuron: Make) -> None:
    given_shares = shares(standings({"a": 1.0, "b": 0.5, "c": 0.0}), miners(neuron, "a", "b", "c"))
    total = math.exp(5) + math.exp(2.5) + 1
    assert given_shares == pytest.approx({"a": math.exp(5) / total, "b": math.exp(2.5) / total, "c": 1 / total})


@pytest.mark.parametrize(
    ("changes", "paid"),
    [
        pytest.param(
            {"permit": True, "stake": 4097 * RAO}, False, id="a permit and more stake than the limit: a validator"
        ),
        pytest.param({"permit": True, "stake": 4096 * RAO}, True, id="a permit and exactly the limit"),
        pytest.param({"permit": False, "stake": 9000 * RAO}, True, id="stake without a permit"),
    ],
)
def test_validators_are_not_paid(neuron: Make, changes: dict[str, int], paid: bool) -> None:
    neurons = miners(neuron, "a") | {"v": neuron("v", **changes)}
    assert ("v" in shares(standings({"a": 0.5, "v": 0.9}), neurons)) is paid


@pytest.mark.parametrize(
    ("registered_at", "entrant", "paid"),
    [
        pytest.param(150, True, True, id="registered after the round began, with a model under evaluation"),
        pytest.param(150, False, False, id="registered after it, without a model"),
        pytest.param(50, True, False, id="registered before it, first model now: waits for its score"),
        pytest.param(100, True, False, id="registered in the round's first block: it could have taken part"),
    ],
)
def test_newcomers_start_at_the_median(neuron: Make, registered_at: int, entrant: bool, paid: bool) -> None:
    neurons = miners(neuron, "a", "b", "c") | {"new": neuron("new", registered_at=registered_at)}
    result = shares(standings({"a": 0.9, "b": 0.4, "c": 0.1}, entrants=("new",) * entrant), neurons)
    assert ("new" in result) is paid
    if paid:
        assert result["new"] == result["b"]


def test_a_hotkey_that_came_back_does_not_inherit_its_score(neuron: Make) -> None:
    neurons = miners(neuron, "a", "b") | {"back": neuron("back", registered_at=90)}
    known = standings({"a": 0.8, "b": 0.2, "back": 1.0})
    assert "back" not in shares(known, neurons)
    returned = standings({"a": 0.8, "b": 0.2, "back": 1.0}, entrants=("back",))
    result = shares(returned, neurons)
    assert result["back"] == pytest.approx(math.exp(2.5) / (math.exp(4) + math.exp(1) + math.exp(2.5)))


def test_a_recycled_slot_does_not_inherit_a_score(neuron: Make) -> None:
    """Uid 0 was a's and is now z's."""
    assert shares(standings({"a": 1.0, "b": 0.5}), {"z": neuron("z", uid=0), "b": neuron("b", uid=1)}) == {"b": 1.0}


@pytest.mark.parametrize(
    ("scores", "entrants"),
    [pytest.param({}, (), id="no scores"), pytest.param({}, ("a",), id="newcomers alone: there is no median yet")],
)
def test_nobody_is_paid_without_a_score(neuron: Make, scores: dict[str, float], entrants: tuple[str, ...]) -> None:
    assert shares(standings(scores, entrants=entrants), miners(neuron, "a", registered_at=500)) == {}


def test_every_policy_of_the_contract_exists() -> None:
    assert set(POLICIES) == set(Policy)


SCORES = st.dictionaries(st.sampled_from("abcdefgh"), st.floats(0, 1), min_size=1)


@given(scores=SCORES, registered=st.sets(st.sampled_from("abcdefgh")))
def test_shares_sum_to_one_and_go_to_registered_hotkeys_only(
    neuron: Make, scores: dict[str, float], registered: set[str]
) -> None:
    result = shares(standings(scores), miners(neuron, *sorted(registered)))
    assert result.keys() == scores.keys() & registered
    assert not result or math.isclose(math.fsum(result.values()), 1, rel_tol=1e-12)
    assert all(share > 0 for share in result.values())


@given(scores=SCORES, random=st.randoms(use_true_random=False))
def test_order_does_not_matter(neuron: Make, scores: dict[str, float], random: object) -> None:
    shuffled = list(scores)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    neurons = miners(neuron, *"abcdefgh")
    assert shares(standings(scores), neurons) == shares(standings({h: scores[h] for h in shuffled}), neurons)


@given(scores=SCORES)
def test_a_better_score_never_earns_less(neuron: Make, scores: dict[str, float]) -> None:
    result = shares(standings(scores), miners(neuron, *"abcdefgh"))
    ranked = sorted(scores, key=lambda h: scores[h])
    assert all(result[low] <= result[high] for low, high in pairwise(ranked))


@given(scores=SCORES, raised=st.floats(0, 1))
def test_raising_a_score_raises_its_share(neuron: Make, scores: dict[str, float], raised: float) -> None:
    hotkey = min(scores)
    higher = {**scores, hotkey: max(raised, scores[hotkey])}
    neurons = miners(neuron, *"abcdefgh")
    before, after = shares(standings(scores), neurons), shares(standings(higher), neurons)
    assert after[hotkey] >= before[hotkey] * (1 - 1e-12)
