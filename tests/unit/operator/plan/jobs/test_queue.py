"""Why a Job in a queue is not admitted: reasons, Kueue's words, and the bound where nothing can admit it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from bitagent_crds.conditions import Reason
from bitagent_crds.jobs import EvaluateSummary
from bitagent_crds.names import QUEUE_LABEL
from bitagent_operator.observed.queues import LocalQueue, QueueCondition, QueueState, Workload
from bitagent_operator.observed.workloads import JobObject
from bitagent_operator.plan.jobs.outcome import Active, InfraFault, classify
from bitagent_operator.plan.jobs.pods import Problem, disruption_of, stopped
from bitagent_operator.plan.jobs.queue import wait_in_queue

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make

GPU = LocalQueue("gpu", "cq")


def says(reason: str, message: str = "", *, holds: bool = True) -> QueueCondition:
    return QueueCondition(holds, reason, message, None)


def queued(make: Make, *, at: float = 0, suspended: bool = True) -> JobObject:
    job = make.evaluation("k", suspended=suspended)
    labels = {**job.meta.labels, QUEUE_LABEL: "gpu"}
    return replace(job, meta=replace(job.meta, labels=labels), suspended_at=make.at(at))


def known(
    job: JobObject, *, active: bool = True, checks: tuple[str, ...] = (), **conditions: QueueCondition
) -> QueueState:
    workload = Workload("w", job.meta.uid, active, conditions, checks)
    return QueueState(read=True, queues={"gpu": GPU}, workloads={job.meta.uid: workload})


WAITS = says("Pending", "couldn't assign flavors: 1 more needed", holds=False)
TAKEN = says("InClusterQueue", "Preempted to accommodate a workload")


@pytest.mark.parametrize(
    ("state", "reason", "words"),
    [
        pytest.param(QueueState(), Reason.WAITING_IN_QUEUE, "queue gpu", id="not read yet"),
        pytest.param(QueueState(problem="forbidden: no"), Reason.WAITING_IN_QUEUE, "forbidden: no", id="not readable"),
        pytest.param(QueueState(read=True, installed=False), Reason.QUEUE_NOT_FOUND, "not installed", id="no Kueue"),
        pytest.param(QueueState(read=True), Reason.QUEUE_NOT_FOUND, "no LocalQueue gpu", id="no queue"),
        pytest.param(
            QueueState(
                read=True, queues={"gpu": replace(GPU, inactive=says("ClusterQueueIsInactive", "a", holds=False))}
            ),
            Reason.QUEUE_UNAVAILABLE,
            "ClusterQueueIsInactive: a",
            id="inactive",
        ),
        pytest.param(
            QueueState(read=True, queues={"gpu": replace(GPU, stopped=True)}),
            Reason.QUEUE_UNAVAILABLE,
            "stopPolicy",
            id="stopped by its spec",
        ),
        pytest.param(
            QueueState(read=True, queues={"gpu": GPU}), Reason.WAITING_IN_QUEUE, "no Workload", id="no Workload"
        ),
    ],
)
def test_a_queue_that_cannot_admit_has_a_reason_of_its_own(
    make: Make, state: QueueState, reason: Reason, words: str
) -> None:
    found = wait_in_queue(queued(make), replace(make.pass_(now=10), queues=state))
    assert found.reason is reason
    assert words in found.message


@pytest.mark.parametrize(
    ("conditions", "reason", "words"),
    [
        pytest.param({}, Reason.WAITING_IN_QUEUE, "queue gpu", id="not looked at"),
        pytest.param({"QuotaReserved": WAITS}, Reason.WAITING_IN_QUEUE, "1 more needed", id="no quota"),
        pytest.param(
            {"QuotaReserved": says("QuotaReserved")}, Reason.WAITING_IN_QUEUE, "quota is reserved", id="not admitted"
        ),
        pytest.param(
            {"QuotaReserved": WAITS, "Evicted": says("Preempted"), "Preempted": TAKEN},
            Reason.PREEMPTED,
            "Preempted to accommodate a workload; waits in queue gpu: couldn't",
            id="preempted",
        ),
        pytest.param(
            {"QuotaReserved": WAITS, "Evicted": says("PodsReadyTimeout", "t")},
            Reason.PREEMPTED,
            "PodsReadyTimeout: t",
            id="evicted",
        ),
        pytest.param(
            {"QuotaReserved": WAITS, "Evicted": replace(TAKEN, holds=False)},
            Reason.WAITING_IN_QUEUE,
            "1 more needed",
            id="evicted once",
        ),
    ],
)
def test_a_workloads_conditions_are_said_in_their_words(
    make: Make, conditions: dict[str, QueueCondition], reason: Reason, words: str
) -> None:
    job = queued(make)
    found = wait_in_queue(job, replace(make.pass_(now=10), queues=known(job, **conditions)))
    assert found.reason is reason
    assert words in found.message


def test_a_deactivated_workload_waits_for_a_person(make: Make) -> None:
    job = queued(make)
    state = known(job, active=False, Evicted=says("Deactivated", "exceeded the maximum number of re-queuing retries"))
    found = wait_in_queue(job, replace(make.pass_(now=10), queues=state))
    assert found.reason is Reason.QUEUE_UNAVAILABLE
    assert "maximum number" in found.message


def test_admission_checks_are_named(make: Make) -> None:
    job = queued(make)
    state = known(job, checks=("provision: Pending: no node yet",), QuotaReserved=says("QuotaReserved"))
    assert "no node yet" in wait_in_queue(job, replace(make.pass_(now=10), queues=state)).message


def test_a_queue_that_comes_with_its_round_is_not_called_missing(make: Make) -> None:
    pass_ = replace(make.pass_(now=2), queues=QueueState(read=True))
    assert wait_in_queue(queued(make), pass_).reason is Reason.WAITING_IN_QUEUE
    assert pass_.next_look() == 3, "and then it is looked at again"
    reported = Problem(Reason.QUEUE_NOT_FOUND, "Kueue is not installed")
    assert wait_in_queue(queued(make), pass_, reported).reason is Reason.QUEUE_NOT_FOUND, "never back to less"


@pytest.mark.parametrize("reason", [Reason.QUEUE_NOT_FOUND, Reason.QUEUE_UNAVAILABLE])
def test_what_nothing_can_admit_has_the_start_timeout(make: Make, reason: Reason) -> None:
    job = queued(make, at=100)
    closed = replace(GPU, inactive=replace(WAITS, since=make.at(110)))
    state = QueueState(read=True, queues={"gpu": closed} if reason is Reason.QUEUE_UNAVAILABLE else {})
    since, timeout = (110 if reason is Reason.QUEUE_UNAVAILABLE else 100), timedelta(seconds=60)
    early = replace(make.pass_(now=since + 59), queues=state)
    outcome = classify(job, (), EvaluateSummary, early, start_timeout=timeout)
    assert isinstance(outcome, Active) and outcome.problem is not None
    assert (outcome.problem.reason, early.next_look()) == (reason, 1)
    late = replace(make.pass_(now=since + 60), queues=state)
    ended = classify(job, (), EvaluateSummary, late, start_timeout=timeout)
    assert isinstance(ended, InfraFault) and ended.reason is reason
    assert isinstance(classify(job, (), EvaluateSummary, late), Active), "without the bound it waits"


def test_what_was_reported_holds_until_the_queues_are_read(make: Make) -> None:
    """As after a restart: no status is written twice, and a bound that has passed meanwhile ends nothing."""
    reported, job = Problem(Reason.QUEUE_NOT_FOUND, "there is no LocalQueue gpu"), queued(make)
    pass_ = make.pass_(now=1e6)
    timeout = timedelta(seconds=10)
    found = classify(job, (), EvaluateSummary, pass_, last_reported=reported, start_timeout=timeout)
    assert isinstance(found, Active) and found.problem == reported
    there = replace(pass_, queues=known(job, QuotaReserved=WAITS))
    found = classify(job, (), EvaluateSummary, there, last_reported=reported, start_timeout=timeout)
    assert isinstance(found, Active) and found.problem is not None
    assert found.problem.reason is Reason.WAITING_IN_QUEUE


def test_waiting_for_quota_has_no_bound(make: Make) -> None:
    job = queued(make)
    pass_ = replace(make.pass_(now=1e6), queues=known(job, QuotaReserved=WAITS))
    assert isinstance(classify(job, (), EvaluateSummary, pass_, start_timeout=timedelta(seconds=10)), Active)


def test_the_reason_of_a_queue_ends_with_its_admission(make: Make) -> None:
    reported = Problem(Reason.QUEUE_NOT_FOUND, "there is no LocalQueue gpu")
    admitted = queued(make, suspended=False)
    found = classify(admitted, (), EvaluateSummary, make.pass_(now=1), last_reported=reported)
    assert isinstance(found, Active) and found.problem is not None
    assert found.problem.reason is Reason.STARTING


@pytest.mark.parametrize(
    ("pod", "expected"),
    [
        pytest.param({"code": 143}, True, id="ended from outside: a disruption"),
        pytest.param({"code": 143, "deleted": 9}, False, id="deleted, as by its queue: none"),
        pytest.param({"code": 1}, False, id="failed by itself: none"),
        pytest.param({"code": 143, "status": {"reason": "DeadlineExceeded"}}, False, id="its own deadline: none"),
    ],
)
def test_sigterm_is_a_disruption_unless_the_pod_is_deleted(make: Make, pod: dict[str, object], expected: bool) -> None:
    made = make.pod(make.evaluation("k"), **pod)  # type: ignore[arg-type]
    assert (disruption_of(made) is not None) is expected
    assert stopped(made) is (pod["code"] == 143 and "status" not in pod)
