"""Metrics of what waits, by reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from bitagent_operator.metrics.states import StateCollector
from bitagent_operator.observed.cache import Cache

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make


def lines(cache: Cache, make: Make, name: str) -> list[str]:
    """The samples of a family, without its name."""
    registry = CollectorRegistry()
    registry.register(StateCollector(cache, now=lambda: make.at(0)))
    text = generate_latest(registry).decode()
    return [line.removeprefix(name) for line in text.splitlines() if line.startswith(f"{name}{{")]


def test_fetches_that_wait_by_reason(make: Make) -> None:
    cache = Cache()
    for name, reason in (("a", "CacheFull"), ("b", "CacheFull"), ("c", "WaitingForFetchSlot")):
        waits = {"conditions": [make.condition("Fetched", "Unknown", reason)]}
        cache.put("MinerModel", make.model_raw(name, status=waits))
    cache.put("MinerModel", make.model_raw("d", fetched=True))
    cache.put("MinerModel", make.model_raw("e", fetched="CorruptWeights"))
    assert lines(cache, make, "bitagent_models_waiting") == [
        '{reason="CacheFull"} 2.0',
        '{reason="WaitingForFetchSlot"} 1.0',
    ]


def test_rounds_whose_files_wait_by_reason(make: Make) -> None:
    cache = Cache()
    states = {
        "a": ("Archived", "False", "ArchiveDenied"),
        "b": ("Archived", "False", "Archiving"),
        "c": ("Archived", "True", "Archived"),
        "d": ("FilesKept", "True", "SpaceShort"),
        "e": ("FilesKept", "False", "FilesRemoved"),
    }
    for name, state in states.items():
        ended = {"finishedAt": "2026-01-01T00:00:00Z", "conditions": [make.condition(*state)]}
        cache.put("EvalRound", make.round_raw(name, status=ended))
    expected = ['{reason="ArchiveDenied"} 1.0', '{reason="SpaceShort"} 1.0']
    assert lines(cache, make, "bitagent_round_files_waiting") == expected


RESULTS = [
    {"model": "a", "state": "Pending", "reason": "WaitingInQueue"},
    {"model": "b", "state": "Pending", "reason": "InventedLater"},
    {"model": "c", "state": "Running", "reason": "Evaluating"},
]


@pytest.mark.parametrize(
    ("status", "suspend", "expected"),
    [
        pytest.param(
            {"phase": "Running"}, False, ['{reason="InventedLater"} 1.0', '{reason="WaitingInQueue"} 1.0'], id="runs"
        ),
        pytest.param({"phase": "Running"}, True, [], id="suspended"),
        pytest.param({"phase": "Failed", "finishedAt": "2026-01-01T00:00:00Z"}, False, [], id="ended"),
    ],
)
def test_results_that_wait_by_reason(make: Make, status: dict[str, Any], suspend: bool, expected: list[str]) -> None:
    cache = Cache()
    cache.put("EvalRound", make.round_raw("r", status=status | {"results": RESULTS}, suspend=suspend))
    assert lines(cache, make, "bitagent_round_results_waiting") == expected


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        pytest.param([], [], id="no rewriter"),
        pytest.param([("True", "RewriterReady")], ['{validator="v"} 1.0'], id="answers"),
        pytest.param([("False", "RewriterLoading")], ['{validator="v"} 0.0'], id="loads"),
        pytest.param([("False", "RewriterIdle")], [], id="no round needs it"),
    ],
)
def test_a_rewriter_that_a_round_needs(make: Make, conditions: list[tuple[str, str]], expected: list[str]) -> None:
    cache = Cache()
    made = [make.condition("RewriterReady", *each) for each in conditions]
    cache.put("Validator", make.validator_raw("v", conditions=made))
    assert lines(cache, make, "bitagent_rewriter_ready") == expected


def test_a_suspended_validator_is_not_one_that_is_down(make: Make) -> None:
    cache = Cache()
    down = [make.condition("Deployed", "False", "SecretNotFound")]
    cache.put("Validator", make.validator_raw("down", conditions=down))
    cache.put("Validator", make.validator_raw("rests", suspend=True))
    assert lines(cache, make, "bitagent_validator_deployed") == ['{validator="down"} 0.0']
