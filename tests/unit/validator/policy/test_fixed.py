"""The Fixed policy: named hotkeys, whatever their scores."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bitagent_crds.policies import FixedParameters, FixedShare, PolicyParameters
from bitagent_validator.chain.facts import Neuron
from bitagent_validator.policy.fixed import shares
from bitagent_validator.policy.interface import Candidate, PolicyError, PolicyInput

HOTKEYS = ("5CnxbRk7DKntFz5E8za9NxFmP253fShWWBj3xf5C8L5TnaMF", "5CzRdZLnRxWkyWoGZZbfvSCY4mbw1cmsow5q8cgZyGg1aiDq")
NAMED = FixedParameters(shares=[FixedShare(hotkey=HOTKEYS[0], share=3), FixedShare(hotkey=HOTKEYS[1], share=1)])


@pytest.mark.parametrize(
    ("registered", "expected"),
    [
        pytest.param(HOTKEYS, {HOTKEYS[0]: 0.75, HOTKEYS[1]: 0.25}, id="in proportion"),
        pytest.param(HOTKEYS[1:], {HOTKEYS[1]: 1.0}, id="the part of one that is not registered goes to the other"),
        pytest.param((), {}, id="none is registered"),
    ],
)
def test_shares(neuron: Callable[..., Neuron], registered: tuple[str, ...], expected: dict[str, float]) -> None:
    given = PolicyInput({"miner": Candidate(1.0)}, parameters=PolicyParameters(fixed=NAMED))
    assert shares(given, {hotkey: neuron(hotkey) for hotkey in (*registered, "miner")}) == expected


def test_without_parameters_there_is_no_one_to_pay() -> None:
    with pytest.raises(PolicyError, match=r"policyParameters\.fixed"):
        shares(PolicyInput({}), {})
