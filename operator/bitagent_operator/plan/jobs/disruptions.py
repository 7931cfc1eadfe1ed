"""Evictions, preemptions and lost nodes of one evaluation: its Jobs ignore them, so they have a bound here."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from bitagent_crds.conditions import Reason
from bitagent_kube.conditions import clip
from bitagent_operator.observed.workloads import JobObject, PodObject
from bitagent_operator.plan.inputs import Pass
from bitagent_operator.plan.jobs.outcome import MESSAGE_LENGTH, InfraFault
from bitagent_operator.plan.jobs.pods import Problem, disruption_of, pod_problem

KEPT = 32
"""Times that a result keeps: more than a workload may allow."""
TOGETHER = timedelta(seconds=60)
"""Time in which shards that are removed are taken to be removed by one event."""
_REASONS = frozenset({Reason.EVICTED, Reason.NODE_PRESSURE})


def disruption_times(
    jobs: Sequence[JobObject], pods: Iterable[PodObject], *, known: Collection[datetime], since: datetime | None
) -> list[datetime]:
    """Return the times of the disruptions after `since`: those that are known and those of present pods.

    A pod that was preempted is deleted soon, so its time is recorded; a time that is seen again is the same one. Shards
    that are removed within TOGETHER of each other are one disruption, such as those of one node.
    """
    uids = {job.meta.uid for job in jobs}
    seen = {at for pod in pods if pod.meta.owner_uid in uids and (at := disruption_of(pod)) is not None}
    times = sorted(at for at in seen | set(known) if since is None or at > since)
    if any(job.pods > 1 for job in jobs):
        times = list(_apart(times))
    return times[-KEPT:]


def _apart(times: Iterable[datetime]) -> Iterator[datetime]:
    """Yield those of the ordered times that are TOGETHER or more after the last one of them."""
    last: datetime | None = None
    for at in times:
        if last is None or at - last >= TOGETHER:
            last = at
            yield at


def disrupted_too_often(
    job: JobObject, pods: Iterable[PodObject], count: int, *, reported: Problem | None, pass_: Pass
) -> InfraFault:
    """Return the fault of an evaluation whose pods were removed more often than the workload allows.

    `reported`: what was reported last, for when the pods are gone.
    """
    own = [pod for pod in pods if pod.meta.owner_uid == job.meta.uid and disruption_of(pod) is not None]
    last = max(own, key=lambda pod: pod.meta.created, default=None)
    cause = pod_problem(last, None, pass_) if last is not None else None
    if cause is None:
        cause = reported if reported is not None and reported.reason in _REASONS else None
    cause = cause or Problem(Reason.EVICTED, "its pods are gone")
    text = f"its pods were removed {count} times (workload.maxDisruptions); the last time: {cause.message}"
    nodes = tuple(dict.fromkeys(pod.node for pod in own if pod.node and pod.started is not None))
    return InfraFault(cause.reason, clip(text, MESSAGE_LENGTH), pass_.now, nodes)
