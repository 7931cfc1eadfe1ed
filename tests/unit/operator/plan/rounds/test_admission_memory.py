"""Memory that a round allows: what is refused before a GPU is used, and what is evaluated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make, Plan

HUNGRY: dict[str, Any] = {
    "parameters": 50_000_000,
    "memory": {
        "numbers": 50_000_000,
        "numberBytes": 4,
        "cacheNumbers": 2 * 160 * 6 * 64,
        "layerWidth": 576,
        "vocabulary": 320,
        "positions": 65_536,
    },
}
"""160 layers of width 192: 27 GiB for one prompt of 24,000 tokens."""
HONEST: dict[str, Any] = {
    "parameters": 8_030_000_000,
    "memory": {
        "numbers": 8_030_000_000,
        "cacheNumbers": 65_536,
        "layerWidth": 18_432,
        "vocabulary": 128_256,
        "positions": 131_072,
    },
}
"""Llama 3.1 8B."""
GIB = 1 << 30


@pytest.mark.parametrize(
    ("facts", "rules", "admitted"),
    [
        pytest.param(HUNGRY, {}, False, id="no known model takes as much"),
        pytest.param(HUNGRY, {"admission": {"maxParameters": 500_000_000}}, False, id="nor one of the admitted size"),
        pytest.param(HUNGRY, {"admission": {"maxMemoryBytes": 24 * GIB}}, False, id="more than the GPUs have"),
        pytest.param(
            HUNGRY,
            {"admission": {"maxParameters": 100_000_000}, "evaluation": {"maxPromptTokens": 256, "maxTokens": 64}},
            True,
            id="short prompts need little",
        ),
        pytest.param(HONEST, {}, True, id="a known shape"),
        pytest.param(HONEST, {"admission": {"maxParameters": 8_030_000_000}}, True, id="a known shape at the limit"),
        pytest.param(HONEST, {"admission": {"maxMemoryBytes": 40 * GIB}}, True, id="within the GPUs"),
        pytest.param(HONEST, {"admission": {"maxMemoryBytes": 16 * GIB}}, False, id="a known shape on small GPUs"),
        pytest.param(
            HONEST,
            {"admission": {"maxMemoryBytes": 30 * GIB}, "evaluation": {"scorer": "Loss"}},
            False,
            id="losses are measured in 32 bits",
        ),
        pytest.param({"parameters": 1}, {"admission": {"maxMemoryBytes": 1}}, True, id="facts of an earlier version"),
    ],
)
def test_memory_is_an_admission_rule(
    make: Make, plan: Plan, facts: dict[str, Any], rules: dict[str, Any], admitted: bool
) -> None:
    found = plan(make.started("a", **rules), [make.model("a", fetched=True, facts=facts)])
    expected = ("Pending", "WaitingForSlot") if admitted else ("Rejected", "NeedsTooMuchMemory")
    assert found.states["a"] == expected
    assert len(found.evaluate) == admitted


def test_the_round_of_a_hungry_model_completes(make: Make, plan: Plan) -> None:
    done = {"state": "Succeeded", "reason": "Evaluated", "score": "0.900000", "weightsDigest": make.digest("2")}
    models = [make.model("a", fetched=True, facts=HUNGRY), make.model("b", fetched=True, weights="2")]
    found = plan(make.started("a", "b", results={"b": done}), models)
    assert found.states["a"] == ("Rejected", "NeedsTooMuchMemory")
    assert found.status.phase == "Complete"
