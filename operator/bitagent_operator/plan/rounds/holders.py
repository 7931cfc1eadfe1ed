"""What holds the GPUs and directories of a round, and which of its Jobs must let go of them.

A Job holds them until all its pods have ended and none will follow. That its result is recorded is not enough: a
sidecar may run on, and a pod may take long to end. So such a Job is deleted, and counts until its pods are gone.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bitagent_crds.conditions import ConditionType
from bitagent_crds.evalround import EvalRoundStatus
from bitagent_crds.jobs import EXIT_MODEL_FAULT, EXIT_OK
from bitagent_crds.model_result import ModelResult
from bitagent_crds.names import CACHE_LABEL, KEY_LABEL, cache_id
from bitagent_kube.conditions import find
from bitagent_operator.naming import TASKS_KEY
from bitagent_operator.observed.workloads import JobObject, PodObject, members_of
from bitagent_operator.plan.identity import cached_directory
from bitagent_operator.plan.jobs.packs import open_keys
from bitagent_operator.plan.jobs.pods import GONE_AFTER, given_up
from bitagent_operator.plan.jobs.stalls import was_ended_for_stall
from bitagent_operator.plan.rounds.attempts import EVALUATED

END_GRACE = timedelta(seconds=5)
"""Time for a Job to end by itself once its result is recorded: then it stays, with its pods' logs, until the round's
`ttlSecondsAfterFinished`."""
LEAVES_SLOT_AFTER = timedelta(seconds=60)
"""Time without any pod after which a Job leaves its slot to the other rounds: its pods are refused."""
_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(seconds=10), timedelta(minutes=10)
"""Pauses that a Job's controller makes after the first failed pod, and at most; each is twice as long as the last."""
_LONG_AGO = datetime.fromtimestamp(0, UTC)
_ENDED = frozenset({"Succeeded", "Failed"})


def holders(jobs: Iterable[JobObject], pods: Iterable[PodObject], now: datetime) -> dict[str, frozenset[str]]:
    """Return the Jobs of a round that hold GPUs, by their uids, with the keys whose directories they hold.

    A Job that is gone holds them while a pod of it has not ended. A pack holds no directory of what has ended in it.
    """
    by_job = by_owner(pods)
    found: dict[str, frozenset[str]] = {}
    known = set()
    for job in jobs:
        known.add(job.meta.uid)
        if job.ended is None and not given_up(job.meta, now) and not _done(job, by_job.get(job.meta.uid, ())):
            found[job.meta.uid] = open_keys(job, by_job.get(job.meta.uid, ()))
    for uid, own in by_job.items():
        left = [p for p in own if p.phase not in _ENDED and p.node and not given_up(p.meta, now)]
        if uid not in known and left:
            meta = left[0].meta
            found[uid] = frozenset(members_of(meta) or (meta.labels.get(KEY_LABEL, ""),))
    return found


def leave_slots_at(
    jobs: Iterable[JobObject], pods: Iterable[PodObject], results: Iterable[ModelResult]
) -> dict[str, datetime]:
    """Return when Jobs of a round leave their slots to other rounds unless they get pods, by uid, of those without."""
    owned, disrupted = by_owner(pods), dict[str, list[datetime]]()
    for result in results:
        disrupted.setdefault(result.key or "", []).extend(result.disruptions)
    found = {}
    for job in jobs:
        known = [at for key in job.members or (job.key,) for at in disrupted.get(key, ())]
        if (due := leaves_slot_at(job, owned.get(job.meta.uid, ()), disrupted=known)) is not None:
            found[job.meta.uid] = due
    return found


def leaves_slot_at(job: JobObject, pods: Sequence[PodObject], *, disrupted: Iterable[datetime] = ()) -> datetime | None:
    """Return when the Job leaves its slot to other rounds unless it gets a pod; None if it has one. `pods`: its own.

    It stays one of its round's own Jobs, so that a round whose pods are refused creates no more of them. Pods that have
    ended hold nothing, as those of shards and of attempts before; a Job's controller pauses before another attempt.
    `disrupted`: the recorded times at which pods were preempted or evicted, which may be gone before the next one is
    there.
    """
    if job.suspended or job.active or any(pod.phase not in _ENDED for pod in pods):
        return None
    ends = [end for pod in pods if (end := _ended_at(pod)) is not None]
    failed = max(job.failed, sum(pod.phase == "Failed" for pod in pods))
    pause = min(_FIRST_PAUSE * 2 ** min(failed - 1, 16), _LONGEST_PAUSE) if failed else timedelta()
    return max([job.started or job.meta.created, *ends, *disrupted]) + pause + LEAVES_SLOT_AFTER


def _ended_at(pod: PodObject) -> datetime | None:
    return (pod.terminated.finished if pod.terminated is not None else None) or pod.disrupted


def by_owner(pods: Iterable[PodObject]) -> dict[str, list[PodObject]]:
    """Return the pods by the uid of their Job; one that nothing owns any more, as of a Job that was deleted without
    its pods, by its own."""
    found: dict[str, list[PodObject]] = {}
    for pod in pods:
        found.setdefault(pod.meta.owner_uid or pod.meta.uid, []).append(pod)
    return found


