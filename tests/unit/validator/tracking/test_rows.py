"""A transcript as lines of a run."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bitagent_validator.tracking.rows import TEXT_MAX, rows_of

SCORED: dict[str, Any] = {
    "uid": 3,
    "hotkey": "a",
    "outcome": "Scored",
    "score": 0.5,
    "mean": 0.6,
    "seconds": 1.25,
    "response": "x" * 5000,
    "criteria": [{"name": "names", "points": 1.5, "maximum": 3.0, "detail": "one is missing"}],
}
SILENT: dict[str, Any] = {"uid": 4, "hotkey": "b", "outcome": "NotServing", "score": 0.0, "mean": 0.2}
STEP: dict[str, Any] = {
    "counts": True,
    "competition": "fc",
    "block": 100,
    "task": {"id": "t", "messages": [{"role": "user", "content": "y" * 5000}], "tools": ["f", "g"]},
    "miners": [SCORED, SILENT],
}


def test_one_line_for_each_miner_with_the_names_of_the_subnet() -> None:
    first, second = rows_of(STEP, validator_uid=7, version="1.2")
    assert (
        first.items()
        >= {
            "task_name": "t",
            "task_mode": "online",
            "tools_count": 2,
            "messages_count": 1,
            "miners_count": 2,
            "miner_uid": 3,
            "score": 1.5,
            "normalized_score": 0.5,
            "average_score_for_miner_with_this_validator": 0.6,
            "highest_score_for_miners_with_this_validator": 0.6,
            "median_score_for_miners_with_this_validator": 0.4,
            "results": "names: 1.5 of 3 one is missing",
            "dendrite_process_time": 1.25,
            "validator_uid": 7,
            "val_spec_version": "1.2",
            "competition_version": "fc",
        }.items()
    )
    assert len(first["response"]) == len(first["messages"][0]["content"]) == TEXT_MAX
    assert (second["normalized_score"], second["outcome"], second["response"]) == (0.0, "NotServing", "")
    assert "dendrite_process_time" not in second
    assert json.loads(json.dumps(first)) == first


@pytest.mark.parametrize("change", [{"counts": False}, {"miners": []}], ids=["does not count", "no miner"])
def test_a_step_without_results_has_no_line(change: dict[str, Any]) -> None:
    assert rows_of(STEP | change, validator_uid=None, version="1") == []
