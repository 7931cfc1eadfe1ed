"""The WinnerTakesAll policy: who holds the first place, and who takes it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitagent_crds.policies import PolicyParameters, WinnerTakesAllParameters
from bitagent_validator.chain.facts import Neuron
from bitagent_validator.policy.interface import Candidate, PolicyInput
from bitagent_validator.policy.winner_takes_all import shares

Make = Callable[..., Neuron]


def winner(neuron: Make, scores: dict[str, tuple[float, int | None]], *, margin: int = 2) -> dict[str, float]:
    given_ = PolicyInput(
        {hotkey: Candidate(score, block=block) for hotkey, (score, block) in scores.items()},
        parameters=PolicyParameters(winner_takes_all=WinnerTakesAllParameters(margin_percent=margin)),
    )
    return shares(given_, {hotkey: neuron(hotkey, registered_at=ord(hotkey[0])) for hotkey in scores})


@pytest.mark.parametrize(
    ("scores", "margin", "best"),
    [
        pytest.param({"a": (0.5, 1), "b": (0.9, 2)}, 2, "b", id="far better"),
        pytest.param({"a": (0.5, 1), "b": (0.51, 2)}, 2, "a", id="better by less than the margin"),
        pytest.param({"a": (0.5, 1), "b": (0.52, 2)}, 2, "b", id="better by exactly the margin"),
        pytest.param({"a": (0.5, 2), "b": (0.51, 1)}, 2, "b", id="the better one was first"),
        pytest.param({"a": (0.5, 1), "b": (0.5, 2)}, 0, "a", id="no margin: a tie stays with the earlier"),
        pytest.param({"a": (0.5, 1), "b": (0.500001, 2)}, 0, "b", id="no margin: any better one"),
        pytest.param({"a": (0.995, 1), "b": (1.0, 2)}, 2, "b", id="a perfect score is enough"),
        pytest.param({"a": (1.0, 1), "b": (1.0, 2)}, 2, "a", id="but not against another"),
        pytest.param({"a": (0.5, None), "b": (0.5, 2)}, 2, "b", id="a commitment is before none"),
        pytest.param({"b": (0.5, None), "a": (0.5, None)}, 2, "a", id="without commitments the earlier registration"),
        pytest.param({"a": (0.5, 1), "b": (0.51, 2), "c": (0.525, 3)}, 2, "c", id="compared with the holder"),
    ],
)
def test_who_wins(neuron: Make, scores: dict[str, tuple[float, int | None]], margin: int, best: str) -> None:
    assert winner(neuron, scores, margin=margin) == {best: 1.0}


def test_no_candidates(neuron: Make) -> None:
    assert winner(neuron, {}) == {}


@given(
    best=st.floats(0.1, 1),
    noise=st.lists(st.floats(-0.019, 0.019), min_size=1, max_size=20),
    margin=st.integers(2, 50),
)
def test_copies_with_noise_never_take_the_first_place(
    neuron: Make, best: float, noise: list[float], margin: int
) -> None:
    copies = {f"copy{number}": (min(1.0, best + each), number + 2) for number, each in enumerate(noise)}
    if best < 0.98:
        assert winner(neuron, {"a": (best, 1), **copies}, margin=margin) == {"a": 1.0}
