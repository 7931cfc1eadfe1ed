"""Fetch Jobs that are being deleted: the next one has to wait for its name, but not for ever."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.names import NEED_LABEL
from bitagent_operator.observed.workloads import JobObject
from bitagent_operator.plan.interface import ModelPlan
from bitagent_operator.plan.models.fetch_slots import free_of_the_dead
from bitagent_operator.plan.models.model import plan

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make

GONE = 600


def planned(make: Make, *jobs: JobObject, now: float = 1000) -> ModelPlan:
    return plan(make.model("a"), jobs=jobs, pods=[], rounds=[], pass_=make.pass_(now=now))


def need(make: Make) -> str:
    """What a new model is fetched for."""
    start = planned(make).fetch
    assert start is not None
    return start.need


def deleted(make: Make, of: str, *, at: float, **more: Any) -> JobObject:
    """A fetch Job that somebody deletes, and that a finalizer keeps."""
    return make.fetch("a", need=of, deletionTimestamp=make.at(at).strftime("%Y-%m-%dT%H:%M:%SZ"), **more)


def test_its_name_is_waited_for(make: Make) -> None:
    """The creation is tried all the same: the cache may be late."""
    found = planned(make, deleted(make, need(make), at=900))
    assert found.fetch is not None
    assert found.fetch.need == need(make)
    fetched = next(c for c in found.status.conditions if c.type == "Fetched")
    assert (fetched.reason, "is being deleted" in fetched.message) == ("Fetching", True)
    assert found.requeue_after == 900 + GONE - 1000


@pytest.mark.parametrize("dead", [1, 2])
def test_one_that_never_goes_is_followed_under_another_name(make: Make, dead: int) -> None:
    """Somebody may keep that one, too."""
    jobs: list[JobObject] = []
    for _ in range(dead):
        start = planned(make, *jobs).fetch
        assert start is not None
        jobs.append(deleted(make, start.need, at=1000 - GONE))
    found = planned(make, *jobs)
    assert found.fetch is not None
    assert found.fetch.need not in {job.meta.labels[NEED_LABEL] for job in jobs}
    assert found.requeue_after is None


def test_the_name_of_another_job_is_no_obstacle(make: Make) -> None:
    start = planned(make).fetch
    assert free_of_the_dead("a", start, [deleted(make, "other", at=0)], make.at(1000)) == start
    assert free_of_the_dead("a", None, [], make.at(1000)) is None
