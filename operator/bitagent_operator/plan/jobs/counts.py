"""What the pods of a Job count as: attempts of its own, removals by something else, or time without a container."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from bitagent_crds.conditions import Reason
from bitagent_operator.observed.workloads import JobObject, PodObject
from bitagent_operator.plan.jobs.pods import DEADLINE_EXCEEDED, stopped

REMOVALS = frozenset({Reason.EVICTED, Reason.STOPPED})
"""Reasons of what something else has removed. A node that runs out of memory or disk is not among them: the pod's own
use may be the cause."""
INDEX_LABEL = "batch.kubernetes.io/job-completion-index"
"""Label with the index of a pod's shard, which its Job's controller sets."""


def started_pods(job: JobObject, pods: Iterable[PodObject]) -> int:
    """Return how many pods of the Job have started a container, by its counters and by the pods that are left.

    Either may be late: a pod is seen to end before the Job counts it, and is gone after that. One that was stopped does
    not count, for its Job neither. Of shards, the number of the one that has started most often: they are one attempt.
    """
    own = [pod for pod in pods if pod.meta.owner_uid == job.meta.uid and pod.started is not None and not stopped(pod)]
    if job.pods > 1:
        by_shard = Counter(pod.meta.labels.get(INDEX_LABEL, "") for pod in own)
        return max(max(by_shard.values(), default=0), -(-job.failed // job.pods), job.ended is not None)
    failed = sum(pod.phase == "Failed" for pod in own)
    going = len(own) > failed or (job.ended is not None and job.ended.complete)
    return max(job.failed, failed) + (1 if going else 0)


def none_started(job: JobObject, pods: Iterable[PodObject]) -> bool:
    """Whether no pod of the Job has started a container; False if one that may have is gone."""
    own = [pod for pod in pods if pod.meta.owner_uid == job.meta.uid]
    return job.failed <= len(own) and all(pod.started is None for pod in own)


def never_ran(job: JobObject, pods: Sequence[PodObject]) -> bool:
    """Whether a pod of the Job has used up its time without a container, as for an image, and no other had one."""
    late = any(pod.reason == DEADLINE_EXCEEDED for pod in pods if pod.meta.owner_uid == job.meta.uid)
    return late and none_started(job, pods)


def only_removed(job: JobObject, pods: Iterable[PodObject], reason: Reason) -> bool:
    """Whether a Job that gave up did so by removals of its pods alone: preempted, drained, deleted, nodes lost.

    Pods that were removed are gone soon, and `reason`, that of the Job's outcome, then says it; one that failed by
    itself stays as long as its Job.
    """
    own = [pod for pod in pods if pod.meta.owner_uid == job.meta.uid]
    return all(_removed(pod) for pod in own) if own else reason in REMOVALS


def _removed(pod: PodObject) -> bool:
    return pod.reason != "Evicted" and (bool(pod.disruption) or pod.meta.deleting or stopped(pod))
