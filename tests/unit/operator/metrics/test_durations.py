"""Where the time of rounds went."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bitagent_operator.metrics.durations import FINISHED_ROUNDS, MODELS_OF_A_ROUND, durations
from bitagent_operator.observed.cache import Cache

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make

Obj = dict[str, Any]
Series = dict[tuple[str, ...], float]


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
