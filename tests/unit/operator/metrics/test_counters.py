"""Metrics of the operator that are updated as things happen."""

from __future__ import annotations

from prometheus_client import generate_latest

from bitagent_crds.conditions import Reason
from bitagent_crds.model_result import PhaseSeconds
from bitagent_crds.names import Component
from bitagent_operator.metrics.counters import Metrics
from bitagent_operator.metrics.rounds import PHASES
from bitagent_operator.plan.outcomes import EndedWork


def test_families_are_there_before_anything_happens() -> None:
    text = generate_latest(Metrics().registry).decode()
    assert "bitagent_operator_reconciles_total" in text


def test_requests_are_counted_by_method_and_code() -> None:
    metrics = Metrics()
    for code in (200, 0, 0):
        metrics.request("GET", code)
    text = generate_latest(metrics.registry).decode()
    assert 'bitagent_operator_api_requests_total{code="0",method="GET"} 2.0' in text


def test_what_ended_is_counted_by_reason() -> None:
    metrics = Metrics()
    metrics.count_ended(
        [EndedWork(Component.FETCH, Reason.FETCHED), EndedWork(Component.EVALUATE, Reason.OUT_OF_MEMORY)]
    )
    metrics.count_ended([EndedWork(Component.FETCH, Reason.FETCHED)])
    text = generate_latest(metrics.registry).decode()
    assert 'bitagent_operator_work_ended_total{component="fetch",reason="Fetched"} 2.0' in text
    assert 'bitagent_operator_work_ended_total{component="evaluate",reason="OutOfMemory"} 1.0' in text


def test_tokens_are_counted_by_round_until_it_is_gone() -> None:
    metrics = Metrics()
    for name, tokens in (("r", 70), ("other", 1), ("r", 20)):
        metrics.count_generated(name, tokens)
    metrics.forget_round("other")
    metrics.forget_round("never-there")
    found = [(s.labels["round"], s.value) for f in metrics.generated_tokens.collect() for s in f.samples]
    assert ("r", 90.0) in found
    assert not [name for name, _ in found if name == "other"]


def test_the_phases_of_evaluations_that_ended_are_counted() -> None:
    metrics = Metrics()
    seconds = PhaseSeconds(load="20.000", generate="60.000", score="0.500", waiting="7.000", idle="2.000")
    metrics.count_ended([EndedWork(Component.EVALUATE, Reason.EVALUATED, seconds)])
    text = generate_latest(metrics.registry).decode()
    sums = {phase: f'bitagent_operator_evaluation_phase_seconds_sum{{phase="{phase}"}}' for phase in PHASES}
    expected = {"waiting": 7.0, "pulling": 0.0, "load": 20.0, "generate": 60.0, "score": 0.5, "idle": 2.0}
    for phase, total in expected.items():
        assert f"{sums[phase]} {total}" in text
    assert 'bitagent_operator_evaluation_phase_seconds_count{phase="pulling"} 0.0' in text


def test_the_queue_of_the_present_term_is_shown() -> None:
    metrics = Metrics()
    metrics.follow_queue(length=lambda: 3, oldest_seconds=lambda: 1.5, backing_off=lambda: 2)
    metrics.follow_events(lambda: 7)
    text = generate_latest(metrics.registry).decode()
    for line in ("queue_length 3.0", "queue_oldest_seconds 1.5", "queue_backing_off 2.0", "events_waiting 7.0"):
        assert f"bitagent_operator_{line}" in text
