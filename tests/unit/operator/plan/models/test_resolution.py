"""Resolutions: which model needs one, and what its Job's end means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.jobs import FetchSummary, termination_message
from bitagent_operator.plan.models.resolution import ResolutionStep, resolve, resolved_for, with_first_sight

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make

    from bitagent_operator.observed.objects import ModelObject, RoundObject
    from bitagent_operator.observed.workloads import JobObject, PodObject

START = 100.0


def round_(make: Make, *, published: bool = False, **more: Any) -> RoundObject:
    return make.started("a", at=START, tasks=False, spec_tasks=make.seed_from(published=published), **more)


def step(
    make: Make,
    model: ModelObject,
    *rounds: RoundObject,
    jobs: list[JobObject] | None = None,
    pods: list[PodObject] | None = None,
    now: float = 120,
) -> ResolutionStep:
    jobs = jobs or []
    return resolve(model, jobs=jobs, pods=pods or [], rounds=rounds, pass_=make.pass_(now=now, listed=jobs))


def resolving(make: Make, **more: Any) -> JobObject:
    return make.fetch("a", since=START, created=START, **more)


def test_a_branch_is_resolved_for_a_round_that_fixes_its_models(make: Make) -> None:
    found = step(make, make.model("a", revision="main"), round_(make))
    assert found.start is not None
    assert (found.start.resolve_only, found.start.since) == (True, make.at(START))


@pytest.mark.parametrize(
    ("model", "rounds"),
    [
        pytest.param({"revision": "b" * 40}, {}, id="a commit is fixed as it is"),
        pytest.param({"revision": "main", "suspend": True}, {}, id="suspended"),
        pytest.param({"revision": "main"}, {"published": True}, id="too late"),
        pytest.param({"revision": "main"}, {"suspend": True}, id="the round is suspended"),
        pytest.param({"revision": "main"}, {"results": {"a": {"commit": "c" * 40}}}, id="fixed"),
        pytest.param({"revision": "main"}, {"results": {"a": {"state": "Rejected"}}}, id="takes no part"),
        pytest.param({"revision": "main"}, {"status": {"finishedAt": "2026-01-01T01:00:00Z"}}, id="over"),
        pytest.param({"revision": "main", "fetched": "RepositoryNotFound", "at": START}, {}, id="not on the hub"),
    ],
)
def test_no_resolution(make: Make, model: dict[str, Any], rounds: dict[str, Any]) -> None:
    found = step(make, make.model("a", **model), round_(make, **rounds))
    assert (found.start, found.unneeded) == (None, ())


def test_a_round_with_a_given_seed_needs_none(make: Make) -> None:
    assert step(make, make.model("a", revision="main"), make.started("a", at=START)).start is None


def test_the_commit_is_recorded_then_the_job_goes(make: Make) -> None:
    job = resolving(make, ended="Complete")
    message = termination_message(FetchSummary.model_validate({"reason": "Resolved", "commit": "c" * 40}))
    pods = [make.pod(job, code=0, message=message, at=110)]
    found = step(make, make.model("a", revision="main"), round_(make), jobs=[job], pods=pods)
    assert found.status.resolution is not None
    assert (found.status.resolution.commit, found.start, found.unneeded) == ("c" * 40, None, ())
    known = make.model("a", revision="main", status={"resolution": found.status.resolution.to_wire()})
    assert resolved_for(known, started=make.at(START)) == "c" * 40
    assert step(make, known, round_(make), jobs=[job], pods=pods).unneeded == (job,)


@pytest.mark.parametrize(
    ("change", "known"),
    [
        pytest.param({}, True, id="of this round"),
        pytest.param({"at": "2026-01-01T00:00:30Z"}, False, id="of a round before"),
        pytest.param({"generation": 2}, False, id="of another spec"),
    ],
)
def test_an_older_resolution_is_not_used(make: Make, change: dict[str, Any], known: bool) -> None:
    resolution = {"commit": "c" * 40, "generation": 1, "at": "2026-01-01T00:01:50Z"} | change
    model = make.model("a", revision="main", status={"resolution": resolution})
    assert resolved_for(model, started=make.at(START)) == ("c" * 40 if known else None)


def test_a_revision_that_does_not_exist_is_final(make: Make) -> None:
    job = resolving(make, ended="Failed", reason="PodFailurePolicy")
    pods = [make.pod(job, code=78, message=make.fetch_fault("RevisionNotFound"), at=110)]
    found = step(make, make.model("a", revision="main"), round_(make), jobs=[job], pods=pods)
    assert found.failure is not None
    assert (found.failure[0].reason, found.failure[1]) == ("RevisionNotFound", make.at(110))


def test_a_hub_that_is_away_is_asked_again_until_the_seed_is_published(make: Make) -> None:
    job = resolving(make, ended="Failed", reason="BackoffLimitExceeded", at=115)
    pods = [make.pod(job, code=1, message=make.fetch_fault("HubUnavailable"), at=115)]
    model = make.model("a", revision="main")
    early = step(make, model, round_(make), jobs=[job], pods=pods, now=120)
    assert (early.start, early.requeue_after) == (None, 5)
    due = step(make, model, round_(make), jobs=[job], pods=pods, now=125)
    assert due.start is not None
    assert (due.start.need != "n", due.start.attempt) == (True, 1), "a name holds few attempts"
    late = step(make, model, round_(make, published=True), jobs=[job], pods=pods, now=125)
    assert (late.start, late.unneeded) == (None, (job,))


def test_a_resolution_is_not_of_the_future_by_a_clock_that_is_ahead(make: Make) -> None:
    job = resolving(make, ended="Complete")
    message = termination_message(FetchSummary.model_validate({"reason": "Resolved", "commit": "c" * 40}))
    pods = [make.pod(job, code=0, message=message, at=7200)]
    found = step(make, make.model("a", revision="main"), round_(make), jobs=[job], pods=pods).status.resolution
    assert found is not None
    assert found.at == make.at(120)


def test_a_job_whose_node_was_lost_is_made_again(make: Make) -> None:
    job = resolving(make, started=START)
    pods = [make.pod(job, at=110, deleted=140, node="gone")]
    branch, round_of_it = make.model("a", revision="main"), round_(make)
    found = [step(make, branch, round_of_it, jobs=[job], pods=pods, now=now) for now in (150, 205, 211)]
    assert [each.start is not None for each in found] == [False, False, True]
    assert found[1].requeue_after is not None


def test_a_job_whose_pod_was_late_without_a_container_is_made_again(make: Make) -> None:
    """Nothing says when it ended: a wait from each look on would never end."""
    job = resolving(make, active=1)
    idle = {"phase": "Failed", "reason": "DeadlineExceeded"}
    pods = [make.pod(job, waiting=("ContainerCreating", ""), status=idle)]
    found = step(make, make.model("a", revision="main"), round_(make), jobs=[job], pods=pods, now=50_000)
    assert found.start is not None


def test_a_running_job_is_waited_for(make: Make) -> None:
    found = step(make, make.model("a", revision="main"), round_(make), jobs=[resolving(make, active=1)])
    assert (found.start, found.unneeded, found.failure) == (None, (), None)


def sight(make: Make, commit: str, at: float) -> dict[str, Any]:
    return {"commit": commit * 40, "generation": 1, "at": make.at(at).isoformat().replace("+00:00", "Z")}


@pytest.mark.parametrize(
    ("status", "commit", "at"),
    [
        pytest.param({"resolution": ("b", 50)}, "b", 50, id="the first one"),
        pytest.param({"resolution": ("b", 90), "firstSeen": ("b", 50)}, "b", 50, id="the same again"),
        pytest.param({"resolution": ("d", 90), "firstSeen": ("b", 50)}, "d", 90, id="a branch that has moved"),
        pytest.param({"firstSeen": ("b", 50)}, "b", 50, id="nothing is known at present"),
    ],
)
def test_the_first_sight_of_a_commit(make: Make, status: dict[str, Any], commit: str, at: float) -> None:
    made = {name: sight(make, *each) for name, each in status.items()}
    if "firstSeen" in made:
        del made["firstSeen"]["generation"]
    found = with_first_sight(make.model("a", revision="main", status=made).status).first_seen
    assert found is not None
    assert (found.commit, found.at) == (commit * 40, make.at(at))


def test_the_files_may_be_older_or_newer_than_the_resolution(make: Make) -> None:
    model = make.model("a", fetched=True, at=70, revision="main", status={"resolution": sight(make, "b", 50)})
    found = with_first_sight(model.status)
    assert found.first_seen is not None and found.first_seen.at == make.at(70)
    assert with_first_sight(make.model("a").status).first_seen is None
