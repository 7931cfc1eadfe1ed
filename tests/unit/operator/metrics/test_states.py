"""Metrics of the objects' states."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, generate_latest

from bitagent_operator.metrics.states import StateCollector
from bitagent_operator.observed.cache import Cache

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make


def scrape(cache: Cache, make: Make, *, now: float = 0) -> str:
    registry = CollectorRegistry()
    registry.register(StateCollector(cache, now=lambda: make.at(now)))
    return generate_latest(registry).decode()


def test_states_are_counted_from_the_cache(make: Make) -> None:
    cache = Cache()
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
    text = scrape(cache, make)
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
        'bitagent_operator_unreadable_objects{kind="MinerModel"} 1.0',
        'bitagent_operator_unreadable_objects{kind="Pod"} 0.0',
    ):
        assert line in text


def test_deleted_objects_are_counted_once_by_kind(make: Make) -> None:
    cache, pod = Cache(), {"metadata": make.meta("p"), "spec": {}, "status": {}}
    for kind, obj in (("MinerModel", make.model_raw("a")), ("MinerModel", make.model_raw("b")), ("Pod", pod)):
        cache.put(kind, obj)
        cache.drop(kind, obj["metadata"]["uid"])
        cache.drop(kind, obj["metadata"]["uid"])
    stays, missed = make.model_raw("c"), make.model_raw("d")
    for obj in (stays, missed):
        cache.put("MinerModel", obj)
    cache.replace("MinerModel", [stays], known=cache.begin_list("MinerModel"))
    text = scrape(cache, make)
    assert 'bitagent_operator_objects_deleted_total{kind="MinerModel"} 3.0' in text
    assert 'bitagent_operator_objects_deleted_total{kind="EvalRound"} 0.0' in text
    assert 'kind="Pod"} 1' not in text


def test_each_round_has_its_phase_and_start(make: Make) -> None:
    cache = Cache()
    assert "bitagent_oldest_unfinished_round_age_seconds 0.0" in scrape(cache, make)
    running = {"phase": "Running", "startedAt": "2026-01-01T00:00:05Z"}
    ended = running | {"phase": "Complete", "finishedAt": "2026-01-01T00:00:30Z"}
    cache.put("EvalRound", make.round_raw("over", status=ended, created=-600))
    for name, created in (("young", 50), ("old", 10)):
        cache.put("EvalRound", make.round_raw(name, status=running, created=created))
    text = scrape(cache, make, now=100)
    started = datetime(2026, 1, 1, 0, 0, 5, tzinfo=UTC).timestamp()
    for line in (
        'bitagent_round_phase{phase="Running",round="old"} 1.0',
        'bitagent_round_phase{phase="Complete",round="over"} 1.0',
        f'bitagent_round_start_timestamp_seconds{{round="old"}} {started:.9e}',
        "bitagent_oldest_unfinished_round_age_seconds 90.0",
    ):
        assert line in text


def test_gpu_time_and_progress_of_rounds(make: Make) -> None:
    cache = Cache()
    gpus = {"held": 200, "generating": 120, "until": "2026-01-01T00:00:00Z"}
    estimate = {"percent": 25, "text": "25%", "at": "2026-01-01T00:00:00Z"}
    cache.put("EvalRound", make.round_raw("r", status={"gpuSeconds": gpus, "estimate": estimate}))
    cache.put("EvalRound", make.round_raw("s"))
    text = scrape(cache, make)
    for line in (
        'bitagent_round_gpu_held_seconds{round="r"} 200.0',
        'bitagent_round_gpu_generating_seconds{round="r"} 120.0',
        'bitagent_round_done_ratio{round="r"} 0.25',
    ):
        assert line in text
    assert 'seconds{round="s"}' not in text
