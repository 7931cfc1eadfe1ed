"""Rows of statuses."""

from __future__ import annotations

from typing import Any

import pytest

from bitagent_crds.status_rows import columns, condition_rows, gpu_text, model_rows, progress_rows, seconds_rows

STATUS: dict[str, Any] = {
    "conditions": [{"type": "Running", "status": "True", "reason": "RoundRunning", "message": "2 run"}],
    "results": [
        {"model": "a", "state": "Succeeded", "score": "0.500000", "rank": 1, "seconds": {"load": "2"}},
        {"model": "b", "state": "Duplicate", "reason": "DuplicateWeights", "duplicateOf": "a"},
        {"model": "c", "state": "Running", "progress": {"phase": "Generating", "done": 5, "total": 9}},
        {"model": "d", "progress": {"phase": "Loading", "idleSince": "2026-01-01T00:00:00Z"}},
    ],
    "gpuSeconds": {"held": 200, "generating": 50},
}  # fmt: skip


def test_conditions_and_models() -> None:
    assert condition_rows(STATUS) == [["Running", "True", "RoundRunning", "2 run"]]
    assert [row[-1] for row in model_rows(STATUS)] == ["score 0.500000, rank 1", "of a", "", ""]


def test_progress() -> None:
    assert progress_rows(STATUS) == [
        ["c", "Generating", "5 of 9 tasks, 0 tokens/s"],
        ["d", "Loading", "0 of 0 tasks, 0 tokens/s; no progress since 2026-01-01T00:00:00Z"],
    ]


def test_times() -> None:
    assert [row[:4] for row in seconds_rows(STATUS)] == [["model", "waiting", "pulling", "load"], ["a", "", "", "2"]]
    assert gpu_text(STATUS).endswith("50 s (25 %)")


@pytest.mark.parametrize("status", [{}, {"results": []}, {"gpuSeconds": {"held": 0}}])
def test_nothing_is_known(status: dict[str, Any]) -> None:
    assert (seconds_rows(status), progress_rows(status), model_rows(status)) == ([], [], [])
    assert "%" not in gpu_text(status)


def test_columns_are_of_equal_width_and_the_last_one_is_not_padded() -> None:
    assert list(columns([["a", "b\nc", None], ["long", 0, "x y"]])) == ["a     b c", "long  0    x y"]
    assert list(columns([])) == []
