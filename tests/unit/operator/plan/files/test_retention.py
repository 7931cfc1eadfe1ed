"""Which finished rounds keep their files: by age, by newer rounds, by free space; never what is not archived."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.conditions import ConditionStatus, ConditionType, Reason
from bitagent_crds.evalround import FilesStatus
from bitagent_crds.jobs import RetentionSummary, termination_message
from bitagent_crds.names import (
    ATTEMPT_LABEL,
    COMPETITION_LABEL,
    FINISHED_LABEL,
    KEY_LABEL,
    ROUND_LABEL,
    VALIDATOR_LABEL,
    Component,
)
from bitagent_kube.conditions import find
from bitagent_operator import naming
from bitagent_operator.observed.objects import RoundObject
from bitagent_operator.observed.workloads import JobObject
from bitagent_operator.plan.files.retention import (
    FinishedFiles,
    files_of,
    for_space,
    is_removing,
    rule_for,
    with_retention,
)
from bitagent_operator.plan.inputs import RetentionPolicy
from bitagent_operator.plan.interface import EventReason, RoundPlan, StartRetention

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make

T0 = datetime(2026, 1, 1, tzinfo=UTC)
PLENTY, LITTLE = 1000, 10


def files(
    name: str,
    at: float,
    *,
    validator: str = "v",
    free: int | None = PLENTY,
    removed: bool = False,
    saved: bool = True,
    failing: bool = False,
    pool: str | None = None,
    built: bool = True,
) -> FinishedFiles:
    """A round that finished at that second; `free`: what it measured one second later."""
    finished = T0 + timedelta(seconds=at)
    checked = finished + timedelta(seconds=1)
    measured = FilesStatus(free_bytes=free, checked_at=checked, removed_at=checked if removed else None) if (
        free is not None
    ) else None  # fmt: skip
    return FinishedFiles(name, validator, finished, measured, saved, failing, pool, built)


TTL = RetentionPolicy(ttl=timedelta(seconds=100))
COUNT = RetentionPolicy(rounds_per_validator=2)
FLOOR = RetentionPolicy(min_free_bytes=100)
A, B, C = files("a", 0), files("b", 10), files("c", 20)
P, Q, R = (files(name, at, pool="main") for name, at in (("p", 0), ("q", 10), ("r", 20)))
S, UNBUILT = files("s", 30, pool="main"), files("r", 20, pool="main", built=False)
SHORT = files("c", 20, free=LITTLE)


@pytest.mark.parametrize(
    ("policy", "rounds", "now", "removed"),
    [
        pytest.param(RetentionPolicy(), [A, B, C], 10**6, "", id="no rule"),
        pytest.param(TTL, [A, B], 99, "", id="younger than the ttl"),
        pytest.param(TTL, [A, B], 100, "a", id="older than the ttl"),
        pytest.param(TTL, [files("a", 0, saved=False)], 10**6, "", id="not archived"),
        pytest.param(TTL, [files("a", 0, removed=True)], 10**6, "", id="removed already"),
        pytest.param(TTL, [files("a", 0, free=None)], 10**6, "", id="not recorded yet"),
        pytest.param(COUNT, [A, B], 200, "", id="no more than the limit"),
        pytest.param(COUNT, [A, B, C], 200, "a", id="beyond the limit"),
        pytest.param(COUNT, [A, files("b", 10, validator="w"), C], 200, "", id="another Validator's do not count"),
        pytest.param(
            COUNT, [files(n, i, validator="") for i, n in enumerate("abc")], 200, "", id="no limit for persons"
        ),
        pytest.param(COUNT, [A, B, files("c", 20, saved=False, free=None)], 200, "a", id="unarchived ones count"),
        pytest.param(FLOOR, [A, B, C], 200, "", id="enough space"),
        pytest.param(FLOOR, [A, B, SHORT], 200, "a", id="the oldest for space"),
        pytest.param(FLOOR, [files("a", 0, removed=True), B, SHORT], 200, "b", id="the next for space"),
        pytest.param(
            FLOOR, [files("a", 0, failing=True), B, SHORT], 200, "ab", id="beside one that fails, the next for space"
        ),
        pytest.param(FLOOR, [files("a", 0, failing=True), SHORT], 200, "a", id="one that fails is tried again"),
        pytest.param(FLOOR, [files("a", 0, saved=False), B, SHORT], 200, "b", id="the oldest that is archived"),
        pytest.param(FLOOR, [files("a", 0, free=LITTLE), B, C], 200, "", id="the last measurement counts"),
        pytest.param(FLOOR, [files("a", 0, free=LITTLE)], 200, "", id="never the newest of its Validator"),
        pytest.param(
            FLOOR, [files("a", 0, validator="w"), B, SHORT], 200, "b", id="also if it is the oldest of all"
        ),
        pytest.param(TTL, [P, Q, R], 10**6, "p", id="tasks that are asked stay"),
        pytest.param(TTL, [P, Q, files("r", 20, pool="other")], 10**6, "", id="those of another competition, too"),
        pytest.param(TTL, [P, Q, UNBUILT], 10**6, "", id="until newer ones are built"),
        pytest.param(TTL, [files("p", 0, pool="", validator="")], 10**6, "p", id="a person's do not"),
        pytest.param(COUNT, [A, B, P, Q], 200, "", id="they do not count as rounds"),
        pytest.param(COUNT, [P, Q, R, S, A], 200, "pq", id="they have a limit of their own"),
        pytest.param(FLOOR, [P, Q, A, B, SHORT], 200, "a", id="nor do they make room"),
    ],
)  # fmt: skip
def test_whose_files_are_removed(
    policy: RetentionPolicy, rounds: list[FinishedFiles], now: float, removed: str
) -> None:
    moment = T0 + timedelta(seconds=now)
    assert "".join(r.round for r in rounds if rule_for(r, rounds, policy, moment)) == removed


def test_space_is_made_one_round_at_a_time() -> None:
    assert [other.round for other in for_space([SHORT, B, A])] == ["a", "b"]


@pytest.mark.parametrize(
    ("key", "attempt", "ended", "fails"),
    [
        pytest.param(naming.REMOVE_KEY, 1, "", False, id="first attempt"),
        pytest.param(naming.REMOVE_KEY, 1, "Failed", True, id="it has failed"),
        pytest.param(naming.REMOVE_KEY, 2, "", True, id="another attempt"),
        pytest.param(naming.SWEEP_KEY, 2, "", False, id="no removal"),
    ],
)
def test_which_removals_fail(make: Make, key: str, attempt: int, ended: str, *, fails: bool) -> None:
    found = files_of(finished(make, measured=PLENTY), archive=False, jobs=[job(make, key, attempt, ended=ended)])
    assert found is not None
    assert found.failing == fails


END = 100.0
STATUS = {"startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:01:40Z", "phase": "Complete"}
DIGEST = "sha256:" + "d" * 64
TASK_SET = {"digest": DIGEST, "count": 5, "uri": "pvc://artifacts/rounds/u/tasks"}
ARCHIVE = {"uri": "s3://bucket/x", "digest": DIGEST, "at": "2026-01-01T00:02:00Z"}
POLICY = RetentionPolicy(ttl=timedelta(seconds=1000), min_free_bytes=100)


def finished(make: Make, *, measured: int | None = None, removed: bool = False, **status: Any) -> RoundObject:
    if measured is not None:
        status["files"] = {"freeBytes": measured, "checkedAt": "2026-01-01T00:02:00Z"}
        status["files"] |= {"removedAt": "2026-01-01T00:02:00Z"} if removed else {}
    return make.round(status=STATUS | status)


def job(make: Make, key: str, attempt: int = 1, **more: Any) -> JobObject:
    purpose = {ROUND_LABEL: "r", KEY_LABEL: key, ATTEMPT_LABEL: str(attempt)}
    purpose |= {FINISHED_LABEL: str(int(make.at(END).timestamp()))}
    name = naming.round_job_name("r", key=key, attempt=attempt)
    return make.job(name, owner="uid-r", labels=naming.labels(Component.RETENTION, purpose), **more)


@pytest.mark.parametrize("tasks_only", [False, True], ids=["round", "tasks only"])
def test_tasks_that_are_asked_need_no_archive(make: Make, tasks_only: bool) -> None:
    raw = make.round_raw(status=STATUS | {"taskSet": TASK_SET}, tasksOnly=tasks_only)
    raw["metadata"]["labels"] = {COMPETITION_LABEL: "main", VALIDATOR_LABEL: "v"}
    found = files_of(RoundObject.parse(raw), archive=True)
    assert found is not None
    assert (found.saved, found.pool, found.built) == (tasks_only, "main" if tasks_only else None, True)


def done(reason: str, free: int | None, message: str = "") -> str:
    return termination_message(
        RetentionSummary.model_validate({"reason": reason, "freeBytes": free, "message": message})
    )


def planned(
    make: Make,
    observed: RoundObject,
    *jobs: JobObject,
    message: str | None = None,
    code: int = 0,
    now: float = 200,
    others: tuple[FinishedFiles, ...] = (),
    policy: RetentionPolicy | None = POLICY,
    archive: str = "",
) -> RoundPlan:
    pods = [make.pod(jobs[-1], code=code, message=message)] if message is not None else []
    pass_ = make.pass_(now=now, listed=jobs, retention=policy, archive_uri=archive)
    base = RoundPlan(status=observed.status)
    return with_retention(base, observed, jobs=jobs, pods=pods, rounds=others, elsewhere=0, pass_=pass_)


def condition(plan: RoundPlan) -> tuple[ConditionStatus, Reason] | None:
    found = find(plan.status.conditions, ConditionType.FILES_KEPT)
    return None if found is None else (found.status, found.reason)


KEPT = (ConditionStatus.TRUE, Reason.FILES_KEPT)


def test_the_volume_is_measured_after_each_end(make: Make) -> None:
    plan = planned(make, finished(make))
    assert (plan.retention, condition(plan)) == (StartRetention(naming.SWEEP_KEY, 1), KEPT)


def test_the_measurement_is_recorded(make: Make) -> None:
    made = job(make, naming.SWEEP_KEY, ended="Complete")
    plan = planned(make, finished(make), made, message=done("FilesKept", 500, "swept"))
    assert plan.status.files == FilesStatus(free_bytes=500, checked_at=make.at(200))
    assert (condition(plan), [d.uid for d in plan.delete]) == (KEPT, [made.meta.uid])


def test_a_clock_that_is_behind_measures_once(make: Make) -> None:
    made = job(make, naming.SWEEP_KEY, ended="Complete")
    plan = planned(make, finished(make), made, message=done("FilesKept", 500), now=END - 20)
    assert plan.status.files is not None
    assert planned(make, make.round(status=plan.status.to_wire()), now=END - 10).retention is None


def test_measured_files_stay_until_their_time(make: Make) -> None:
    plan = planned(make, finished(make, measured=500))
    assert (plan.retention, condition(plan), plan.requeue_after) == (None, KEPT, END + 1000 - 200)


def test_files_are_removed_by_a_job_of_their_round(make: Make) -> None:
    observed = finished(make, measured=500)
    assert planned(make, observed, now=1100).retention == StartRetention(naming.REMOVE_KEY, 1)
    made = job(make, naming.REMOVE_KEY, ended="Complete")
    plan = planned(make, observed, made, message=done("FilesRemoved", 900), now=1100)
    assert plan.status.files == FilesStatus(free_bytes=900, checked_at=make.at(1100), removed_at=make.at(1100))
    assert condition(plan) == (ConditionStatus.FALSE, Reason.FILES_REMOVED)
    assert [event.reason for event in plan.events] == [EventReason.FILES_REMOVED]


def test_removed_files_need_nothing_more(make: Make) -> None:
    observed = finished(make, measured=500, removed=True)
    plan = planned(make, observed, now=10**6)
    assert plan == RoundPlan(status=observed.status)


@pytest.mark.parametrize("archived", [True, False], ids=["archived", "not archived"])
def test_nothing_happens_before_the_archive_is_complete(make: Make, archived: bool) -> None:
    observed = finished(make, archive=ARCHIVE) if archived else finished(make)
    plan = planned(make, observed, archive="s3://bucket/x", now=10**6)
    assert (plan.retention is not None) is archived


def test_an_older_round_gives_way_when_a_newer_one_measures_too_little(make: Make) -> None:
    observed = finished(make, measured=500)
    other = files("s", 300, validator="", free=LITTLE)
    assert planned(make, observed, others=(other,), now=400).retention == StartRetention(naming.REMOVE_KEY, 1)


def test_that_no_space_can_be_made_is_said(make: Make) -> None:
    plan = planned(make, finished(make, measured=LITTLE))
    assert (plan.retention, condition(plan)) == (None, (ConditionStatus.TRUE, Reason.SPACE_SHORT))
    assert [(e.reason, e.warning) for e in plan.events] == [(EventReason.RETENTION_DELAYED, True)]
    assert condition(planned(make, make.round(status=plan.status.to_wire()), policy=TTL)) == KEPT


def test_a_short_volume_is_measured_again_and_a_rich_one_is_not(make: Make) -> None:
    hour = 120 + 3600
    policy = RetentionPolicy(min_free_bytes=100)
    assert planned(make, finished(make, measured=LITTLE), now=hour - 1, policy=policy).requeue_after == 1
    again = planned(make, finished(make, measured=LITTLE), now=hour, policy=policy)
    assert again.retention == StartRetention(naming.SWEEP_KEY, 1)
    assert planned(make, finished(make, measured=500), now=hour, policy=policy).retention is None


def test_space_stays_short_after_the_last_removal(make: Make) -> None:
    gone = files("a", 0, validator="", free=LITTLE, removed=True)
    last = replace(gone, measured=FilesStatus(free_bytes=LITTLE, checked_at=make.at(150), removed_at=make.at(150)))
    policy = RetentionPolicy(min_free_bytes=100)
    plan = planned(make, finished(make, measured=LITTLE), others=(last,), policy=policy)
    assert (condition(plan), plan.requeue_after) == ((ConditionStatus.TRUE, Reason.SPACE_SHORT), 150 + 3600 - 200)
    later = planned(make, finished(make, measured=LITTLE), others=(last,), policy=policy, now=150 + 3600)
    assert later.retention == StartRetention(naming.SWEEP_KEY, 1)


def test_an_archive_that_was_switched_on_later_is_recorded_before_files_are_removed(make: Make) -> None:
    late = ARCHIVE | {"at": "2026-01-01T00:10:00Z"}
    plan = planned(make, finished(make, measured=500, archive=late), archive="s3://bucket/x", now=10**6)
    assert plan.retention == StartRetention(naming.SWEEP_KEY, 1)
    gone = finished(make, measured=500, removed=True, archive=late)
    assert planned(make, gone, archive="s3://bucket/x", now=10**6).retention is None


def test_a_removal_that_a_retry_overtakes_counts_as_one(make: Make) -> None:
    failed = {"conditions": [make.condition("Failed", "True", "InfrastructureFaults", at=END)]}
    files_ = {"freeBytes": 500, "checkedAt": "2026-01-01T00:02:00Z"}
    observed = make.round(status=STATUS | failed | {"files": files_}, retry=1)
    removal, sweep = job(make, naming.REMOVE_KEY), job(make, naming.SWEEP_KEY)
    runs, ended = make.pod(removal), make.pod(removal, code=0)
    found = [is_removing(observed, jobs, pods) for jobs, pods in (
        ((sweep,), (make.pod(sweep),)), ((removal,), ()), ((), (runs,)), ((), (ended,)),
    )]  # fmt: skip
    assert found == [False, True, True, False]
    pass_ = replace(make.pass_(now=200, listed=[removal], retention=POLICY), removing=True)
    base = RoundPlan(status=observed.status)
    plan = with_retention(base, observed, jobs=[removal], pods=[runs], rounds=(), elsewhere=0, pass_=pass_)
    assert plan.status.files == FilesStatus(free_bytes=500, checked_at=make.at(120), removed_at=make.at(200))
    assert condition(plan) == (ConditionStatus.FALSE, Reason.FILES_REMOVED)
    assert [deleted.uid for deleted in plan.delete] == [removal.meta.uid]


def test_a_job_that_fails_is_reported_and_tried_again(make: Make) -> None:
    made = job(make, naming.SWEEP_KEY, ended="Failed", reason="BackoffLimitExceeded", at=200)
    message = done("RetentionFailed", None, "/rounds: Permission denied")
    early = planned(make, finished(make), made, message=message, code=1, now=210)
    assert (early.retention, condition(early)) == (None, (ConditionStatus.TRUE, Reason.RETENTION_FAILED))
    late = planned(make, finished(make), made, message=message, code=1, now=230)
    assert late.retention == StartRetention(naming.SWEEP_KEY, 2)


def test_a_round_that_runs_again_has_no_record(make: Make) -> None:
    observed = make.started("m", status={"files": {"freeBytes": 1, "checkedAt": "2026-01-01T00:02:00Z"}})
    plan = planned(make, observed, job(make, naming.SWEEP_KEY))
    assert (plan.status.files, condition(plan), len(plan.delete)) == (None, None, 1)


def test_without_a_retention_nothing_happens(make: Make) -> None:
    observed = finished(make)
    assert planned(make, observed, policy=None) == RoundPlan(status=observed.status)


def test_a_measurement_of_an_earlier_end_does_not_count(make: Make) -> None:
    old = make.round(status=STATUS | {"files": {"freeBytes": 1, "checkedAt": "2026-01-01T00:01:00Z"}})
    found = files_of(old, archive=False)
    assert found is not None
    assert (found.measured, found.removable) == (None, False)


def test_rounds_are_grouped_by_their_validator(make: Make) -> None:
    raw = make.round_raw(status=STATUS)
    raw["metadata"]["labels"] = {VALIDATOR_LABEL: "val"}
    found = files_of(RoundObject.parse(raw), archive=False)
    assert found is not None
    assert found.validator == "val"