def _done(job: JobObject, pods: Sequence[PodObject]) -> bool:
    """Whether all pods of a Job have ended, and so many with a verdict that no other follows."""
    codes = [p.terminated.exit_code for p in pods if p.terminated is not None]
    verdict = EXIT_MODEL_FAULT in codes or codes.count(EXIT_OK) >= job.pods
    return verdict and all(p.phase in _ENDED for p in pods)


def next_given_up(jobs: Iterable[JobObject], pods: Iterable[PodObject], now: datetime) -> float | None:
    """Return the seconds until something that is being deleted is taken for gone; None if nothing is."""
    metas = (*(job.meta for job in jobs), *(pod.meta for pod in pods))
    ends = [meta.deletion + GONE_AFTER for meta in metas if meta.deletion is not None]
    return min(((end - now).total_seconds() for end in ends if end > now), default=None)


def to_release(
    status: EvalRoundStatus, jobs: Sequence[JobObject], pods: Iterable[PodObject], now: datetime
) -> tuple[list[JobObject], float | None]:
    """Return the Jobs of a started round that are to be deleted, because what they were for is in the status.

    Also return the seconds until the next one is due. A Job that has ended stays, and so does one whose pods have: it
    ends by itself.
    """
    by_job, due, waits = by_owner(pods), [], []
    left = [j for j in jobs if j.ended is None and not j.meta.deleting and not _done(j, by_job.get(j.meta.uid, ()))]
    recorded = _Recorded.of(status, jobs) if left else None
    for job in left:
        since = status.finished_at or (recorded.settled_at(job) if recorded is not None else None)
        if since is None:
            continue
        seconds = (since + END_GRACE - now).total_seconds()
        if 0 < seconds <= END_GRACE.total_seconds() and job.series == status.series:  # a clock may be ahead
            waits.append(seconds)
        else:
            due.append(job)
    return due, min(waits, default=None)


def keeping_volumes(status: EvalRoundStatus, jobs: Iterable[JobObject], models: Container[str]) -> list[JobObject]:
    """Return the ended Jobs whose pods keep the volumes of deleted models; `models`: the names of those that exist.

    Kubernetes keeps a claim while there is a pod that mounts it, also one that has ended. Such a Job goes once the
    status has what it was for.
    """
    placed = [
        (result, cache_id(cached_directory(result))) for result in status.results if result.repo and result.commit
    ]
    needed = {
        name
        for result, name in placed
        if result.model in models or (status.finished_at is None and result.state not in EVALUATED)
    }
    gone = {name for _, name in placed} - needed
    return [
        job
        for job in jobs
        if job.ended is not None and not job.meta.deleting and job.meta.labels.get(CACHE_LABEL) in gone
    ]


@dataclass(frozen=True)
class _Recorded:
    """What a running round's status and its later Jobs make unnecessary."""

    status: EvalRoundStatus
    results: Mapping[str, list[ModelResult]]
    """By the key of their evaluation."""
    last: Mapping[tuple[str, int], JobObject]
    """The Job of the last attempt, by key and series."""

    @classmethod
    def of(cls, status: EvalRoundStatus, jobs: Iterable[JobObject]) -> _Recorded:
        """Index the results by key, and the Jobs by key and series."""
        results: dict[str, list[ModelResult]] = {}
        for result in status.results:
            results.setdefault(result.key or result.evaluation_key or "", []).append(result)
        ordered = sorted(jobs, key=lambda j: j.attempt)
        return cls(status, results, {(key, j.series): j for j in ordered for key in j.members or (j.key,)})

    def settled_at(self, job: JobObject) -> datetime | None:
        """Return since when the Job has nothing left to do; None while it has."""
        if job.series != self.status.series:
            return _LONG_AGO
        if not job.members:
            return self._settled(job, job.key)
        hangs = [r.stalls[-1] for r in self._results_of(job) if was_ended_for_stall(job, r.stalls)]
        if hangs:
            return max(hangs)  # of the whole pack: the others would wait for its pod's deadline
        times = [self._settled(job, key) for key in job.members]
        known = [at for at in times if at is not None]
        return max(known) if len(known) == len(times) else None

    def _results_of(self, job: JobObject) -> Iterator[ModelResult]:
        """Yield the results of those evaluations that have no later Job: the stalls of such a Job are its own."""
        for key in job.members:
            if self.last[key, job.series].attempt <= job.attempt:
                yield from self.results.get(key, ())

    def _settled(self, job: JobObject, key: str) -> datetime | None:
        last = self.last[key, job.series]
        if last.attempt > job.attempt:
            return last.meta.created
        if key == TASKS_KEY:
            ready = find(self.status.conditions, ConditionType.TASKS_READY)
            return ready.last_transition_time if self.status.task_set is not None and ready is not None else None
        for result in self.results.get(key, ()):
            if result.state in EVALUATED and result.finished_at is not None:
                return result.finished_at
            if any(failure.attempt >= job.attempt for failure in result.failures):
                return result.failures[-1].at
            if was_ended_for_stall(job, result.stalls):
                return result.stalls[-1]
        return None
