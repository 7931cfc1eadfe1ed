"""When a fetch has found what it found, whatever the nodes' clocks say."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from bitagent_operator.plan.interface import Evicted
from bitagent_operator.plan.models.fetch import needed_fetch
from bitagent_operator.plan.models.fetch_step import MAX_ATTEMPTS, record_fetch
from bitagent_operator.plan.models.model import plan

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make

NOW = 100
HOURS = 3600
LATE = {"reason": "DeadlineExceeded", "phase": "Failed"}
CREATING = {"waiting": ("ContainerCreating", ""), "status": LATE}


@pytest.mark.parametrize(
    ("code", "reason", "clock", "at"),
    [
        pytest.param(0, "", 90, 89, id="a node says when"),
        pytest.param(0, "", 7200, NOW, id="its clock is ahead"),
        pytest.param(0, "", -7200, 51, id="its clock is behind"),
        pytest.param(78, "BadConfig", 90, NOW, id="a rejection counts from when it is recorded"),
        pytest.param(78, "BadConfig", 7200, NOW, id="a rejection by a clock that is ahead"),
    ],
)
def test_nothing_was_found_in_the_future(make: Make, code: int, reason: str, clock: float, at: float) -> None:
    job = make.fetch("a", since=50, created=51, ended="Complete" if code == 0 else "Failed")
    message = make.fetch_fault(reason) if reason else make.fetched()
    pods = [make.pod(job, code=code, message=message, at=clock)]
    found = record_fetch(make.model("a", revision="main"), job, pods, make.pass_(now=NOW, listed=[job]))
    assert found.result is not None
    assert found.result.at == make.at(at)


def test_a_branch_is_fetched_again_for_a_later_round_although_a_clock_was_ahead(make: Make) -> None:
    job = make.fetch("a", since=50, created=51, ended="Complete")
    pods = [make.pod(job, code=0, message=make.fetched(), at=7200)]
    found = record_fetch(make.model("a", revision="main"), job, pods, make.pass_(now=NOW, listed=[job]))
    model = make.model("a", revision="main", status=found.status.to_wire())
    later = make.started("a", at=1800)
    assert needed_fetch(model, found.result, [later]) is not None


@pytest.mark.parametrize(
    ("attempt", "pod", "reason", "following"),
    [
        pytest.param(1, {"unschedulable": 1}, "Unschedulable", None, id="no node took it for ten hours"),
        pytest.param(1, {"waiting": ("ErrImagePull", "no")}, "ImagePullFailed", None, id="its image is not there yet"),
        pytest.param(1, CREATING, "StartTimedOut", ("other", 1), id="a node had it for six hours and ran nothing"),
        pytest.param(MAX_ATTEMPTS, CREATING, "StartTimedOut", ("other", 1), id="which uses up no attempt"),
        pytest.param(1, {"code": 143, "status": LATE}, "Fetching", ("n", 2), id="it ran for six hours"),
        pytest.param(MAX_ATTEMPTS, {"code": 143, "status": LATE}, "DeadlineExceeded", None, id="for the last time"),
        pytest.param(1, {"deleted": 0, "node": "n1"}, "Fetching", ("other", 1), id="its node was lost"),
        pytest.param(
            MAX_ATTEMPTS, {"deleted": 0, "node": "n1"}, "Fetching", ("other", MAX_ATTEMPTS), id="which is no attempt"
        ),
        pytest.param(1, {"code": 3, "phase": "Running"}, "Fetching", ("n", 2), id="a sidecar keeps a failed pod"),
    ],
)
def test_only_what_runs_uses_up_the_time_of_a_fetch(
    make: Make, attempt: int, pod: dict[str, Any], reason: str, following: tuple[str, int] | None
) -> None:
    job = make.fetch("a", attempt=attempt, active=1)
    found = plan(make.model("a"), jobs=[job], pods=[make.pod(job, **pod)], rounds=[], pass_=make.pass_(now=10 * HOURS))
    fetched = next(c for c in found.status.conditions if c.type == "Fetched")
    final = attempt == MAX_ATTEMPTS and following is None
    assert (fetched.status, fetched.reason) == ("False" if final else "Unknown", reason)
    start = found.fetch
    assert (start and ("n" if start.need == "n" else "other", start.attempt)) == following
    if final:  # its Job would start two pods more
        recorded = make.model("a", status=found.status.to_wire())
        after = plan(recorded, jobs=[job], pods=[], rounds=[], pass_=make.pass_(now=10 * HOURS + 1))
        assert [each.uid for each in after.delete] == [job.meta.uid]


@pytest.mark.parametrize("ended", [{}, {"ended": "Failed"}], ids=["its Job has not ended", "it has"])
def test_a_pod_that_was_late_without_a_container_after_one_that_ran(make: Make, ended: dict[str, Any]) -> None:
    """Nothing says when it ended: a wait from each look on would never end."""
    job = make.fetch("a", active=1, failed=1, **ended)
    pods = [make.pod(job, name="p1", code=3, at=60), make.pod(job, name="p2", created=61, **CREATING)]
    found = plan(make.model("a"), jobs=[job], pods=pods, rounds=[], pass_=make.pass_(now=7 * HOURS, listed=[job]))
    assert found.fetch is not None
    assert found.fetch.attempt == 2


def test_the_job_of_a_late_pod_goes_once_the_next_exists(make: Make) -> None:
    jobs = [make.fetch("a", active=1), make.fetch("a", attempt=2, active=1)]
    late, silent = make.pod(jobs[0], code=143, status=LATE), make.pass_(now=7 * HOURS, events={jobs[1].meta.uid: None})
    found = plan(make.model("a"), jobs=jobs, pods=[late], rounds=[], pass_=silent)
    assert (found.fetch, [each.uid for each in found.delete]) == (None, [jobs[0].meta.uid])


def test_a_sidecar_does_not_keep_a_fetch_that_is_done(make: Make) -> None:
    job = make.fetch("a", active=1)
    pods = [make.pod(job, code=0, phase="Running", message=make.fetched())]
    found = plan(make.model("a"), jobs=[job], pods=pods, rounds=[], pass_=make.pass_())
    recorded = make.model("a", status=found.status.to_wire())
    after = plan(recorded, jobs=[job], pods=pods, rounds=[], pass_=make.pass_())
    assert [each.uid for each in after.delete] == [job.meta.uid]


PREEMPTED = {"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler", "message": "m"}
REMOVED: dict[str, Any] = {"code": 137, "status": {"phase": "Failed", "conditions": [PREEMPTED]}}
STOPPED: dict[str, Any] = {"code": 143, "message": '{"reason": "Stopped", "message": "by SIGTERM"}'}
PRESSED: dict[str, Any] = {"code": 137, "status": {"phase": "Failed", "reason": "Evicted", "conditions": [PREEMPTED]}}


@pytest.mark.parametrize(
    ("pods", "reported", "expected"),
    [
        pytest.param([REMOVED], "Fetching", ("Unknown", "Evicted"), id="preempted"),
        pytest.param([STOPPED], "Fetching", ("Unknown", "Stopped"), id="deleted by a person"),
        pytest.param([], "Evicted", ("Unknown", "Evicted"), id="preempted, and the pods are gone"),
        pytest.param([], "Fetching", ("False", "AttemptsExhausted"), id="gone without a cause"),
        pytest.param([PRESSED], "Fetching", ("False", "NodePressure"), id="its own use may be the cause"),
        pytest.param([{"code": 3}, REMOVED], "Fetching", ("False", "Evicted"), id="one failed by itself"),
        pytest.param([{"code": 3}], "Evicted", ("False", "Crashed"), id="and the removed ones are gone"),
    ],
)
def test_removals_use_up_no_attempt_of_a_fetch(
    make: Make, pods: list[dict[str, Any]], reported: str, expected: tuple[str, str]
) -> None:
    job = make.fetch("a", attempt=MAX_ATTEMPTS, ended="Failed", reason="BackoffLimitExceeded", failed=3)
    own = [make.pod(job, name=f"p{at}", created=at, **pod) for at, pod in enumerate(pods)]
    model = make.model("a", status={"conditions": [make.condition("Fetched", "Unknown", reported)]})
    found = plan(model, jobs=[job], pods=own, rounds=[], pass_=make.pass_(now=20, listed=[job]))
    fetched = next(c for c in found.status.conditions if c.type == "Fetched")
    assert (fetched.status, fetched.reason) == expected
    assert {each.reason for each in found.events} <= {"FetchDelayed" if fetched.status == "Unknown" else "FetchFailed"}
    if expected[0] == "Unknown":
        later = plan(model, jobs=[job], pods=own, rounds=[], pass_=make.pass_(now=10 * HOURS, listed=[job]))
        assert later.fetch is not None
        assert (later.fetch.need != "n", later.fetch.attempt) == (True, MAX_ATTEMPTS)


def test_the_wait_after_a_removal_without_a_time_ends(make: Make) -> None:
    """Of a pod that was preempted, had no container, and reached its deadline, after others that are gone."""
    job = make.fetch("a", ended="Failed", reason="BackoffLimitExceeded", failed=3)
    late = {"phase": "Failed", "reason": "DeadlineExceeded", "conditions": [PREEMPTED]}
    pods = [make.pod(job, waiting=("ErrImagePull", "no"), status=late)]
    found = plan(make.model("a"), jobs=[job], pods=pods, rounds=[], pass_=make.pass_(now=10 * HOURS, listed=[job]))
    assert found.fetch is not None
    assert found.fetch.need != "n"


def test_what_a_fetch_removed_is_news_once(make: Make) -> None:
    summary = {**json.loads(make.fetched()), "evictedModels": 2, "evictedBytes": 3000}
    job = make.fetch("a", ended="Complete")
    pods = [make.pod(job, code=0, message=json.dumps(summary))]
    found = plan(make.model("a"), jobs=[job], pods=pods, rounds=[], pass_=make.pass_(listed=[job]))
    assert found.evicted == Evicted(2, 3000)
    recorded = make.model("a", status=found.status.to_wire())
    assert plan(recorded, jobs=[job], pods=pods, rounds=[], pass_=make.pass_(listed=[job])).evicted is None


def test_what_is_not_known_yet_has_one_cause(make: Make) -> None:
    """Not that of the first look, beside a later one of the fetch."""
    first = [make.condition(kind, "Unknown", "WaitingForFetchSlot") for kind in ("Fetched", "Resolved", "Safe")]
    job = make.fetch("a", active=1)
    pods = [make.pod(job, waiting=("ErrImagePull", "no"))]
    found = plan(make.model("a", status={"conditions": first}), jobs=[job], pods=pods, rounds=[], pass_=make.pass_())
    causes = {c.type.value: c.reason for c in found.status.conditions if c.status == "Unknown"}
    assert causes == dict.fromkeys(("Fetched", "Resolved", "Safe"), "ImagePullFailed")
