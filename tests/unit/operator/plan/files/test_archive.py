"""The archive of a finished round: one Job, tried again until it succeeds, whatever becomes of its pods."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.conditions import ConditionStatus, ConditionType, Reason
from bitagent_crds.jobs import ArchiveSummary, termination_message
from bitagent_crds.names import ATTEMPT_LABEL, FINISHED_LABEL, KEY_LABEL, ROUND_LABEL, VALIDATOR_LABEL, Component
from bitagent_kube.conditions import find
from bitagent_operator import naming
from bitagent_operator.observed.objects import RoundObject
from bitagent_operator.observed.workloads import JobObject, PodObject
from bitagent_operator.plan.files.archive import is_archive_job, with_archive
from bitagent_operator.plan.files.repeated import LONGEST_WAIT, PARALLEL, wait_after
from bitagent_operator.plan.inputs import Refusal
from bitagent_operator.plan.interface import EventReason, RoundPlan

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make

ROOT = "s3://bucket/x/ns"
URI = f"{ROOT}/r-uid-r/20260101T000140Z"
DIGEST = "sha256:" + "d" * 64
END = 100.0
STATUS = {"startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:01:40Z", "phase": "Complete"}


def finished(make: Make, **status: Any) -> RoundObject:
    return make.round(status=STATUS | status)


def archive_job(make: Make, attempt: int = 1, *, end: float = END, owner: str = "uid-r", **more: Any) -> JobObject:
    purpose = {ROUND_LABEL: "r", KEY_LABEL: naming.ARCHIVE_KEY, ATTEMPT_LABEL: str(attempt)}
    purpose |= {FINISHED_LABEL: str(int(make.at(end).timestamp()))}
    name = naming.round_job_name("r", key=naming.ARCHIVE_KEY, attempt=attempt)
    labels = naming.labels(Component.ARCHIVE, purpose)
    return make.job(name, owner=owner, labels=labels, uid=f"uid-{name}-{owner}", **more)


def done(**more: Any) -> str:
    summary = {"reason": "Archived", "digest": DIGEST, "files": 4, "bytes": 99} | more
    return termination_message(ArchiveSummary.model_validate(summary))


def fault(reason: str) -> str:
    return termination_message(ArchiveSummary.model_validate({"reason": reason, "message": "why"}))


def planned(
    make: Make,
    observed: RoundObject,
    *jobs: JobObject,
    pods: tuple[PodObject, ...] = (),
    now: float = 200,
    listed: bool = True,
    elsewhere: int = 0,
    base: RoundPlan | None = None,
    refusals: dict[str, Refusal] | None = None,
    root: str = ROOT,
) -> RoundPlan:
    pass_ = replace(make.pass_(now=now, listed=jobs if listed else (), archive_uri=root), refusals=refusals or {})
    base = base if base is not None else RoundPlan(status=observed.status)
    return with_archive(base, observed, jobs=jobs, pods=pods, elsewhere=elsewhere, pass_=pass_)


def condition(plan: RoundPlan) -> tuple[ConditionStatus, Reason] | None:
    found = find(plan.status.conditions, ConditionType.ARCHIVED)
    return None if found is None else (found.status, found.reason)


WAITS = (ConditionStatus.FALSE, Reason.ARCHIVING)


def test_a_finished_round_is_archived(make: Make) -> None:
    plan = planned(make, finished(make))
    assert plan.archive is not None
    assert (plan.archive.attempt, plan.archive.uri) == (1, URI)
    assert condition(plan) == WAITS


@pytest.mark.parametrize("phase", ["Complete", "Failed"])
def test_whatever_its_end_was(make: Make, phase: str) -> None:
    assert planned(make, finished(make, phase=phase)).archive is not None


def test_a_clock_that_is_behind_archives_once(make: Make) -> None:
    made = archive_job(make, ended="Complete")
    plan = planned(make, finished(make), made, pods=(make.pod(made, code=0, message=done()),), now=END - 20)
    assert plan.status.archive is not None
    assert planned(make, make.round(status=plan.status.to_wire()), now=END - 10).archive is None


def test_removed_files_are_not_archived(make: Make) -> None:
    gone = {"freeBytes": 1, "checkedAt": "2026-01-01T00:02:00Z", "removedAt": "2026-01-01T00:02:00Z"}
    plan = planned(make, finished(make, files=gone), archive_job(make))
    assert (plan.archive, condition(plan), len(plan.delete)) == (None, None, 1)


def test_without_an_archive_nothing_happens(make: Make) -> None:
    observed = finished(make)
    plan = planned(make, observed, root="")
    assert plan == RoundPlan(status=observed.status)


def test_a_running_round_is_not_archived(make: Make) -> None:
    plan = planned(make, make.started("m"))
    assert (plan.archive, condition(plan)) == (None, None)


def test_the_write_that_ends_the_round_says_that_it_is_not_archived_yet(make: Make) -> None:
    base = RoundPlan(status=finished(make).status)
    plan = planned(make, make.started("m"), base=base)
    assert (plan.archive, condition(plan)) == (None, WAITS)


def test_reads_come_first(make: Make) -> None:
    job = archive_job(make, ended="Complete")
    plan = planned(make, finished(make), job, listed=False)
    assert plan.reads.pods_of_jobs == {job.meta.uid}


def test_a_job_that_runs_is_waited_for(make: Make) -> None:
    job = archive_job(make, active=1)
    plan = planned(make, finished(make), job, pods=(make.pod(job),))
    assert (plan.archive, plan.delete, condition(plan)) == (None, (), WAITS)


def test_the_trouble_of_its_pod_is_reported(make: Make) -> None:
    job = archive_job(make, active=1)
    pod = make.pod(job, waiting=("CreateContainerConfigError", 'secret "s3" not found'))
    assert condition(planned(make, finished(make), job, pods=(pod,))) == (
        ConditionStatus.FALSE,
        Reason.INFRASTRUCTURE_FAULT,
    )


def test_an_archive_is_recorded_with_an_event_and_its_job_removed(make: Make) -> None:
    job = archive_job(make, ended="Complete")
    plan = planned(make, finished(make), job, pods=(make.pod(job, code=0, message=done()),))
    made = plan.status.archive
    assert made is not None
    assert (made.uri, made.digest, made.files, made.bytes, made.at) == (URI, DIGEST, 4, 99, make.at(200))
    assert condition(plan) == (ConditionStatus.TRUE, Reason.ARCHIVED)
    assert [event.reason for event in plan.events] == [EventReason.ROUND_ARCHIVED]
    assert [deletion.uid for deletion in plan.delete] == [job.meta.uid]


def archived(make: Make) -> RoundObject:
    job = archive_job(make, ended="Complete")
    plan = planned(make, finished(make), job, pods=(make.pod(job, code=0, message=done()),))
    return make.round(status=plan.status.to_wire())


def test_an_archived_round_needs_nothing_more(make: Make) -> None:
    observed = archived(make)
    plan = planned(make, observed, now=9000)
    assert plan == RoundPlan(status=observed.status)


def test_a_job_that_a_kill_left_behind_is_removed(make: Make) -> None:
    job = archive_job(make, ended="Complete")
    plan = planned(make, archived(make), job)
    assert (plan.archive, [d.uid for d in plan.delete]) == (None, [job.meta.uid])


FAULTS = {
    "server down": ("ArchiveUnavailable", Reason.ARCHIVE_UNAVAILABLE),
    "wrong credentials": ("ArchiveDenied", Reason.ARCHIVE_DENIED),
    "another object is there": ("ArchiveConflict", Reason.ARCHIVE_CONFLICT),
}


@pytest.mark.parametrize(("given", "reason"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_reported_and_tried_again_after_a_wait(make: Make, given: str, reason: Reason) -> None:
    job = archive_job(make, ended="Failed", reason="BackoffLimitExceeded", at=200)
    pods = (make.pod(job, code=1, message=fault(given), terminated_reason="Error"),)
    early = planned(make, finished(make), job, pods=pods, now=210)
    assert (early.archive, condition(early)) == (None, (ConditionStatus.FALSE, reason))
    assert early.requeue_after == 20
    assert [(e.reason, e.warning) for e in early.events] == [(EventReason.ARCHIVE_DELAYED, True)]
    again = make.round(status=early.status.to_wire())
    late = planned(make, again, job, pods=pods, now=230)
    assert late.archive is not None
    assert (late.archive.attempt, late.archive.uri) == (2, URI)
    assert (late.delete, late.events) == ((), ())


def test_the_job_before_is_removed_once_the_next_exists(make: Make) -> None:
    first, second = archive_job(make, ended="Failed", at=200), archive_job(make, 2, active=1)
    plan = planned(make, finished(make), first, second, pods=(make.pod(second),), now=240)
    assert (plan.archive, [d.uid for d in plan.delete]) == (None, [first.meta.uid])


ENDS: dict[str, dict[str, Any]] = {
    "no pod is left": {"ended": "Failed", "reason": "BackoffLimitExceeded"},
    "its result is lost": {"ended": "Complete"},
    "its deadline": {"ended": "Failed", "reason": "DeadlineExceeded"},
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_whatever_ends_a_job_the_next_one_follows(make: Make, end: dict[str, Any]) -> None:
    job = archive_job(make, 7, at=200, **end)
    plan = planned(make, finished(make), job, now=200 + wait_after(7).total_seconds())
    assert plan.archive is not None
    assert plan.archive.attempt == 8


LATE = {"reason": "DeadlineExceeded", "phase": "Failed"}
IDLE = {**LATE, "containerStatuses": [{"state": {"waiting": {"reason": "ContainerCreating"}}}]}
"""Of a pod that a node had for its time, and of which no container ran: nothing says when it ended."""
EVICTED = {"phase": "Failed", "reason": "Evicted", "message": "disk pressure"}


@pytest.mark.parametrize(
    ("pod", "now", "reason", "attempt"),
    [
        pytest.param({"unschedulable": 1}, 40_000, "Unschedulable", None, id="no node has room for eleven hours"),
        pytest.param({"code": 143, "status": LATE, "at": 200}, 231, "DeadlineExceeded", 2, id="it ran for its time"),
        pytest.param({"status": IDLE}, 231, "StartTimedOut", 2, id="a node had it for its time and ran nothing"),
        pytest.param({"code": 137, "status": EVICTED, "at": 200}, 231, "NodePressure", None, id="the node evicts it"),
        pytest.param({"deleted": 200, "node": "n1"}, 291, "Evicted", 2, id="its node is lost"),
    ],
)
def test_only_what_runs_uses_up_its_time(
    make: Make, pod: dict[str, Any], now: float, reason: str, attempt: int | None
) -> None:
    job = archive_job(make, active=1)
    found = planned(make, finished(make), job, pods=(make.pod(job, **pod),), now=now)
    state = condition(found)
    assert state is not None
    assert (state[1], found.archive and found.archive.attempt) == (reason, attempt)


def test_waits_grow_up_to_a_bound_and_names_never_run_out(make: Make) -> None:
    waits = [wait_after(attempt) for attempt in range(1, 100)]
    assert waits[:3] == [timedelta(seconds=30), timedelta(seconds=60), timedelta(seconds=120)]
    assert waits == sorted(waits)
    assert waits[-1] == LONGEST_WAIT
    assert len(naming.round_job_name("r" * 48, key=naming.ARCHIVE_KEY, attempt=99999)) <= 63


def test_a_summary_of_success_without_a_digest_is_none(make: Make) -> None:
    job = archive_job(make, ended="Complete", created=150)
    plan = planned(make, finished(make), job, pods=(make.pod(job, code=0, message=done(digest=None)),), now=170)
    assert (plan.status.archive, condition(plan)) == (None, (ConditionStatus.FALSE, Reason.RESULT_LOST))


class TestPodsThatMayStillWrite:
    @pytest.mark.parametrize("key", [naming.TASKS_KEY, "0123456789ab"], ids=["task set", "evaluation"])
    def test_are_waited_for(self, make: Make, key: str) -> None:
        component = Component.TASK_SET if key == naming.TASKS_KEY else Component.EVALUATE
        job = make.job("r-x", owner="uid-r", labels=naming.labels(component, {ROUND_LABEL: "r", KEY_LABEL: key}))
        plan = planned(make, finished(make), pods=(make.pod(job),), now=120)
        assert (plan.archive, condition(plan)) == (None, WAITS)
        assert plan.requeue_after is not None

    def test_that_have_ended_are_not(self, make: Make) -> None:
        pod = make.pod(make.evaluation("0123456789ab"), code=0)
        assert planned(make, finished(make), pods=(pod,), now=120).archive is not None

    def test_do_not_hold_it_up_for_ever(self, make: Make) -> None:
        pod = make.pod(make.evaluation("0123456789ab"))
        assert planned(make, finished(make), pods=(pod,), now=END + 300).archive is not None


@pytest.mark.parametrize(
    ("labels", "complete", "now", "starts"),
    [
        pytest.param({VALIDATOR_LABEL: "v"}, True, 120, False, id="waits for the signature"),
        pytest.param({VALIDATOR_LABEL: "v"}, True, END + 60, True, id="but not for long"),
        pytest.param({VALIDATOR_LABEL: "v"}, False, 120, True, id="a failed round has none"),
        pytest.param({}, True, 120, True, id="nor has that of a person"),
    ],
)
def test_the_leaderboard_is_archived_with_its_round(
    make: Make, labels: dict[str, str], complete: bool, now: float, starts: bool
) -> None:
    raw = make.round_raw(status=STATUS | {"conditions": [make.condition("Complete", str(complete), "RoundComplete")]})
    raw["metadata"]["labels"] = labels
    plan = planned(make, RoundObject.parse(raw), now=now)
    assert (plan.archive is not None) is starts
    assert starts or plan.requeue_after == END + 60 - now


def test_only_so_many_rounds_are_archived_at_once(make: Make) -> None:
    assert planned(make, finished(make), elsewhere=PARALLEL - 1).archive is not None
    plan = planned(make, finished(make), elsewhere=PARALLEL)
    assert (plan.archive, condition(plan)) == (None, WAITS)
    assert plan.requeue_after is not None


def test_a_refused_job_is_reported(make: Make) -> None:
    name = naming.round_job_name("r", key=naming.ARCHIVE_KEY, attempt=1)
    refusal = Refusal(Reason.JOB_REFUSED, "quota", retry_at=make.at(230))
    plan = planned(make, finished(make), refusals={name: refusal})
    assert (plan.archive, condition(plan)) == (None, (ConditionStatus.FALSE, Reason.JOB_REFUSED))
    assert plan.requeue_after == 30


class TestARoundThatIsRetried:
    def test_loses_its_archive_and_its_jobs(self, make: Make) -> None:
        observed, job = archived(make), archive_job(make)
        resumed = {k: v for k, v in observed.status.to_wire().items() if k != "finishedAt"}
        plan = planned(make, make.round(status=resumed), job)
        assert (plan.status.archive, condition(plan)) == (None, None)
        assert [d.uid for d in plan.delete] == [job.meta.uid]

    def test_is_archived_again_elsewhere_when_it_finishes_again(self, make: Make) -> None:
        old = archive_job(make, 3, ended="Complete")
        status = archived(make).status.to_wire() | {"finishedAt": "2026-01-01T01:00:00Z"}
        plan = planned(make, make.round(status=status), old, now=4000)
        assert plan.archive is not None
        assert (plan.archive.attempt, plan.archive.uri) == (4, f"{ROOT}/r-uid-r/20260101T010000Z")
        assert [d.uid for d in plan.delete] == [old.meta.uid]


def test_a_job_of_a_round_that_had_the_name_before_is_removed(make: Make) -> None:
    foreign = archive_job(make, owner="uid-before", ended="Complete")
    plan = planned(make, finished(make), foreign)
    assert [d.uid for d in plan.delete] == [foreign.meta.uid]


@pytest.mark.parametrize(
    ("now", "attempt"),
    [pytest.param(799, 1, id="it may still go"), pytest.param(800, 4, id="it never goes: another name")],
)
def test_a_job_that_is_deleted_and_kept_by_a_finalizer(make: Make, now: float, attempt: int) -> None:
    kept = archive_job(make, 3, deletionTimestamp="2026-01-01T00:03:20Z")
    plan = planned(make, finished(make), kept, now=now)
    assert plan.archive is not None
    assert (plan.archive.attempt, plan.delete) == (attempt, ())
    assert (plan.requeue_after == 1) == (now == 799)


def test_an_archive_that_is_switched_off_is_waited_for_no_longer(make: Make) -> None:
    waiting = make.round(status=planned(make, finished(make)).status.to_wire())
    assert condition(planned(make, waiting, root="")) is None
    assert condition(planned(make, archived(make), root="")) == (ConditionStatus.TRUE, Reason.ARCHIVED)


def test_the_end_of_the_plan_is_kept(make: Make) -> None:
    base = RoundPlan(status=finished(make).status, requeue_after=7)
    assert planned(make, finished(make), base=base).requeue_after == 7


def test_archive_jobs_are_known_by_their_component(make: Make) -> None:
    assert is_archive_job(archive_job(make))
    assert not is_archive_job(make.evaluation("0123456789ab"))


def test_tasks_that_are_asked_online_are_never_archived(make: Make) -> None:
    observed = make.round(status=STATUS, tasksOnly=True)
    found = planned(make, observed)
    assert (found.archive, condition(found)) == (None, None)
