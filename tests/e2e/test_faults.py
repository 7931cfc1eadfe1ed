"""Kill anything, anywhere: the same results, each model evaluated once, weights set once."""

from __future__ import annotations

import json
from typing import Any

import pytest
from kit import Cluster, result
from scenarios import (
    ANSWERS_BEFORE_THE_KILL,
    LEAVER,
    OPERATOR_KILLS,
    TASKS_OF_THE_KILLED,
    KilledEvaluation,
    NextEpoch,
)

pytestmark = pytest.mark.e2e


def test_a_killed_evaluation_continues_from_its_answers(cluster: Cluster, killed_evaluation: KilledEvaluation) -> None:
    assert killed_evaluation.answers < TASKS_OF_THE_KILLED, (
        "the evaluation ended before it could be killed: give it more to do"
    )
    assert killed_evaluation.killed >= 1
    found = result(killed_evaluation.round, "tiny-fc-250")
    assert found["state"] == "Succeeded"
    assert found["attempts"] == 2
    folder = next((cluster.results_dir(killed_evaluation.round) / "results").iterdir())
    summary = json.loads((folder / "summary.json").read_text())
    assert ANSWERS_BEFORE_THE_KILL <= summary["resumed"] <= killed_evaluation.answers
    ids = [json.loads(line)["id"] for line in (folder / "responses.jsonl").read_text().splitlines()]
    assert len(ids) == len(set(ids)) == TASKS_OF_THE_KILLED


def test_the_next_epoch_follows_by_itself(paid_round: dict[str, Any], next_epoch: NextEpoch) -> None:
    assert next_epoch.round["metadata"]["name"] != paid_round["metadata"]["name"]
    first, second = (round_["spec"]["tasks"]["seedFrom"] for round_ in (paid_round, next_epoch.round))
    assert first["secret"] != second["secret"]


def test_the_operator_killed_five_times_changes_nothing(paid_round: dict[str, Any], next_epoch: NextEpoch) -> None:
    assert len(next_epoch.operator_kills) == OPERATOR_KILLS
    assert min(next_epoch.operator_kills) >= 1
    evaluated = [r for r in next_epoch.round["status"]["results"] if r["state"] in ("Succeeded", "ModelFault")]
    assert len(next_epoch.jobs) == len(evaluated) == 4
    assert all(len(uids) == 1 for uids in next_epoch.jobs.values())
    assert [r["attempts"] for r in evaluated] == [1, 1, 1, 1]
    before, after = (
        {r["model"]: (r["state"], r["reason"]) for r in round_["status"]["results"] if r["model"] != LEAVER}
        for round_ in (paid_round, next_epoch.round)
    )
    assert after == before


def test_a_validator_killed_before_its_weights_sets_them_once(next_epoch: NextEpoch) -> None:
    assert next_epoch.validator_kills == 1
    assert len(next_epoch.settings) == 1
