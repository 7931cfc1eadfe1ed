"""Where the time of a round went."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from bitagent_cli.explanation.spent import course, phases

NOW = datetime(2026, 1, 1, 0, 10, tzinfo=UTC)


def at(minute: int) -> str:
    return f"2026-01-01T00:{minute:02}:00Z"


READY = {"conditions": [{"type": "TasksReady", "status": "True", "lastTransitionTime": at(3)}]}


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        pytest.param({}, [("models", 600)], id="nothing has happened"),
        pytest.param({"startedAt": at(1)}, [("models", 60), ("tasks", 540)], id="frozen"),
        pytest.param({"startedAt": at(1)} | READY, [("models", 60), ("tasks", 120), ("start", 420)], id="no GPU yet"),
        pytest.param(
            {"startedAt": at(1), "finishedAt": at(2)}, [("models", 60), ("tasks", 60)], id="failed without a task set"
        ),
        pytest.param(
            {"startedAt": at(1), "results": [{"startedAt": at(4)}, {"startedAt": at(5)}, {}], "finishedAt": at(8)}
            | READY,
            [("models", 60), ("tasks", 120), ("start", 60), ("evaluations", 240)],
            id="complete",
        ),
        pytest.param(
            {"startedAt": at(4), "finishedAt": at(8)} | READY,
            [("models", 240), ("start", 240)],
            id="times in another order, as after a retry",
        ),
    ],
)
def test_course(status: dict[str, Any], expected: list[tuple[str, float]]) -> None:
    parts = course({"metadata": {"creationTimestamp": at(0)}, "status": status}, NOW)
    assert [(part.name, part.seconds) for part in parts] == expected
    assert sum(part.share for part in parts) == pytest.approx(1)


def test_phases() -> None:
    results = [{"seconds": {"load": "10", "generate": "20", "idle": "5.0"}}, {"seconds": {"generate": "5"}}, {}]
    parts = {part.name: part for part in phases({"results": results})}
    assert (parts["generate"].seconds, parts["generate"].share) == (25, 0.625)
    assert (parts["waiting"].seconds, parts["load"].seconds) == (0, 10)
    assert phases({"results": [{}]}) == []
