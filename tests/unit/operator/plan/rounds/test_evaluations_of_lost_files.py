"""Evaluations whose model the cache has lost: fetched again in the same round, then evaluated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bitagent_operator.observed.objects import JobObject, ModelObject, PodObject, RoundObject
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
