"""Which evaluations a round starts, and what the ends of their Jobs mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bitagent_operator.plan.evalround import BATCH

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make, Plan


def test_slots_bound_what_runs(make: Make, plan: Plan) -> None:
    models = [make.model(f"m{i}", fetched=True, weights=str(i)) for i in range(5)]
    observed = make.started(*(m.meta.name for m in models), workload={"parallelism": 2})
    first = plan(observed, models)
    assert [e.model.meta.name for e in first.evaluate] == ["m0", "m1"]
    assert first.states["m2"] == ("Pending", "WaitingForSlot")
    running = [make.evaluation(make.key("0"), active=1), make.evaluation(make.key("1"), active=1)]
    assert plan(observed, models, jobs=running).evaluate == ()
    pods = [make.pod(running[0], code=0, message=make.scored())]
    assert [e.model.meta.name for e in plan(observed, models, jobs=running, pods=pods).evaluate] == ["m2"]


def test_a_queue_gets_all_at_once_in_batches(make: Make, plan: Plan) -> None:
    models = [make.model(f"m{i:03}", fetched=True, weights=str(i)) for i in range(BATCH + 6)]
    observed = make.started(*(m.meta.name for m in models), workload={"queueName": "gpu", "parallelism": 1})
    found = plan(observed, models)
    assert (len(found.evaluate), found.again) == (BATCH, 0.0)


def test_without_tasks_nothing_runs(make: Make, plan: Plan) -> None:
    found = plan(make.started("a", tasks=False), [make.model("a", fetched=True)])
    assert found.evaluate == ()


def test_a_score(make: Make, plan: Plan) -> None:
    job = make.evaluation(make.key("1"))
    pods = [make.pod(job, code=0, message=make.scored("0.250000"), at=50)]
    found = plan(make.started("a"), [make.model("a", fetched=True)], jobs=[job], pods=pods)
    result = found.results["a"]
    assert (result.state, result.score, result.rank, result.finished_at) == (
        "Succeeded",
        "0.250000",
        1,
        make.at(50),
    )
    assert found.status.phase == "Complete"
    assert [n.reason for n in found.notices] == ["ModelEvaluated", "RoundComplete"]


def test_a_models_fault_scores_zero(make: Make, plan: Plan) -> None:
    job = make.evaluation(make.key("1"), ended="Failed", reason="PodFailurePolicy")
    pods = [make.pod(job, code=78, message=make.evaluate_fault("NonFiniteWeights"))]
    found = plan(make.started("a"), [make.model("a", fetched=True)], jobs=[job], pods=pods)
    result = found.results["a"]
    assert (result.state, result.reason, result.score, result.rank) == (
        "ModelFault",
        "NonFiniteWeights",
        "0.000000",
        1,
    )
    assert found.status.phase == "Complete"


def test_a_models_fault_without_a_summary_scores_zero_too(make: Make, plan: Plan) -> None:
    job = make.evaluation(make.key("1"), ended="Failed", reason="PodFailurePolicy")
    pods = [make.pod(job, code=78, message="Segmentation fault", at=50)]
    result = plan(make.started("a"), [make.model("a", fetched=True)], jobs=[job], pods=pods).results["a"]
    assert (result.state, result.reason, result.score) == ("ModelFault", "ModelLoadFailed", "0.000000")
    assert (result.passed, result.finished_at) == (0, make.at(50))
    assert "Segmentation fault" in result.message


def test_a_job_that_is_being_deleted_does_not_count(make: Make, plan: Plan) -> None:
    job = make.evaluation(make.key("1"), active=1, deletionTimestamp="2026-01-01T00:00:00Z")
    found = plan(make.started("a"), [make.model("a", fetched=True)], jobs=[job])
    assert [(e.attempt, e.model.meta.name) for e in found.evaluate] == [(1, "a")]


def test_an_infrastructure_fault_fails_the_round_at_its_end(make: Make, plan: Plan) -> None:
    job = make.evaluation(make.key("1"), ended="Failed", reason="BackoffLimitExceeded")
    models = [make.model("a", fetched=True), make.model("b", fetched=True, weights="2")]
    found = plan(make.started("a", "b"), models, jobs=[job])
    assert found.states == {"a": ("InfraFault", "AttemptsExhausted"), "b": ("Pending", "WaitingForSlot")}
    assert found.status.finished_at is None
    other = make.evaluation(make.key("2"))
    pods = [make.pod(other, code=0, message=make.scored())]
    end = plan(make.started("a", "b"), models, jobs=[job, other], pods=pods)
    assert end.condition("Failed").reason == "InfrastructureFaults"
    assert end.condition("Complete").status == "False"
    assert end.results["b"].rank is None


def test_a_lost_result_is_evaluated_again_until_attempts_are_used_up(make: Make, plan: Plan) -> None:
    models = [make.model("a", fetched=True)]
    jobs = [make.evaluation(make.key("1"), ended="Complete")]
    assert plan(make.started("a"), models, jobs=jobs, sure=False).questions.pods_of == {jobs[0].meta.uid}
    assert [e.attempt for e in plan(make.started("a"), models, jobs=jobs).evaluate] == [2]
    jobs += [make.evaluation(make.key("1"), attempt=n, ended="Complete") for n in (2, 3)]
    assert plan(make.started("a"), models, jobs=jobs).states == {"a": ("InfraFault", "ResultLost")}


def test_a_summary_without_a_score_is_no_result(make: Make, plan: Plan) -> None:
    job = make.evaluation(make.key("1"), ended="Complete")
    pods = [make.pod(job, code=0, message=make.evaluate_fault("Evaluated"))]
    found = plan(make.started("a"), [make.model("a", fetched=True)], jobs=[job], pods=pods)
    assert [e.attempt for e in found.evaluate] == [2]
    assert found.results["a"].finished_at is None


def test_what_is_recorded_stays_without_job_and_pod(make: Make, plan: Plan) -> None:
    done = {"a": {"state": "Succeeded", "score": "0.500000", "weightsDigest": make.digest("1")}}
    found = plan(make.started("a", "b", results=done), [make.model("a", fetched=True), make.model("b")])
    assert found.results["a"].score == "0.500000"
    assert found.evaluate == ()


@pytest.mark.parametrize(
    ("pod", "reason"),
    [
        pytest.param({"waiting": ("ImagePullBackOff", "no image")}, "ImagePullFailed", id="image"),
        pytest.param({"unschedulable": -1000}, "Unschedulable", id="no node"),
    ],
)
def test_delays_are_reported_while_it_waits(make: Make, plan: Plan, pod: dict[str, Any], reason: str) -> None:
    job = make.evaluation(make.key("1"), active=1)
    found = plan(make.started("a"), [make.model("a", fetched=True)], jobs=[job], pods=[make.pod(job, **pod)])
    assert found.states == {"a": ("Running", reason)}


def test_the_plan_looks_again_when_a_pod_will_have_waited_too_long(make: Make, plan: Plan) -> None:
    job = make.evaluation(make.key("1"), active=1)
    pods = [make.pod(job, unschedulable=50)]
    assert plan(make.started("a"), [make.model("a", fetched=True)], jobs=[job], pods=pods).again == 250
