"""Moments of objects, in the order of time."""

from __future__ import annotations

from typing import Any

import pytest

from bitagent_cli.explanation.timeline import MODELS_IN_FULL, since_first, timeline


def at(minute: int) -> str:
    return f"2026-01-01T00:{minute:02}:00Z"


def a_round(results: list[dict[str, Any]], **status: Any) -> dict[str, Any]:
    labels = {"bitagent.io/validator": "v", "bitagent.io/competition": "c", "bitagent.io/epoch": "3"}
    meta = {"name": "r", "creationTimestamp": at(0), "labels": labels}
    ready = {"type": "TasksReady", "status": "True", "lastTransitionTime": at(2)}
    return {
        "metadata": meta,
        "status": {"results": results, "startedAt": at(1), "conditions": [ready], "counts": {"selected": 2}} | status,
    }


RESULT = {"model": "a", "state": "Succeeded", "score": "0.5", "startedAt": at(3), "finishedAt": at(9), "node": "gpu-1"}


def test_a_round() -> None:
    trouble = {"disruptions": [at(4)], "stalls": [at(5)]}
    failure = {"reason": "OutOfMemory", "at": at(6), "nodes": ["gpu-2"]}
    results = [RESULT | trouble, {"model": "b", "state": "Unscored", "reason": "OutOfMemory", "failures": [failure]}]
    events = [{"reason": "RoundStarted", "message": "2 models", "lastTimestamp": at(1), "type": "Normal"}]
    moments = timeline("er", a_round(results, phase="Complete", finishedAt=at(10), best="a 0.5"), events)
    assert [(m.at.minute, m.what, m.warning) for m in moments] == [
        (0, "created by Validator v, competition c, epoch 3", False),
        (1, "RoundStarted: 2 models", False),
        (1, "the set of models is frozen: 2", False),
        (2, "the task set is built: ? tasks", False),
        (3, "a: evaluation starts on gpu-1", False),
        (4, "a: its pod was evicted, preempted or lost", True),
        (5, "a: its process made no progress, and was ended", True),
        (6, "b: Job gave up on gpu-2: OutOfMemory", True),
        (9, "a: Succeeded, score 0.5", False),
        (10, "Complete: 0 of 2 have a score; the best is a 0.5", False),
    ]
    assert since_first(moments)[-1] == "+10m"


def test_of_many_models_the_first_and_the_last_start_and_the_troubles() -> None:
    many = [RESULT | {"model": f"m{i}", "startedAt": at(3 + i % 5)} for i in range(MODELS_IN_FULL)]
    many.append({"model": "bad", "state": "InfraFault", "reason": "Crashed", "finishedAt": at(20)})
    texts = [m.what for m in timeline("er", a_round(many))]
    assert "the first of 30 evaluations starts" in texts
    assert "bad: InfraFault: Crashed" in texts
    assert "m0: Succeeded, score 0.5" not in texts
    assert "m0: Succeeded, score 0.5" in [m.what for m in timeline("er", a_round(many), every=True)]


@pytest.mark.parametrize(
    ("kind", "status", "expected"),
    [
        pytest.param(
            "mm", {"resolved": {"at": at(1), "commit": "f" * 40}}, f"resolved to commit {'f' * 12}", id="commit"
        ),
        pytest.param(
            "mm",
            {"history": [{"at": at(2), "round": "r", "score": "0.5", "rank": 1}]},
            "round r: score 0.5, rank 1",
            id="score",
        ),
        pytest.param(
            "val",
            {"lastWeights": {"at": at(1), "block": 7, "hotkeys": 3, "rounds": ["r"]}},
            "weights set at block 7: 3 hotkeys, of r",
            id="weights",
        ),
        pytest.param(
            "val",
            {
                "conditions": [
                    {"type": "Permitted", "status": "False", "reason": "NoPermit", "lastTransitionTime": at(1)}
                ]
            },
            "Permitted is False: NoPermit",
            id="condition",
        ),
    ],
)
def test_models_and_validators(kind: str, status: dict[str, Any], expected: str) -> None:
    obj = {"metadata": {"name": "x", "creationTimestamp": at(0)}, "status": status}
    assert [m.what for m in timeline(kind, obj)] == ["created", expected]


def test_an_object_without_times_has_no_moments() -> None:
    assert timeline("er", {"metadata": {"name": "x"}}) == []
