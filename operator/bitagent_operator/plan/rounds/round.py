"""Plan for one EvalRound: freeze the set, fix its models, build tasks, admit models, evaluate each identity once, rank.

This module combines the steps:

    round_start.py    the wait for models; the frozen set
    admission.py      each model's admission by facts
    task_set.py       the wait for the seed; the task set
    evaluations.py    Jobs and results by identity; who owns a result, who is a duplicate
    packing.py        which evaluations share a Job
    attempts.py       one evaluation: its state, from its Jobs
    holders.py        what holds GPUs, and which Jobs must let go of them
    attribution.py    whose trouble a failed evaluation is; settlement.py does what follows
    progress.py       how far evaluations are, the estimated end, and where the time of GPUs goes
    copies.py         near copies, when the round completes
    round_status.py   counts and conditions; leaderboard.py ranks
    round_end.py      how it completes, fails, or reaches its own bound
    retry.py          what is done again, with Jobs of another name
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from bitagent_kube.objects import EventMessage
from bitagent_operator import naming
from bitagent_operator.observed.objects import ModelObject, RoundObject, changed
from bitagent_operator.observed.workloads import JobObject, PodObject
from bitagent_operator.plan.inputs import Pass
from bitagent_operator.plan.interface import EventReason, JobDeletion, JobSuspension, RoundPlan, StartEvaluation
from bitagent_operator.plan.rounds import admission, evaluations, progress, task_set
from bitagent_operator.plan.rounds import end as round_end
from bitagent_operator.plan.rounds import status as round_status
from bitagent_operator.plan.rounds.events import events
from bitagent_operator.plan.rounds.holders import keeping_volumes, next_given_up, to_release
from bitagent_operator.plan.rounds.retry import other_image, retry
from bitagent_operator.plan.rounds.start import plan_start
from bitagent_operator.plan.rounds.task_set import TaskSetProgress

BATCH = 64
"""Jobs created in one pass; then the status is written, so that a kill loses little and progress is visible."""


def plan(
    observed: RoundObject,
    *,
    models: Mapping[str, ModelObject],
    jobs: Iterable[JobObject],
    pods: Sequence[PodObject],
    pass_: Pass,
) -> RoundPlan:
    """Return what to do for the round. `models` holds the MinerModels of its frozen set that are known, by name."""
    jobs = list(jobs)
    foreign = _deletions(j for j in jobs if j.meta.owner_uid != observed.meta.uid and not j.meta.deleting)
    own = [j for j in jobs if j.meta.owner_uid == observed.meta.uid]
    again = retry(observed, pass_) or other_image(observed, jobs=own, pods=pods, pass_=pass_)
    if again is not None:
        return RoundPlan(status=again.status, events=(again.event,), delete=foreign)
    spent = keeping_volumes(observed.status, own, models)
    if observed.status.finished_at is not None:
        end = _finished(observed, [job for job in own if job not in spent], pods, pass_)
        return replace(end, delete=(*foreign, *end.delete, *_deletions(spent)))
    if observed.status.started_at is None:
        return plan_start(observed, pass_)

    entries = admission.admit(observed, models=models, pass_=pass_)
    tasks = task_set.progress(observed, entries, jobs=own, pods=pods, pass_=pass_)
    work = evaluations.plan(observed, entries, models=models, jobs=own, pods=pods, task_set=tasks.ready, pass_=pass_)
    if reads := pass_.requests.reads():
        return RoundPlan(status=observed.status, reads=reads)
    results = progress.timed(observed, work.results, pods)
    shared = pass_.share.message(holds=work.held + len(work.start), waits=work.waits) if pass_.share is not None else ""
    new = round_status.updated(observed, results, tasks, models=models, pass_=pass_, shared=shared)
    new = progress.with_progress(observed, new, pods, pass_)
    new = changed(new, fetch_controls=list(work.fetch_controls))
    starts = not observed.spec.suspend and new.finished_at is None
    start = work.start[:BATCH] if starts else ()
    released, left = to_release(observed.status, own, pods, pass_.now)
    queued = work.unfinished if observed.spec.suspend and observed.spec.workload.queue_name else ()
    delete = {j.meta.uid: j for j in (*work.obsolete, *queued, *released, *_resumed_by_others(observed, own), *spent)}
    waits = (left, next_given_up(own, pods, pass_.now), _next_look(observed, tasks, pass_))
    return RoundPlan(
        status=new,
        task_set_attempt=None if observed.spec.suspend or new.finished_at is not None else tasks.start_attempt,
        evaluate=start,
        held=work.held,
        waits_for_slots=work.waits + len(work.start) - len(start) if starts else 0,
        suspend=tuple(s for s, job in _suspensions(observed, own) if job.meta.uid not in delete),
        delete=(*foreign, *_deletions(delete.values())),
        events=(*events(observed.status, new), *_control_events(start)),
        requeue_after=0.0 if start and len(work.start) > len(start) else _soonest(waits),
    )


def without_jobs(observed: RoundObject, jobs: Iterable[JobObject]) -> RoundPlan:
    """Return what to do for a round that is being deleted: its Jobs end.

    Kubernetes deletes them once the round is gone, which somebody's finalizer may keep; meanwhile they would hold GPUs.
    """
    own = (j for j in jobs if j.meta.owner_uid == observed.meta.uid and j.ended is None and not j.meta.deleting)
    return RoundPlan(status=observed.status, delete=_deletions(own))


def _control_events(start: Iterable[StartEvaluation]) -> Iterator[EventMessage]:
    for evaluation in start:
        if evaluation.control:
            text = (
                f"{evaluation.entry.model} is evaluated again, to see whether the machines work: others gave up twice"
            )
            yield EventMessage(EventReason.CONTROL_STARTED, text)


def _next_look(observed: RoundObject, tasks: TaskSetProgress, pass_: Pass) -> float | None:
    """Return the seconds until time alone changes the plan; None if only a change of an object does."""
    until = round_end.deadline(observed)
    left = (until - pass_.now).total_seconds() if until is not None and until > pass_.now else None
    return _soonest((left, tasks.requeue_after, pass_.next_look(), pass_.next_retry()))


def _soonest(waits: Iterable[float | None]) -> float | None:
    return min((wait for wait in waits if wait is not None), default=None)


def _finished(observed: RoundObject, own: list[JobObject], pods: Sequence[PodObject], pass_: Pass) -> RoundPlan:
    """Return what remains after the end: no Job may hold a GPU, and all go when their time is over.

    `finishedAt` in the observed status means that all results are recorded.
    """
    status, ttl = observed.status, observed.spec.ttl_seconds_after_finished
    delete, wait = to_release(status, own, pods, pass_.now)
    left = None
    if ttl is not None and status.finished_at is not None and own:
        left = (status.finished_at + timedelta(seconds=ttl) - pass_.now).total_seconds()
    if left is not None and left <= 0:
        return RoundPlan(status=status, delete=_deletions(j for j in own if not j.meta.deleting))
    return RoundPlan(status=status, delete=_deletions(delete), requeue_after=_soonest((wait, left)))


def _suspensions(observed: RoundObject, own: Iterable[JobObject]) -> Iterator[tuple[JobSuspension, JobObject]]:
    """Yield the Jobs to suspend with the round, and those to resume that were suspended so.

    Whatever else has suspended a Job, such as Kueue or a policy, resumes it. With a queue, the queue owns that field.
    """
    suspend, queue = observed.spec.suspend, observed.spec.workload.queue_name
    for job in own:
        if job.ended is not None or job.meta.deleting or (queue and job.key != naming.TASKS_KEY):
            continue
        if suspend != job.suspended and (suspend or job.suspended_by_round):
            yield JobSuspension(job.meta.name, suspend), job


def _resumed_by_others(observed: RoundObject, own: Iterable[JobObject]) -> list[JobObject]:
    """Return the Jobs that something else has resumed while the round is suspended: deleting them ends the fight."""
    if not observed.spec.suspend:
        return []
    return [j for j in own if j.ended is None and j.suspended_by_round and not j.suspended and not j.meta.deleting]


def _deletions(jobs: Iterable[JobObject]) -> tuple[JobDeletion, ...]:
    return tuple(JobDeletion(j.meta.name, j.meta.uid) for j in jobs)
