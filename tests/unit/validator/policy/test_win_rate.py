"""The WinRate policy: who plays, who wins, and what a win rate is worth over rounds."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitagent_crds.policies import PolicyParameters, WinRateParameters
from bitagent_validator.policy.interface import Candidate, PolicyError, PolicyInput
from bitagent_validator.policy.win_rate import is_win, round_win_rates, shares, softmax, wins

DEFAULT = WinRateParameters()


@pytest.mark.parametrize(
    ("loss", "other", "block", "other_block", "win"),
    [
        pytest.param(1.0, 2.0, 5, 5, True, id="lower"),
        pytest.param(2.0, 2.0, 5, 5, False, id="equal, committed together"),
        pytest.param(2.0, 2.0, 4, 5, True, id="equal, committed earlier"),
        pytest.param(1.99, 2.0, 5, 4, False, id="lower by less than the advantage of the earlier one"),
        pytest.param(1.97, 2.0, 5, 4, True, id="lower by more"),
        pytest.param(math.inf, math.inf, 4, 5, False, id="both failed"),
        pytest.param(2.0, 2.0, 4, math.inf, True, id="the other has no commitment"),
    ],
)
def test_is_win(loss: float, other: float, block: float, other_block: float, win: bool) -> None:
    assert is_win(loss, other, block=block, other_block=other_block, advantage=0.01) is win


def test_batches_that_only_one_has_are_not_played() -> None:
    won, rates = wins({"a": [1.0, 9.0], "b": [2.0]}, {"a": 1, "b": 1}, advantage=0)
    assert (won, rates) == ({"a": 1, "b": 0}, {"a": 1.0, "b": 0.0})


@given(st.dictionaries(st.sampled_from("abcdef"), st.floats(0, 1), min_size=1), st.floats(0.01, 10))
def test_a_softmax_is_a_distribution_in_the_order_of_its_values(values: dict[str, float], temperature: float) -> None:
    result = softmax(values, temperature=temperature)
    assert math.fsum(result.values()) == pytest.approx(1)
    ranked = sorted(values, key=lambda name: values[name])
    assert all(result[low] <= result[high] for low, high in pairwise(ranked))


def test_only_the_best_play() -> None:
    """However many bad models take part, the win rates of the good ones stay as they are."""
    good = {"a": [1.0, 1.0], "b": [2.0, 2.0]}
    bad = {f"bad{number}": [7.0, 7.0] for number in range(50)}
    blocks = dict.fromkeys(good | bad, 1.0)
    two = DEFAULT.model_copy(update={"sample_min": 2})
    assert round_win_rates(good | bad, blocks, two) == round_win_rates(good, blocks, two) == {"a": 1.0, "b": 0.0}
    assert len(round_win_rates(good | bad, blocks, DEFAULT)) == 5


@pytest.mark.parametrize(
    ("losses", "rates"),
    [
        pytest.param(
            {"a": [1.0], "b": [math.inf]}, {"a": 1.0}, id="an infinite loss does not play; alone, nothing is lost"
        ),
        pytest.param({"a": [1.0], "b": []}, {"a": 1.0}, id="nor a model without batches"),
        pytest.param({"b": [math.inf]}, {}, id="no player"),
    ],
)
def test_who_plays(losses: dict[str, list[float]], rates: dict[str, float]) -> None:
    assert round_win_rates(losses, dict.fromkeys(losses, 1.0), DEFAULT) == rates


def candidates(**rates: tuple[float | None, ...]) -> PolicyInput:
    scores = {hotkey: Candidate(0.5, win_rates=each) for hotkey, each in rates.items()}
    return PolicyInput(scores, rounds=3, parameters=PolicyParameters(win_rate=WinRateParameters(keep_percent=50)))


def test_newer_rounds_count_more() -> None:
    result = shares(candidates(a=(1.0, 0.0), b=(0.0, 1.0)), {})
    high = 1 / (1 + math.exp(-1 / 0.08))
    expected = (high + 0.5 * (1 - high)) / 1.5
    assert result == pytest.approx({"b": expected, "a": 1 - expected})


def test_rounds_in_which_a_model_did_not_play_give_it_nothing() -> None:
    result = shares(candidates(a=(1.0, 1.0), new=(0.9,), out=(0.8, None)), {})
    assert set(result) == {"a", "new", "out"}
    assert result["a"] > result["new"] > result["out"]


def test_without_losses_there_is_nothing_to_compare() -> None:
    with pytest.raises(PolicyError, match="scorer to Loss"):
        shares(candidates(a=(None,)), {})
    assert shares(candidates(), {}) == {}
