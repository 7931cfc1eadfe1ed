"""Why a suspended Job that is in a queue of Kueue does not run, in Kueue's words.

Only the queue decides when it runs. A queue that does not exist or admits nothing has a reason of its own, and a bound
if the round sets one; waiting for quota has none, and neither a preemption nor its wait costs an attempt.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from bitagent_crds.conditions import Reason
from bitagent_operator.observed.queues import LocalQueue, QueueCondition, QueueState, Workload
from bitagent_operator.observed.workloads import JobObject
from bitagent_operator.plan.inputs import SILENT, Pass
from bitagent_operator.plan.jobs.pods import Problem

TROUBLES = frozenset({Reason.QUEUE_NOT_FOUND, Reason.QUEUE_UNAVAILABLE})
"""What no waiting ends: somebody has to create or start the queue."""
REASONS = TROUBLES | {Reason.WAITING_IN_QUEUE, Reason.PREEMPTED}
"""Reasons of a Job that is not admitted."""
_NOT_INSTALLED = (
    "Kueue is not installed: the API server serves no localqueues.kueue.x-k8s.io, so nothing admits Jobs of queue "
    "{queue}; install it, or create another round without workload.queueName"
)
_NO_QUEUE = "there is no LocalQueue {queue} in this namespace; create it, and its Jobs continue by themselves"
_NO_WORKLOAD = (
    "waits in queue {queue}: Kueue has made no Workload of Job {job}; does Kueue run, does it manage this namespace, "
    "and is there a priority class as the Job names it?"
)


def wait_in_queue(job: JobObject, pass_: Pass, last_reported: Problem | None = None) -> Problem:
    """Return why the Job, which is suspended and has the label of a queue, is not admitted.

    `last_reported`: what was reported last; it holds until the queues are read, as after a restart.
    """
    state, waits = pass_.queues, f"waits in queue {job.queue}"
    if not state.read and not state.problem and last_reported is not None and last_reported.reason in REASONS:
        return last_reported
    if not state.read:
        return Problem(Reason.WAITING_IN_QUEUE, f"{waits}; {state.problem}" if state.problem else waits)
    if not state.installed:
        return Problem(Reason.QUEUE_NOT_FOUND, _NOT_INSTALLED.format(queue=job.queue))
    queue, workload = state.queues.get(job.queue), state.workloads.get(job.meta.uid)
    settled = _suspended(job) + SILENT <= pass_.now or (last_reported is not None and last_reported.reason in TROUBLES)
    if not settled and (queue is None or workload is None):
        # The queue may have been applied together with the round, and Kueue takes a moment.
        pass_.look_at(_suspended(job) + SILENT)
        return Problem(Reason.WAITING_IN_QUEUE, waits)
    if queue is None:
        return Problem(Reason.QUEUE_NOT_FOUND, _NO_QUEUE.format(queue=job.queue))
    if (closed := _closed(queue)) is not None:
        return Problem(Reason.QUEUE_UNAVAILABLE, closed)
    if workload is None:
        return Problem(Reason.WAITING_IN_QUEUE, _NO_WORKLOAD.format(queue=job.queue, job=job.meta.name))
    return _of_workload(workload, waits)


def unavailable_since(job: JobObject, problem: Problem, state: QueueState) -> datetime | None:
    """Return since when the Job has had no queue that could admit it; None if it has one, or that is not known."""
    if problem.reason not in TROUBLES or not state.read:
        return None
    queue = state.queues.get(job.queue)
    since = queue.inactive.since if queue is not None and queue.inactive is not None else None
    return max(_suspended(job), since or _suspended(job))


def not_admitted(problem: Problem, timeout: timedelta) -> Problem:
    """Return the fault of a Job that has waited so long for a queue which cannot admit it."""
    text = f"not admitted within {timeout.total_seconds():.0f} s (workload.startTimeoutSeconds); {problem.message}"
    return Problem(problem.reason, text)


def _suspended(job: JobObject) -> datetime:
    return max(job.meta.created, job.suspended_at or job.meta.created)


def _closed(queue: LocalQueue) -> str | None:
    """Return why nothing of the queue is admitted; None if it may be."""
    if queue.inactive is not None:
        return f"LocalQueue {queue.name} admits nothing: {queue.inactive.words} (ClusterQueue {queue.cluster_queue})"
    return f"LocalQueue {queue.name} is stopped by its spec.stopPolicy" if queue.stopped else None


def _of_workload(workload: Workload, waits: str) -> Problem:
    conditions = workload.conditions
    evicted, preempted = conditions.get("Evicted"), conditions.get("Preempted")
    if not workload.active:
        words = f": {evicted.words}" if evicted is not None and evicted.holds else ""
        text = f"Workload {workload.name} is deactivated{words}; set its spec.active to true"
        return Problem(Reason.QUEUE_UNAVAILABLE, text)
    reserved = conditions.get("QuotaReserved")
    if reserved is not None and reserved.holds:
        checks = "; ".join(workload.checks)
        return Problem(
            Reason.WAITING_IN_QUEUE, f"{waits}: quota is reserved" + (f", admission checks: {checks}" if checks else "")
        )
    now = f"{waits}: {reserved.message or reserved.words}" if reserved is not None else waits
    if preempted is not None and preempted.holds:
        return Problem(Reason.PREEMPTED, f"{preempted.words}; {_again(now, preempted, waits)}")
    if evicted is not None and evicted.holds:
        return Problem(Reason.PREEMPTED, f"{evicted.words}; {_again(now, evicted, waits)}")
    return Problem(Reason.WAITING_IN_QUEUE, now)


def _again(now: str, taken: QueueCondition, waits: str) -> str:
    """Return what it waits for since its GPU was taken, once: Kueue first repeats why that was."""
    return waits if taken.message and taken.message in now else now
