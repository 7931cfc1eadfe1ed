"""Plans for one MinerModel."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.conditions import Condition
from bitagent_operator.observed import JobObject, ModelObject, PodObject, RoundObject
from bitagent_operator.plan import minermodel
from bitagent_operator.plan.minermodel import MAX_ATTEMPTS, ModelPlan
from bitagent_operator.plan.questions import Answers

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make


def plan(
    make: Make,
    model: ModelObject,
    *,
    jobs: Iterable[JobObject] = (),
    pods: Iterable[PodObject] = (),
    rounds: Iterable[RoundObject] = (),
    now: float = 100,
) -> ModelPlan:
    jobs = list(jobs)
    return minermodel.plan(
        model,
        jobs=jobs,
        pods=list(pods),
        rounds=rounds,
        answers=Answers(sure_jobs=frozenset(j.meta.uid for j in jobs)),
        now=make.at(now),
        unschedulable_after=timedelta(seconds=300),
    )


def condition(found: ModelPlan, kind: str) -> Condition:
    return next(c for c in found.status.conditions if c.type == kind)


def test_a_new_model_is_fetched_at_once(make: Make) -> None:
    found = plan(make, make.model("a"))
    assert found.fetch is not None
    assert found.fetch.attempt == 1
    assert {c.type: (c.status, c.reason) for c in found.status.conditions} == {
        "Resolved": ("Unknown", "Fetching"),
        "Safe": ("Unknown", "Fetching"),
        "Fetched": ("Unknown", "Fetching"),
        "Evaluated": ("False", "NotEvaluated"),
    }


def test_a_suspended_model_is_not_fetched(make: Make) -> None:
    running = make.fetch("a")
    found = plan(make, make.model("a", suspend=True), jobs=[running])
    assert found.fetch is None
    assert [d.uid for d in found.delete] == [running.meta.uid]
    assert condition(found, "Fetched").reason == "Suspended"


def test_the_result_is_recorded_before_its_job_is_deleted(make: Make) -> None:
    job = make.fetch("a", ended="Complete")
    pods = [make.pod(job, code=0, message=make.fetched(weights="7"))]
    first = plan(make, make.model("a"), jobs=[job], pods=pods)
    assert not first.delete
    assert first.status.resolved is not None
    assert first.status.resolved.at == make.at(4)
    recorded = make.model("a", status=first.status.to_wire())
    second = plan(make, recorded, jobs=[job], pods=pods)
    assert [d.uid for d in second.delete] == [job.meta.uid]
    assert second.status == recorded.status
    third = plan(make, recorded)
    assert (third.fetch, third.delete, third.status) == (None, (), recorded.status)


FAULTS = [
    pytest.param("RepositoryNotFound", ("False", "Unknown", "False"), id="not found"),
    pytest.param("RevisionNotFound", ("False", "Unknown", "False"), id="no revision"),
    pytest.param("NoSafetensors", ("True", "False", "False"), id="pickle"),
    pytest.param("CorruptWeights", ("True", "False", "False"), id="truncated"),
]


@pytest.mark.parametrize(("reason", "states"), FAULTS)
def test_a_models_fault_is_final(make: Make, reason: str, states: tuple[str, ...]) -> None:
    job = make.fetch("a", ended="Failed", reason="PodFailurePolicy")
    pods = [make.pod(job, code=78, message=make.fetch_fault(reason))]
    found = plan(make, make.model("a"), jobs=[job], pods=pods)
    assert tuple(condition(found, k).status for k in ("Resolved", "Safe", "Fetched")) == states
    assert condition(found, "Fetched").reason == reason
    assert [n.reason for n in found.notices] == ["ModelRejected"]
    recorded = make.model("a", status=found.status.to_wire())
    soon = plan(make, recorded, jobs=[job])  # its pods are gone
    assert (soon.fetch, soon.delete, soon.status) == (None, (), recorded.status)
    assert plan(make, recorded, jobs=[job], now=4000).delete
    assert plan(make, recorded, now=1e6).fetch is None


def test_what_the_fetch_warned_of_is_shown(make: Make) -> None:
    job = make.fetch("a", ended="Complete")
    summary = {**json.loads(make.fetched()), "message": "fetched. Formats that use its template will refuse it"}
    found = plan(make, make.model("a"), jobs=[job], pods=[make.pod(job, code=0, message=json.dumps(summary))])
    assert condition(found, "Fetched").status == "True"
    assert condition(found, "Fetched").message == summary["message"]


def test_a_changed_spec_is_fetched_anew(make: Make) -> None:
    old = make.fetch("a")
    found = plan(make, make.model("a", fetched="NoSafetensors", generation=2), jobs=[old])
    assert found.fetch is not None
    assert [d.uid for d in found.delete] == [old.meta.uid]


def test_infrastructure_is_tried_again_with_back_off(make: Make) -> None:
    job = make.fetch("a", ended="Failed", reason="BackoffLimitExceeded", at=100)
    pods = [make.pod(job, code=1, message=make.fetch_fault("HubUnavailable"))]
    early = plan(make, make.model("a"), jobs=[job], pods=pods, now=110)
    assert (early.fetch, early.again, early.delete) == (None, 20, ())
    assert (condition(early, "Fetched").status, condition(early, "Fetched").reason) == ("Unknown", "HubUnavailable")
    due = plan(make, make.model("a"), jobs=[job], pods=pods, now=130)
    assert due.fetch is not None
    assert (due.fetch.need, due.fetch.attempt) == ("n", 2)
    both = plan(make, make.model("a"), jobs=[job, make.fetch("a", attempt=2)], pods=pods, now=131)
    assert (both.fetch, [d.uid for d in both.delete]) == (None, [job.meta.uid])


def test_infrastructure_is_reported_when_attempts_are_used_up(make: Make) -> None:
    job = make.fetch("a", attempt=MAX_ATTEMPTS, ended="Failed", reason="BackoffLimitExceeded", at=100)
    pods = [make.pod(job, code=1, message=make.fetch_fault("HubUnavailable"))]
    found = plan(make, make.model("a"), jobs=[job], pods=pods)
    assert (condition(found, "Fetched").status, condition(found, "Fetched").reason) == ("False", "HubUnavailable")
    assert condition(found, "Resolved").status == "Unknown" if found.status.conditions[0].type == "Resolved" else True


def test_a_lost_result_is_fetched_again(make: Make) -> None:
    job = make.fetch("a", ended="Complete", at=0)
    found = plan(make, make.model("a"), jobs=[job], now=60)
    assert found.fetch is not None
    assert found.fetch.attempt == 2


def test_no_conclusion_without_a_live_look(make: Make) -> None:
    job = make.fetch("a", ended="Complete")
    found = minermodel.plan(
        make.model("a"),
        jobs=[job],
        pods=[],
        rounds=[],
        answers=Answers(),
        now=make.at(0),
        unschedulable_after=timedelta(),
    )
    assert found.questions.pods_of == {job.meta.uid}


@pytest.mark.parametrize(
    ("model", "wanted"),
    [
        pytest.param({"fetched": True, "revision": "main", "at": -11}, True, id="branch, older than the round"),
        pytest.param({"fetched": True, "revision": "main", "at": -10}, False, id="branch, just before the round"),
        pytest.param({"fetched": True, "revision": "main", "at": 60}, False, id="branch, newer than the round"),
        pytest.param({"fetched": True, "at": 0}, False, id="commit"),
        pytest.param({"fetched": "NoSafetensors", "at": 0}, False, id="commit at fault"),
        pytest.param({"fetched": "NoSafetensors", "revision": "main", "at": -11}, True, id="branch at fault"),
        pytest.param({"fetched": "HubUnavailable", "at": 0}, True, id="infrastructure failed before"),
        pytest.param({"fetched": "RepositoryNotFound", "at": -11}, True, id="commit that was not to be seen"),
        pytest.param({"fetched": "AccessDenied", "at": -10}, False, id="commit that was not to be seen just before"),
    ],
)
def test_a_round_asks_anew_for_what_may_have_changed(make: Make, model: dict[str, Any], wanted: bool) -> None:
    waiting = make.started("a", at=50)
    found = plan(make, make.model("a", **model), rounds=[waiting])
    assert (found.fetch is not None) == wanted
    if found.fetch is not None:
        assert found.fetch.since == make.at(50)


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({"results": {"a": {"state": "Pending", "commit": "a" * 40}}}, id="admitted"),
        pytest.param({"results": {"a": {"state": "Rejected"}}}, id="rejected"),
        pytest.param({"suspend": True}, id="suspended"),
        pytest.param({"status": {"finishedAt": "2026-01-01T00:01:40Z"}}, id="finished"),
    ],
)
def test_a_round_that_does_not_wait_asks_nothing(make: Make, more: dict[str, Any]) -> None:
    model = make.model("a", fetched=True, revision="main", at=-100)
    assert plan(make, model, rounds=[make.started("a", at=50, **more)]).fetch is None


def test_one_fetch_serves_two_rounds(make: Make) -> None:
    model = make.model("a", fetched=True, revision="main")
    rounds = [make.started("a", at=150, name="r1"), make.started("a", at=160, name="r2")]
    need = plan(make, model, rounds=rounds).fetch
    assert need is not None
    assert need.since == make.at(160)


def test_a_node_with_a_slow_clock_does_not_cause_a_second_fetch(make: Make) -> None:
    model, waiting = make.model("a", fetched=True, revision="main"), make.started("a", at=50)
    job = make.fetch("a", since=50, created=51, ended="Complete")
    pods = [make.pod(job, code=0, message=make.fetched(), at=-500)]
    found = plan(make, model, jobs=[job], pods=pods, rounds=[waiting])
    recorded = make.model("a", revision="main", status=found.status.to_wire())
    assert plan(make, recorded, rounds=[waiting]).fetch is None


def test_scores_come_from_complete_rounds_and_stay(make: Make) -> None:
    result = {"a": {"state": "Succeeded", "score": "0.500000", "rank": 2}}
    done = {"finishedAt": "2026-01-01T00:01:00Z", "conditions": [make.condition("Complete", "True", "RoundComplete")]}
    rounds = [make.started("a", results=result, status=done, name=f"r{i:02}") for i in range(12)]
    found = plan(make, make.model("a", fetched=True), rounds=rounds)
    assert found.status.latest is not None
    assert (found.status.latest.round, found.status.latest.rank) == ("r11", 2)
    assert len(found.status.history) == 10
    recorded = make.model("a", status=found.status.to_wire())
    assert plan(make, recorded).status == recorded.status
    assert condition(found, "Evaluated").status == "True"


def test_a_model_made_again_has_no_score_of_its_namesake(make: Make) -> None:
    result = {"a": {"state": "Succeeded", "score": "0.500000", "rank": 2}}
    done = {"finishedAt": "2026-01-01T00:01:00Z", "conditions": [make.condition("Complete", "True", "RoundComplete")]}
    over = [make.started("a", results=result, status=done)]
    assert plan(make, make.model("a", created=60), rounds=over).status.latest is not None
    assert plan(make, make.model("a", created=61), rounds=over).status.latest is None


def test_a_failed_round_gives_no_score(make: Make) -> None:
    result = {"a": {"state": "Succeeded", "score": "0.500000"}}
    failed = {
        "finishedAt": "2026-01-01T00:01:00Z",
        "conditions": [make.condition("Failed", "True", "InfrastructureFaults")],
    }
    found = plan(make, make.model("a", fetched=True), rounds=[make.started("a", results=result, status=failed)])
    assert found.status.latest is None
