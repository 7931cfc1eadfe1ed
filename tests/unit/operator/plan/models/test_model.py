"""Plans for one MinerModel."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.conditions import Reason
from bitagent_crds.jobs import FetchSummary, termination_message
from bitagent_crds.status import Condition
from bitagent_operator.observed.objects import ModelObject, RoundObject
from bitagent_operator.observed.workloads import JobObject, PodObject
from bitagent_operator.plan.interface import EventReason, ModelPlan
from bitagent_operator.plan.models import model as model_plan
from bitagent_operator.plan.models.fetch_slots import Turn, Turns
from bitagent_operator.plan.models.fetch_step import MAX_ATTEMPTS
from bitagent_operator.plan.models.hub import HubPause

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make


def plan(
    make: Make,
    model: ModelObject,
    *,
    jobs: Iterable[JobObject] = (),
    pods: Iterable[PodObject] = (),
    rounds: Iterable[RoundObject] = (),
    listed: bool = True,
    now: float = 100,
) -> ModelPlan:
    jobs = list(jobs)
    pass_ = make.pass_(now=now, listed=jobs if listed else ())
    pass_ = replace(pass_, live=replace(pass_.live, events={job.meta.uid: None for job in jobs}))
    return model_plan.plan(model, jobs=jobs, pods=list(pods), rounds=rounds, pass_=pass_)


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


def test_a_fetch_that_something_else_suspends_is_left_alone(make: Make) -> None:
    """No fight, and a word in the status."""
    start = plan(make, make.model("a")).fetch
    assert start is not None
    found = plan(make, make.model("a"), jobs=[make.fetch("a", need=start.need, suspended=True)])
    fetched = condition(found, "Fetched")
    assert (found.fetch, found.delete, fetched.status, fetched.reason) == (None, (), "Unknown", "JobSuspended")


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
    assert [n.reason for n in found.events] == ["ModelRejected"]
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


def test_a_changed_spec_is_fetched_again(make: Make) -> None:
    old = make.fetch("a")
    found = plan(make, make.model("a", fetched="NoSafetensors", generation=2), jobs=[old])
    assert found.fetch is not None
    assert [d.uid for d in found.delete] == [old.meta.uid]


def test_infrastructure_is_tried_again_with_back_off(make: Make) -> None:
    job = make.fetch("a", ended="Failed", reason="BackoffLimitExceeded", at=100)
    pods = [make.pod(job, code=1, message=make.fetch_fault("HubUnavailable"))]
    early = plan(make, make.model("a"), jobs=[job], pods=pods, now=110)
    assert (early.fetch, early.requeue_after, early.delete) == (None, 20, ())
    assert (condition(early, "Fetched").status, condition(early, "Fetched").reason) == ("Unknown", "HubUnavailable")
    due = plan(make, make.model("a"), jobs=[job], pods=pods, now=130)
    assert due.fetch is not None
    assert (due.fetch.need, due.fetch.attempt) == ("n", 2)
    both = plan(make, make.model("a"), jobs=[job, make.fetch("a", attempt=2)], pods=pods, now=131)
    assert (both.fetch, [d.uid for d in both.delete]) == (None, [job.meta.uid])


@pytest.mark.parametrize("verify", [False, True])
def test_the_next_attempt_verifies_as_the_first_one_did(make: Make, *, verify: bool) -> None:
    job = make.fetch("a", verify=verify, ended="Failed", reason="BackoffLimitExceeded", at=100)
    due = plan(make, make.model("a"), jobs=[job], pods=[make.pod(job, code=1)], now=130)
    assert due.fetch is not None
    assert (due.fetch.attempt, due.fetch.verify) == (2, verify)


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
    found = plan(make, make.model("a"), jobs=[job], listed=False)
    assert found.reads.pods_of_jobs == {job.meta.uid}


@pytest.mark.parametrize(
    ("model", "fetched"),
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
def test_a_round_fetches_what_may_have_changed(make: Make, model: dict[str, Any], fetched: bool) -> None:
    waiting = make.started("a", at=50)
    found = plan(make, make.model("a", **model), rounds=[waiting])
    assert (found.fetch is not None) == fetched
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
def test_a_round_that_does_not_wait_fetches_nothing(make: Make, more: dict[str, Any]) -> None:
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


def test_a_round_has_no_score_for_another_object_of_the_name(make: Make) -> None:
    result = {"a": make.admitted("a") | {"state": "Succeeded", "score": "0.500000", "rank": 2}}
    done = {"finishedAt": "2026-01-01T00:01:00Z", "conditions": [make.condition("Complete", "True", "RoundComplete")]}
    over = [make.started("a", results=result, status=done)]
    assert plan(make, make.model("a"), rounds=over).status.latest is not None
    assert plan(make, make.model("a", uid="new"), rounds=over).status.latest is None


@pytest.mark.parametrize(
    ("scored", "status", "named"),
    [
        pytest.param({}, "False", True, id="never scored"),
        pytest.param({"early": 1}, "True", True, id="scored before"),
        pytest.param({"late": 3}, "True", False, id="scored since"),
    ],
)
def test_a_miner_reads_why_the_last_round_has_no_score(
    make: Make, scored: dict[str, int], status: str, *, named: bool
) -> None:
    complete = [make.condition("Complete", "True", "RoundComplete")]
    over = {"finishedAt": "2026-01-01T00:02:00Z", "conditions": complete}
    unscored = {"a": {"state": "Unscored", "reason": "OutOfMemory"}}
    rounds = [make.started("a", results=unscored, status=over, name="hungry")]
    for name, minute in scored.items():
        results = {"a": {"state": "Succeeded", "score": "0.500000", "rank": 1}}
        end = over | {"finishedAt": f"2026-01-01T00:0{minute}:00Z"}
        rounds.append(make.started("a", results=results, status=end, name=name))
    found = plan(make, make.model("a", fetched=True), rounds=rounds)
    evaluated = condition(found, "Evaluated")
    assert (evaluated.status, "hungry" in evaluated.message and "OutOfMemory" in evaluated.message) == (status, named)
    recorded = make.model("a", status=found.status.to_wire())
    assert plan(make, recorded, rounds=rounds).status == recorded.status


def test_a_failed_round_gives_no_score(make: Make) -> None:
    result = {"a": {"state": "Succeeded", "score": "0.500000"}}
    failed = {
        "finishedAt": "2026-01-01T00:01:00Z",
        "conditions": [make.condition("Failed", "True", "InfrastructureFaults")],
    }
    found = plan(make, make.model("a", fetched=True), rounds=[make.started("a", results=result, status=failed)])
    assert found.status.latest is None


def surplus(make: Make, model: ModelObject, older: int, **more: Any) -> ModelPlan:
    pass_ = make.pass_(now=100, models_per_hotkey=8)
    return model_plan.plan(model, jobs=more.pop("jobs", ()), pods=[], rounds=(), pass_=pass_, older_of_hotkey=older)


def test_models_of_a_hotkey_beyond_its_number_are_not_fetched(make: Make) -> None:
    assert surplus(make, make.model("a"), 7).fetch is not None
    job = make.fetch("a")
    found = surplus(make, make.model("a"), 8, jobs=[job])
    assert (found.fetch, [d.uid for d in found.delete]) == (None, [job.meta.uid])
    assert (condition(found, "Fetched").status, condition(found, "Fetched").reason) == ("False", "TooManyModels")
    assert [n.reason for n in found.events] == ["ModelRejected"]
    again = surplus(make, make.model("a", status=found.status.to_wire()), 8)
    assert (again.status, again.events) == (found.status, ()), "reported once"


def test_a_model_that_its_hotkey_may_have_again_is_fetched(make: Make) -> None:
    refused = surplus(make, make.model("a"), 8).status.to_wire()
    assert surplus(make, make.model("a", status=refused), 7).fetch is not None
    unlimited = plan(make, make.model("a", status=refused))
    assert unlimited.fetch is not None


def full(make: Make) -> str:
    return termination_message(FetchSummary.model_validate({"reason": "CacheFull", "message": "no room"}))


def test_a_full_cache_is_waited_for_as_long_as_it_takes(make: Make) -> None:
    status: dict[str, Any] = {}
    jobs, needs = [], set()
    need, end = "n", 100.0
    for _ in range(30):
        job = make.fetch("a", need=need, created=end - 10, ended="Complete", at=end)
        jobs = [job]
        pods = [make.pod(job, code=0, message=full(make), at=end)]
        waiting = plan(make, make.model("a", status=status), jobs=jobs, pods=pods, now=end + 10)
        assert (waiting.fetch, waiting.requeue_after) == (None, 20)
        assert (condition(waiting, "Fetched").status, condition(waiting, "Fetched").reason) == ("Unknown", "CacheFull")
        due = plan(make, make.model("a", status=waiting.status.to_wire()), jobs=jobs, pods=pods, now=end + 30)
        assert due.fetch is not None
        assert due.fetch.attempt == 1, "a name holds few attempts"
        needs.add(due.fetch.need)
        status, need, end = due.status.to_wire(), due.fetch.need, end + 40
    assert len(needs) == 30, "each is a Job of its own"


def test_a_full_cache_is_reported_once(make: Make) -> None:
    job = make.fetch("a", ended="Complete", at=100)
    pods = [make.pod(job, code=0, message=full(make), at=100)]
    first = plan(make, make.model("a"), jobs=[job], pods=pods, now=101)
    assert [n.reason for n in first.events] == ["FetchDelayed"]
    known = make.model("a", status=first.status.to_wire())
    assert plan(make, known, jobs=[job], pods=pods, now=130).events == ()
    next_job = make.fetch("a", need="m", created=130, active=1)
    running = plan(make, known, jobs=[next_job], now=135)
    assert (running.events, condition(running, "Fetched").reason) == ((), "CacheFull")


def test_what_is_removed_again_and_again_has_one_event(make: Make) -> None:
    """The API takes an Event of one text once."""
    condition = {"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}
    texts, status = set(), None
    for number in range(3):
        begun = 100 * number
        running = make.fetch("a", need=f"n{number}", created=begun, active=1)
        waits = plan(make, make.model("a", status=status), jobs=[running], now=begun + 5)
        job = make.fetch("a", need=f"n{number}", created=begun, ended="Failed", at=begun + 40)
        removed = {"phase": "Failed", "conditions": [condition | {"message": f"by pod {number}"}]}
        pods = [make.pod(job, code=137, at=begun + 40, status=removed)]
        found = plan(make, make.model("a", status=waits.status.to_wire()), jobs=[job], pods=pods, now=begun + 41)
        texts |= {(event.reason, event.message) for event in found.events}
        status = found.status.to_wire()
    ((reason, _),) = texts
    assert reason == "FetchDelayed"


def freezing(make: Make, name: str = "r", at: float = 50, **entry: Any) -> RoundObject:
    results = {"a": entry} if entry else {}
    return make.started(
        "a", name=name, uid=f"uid-{name}", at=at, tasks=False, results=results, spec_tasks=make.seed_from()
    )


def test_the_commit_that_a_round_has_fixed_is_fetched(make: Make) -> None:
    """Whatever the branch stands for by then."""
    observed = freezing(make, commit="c" * 40, repo="org/a")
    model = make.model("a", revision="main", fetched=True, at=90)
    found = plan(make, model, rounds=[observed])
    assert found.fetch is not None
    assert (found.fetch.commit, found.fetch.since) == ("c" * 40, make.at(50))
    job = make.fetch("a", need=found.fetch.need, since=50, created=101, ended="Complete", commit="c" * 40)
    pods = [make.pod(job, code=0, message=make.fetched(commit="c" * 40), at=105)]
    done = plan(make, make.model("a", revision="main", status=found.status.to_wire()), jobs=[job], pods=pods, now=110)
    assert done.status.resolved is not None
    assert (done.status.resolved.commit, done.status.attempted) == ("c" * 40, "c" * 40)
    recorded = make.model("a", revision="main", status=done.status.to_wire())
    assert plan(make, recorded, rounds=[observed], now=111).fetch is None, "the round takes it over first"


def test_rounds_with_other_commits_are_served_one_after_the_other(make: Make) -> None:
    second = freezing(make, "r2", 60, commit="d" * 40)
    of_head = make.model("a", revision="main", fetched=True, at=90)
    found = plan(make, of_head, rounds=[second, freezing(make, "r1", commit="c" * 40)])
    assert found.fetch is not None
    assert found.fetch.commit == "c" * 40
    of_first = make.model("a", revision="main", fetched=True, at=95, facts={"commit": "c" * 40})
    assert plan(make, of_first, rounds=[second, freezing(make, "r1", commit="c" * 40)]).fetch is None
    admitted = freezing(make, "r1", commit="c" * 40, weightsDigest=make.digest("1"))
    next_ = plan(make, of_first, rounds=[second, admitted])
    assert next_.fetch is not None
    assert next_.fetch.commit == "d" * 40


def test_a_resolution_does_not_wait_for_a_fetch_that_runs(make: Make) -> None:
    found = plan(make, make.model("a", revision="main"), jobs=[make.fetch("a", active=1)], rounds=[freezing(make)])
    assert (found.fetch, found.delete) == (None, ())
    assert found.resolve is not None
    assert found.resolve.resolve_only


def test_a_resolution_leaves_what_is_known_of_the_files(make: Make) -> None:
    model = make.model("a", revision="main", fetched=True, at=90)
    job = make.fetch("a", since=50, created=95, resolve=True, active=1)
    found = plan(make, model, jobs=[job], rounds=[freezing(make)])
    assert (found.resolve, found.fetch, found.delete) == (None, None, ())
    assert condition(found, "Fetched").status == "True"


def test_a_revision_that_cannot_be_resolved_is_reported(make: Make) -> None:
    model = make.model("a", revision="main", fetched=True, at=90)
    job = make.fetch("a", since=50, created=95, resolve=True, ended="Failed", reason="PodFailurePolicy")
    pods = [make.pod(job, code=78, message=make.fetch_fault("RevisionNotFound"), at=98)]
    found = plan(make, model, jobs=[job], pods=pods, rounds=[freezing(make)])
    assert (condition(found, "Fetched").status, condition(found, "Fetched").reason) == ("False", "RevisionNotFound")


def test_a_verdict_of_a_later_evaluator_is_final_and_quoted(make: Make) -> None:
    job = make.fetch("a", ended="Failed", reason="PodFailurePolicy")
    pods = [make.pod(job, code=78, message='{"reason": "TooCold", "message": "below zero"}')]
    first = plan(make, make.model("a"), jobs=[job], pods=pods)
    fetched = condition(first, "Fetched")
    assert (fetched.status, fetched.reason) == ("False", "BadConfig")
    assert "TooCold (a reason of a later version): below zero" in fetched.message
    recorded = make.model("a", status=first.status.to_wire())
    second = plan(make, recorded, jobs=[job], pods=pods)
    assert (second.status, second.fetch) == (recorded.status, None)
    assert second.requeue_after is not None, "its Job is deleted some time"


SLOT = Turns(fetch=Turn(8, 3, 2))


def test_a_fetch_waits_for_its_turn(make: Make) -> None:
    found = model_plan.plan(make.model("a"), jobs=[], pods=[], rounds=[], pass_=make.pass_(), turns=SLOT)
    assert found.fetch is None
    assert (condition(found, "Fetched").status, condition(found, "Fetched").reason) == (
        "Unknown",
        "WaitingForFetchSlot",
    )
    assert (found.events, found.requeue_after) == ((), None), "it is enqueued when its turn comes"
    known = make.model("a", status=found.status.to_wire())
    again = model_plan.plan(known, jobs=[], pods=[], rounds=[], pass_=make.pass_(), turns=SLOT)
    assert again.status == known.status
    assert plan(make, known).fetch is not None


def test_a_fetch_waits_for_the_hub(make: Make) -> None:
    pause = Turns(fetch=Turn(pause=HubPause(Reason.HUB_RATE_LIMITED, make.at(160))))
    found = model_plan.plan(make.model("a"), jobs=[], pods=[], rounds=[], pass_=make.pass_(now=100), turns=pause)
    assert (found.fetch, found.requeue_after) == (None, 60)
    assert condition(found, "Fetched").reason == "HubRateLimited"
    assert [e.reason for e in found.events] == ["FetchDelayed"], "nothing has failed"
    known = make.model("a", status=found.status.to_wire())
    longer = Turns(fetch=Turn(pause=HubPause(Reason.HUB_RATE_LIMITED, make.at(220))))
    again = model_plan.plan(known, jobs=[], pods=[], rounds=[], pass_=make.pass_(now=160), turns=longer)
    assert (again.events, condition(again, "Fetched").reason) == ((), "HubRateLimited")


def test_a_fetch_that_waits_keeps_what_it_is_for(make: Make) -> None:
    """The recorded failure is replaced by the wait; its Job must not be recorded again, nor the commit be forgotten."""
    observed = freezing(make, commit="c" * 40, repo="org/a")
    model = make.model("a", revision="main", fetched="HubUnavailable", at=20)
    old = make.fetch("a", ended="Failed", at=20)
    held = model_plan.plan(model, jobs=[old], pods=[], rounds=[observed], pass_=make.pass_(now=100), turns=SLOT)
    assert (held.fetch, [d.uid for d in held.delete]) == (None, [old.meta.uid])
    waiting = make.model("a", revision="main", status=held.status.to_wire())
    start = plan(make, waiting, rounds=[observed]).fetch
    assert start is not None
    assert (start.commit, start.since) == ("c" * 40, make.at(50))


def test_a_commit_of_another_source_is_not_fetched_from_this_one(make: Make) -> None:
    """The round that fixed it refuses the model; the new source is fetched as it is."""
    start = plan(make, make.model("a"), rounds=[freezing(make, commit="c" * 40, repo="org/other")]).fetch
    assert start is not None
    assert start.commit is None


def limited(seconds: int | None = None) -> str:
    return termination_message(FetchSummary(reason=Reason.HUB_RATE_LIMITED, message="m", retry_after_seconds=seconds))


@pytest.mark.parametrize(("seconds", "wait"), [(None, 30), (10, 30), (90, 90)], ids=["not said", "shorter", "longer"])
def test_a_limit_of_the_hub_costs_no_attempt(make: Make, seconds: int | None, wait: int) -> None:
    job = make.fetch("a", attempt=MAX_ATTEMPTS, ended="Failed", reason="PodFailurePolicy", at=100)
    pods = [make.pod(job, code=75, message=limited(seconds))]
    early = plan(make, make.model("a"), jobs=[job], pods=pods, now=100)
    assert (early.fetch, early.requeue_after) == (None, wait)
    assert (condition(early, "Fetched").status, condition(early, "Fetched").reason) == ("Unknown", "HubRateLimited")
    assert [(t.job, t.reason) for t in early.troubles] == [(job.meta.uid, "HubRateLimited")]
    due = plan(make, make.model("a"), jobs=[job], pods=pods, now=100 + wait)
    assert due.fetch is not None
    assert (due.fetch.attempt, due.fetch.need != "n") == (1, True)
    assert condition(due, "Fetched").reason == "Fetching"


def test_what_the_hub_answered_is_news_once(make: Make) -> None:
    job = make.fetch("a", ended="Complete", at=100)
    pods = [make.pod(job, code=0, message=make.fetched())]
    first = plan(make, make.model("a"), jobs=[job], pods=pods, now=101)
    assert first.answered == make.at(100)
    recorded = make.model("a", status=first.status.to_wire())
    assert plan(make, recorded, jobs=[job], pods=pods, now=101).answered is None


@pytest.mark.parametrize(
    ("job", "pod", "replaced"),
    [
        pytest.param({"template": "old"}, {"waiting": ("ImagePullBackOff", "no such image")}, True, id="never started"),
        pytest.param({"template": "old"}, None, True, id="no pod"),
        pytest.param({}, None, True, id="of a version that recorded none"),
        pytest.param({"template": "new"}, {"waiting": ("ImagePullBackOff", "no such image")}, False, id="as now"),
        pytest.param({"template": "old"}, {}, False, id="runs"),
        pytest.param({"template": "old", "failed": 1}, None, False, id="a pod has failed"),
        pytest.param({"template": "old", "ended": "Failed"}, None, False, id="has ended"),
    ],
)
def test_a_rollback_replaces_what_never_started(
    make: Make, job: dict[str, Any], pod: dict[str, Any] | None, *, replaced: bool
) -> None:
    made = make.fetch("a", **job)
    pods = [make.pod(made, **pod)] if pod is not None else []
    pass_ = make.pass_(now=11, listed=[made])
    found = model_plan.plan(
        make.model("a"), jobs=[made], pods=pods, rounds=[], pass_=pass_, templates={made.meta.uid: "new"}
    )
    assert [(d.uid, d.replaced) for d in found.delete] == ([(made.meta.uid, True)] if replaced else [])
    assert (EventReason.JOB_REPLACED in [e.reason for e in found.events]) == replaced
    assert found.fetch is None, "its name is free once it is gone"
    start = plan(make, make.model("a", status=found.status.to_wire())).fetch
    assert start is not None
    assert start.attempt == 1


@pytest.mark.parametrize(
    ("model", "resolved"),
    [
        pytest.param({}, ("Unknown", "WaitingForFetchSlot"), id="new"),
        pytest.param({"fetched": True, "at": 40}, ("True", "Resolved"), id="known by an earlier commit"),
    ],
)
def test_a_resolution_waits_for_its_turn(make: Make, model: dict[str, Any], resolved: tuple[str, str]) -> None:
    raw = make.model_raw("a", revision="main", **model)
    raw["status"].setdefault("conditions", []).append(make.condition("Resolved", *resolved))
    observed, turns = ModelObject.parse(raw), Turns(resolve=Turn(32, 40, 1))
    found = model_plan.plan(
        observed, jobs=[], pods=[], rounds=[freezing(make, at=110)], pass_=make.pass_(now=115), turns=turns
    )
    assert found.resolve is None
    assert (condition(found, "Resolved").status, condition(found, "Resolved").reason) == resolved
    started = model_plan.plan(observed, jobs=[], pods=[], rounds=[freezing(make, at=110)], pass_=make.pass_(now=115))
    assert started.resolve is not None
