"""Scores to moving averages: the seed's numbers, by hotkey and registration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitagent_validator.chain.facts import Neuron
from bitagent_validator.online.means import recorded
from bitagent_validator.state.scores import OnlineMean, OnlineState

Make = Callable[..., Any]


@pytest.fixture
def neurons(neuron: Make) -> dict[str, Neuron]:
    return {hotkey: neuron(hotkey, uid=uid) for uid, hotkey in enumerate("abcd")}


def after(known: OnlineState | None, scores: dict[str, float], neurons: dict[str, Neuron], **more: Any) -> OnlineState:
    given: dict[str, Any] = {"block": 100, "alpha": 0.05, "pool": "p", "baseline": 0.25}
    return recorded(known, scores, neurons=neurons, **(given | more))


def state(**means: float) -> OnlineState:
    return OnlineState(
        block=75, means={h: OnlineMean(registered_at=10, mean=mean, count=3, block=75) for h, mean in means.items()}
    )


def test_the_first_step_begins_at_its_own_median(neurons: dict[str, Neuron]) -> None:
    found = after(None, {"a": 1.0, "b": 0.5, "c": 0.0}, neurons)
    assert {h: each.mean for h, each in found.means.items()} == {"a": 0.525, "b": 0.5, "c": 0.475}
    assert (found.block, found.pool, found.baseline) == (100, "p", 0.25)


def test_an_average_moves_by_alpha(neurons: dict[str, Neuron]) -> None:
    found = after(state(a=0.8, b=0.4), {"a": 0.0}, neurons)
    assert {h: (each.mean, each.count, each.block) for h, each in found.means.items()} == {
        "a": (0.76, 4, 100),
        "b": (0.4, 3, 75),
    }


def test_a_newcomer_begins_at_the_median_of_the_others(neurons: dict[str, Neuron]) -> None:
    found = after(state(a=0.2, b=0.6, c=0.9), {"d": 1.0}, neurons)
    assert found.means["d"].mean == pytest.approx(0.95 * 0.6 + 0.05)
    assert found.means["d"].count == 1


def test_a_hotkey_that_registers_again_begins_again(neurons: dict[str, Neuron], neuron: Make) -> None:
    """Also one that was not asked: what it had is dropped, so that it never comes back."""
    again = neurons | {"a": neuron("a", registered_at=90), "b": neuron("b", registered_at=95)}
    found = after(state(a=0.9, b=0.9, c=0.4), {"a": 0.0}, again)
    assert found.means["a"].mean == pytest.approx(0.38)
    assert found.means["a"].registered_at == 90
    assert found.means.keys() == {"a", "c"}


def test_who_has_no_slot_is_dropped(neurons: dict[str, Neuron]) -> None:
    found = after(state(a=0.9, gone=0.9), {"gone": 1.0, "b": 1.0}, neurons)
    assert found.means.keys() == {"a", "b"}


def test_without_an_average_a_hotkey_counts_as_the_median() -> None:
    known = state(a=0.2, b=0.6, c=0.9)
    assert known.mean("a", registered_at=10) == 0.2
    assert known.mean("a", registered_at=11) == 0.6
    assert known.mean("new", registered_at=10) == 0.6
    assert OnlineState(block=1).mean("new", registered_at=10) == 0.0


@given(scores=st.dictionaries(st.sampled_from("abcd"), st.floats(0, 1)), alpha=st.floats(0.01, 1))
def test_averages_stay_between_0_and_1_and_survive_a_restart(
    neuron: Make, scores: dict[str, float], alpha: float
) -> None:
    neurons = {hotkey: neuron(hotkey) for hotkey in "abcd"}
    known: OnlineState | None = None
    for block in range(5):
        known = after(known, scores, neurons, alpha=alpha, block=block)
        known = OnlineState.model_validate_json(known.model_dump_json())
    assert known is not None
    assert known.means.keys() == scores.keys()
    assert all(0 <= each.mean <= 1 and each.count == 5 for each in known.means.values())
