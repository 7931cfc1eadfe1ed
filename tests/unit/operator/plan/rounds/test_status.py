"""The status of a round: its counts and conditions, and what is reported of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.sketches import ANSWER_BITS, MISTAKE_HASHES, AnswerSketch, WeightsSketch

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make, Plan


def test_near_copies_are_named_and_reported_when_the_round_completes(make: Make, plan: Plan) -> None:
    weights = WeightsSketch(tuple((i, 1000 + i, 2000 + i) for i in range(8))).encode()
    answers = AnswerSketch(bytes(ANSWER_BITS // 8), bytes(MISTAKE_HASHES)).encode()
    models = [
        make.model(name, fetched=True, weights=digest, created=created, facts={"similarity": weights})
        for name, digest, created in (("first", "1", 1), ("copy", "2", 5))
    ]
    done = {"state": "Succeeded", "reason": "Evaluated", "score": "0.500000", "answerSketch": answers, "passed": 100}
    entries = {
        "first": make.admitted("first", weights="1") | done,
        "copy": make.admitted("copy", weights="2") | done,
        "last": {"state": "Pending"},
    }
    running = plan(make.started("first", "copy", "last", results=entries), [*models, make.model("last")])
    assert running.results["copy"].near_copy_of is None, "others may turn out to be the original"
    entries["last"] = {"state": "Rejected", "reason": "CustomCode"}
    found = plan(make.started("first", "copy", "last", results=entries), models)
    assert {r.model: r.near_copy_of for r in found.status.results} == {"first": None, "copy": "first", "last": None}
    assert found.results["copy"].evidence is not None
    assert [e.reason for e in found.events] == ["NearCopyFound", "RoundComplete"]
    assert (found.results["copy"].score, found.results["copy"].rank) == ("0.500000", 1), "policies decide what it earns"


@pytest.mark.parametrize(
    ("pod", "reason", "events"),
    [
        pytest.param({"unschedulable": 90}, "WaitingForNode", [], id="no GPU just now"),
        pytest.param({"waiting": ("ErrImagePull", "gone")}, "ImagePullFailed", ["EvaluationDelayed"], id="no image"),
    ],
)
def test_a_round_whose_jobs_wait_says_for_what(
    make: Make, plan: Plan, pod: dict[str, Any], reason: str, events: list[str]
) -> None:
    """Although most of its models wait for a slot only."""
    models = [make.model(name, fetched=True, weights=str(i)) for i, name in enumerate("abc", start=1)]
    job = make.evaluation(make.key("1"), active=1, started=80)
    found = plan(
        make.started("a", "b", "c", workload={"parallelism": 1}), models, jobs=[job], pods=[make.pod(job, **pod)]
    )
    running = found.condition("Running")
    assert (running.status, running.reason, found.status.phase) == ("False", reason, "Preparing")
    assert found.results["a"].message in running.message
    assert [event.reason for event in found.events] == events
    assert (found.status.counts.running, found.status.counts.pending) == (0, 3)


def test_a_round_whose_models_are_not_fetched_says_why(make: Make, plan: Plan) -> None:
    refused = make.condition("Fetched", "Unknown", "PodRefused", message="exceeded quota: gpus")
    found = plan(make.started("a", "b"), [make.model(n, status={"conditions": [refused]}) for n in "ab"])
    running = found.condition("Running")
    assert running.reason == "WaitingForModel"
    assert "2 WaitingForModel (a, b); a: PodRefused: exceeded quota: gpus" in running.message
