"""Where the time of rounds went, what evaluations generate, and how often they lost their pods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import CollectorRegistry

from bitagent_operator.metrics.rounds import FINISHED_ROUNDS, MODELS_OF_A_ROUND, durations, running
from bitagent_operator.metrics.states import StateCollector
from bitagent_operator.observed.cache import Cache

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make

Obj = dict[str, Any]
Series = dict[tuple[str, ...], float]
ENDED = {"finishedAt": "2026-01-01T00:00:00Z"}
AT = "2026-01-01T00:00:00Z"


def series(cache: Cache) -> tuple[Series, Series]:
    """Return the values of both families by their labels."""
    by_phase, by_model = durations(sorted(cache.rounds, key=lambda r: r.meta.name))
    return (
        {(s.labels["round"], s.labels["phase"]): s.value for s in by_phase.samples},
        {(s.labels["round"], s.labels["model"], s.labels["phase"]): s.value for s in by_model.samples},
    )


def result(model: str, **seconds: float) -> Obj:
    known = {"load": 0, "generate": 0, "score": 0} | seconds
    return {"model": model, "state": "Succeeded", "seconds": {k: f"{v:.3f}" for k, v in known.items()}}


def test_phases_are_summed_over_the_models_that_were_evaluated(make: Make) -> None:
    cache = Cache()
    results = [
        result("a", load=1, generate=10, waiting=5),
        result("b", load=2, generate=20),
        result("copy", load=2, generate=20) | {"state": "Duplicate", "duplicateOf": "b"},
        {"model": "c"},
    ]
    cache.put("EvalRound", make.round_raw("r", status={"results": results}))
    by_phase, by_model = series(cache)
    assert by_phase == {
        ("r", "load"): 3, ("r", "generate"): 30, ("r", "score"): 0, ("r", "waiting"): 5,
    }  # fmt: skip
    assert {model for _, model, _ in by_model} == {"a", "b"}
    assert by_model["r", "a", "waiting"] == 5
    assert ("r", "b", "waiting") not in by_model, "what is not known is not zero"


def test_only_the_longest_models_have_series(make: Make) -> None:
    cache = Cache()
    results = [result(f"m-{n:03}", generate=n) for n in range(MODELS_OF_A_ROUND + 20)]
    cache.put("EvalRound", make.round_raw("r", status={"results": results}))
    by_phase, by_model = series(cache)
    assert {model for _, model, _ in by_model} == {f"m-{n:03}" for n in range(20, MODELS_OF_A_ROUND + 20)}
    assert by_phase["r", "generate"] == sum(range(MODELS_OF_A_ROUND + 20)), "of all models"


@pytest.mark.parametrize("finished", [FINISHED_ROUNDS, FINISHED_ROUNDS + 3])
def test_the_latest_finished_rounds_and_all_unfinished_ones_have_models(make: Make, finished: int) -> None:
    cache = Cache()
    for n in range(finished):
        status = {"finishedAt": f"2026-01-01T00:{n:02}:00Z", "results": [result("a", load=1)]}
        cache.put("EvalRound", make.round_raw(f"done-{n}", status=status))
    for n in range(FINISHED_ROUNDS + 3):
        cache.put("EvalRound", make.round_raw(f"running-{n}", status={"results": [result("a", load=1)]}))
    by_phase, by_model = series(cache)
    latest = {f"done-{n}" for n in range(finished - FINISHED_ROUNDS, finished)}
    running = {f"running-{n}" for n in range(FINISHED_ROUNDS + 3)}
    assert {name for name, *_ in by_model} == latest | running
    assert {name for name, _ in by_phase} == running | {f"done-{n}" for n in range(finished)}


def going(model: str, *, rate: int | None = None, lost: int = 0, **more: Any) -> dict[str, Any]:
    progress = {"progress": {"phase": "Generating", "done": 1, "total": 2, "tokensPerSecond": rate}} if rate else {}
    return {"model": model, "state": "Running", "disruptions": [AT] * lost, **progress, **more}


def by_round(cache: Cache) -> list[dict[str, float]]:
    return [{s.labels["round"]: s.value for s in family.samples} for family in running(list(cache.rounds))]


def test_rates_of_unfinished_rounds_are_added(make: Make) -> None:
    cache = Cache()
    both = [going("a", rate=100), going("b", rate=50), going("c")]
    cache.put("EvalRound", make.round_raw("r", status={"results": both}))
    cache.put("EvalRound", make.round_raw("waits", status={"results": [going("a")]}))
    cache.put("EvalRound", make.round_raw("over", status={"results": both, **ENDED}))
    generated, _ = by_round(cache)
    assert generated == {"r": 150, "waits": 0}


def test_disruptions_are_counted_once_and_kept_after_the_end(make: Make) -> None:
    cache = Cache()
    lost = [going("a", lost=2), going("b", lost=1), going("copy", lost=2, duplicateOf="a")]
    cache.put("EvalRound", make.round_raw("r", status={"results": lost, **ENDED}))
    cache.put("EvalRound", make.round_raw("calm", status={"results": [going("a")]}))
    _, disruptions = by_round(cache)
    assert disruptions == {"r": 3, "calm": 0}


def test_they_are_exported(make: Make) -> None:
    cache, registry = Cache(), CollectorRegistry()
    cache.put("EvalRound", make.round_raw("r", status={"results": [going("a", rate=7, lost=1)]}))
    registry.register(StateCollector(cache, now=lambda: make.at(0)))
    for name, value in (("generated_tokens_per_second", 7), ("disruptions", 1)):
        assert registry.get_sample_value(f"bitagent_round_{name}", {"round": "r"}) == value
