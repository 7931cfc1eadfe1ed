"""Evaluations whose model the cache has lost: fetched again in the same round, then evaluated."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.names import CACHE_LABEL, model_claim
from bitagent_operator.observed.objects import ModelObject, RoundObject
from bitagent_operator.observed.workloads import JobObject, PodObject, Unschedulable
from bitagent_operator.plan.models import model as model_plan

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make, Plan

LOST = 50.0
"""Second at which an evaluation missed the files."""


def missed(make: Make, attempt: int = 1) -> tuple[JobObject, PodObject]:
    job = make.evaluation(make.key("1"), attempt=attempt, ended="Failed", reason="PodFailurePolicy", at=LOST)
    return job, make.pod(job, code=75, message=make.evaluate_fault("ModelFilesMissing"), at=LOST - 1)


def round_of(make: Make, plan: Plan, **model: Any) -> RoundObject:
    """The round as it is recorded after the evaluation missed the files."""
    job, pod = missed(make)
    admitted = {"a": make.admitted("a") | {"state": "Pending", "reason": "WaitingForSlot"}}
    found = plan(make.started("a", results=admitted), [make.model("a", fetched=True, **model)], jobs=[job], pods=[pod])
    return make.round(status=found.status.to_wire())


def test_an_evaluation_that_misses_its_files_waits_for_them(make: Make, plan: Plan) -> None:
    observed = round_of(make, plan)
    (result,) = observed.status.results
    assert (result.state, result.reason, result.finished_at) == ("Pending", "ModelFilesMissing", make.at(LOST))
    assert observed.status.finished_at is None
    job, pod = missed(make)
    again = plan(observed, [make.model("a", fetched=True)], jobs=[job], pods=[pod])
    assert (again.evaluate, again.status.results) == ((), observed.status.results)


@pytest.mark.parametrize(
    ("model", "state", "starts"),
    [
        pytest.param({"fetched": True, "at": LOST - 1}, ("Pending", "ModelFilesMissing"), [], id="fetched before"),
        pytest.param({"fetched": True, "at": LOST}, ("Pending", "WaitingForSlot"), [2], id="fetched again"),
        pytest.param(
            {"fetched": "RepositoryNotFound", "at": LOST + 1}, ("Rejected", "RepositoryNotFound"), [], id="gone"
        ),
        pytest.param({"fetched": "VolumeFull", "at": LOST + 1}, ("InfraFault", "VolumeFull"), [], id="not obtainable"),
        pytest.param(
            {"fetched": True, "at": LOST + 1, "facts": {"commit": "b" * 40}},
            ("Pending", "ModelFilesMissing"), [], id="another commit",
        ),
        pytest.param(
            {"fetched": True, "at": LOST + 1, "facts": {"commit": "b" * 40}, "status": {"attempted": "a" * 40}},
            ("Rejected", "CommitTooLate"), [], id="a directory that has changed",
        ),
    ],
)  # fmt: skip
def test_what_the_fetch_finds_decides(
    make: Make, plan: Plan, model: dict[str, Any], state: tuple[str, str], starts: list[int]
) -> None:
    job, pod = missed(make)
    status = model.pop("status", {})
    raw = make.model_raw("a", **model)
    raw["status"] |= status
    found = plan(round_of(make, plan), [ModelObject.parse(raw)], jobs=[job], pods=[pod])
    assert found.states["a"] == state
    assert [start.attempt for start in found.evaluate] == starts


def test_files_that_no_fetch_can_find_end_the_evaluation(make: Make, plan: Plan) -> None:
    """Its repetition misses them, and the MinerModel names another source by now, which is all that is fetched."""
    failure = {"attempt": 1, "reason": "OutOfMemory", "at": "2026-01-01T00:00:05Z", "nodes": ["n1"]}
    running = make.admitted("a") | {"state": "Running", "reason": "OutOfMemory", "failures": [failure]}
    job, pod = missed(make, attempt=2)
    source = {"source": {"huggingFace": {"repo": "org/other", "revision": "b" * 40}}}
    other = make.model("a", fetched=True, at=LOST + 1, raw_spec=source, facts={"commit": "b" * 40})
    found = plan(make.started("a", results={"a": running}), [other], jobs=[job], pods=[pod])
    assert found.states["a"] == ("Rejected", "CommitTooLate")


def test_files_that_go_missing_again_and_again_fail_the_round(make: Make, plan: Plan) -> None:
    jobs, pods = zip(*(missed(make, attempt) for attempt in (1, 2, 3)), strict=True)
    found = plan(make.started("a"), [make.model("a", fetched=True)], jobs=jobs, pods=pods)
    assert found.states["a"] == ("InfraFault", "ModelFilesMissing")
    assert found.status.phase == "Failed"


@pytest.mark.parametrize(
    ("model", "fetches"),
    [
        pytest.param({"fetched": True, "at": LOST - 1}, True, id="fetched before"),
        pytest.param({"fetched": True, "at": LOST}, False, id="fetched again"),
        pytest.param({"fetched": "VolumeFull", "at": LOST}, False, id="failed again"),
        pytest.param({"fetched": "VolumeFull", "at": LOST - 1}, True, id="failed before"),
        pytest.param({}, True, id="waits for a slot"),
    ],
)
def test_the_model_is_fetched_again(make: Make, plan: Plan, model: dict[str, Any], *, fetches: bool) -> None:
    observed = round_of(make, plan)
    found = model_plan.plan(
        make.model("a", **model), jobs=[], pods=[], rounds=[observed], pass_=make.pass_(now=LOST + 10)
    )
    assert (found.fetch is not None) == fetches
    if found.fetch is not None:
        assert (found.fetch.commit, found.fetch.since, found.fetch.verify) == ("a" * 40, make.at(LOST), True)


def test_a_namesake_from_another_source_is_not_what_was_lost(make: Make, plan: Plan) -> None:
    source = {"source": {"huggingFace": {"repo": "org/other", "revision": "b" * 40}}}
    model = make.model("a", raw_spec=source, fetched=True, at=LOST - 1)
    found = model_plan.plan(model, jobs=[], pods=[], rounds=[round_of(make, plan)], pass_=make.pass_(now=LOST + 10))
    assert found.fetch is None


@pytest.mark.parametrize(
    ("gone", "state"),
    [
        pytest.param(["a"], ("Rejected", "ModelDeleted"), id="for sure"),
        pytest.param([], ("Pending", "ModelFilesMissing"), id="perhaps: it is read"),
    ],
)
def test_nothing_fetches_the_files_of_a_model_that_is_deleted(
    make: Make, plan: Plan, gone: list[str], state: tuple[str, str]
) -> None:
    job, pod = missed(make)
    found = plan(round_of(make, plan), [], jobs=[job], pods=[pod], gone=gone)
    assert found.states["a"] == state
    assert (found.reads.models == frozenset({"a"})) == (not gone)


CLAIM = model_claim("0123456789ab")


def without_claim(make: Make, words: str) -> tuple[JobObject, PodObject]:
    """An evaluation whose pod no node accepts, by these words."""
    job = make.evaluation(make.key("1"))
    job = replace(job, meta=replace(job.meta, labels={**job.meta.labels, CACHE_LABEL: "0123456789ab"}))
    pod = make.pod(job, unschedulable=LOST)
    return job, replace(pod, unschedulable=Unschedulable(make.at(LOST), words))


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        pytest.param(f'persistentvolumeclaim "{CLAIM}" not found', "ModelFilesMissing", id="deleted"),
        pytest.param(
            f'persistentvolumeclaim "{CLAIM}" bound to non-existent persistentvolume "pv"',
            "ModelFilesMissing",
            id="lost",
        ),
        pytest.param(f'persistentvolumeclaim "{CLAIM}" is being deleted', "ModelFilesMissing", id="kept by a pod"),
        pytest.param('persistentvolumeclaim "artifacts" not found', "WaitingForNode", id="another claim"),
        pytest.param("no GPUs", "WaitingForNode", id="another cause"),
    ],
)
def test_a_claim_that_is_gone_is_fetched_into_again(make: Make, plan: Plan, words: str, reason: str) -> None:
    """The pod that waits for it starts then by itself."""
    job, pod = without_claim(make, f"0/3 nodes are available: {words}. preemption: no")
    model = make.model("a", fetched=True, at=LOST - 1)
    found = plan(make.started("a", results={"a": make.admitted("a")}), [model], jobs=[job], pods=[pod])
    assert (found.states["a"], found.delete) == (("Pending", reason), ())
    observed = make.round(status=found.status.to_wire())
    pass_ = make.pass_(now=100, volume_per_model=True, cache_is_bounded=True)
    fetch = model_plan.plan(model, jobs=[], pods=[], rounds=[observed], pass_=pass_).fetch
    assert (fetch is not None) == (reason == "ModelFilesMissing")
    again = make.model("a", fetched=True, at=LOST)
    assert model_plan.plan(again, jobs=[], pods=[], rounds=[observed], pass_=pass_).fetch is None


def test_a_claim_that_went_with_its_model_ends_the_evaluation(make: Make, plan: Plan) -> None:
    job, pod = without_claim(make, f'0/3 nodes are available: persistentvolumeclaim "{CLAIM}" not found.')
    observed = make.started("a", results={"a": make.admitted("a")})
    found = plan(observed, [], jobs=[job], pods=[pod], gone=["a"])
    assert found.states["a"] == ("Rejected", "ModelDeleted")
    ended = plan(make.round(status=found.status.to_wire()), [], jobs=[job], pods=[pod], gone=["a"])
    assert [each.name for each in (*found.delete, *ended.delete)] == [job.meta.name]


def test_what_is_decided_stays_when_its_model_is_deleted(make: Make, plan: Plan) -> None:
    decided = {"state": "InfraFault", "reason": "ModelFilesMissing", "finishedAt": "2026-01-01T00:00:50Z"}
    results = {"a": make.admitted("a") | decided, "b": make.admitted("b", weights="2")}
    found = plan(make.started("a", "b", results=results), [make.model("b", fetched=True, weights="2")], gone=["a"])
    assert found.states["a"] == ("InfraFault", "ModelFilesMissing")
