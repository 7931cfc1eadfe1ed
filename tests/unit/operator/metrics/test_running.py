"""What evaluations generate, and how often they lost their pods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry

from bitagent_operator.metrics.running import running
from bitagent_operator.metrics.states import StateCollector
from bitagent_operator.observed.cache import Cache

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make

ENDED = {"finishedAt": "2026-01-01T00:00:00Z"}
AT = "2026-01-01T00:00:00Z"


def result(model: str, *, rate: int | None = None, lost: int = 0, **more: Any) -> dict[str, Any]:
    progress = {"progress": {"phase": "Generating", "done": 1, "total": 2, "tokensPerSecond": rate}} if rate else {}
    return {"model": model, "state": "Running", "disruptions": [AT] * lost, **progress, **more}


def series(cache: Cache) -> list[dict[str, float]]:
    return [{s.labels["round"]: s.value for s in family.samples} for family in running(list(cache.rounds))]


def test_rates_of_unfinished_rounds_are_added(make: Make) -> None:
    cache = Cache()
    both = [result("a", rate=100), result("b", rate=50), result("c")]
    cache.put("EvalRound", make.round_raw("r", status={"results": both}))
    cache.put("EvalRound", make.round_raw("waits", status={"results": [result("a")]}))
    cache.put("EvalRound", make.round_raw("over", status={"results": both, **ENDED}))
    generated, _ = series(cache)
    assert generated == {"r": 150, "waits": 0}


def test_disruptions_are_counted_once_and_kept_after_the_end(make: Make) -> None:
    cache = Cache()
    lost = [result("a", lost=2), result("b", lost=1), result("copy", lost=2, duplicateOf="a")]
    cache.put("EvalRound", make.round_raw("r", status={"results": lost, **ENDED}))
    cache.put("EvalRound", make.round_raw("calm", status={"results": [result("a")]}))
    _, disruptions = series(cache)
    assert disruptions == {"r": 3, "calm": 0}


def test_they_are_exported(make: Make) -> None:
    cache, registry = Cache(), CollectorRegistry()
    cache.put("EvalRound", make.round_raw("r", status={"results": [result("a", rate=7, lost=1)]}))
    registry.register(StateCollector(cache, now=lambda: make.at(0)))
    for name, value in (("generated_tokens_per_second", 7), ("disruptions", 1)):
        assert registry.get_sample_value(f"bitagent_round_{name}", {"round": "r"}) == value
