"""A Job of which no container runs: since when, why it has no pod, and the fault when it has waited too long."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta

from bitagent_crds.conditions import Fault, Reason
from bitagent_operator.observed.workloads import JobObject, PodObject
from bitagent_operator.plan.inputs import SILENT, Pass
from bitagent_operator.plan.jobs.pods import STARTS, Problem

_NAME_KEPT = 48
"""Characters at the beginning of a Job's name that are in its pods' names, however long it and an index are."""
_ENDED = frozenset({"Succeeded", "Failed"})


def without_pod(job: JobObject, pass_: Pass) -> Problem:
    """Return why a Job has no pod, as far as the Events of the Job controller say so."""
    since = job.started or job.meta.created
    event = pass_.last_event(job.meta.uid, since=since)
    if event is not None and event.reason == "FailedCreate":
        # Without the pod's name, which is another one at each try: the same refusal is reported once. That of a shard
        # has its index, and of a long name the beginning.
        words = re.sub(rf'pods "{re.escape(job.meta.name[:_NAME_KEPT])}[-a-z0-9.]*"', "its pod", event.message)
        return Problem(Reason.POD_REFUSED, f"Job {job.meta.name} has no pod: {event.reason}: {words}")
    return STARTS if pass_.now < since + SILENT else Problem(Reason.STARTING, f"Job {job.meta.name} has no pod yet")


def waits_since(job: JobObject, pods: Sequence[PodObject]) -> datetime | None:
    """Return since when no container of the Job runs; None if one does. `pods` are its own."""
    # A shard that has ended does not run for the others.
    waits = any(pod.started is None for pod in pods) or shards_without_pod(job, pods)
    if any(
        pod.started is not None and pod.phase != "Failed" and not (waits and pod.phase == "Succeeded") for pod in pods
    ):
        return None
    ends = [pod.terminated.finished for pod in pods if pod.terminated is not None and pod.terminated.finished]
    return max([job.started or job.meta.created, *ends])


def shards_without_pod(job: JobObject, pods: Sequence[PodObject]) -> bool:
    """Whether all pods that the Job has, its own `pods`, have ended, and shards are left that have done nothing yet."""
    done = sum(pod.phase == "Succeeded" for pod in pods)
    return len(pods) > 0 and job.pods > 1 and done < job.pods and all(pod.phase in _ENDED for pod in pods)


def reason_of_wait(problem: Problem | None) -> Reason:
    """Return the reason of a Job that ends before a container of it has run, by what it waited for last."""
    if problem is not None and problem.reason.fault is Fault.INFRASTRUCTURE:
        return problem.reason
    waited = problem is not None and problem.reason is Reason.WAITING_FOR_NODE
    return Reason.UNSCHEDULABLE if waited else Reason.START_TIMED_OUT


def never_started(problem: Problem | None, timeout: timedelta) -> Problem:
    """Return the fault of a Job that has waited for `timeout`, by what it waited for."""
    reason = reason_of_wait(problem)
    text = f"no container ran within {timeout.total_seconds():.0f} s (workload.startTimeoutSeconds)"
    return Problem(reason, f"{text}; {problem.message}" if problem is not None and problem.message else text)
