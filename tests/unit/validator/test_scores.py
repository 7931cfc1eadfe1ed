"""What a round says about hotkeys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bitagent_crds.evalround import EvalRound
from bitagent_validator.policy.interface import Score
from bitagent_validator.rounds import Outcome
from bitagent_validator.scores import entrants, scores_by_hotkey
from bitagent_validator.seen import parse_round, parse_self

OWNERS = {"m1": "a", "m2": "a", "m3": "b"}


def condition(kind: str, status: str = "True") -> dict[str, str]:
    return {"type": kind, "status": status, "reason": "RoundComplete", "lastTransitionTime": "2026-01-01T00:00:00Z"}


def eval_round(results: list[dict[str, Any]], *conditions: dict[str, str]) -> dict[str, Any]:
    tasks = {"sources": [{"bfcl": {"categories": ["multiple"]}}], "count": 10, "seed": "s"}
    labels = {"bitagent.io/validator": "val", "bitagent.io/competition": "fc", "bitagent.io/epoch": "7"}
    return {
        "metadata": {
            "name": "val-fc-7",
            "uid": "u",
            "labels": labels,
            "annotations": {"bitagent.io/epoch-block": "700"},
        },
        "spec": {"models": {"matchLabels": {}}, "tasks": tasks},
        "status": {"results": results, "conditions": list(conditions)},
    }


def content(results: list[dict[str, Any]], *conditions: dict[str, str]) -> EvalRound:
    read = parse_round(eval_round(results, *conditions)).content
    assert read is not None
    return read


def result(model: str, state: str = "Succeeded", score: str | None = None) -> dict[str, Any]:
    return {"model": model, "state": state, "reason": "Evaluated"} | ({"score": score} if score else {})


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        pytest.param(
            [result("m1", score="0.300000"), result("m2", score="0.700000")], {"a": 0.7}, id="the best of several"
        ),
        pytest.param([result("m1", "ModelFault", "0.000000")], {"a": 0.0}, id="a model's own fault is a score of 0"),
        pytest.param(
            [result("m1", "ModelFault", "0.000000"), result("m2", score="0.200000")], {"a": 0.2}, id="beside a good one"
        ),
        pytest.param([result("m1", "Rejected"), result("m3", score="0.500000")], {"b": 0.5}, id="rejected: no score"),
        pytest.param([result("m1", "Duplicate", "0.900000")], {}, id="a copy earns nothing, whatever it says"),
        pytest.param([result("stranger", score="0.900000")], {}, id="a model of nobody"),
        pytest.param([result("m1", "InfraFault")], {}, id="a fault of the infrastructure is not a score"),
    ],
)
def test_scores_of_hotkeys(
    neuron: Callable[..., Any], results: list[dict[str, Any]], expected: dict[str, float]
) -> None:
    neurons = {"a": neuron("a", registered_at=3)}
    scores = scores_by_hotkey(content(results, condition("Complete")), owners=OWNERS, neurons=neurons)
    assert scores == {h: Score(v, 3 if h == "a" else None) for h, v in expected.items()}


@pytest.mark.parametrize(
    ("conditions", "outcome"),
    [
        pytest.param([], Outcome.UNFINISHED, id="nothing reported"),
        pytest.param([condition("Complete", "False"), condition("Running")], Outcome.UNFINISHED, id="running"),
        pytest.param([condition("Complete")], Outcome.COMPLETE, id="complete"),
        pytest.param([condition("Failed")], Outcome.FAILED, id="failed"),
        pytest.param([condition("Complete"), condition("Failed")], Outcome.FAILED, id="failed rules"),
    ],
)
def test_outcome(conditions: list[dict[str, str]], outcome: Outcome) -> None:
    read = parse_round(eval_round([], *conditions))
    assert (read.outcome, read.epoch, read.block, read.competition) == (outcome, 7, 700, "fc")


@pytest.mark.parametrize("conditions", [[], [condition("Failed")], [condition("Complete"), condition("Failed")]])
def test_no_scores_from_rounds_that_are_not_complete(conditions: list[dict[str, str]]) -> None:
    with pytest.raises(ValueError, match="complete rounds only"):
        scores_by_hotkey(content([result("m1", score="0.300000")], *conditions), owners=OWNERS, neurons={})


def test_entrants_are_owners_of_models_that_may_still_score() -> None:
    results = [result("m1", "Pending"), result("m3", "Rejected"), result("stranger", "Running")]
    assert entrants(content(results), owners=OWNERS) == {"a"}
    assert entrants(content([result("m1", "ModelFault"), result("m3", "Duplicate")]), owners=OWNERS) == set()


def test_an_unreadable_round_counts_as_running(caplog: pytest.LogCaptureFixture) -> None:
    obj = eval_round([], condition("Complete"))
    obj["status"]["surprise"] = 1
    read = parse_round(obj)
    assert (read.content, read.outcome) == (None, Outcome.UNFINISHED)
    assert "surprise" in caplog.text


def test_an_unreadable_validator_has_no_spec(caplog: pytest.LogCaptureFixture) -> None:
    read = parse_self({"metadata": {"name": "v", "namespace": "n", "uid": "u"}, "spec": {"netuid": "x"}})
    assert read.spec is None
    assert "netuid" in caplog.text
