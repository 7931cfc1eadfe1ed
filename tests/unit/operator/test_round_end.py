"""When a round is over, and what of it is cleared away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bitagent_operator.observed import RoundObject

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make, Plan


def finished(make: Make, **more: Any) -> RoundObject:
    digest = make.digest("1")
    done = {"a": {"state": "Succeeded", "score": "0.500000", "rank": 1, "weightsDigest": digest}}
    return make.started("a", results=done, status={"finishedAt": "2026-01-01T00:01:00Z"}, **more)


def test_nothing_changes_any_more(make: Make, plan: Plan) -> None:
    observed = finished(make)
    found = plan(observed, [make.model("a", fetched=True, weights="9")])
    assert (found.status, found.evaluate, found.delete) == (observed.status, (), ())


@pytest.mark.parametrize(("now", "deleted"), [pytest.param(100, False, id="early"), pytest.param(160, True, id="due")])
def test_jobs_go_when_their_time_is_over(make: Make, plan: Plan, now: float, deleted: bool) -> None:
    job = make.evaluation(make.key("1"), ended="Complete")
    found = plan(finished(make, ttlSecondsAfterFinished=100), jobs=[job], now=now)
    assert bool(found.delete) == deleted
    assert found.again == (None if deleted else 60)


def test_without_a_time_they_stay(make: Make, plan: Plan) -> None:
    job = make.evaluation(make.key("1"), ended="Complete")
    assert plan(finished(make), jobs=[job], now=1e7).delete == ()


def test_a_job_that_nobody_needs_is_stopped(make: Make, plan: Plan) -> None:
    job = make.evaluation("other", active=1)
    assert [d.uid for d in plan(finished(make), jobs=[job]).delete] == [job.meta.uid]


def test_another_rounds_jobs_of_the_same_name_give_no_results(make: Make, plan: Plan) -> None:
    old = make.evaluation(make.key("1"), owner="uid-of-the-old-round", ended="Complete")
    pods = [make.pod(old, code=0, message=make.scored("0.900000"))]
    found = plan(make.started("a"), [make.model("a", fetched=True)], jobs=[old], pods=pods)
    assert [d.uid for d in found.delete] == [old.meta.uid]
    assert found.results["a"].score is None


def test_everything_rejected_is_complete(make: Make, plan: Plan) -> None:
    found = plan(make.started("a"), [make.model("a", fetched="CustomCode")])
    assert found.status.phase == "Complete"
    assert found.status.counts.rejected == 1
