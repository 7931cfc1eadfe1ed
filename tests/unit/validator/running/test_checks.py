"""What keeps rounds from being started."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bitagent_crds.validator import ValidatorSpec
from bitagent_validator.running.checks import rounds_obstacle


@pytest.mark.parametrize(
    ("facts", "spec", "words"),
    [
        pytest.param({}, {}, "", id="nothing"),
        pytest.param({"me": {"permit": False}}, {}, "permit", id="no permit"),
        pytest.param({"me": {"permit": False}}, {"roundsWithoutPermit": True}, "", id="started all the same"),
        pytest.param({"mechanism_count": 1}, {}, "subnet 20 has 1 mechanism,", id="no such mechanism"),
        pytest.param({"mechanism_count": 2}, {}, "", id="the last of two mechanisms"),
        pytest.param({"mechanism_count": 1}, {"weights": {"mode": "DryRun"}}, "", id="no weights are to be set"),
    ],
)
def test_why_no_round_is_started(
    subnet: Callable[..., Any], competition: Callable[..., Any], facts: Any, spec: Any, words: str
) -> None:
    wire = {
        "netuid": 20,
        "chain": {"endpoints": ["ws://one"]},
        "wallet": {"hotkeySecretRef": {"name": "s", "key": "k"}},
        "competitions": [competition(mechanism=1).to_wire()],
    }
    found = rounds_obstacle(ValidatorSpec.model_validate(wire | spec), subnet(**facts), mechanism=1)
    assert words in found
    assert bool(found) is bool(words)
