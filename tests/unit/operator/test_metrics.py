"""Metrics of the operator."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import generate_latest

from bitagent_operator.cache import Cache
from bitagent_operator.metrics import Metrics, StateCollector

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make


def test_families_are_there_before_anything_happens() -> None:
    assert "bitagent_operator_reconciles_total" in generate_latest(Metrics().registry).decode()


def test_requests_are_counted_by_method_and_code() -> None:
    metrics = Metrics()
    for code in (200, 0, 0):
        metrics.request("GET", code)
    text = generate_latest(metrics.registry).decode()
    assert 'bitagent_operator_api_requests_total{code="0",method="GET"} 2.0' in text


def test_states_are_counted_from_the_cache(make: Make) -> None:
    cache, metrics = Cache(), Metrics()
    metrics.registry.register(StateCollector(cache))
    cache.put("MinerModel", make.model_raw("a", fetched=True))
    cache.put("MinerModel", make.model_raw("b", fetched="CorruptWeights"))
    cache.put("MinerModel", make.model_raw("c", fetched="HubUnavailable"))
    cache.put("MinerModel", make.model_raw("d"))
    cache.put("MinerModel", make.model_raw("e", raw_spec={"inventedLater": 1}))
    stalled = {"conditions": [make.condition("Stalled", "True", "Invalid")]}
    cache.put("EvalRound", make.round_raw("t", status=stalled))
    cache.put("EvalRound", make.round_raw("r", status={"phase": "Running", "results": [{"model": "a"}]}))
    over = [{"model": "b", "state": "Unscored", "reason": "OutOfMemory"}, {"model": "c", "state": "Succeeded"}]
    cache.put("EvalRound", make.round_raw("s", status={"finishedAt": "2026-01-01T00:00:00Z", "results": over}))
    text = generate_latest(metrics.registry).decode()
    for line in (
        'bitagent_finished_round_results{state="Unscored"} 1.0',
        'bitagent_finished_round_results{state="InfraFault"} 0.0',
        'bitagent_round_results{state="Unscored"} 0.0',
        'bitagent_models{state="Fetched"} 1.0',
        'bitagent_models{state="Rejected"} 1.0',
        'bitagent_models{state="Failed"} 1.0',
        'bitagent_models{state="Fetching"} 1.0',
        'bitagent_rounds{phase="Running"} 1.0',
        'bitagent_rounds{phase="Complete"} 0.0',
        'bitagent_round_results{state="Pending"} 1.0',
        'bitagent_operator_invalid_objects{kind="MinerModel"} 1.0',
        'bitagent_operator_invalid_objects{kind="EvalRound"} 1.0',
        'bitagent_operator_invalid_objects{kind="Validator"} 0.0',
    ):
        assert line in text
