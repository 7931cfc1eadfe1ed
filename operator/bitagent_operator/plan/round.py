"""Plan for one EvalRound: freeze the set, fix its models, build tasks, admit models, evaluate each identity once, rank.

This module combines the steps:

    admission.py      the frozen set; each model's admission by facts
    task_set.py       the wait for the seed; the task set
    evaluations.py    Jobs and results by identity; who owns a result, who is a duplicate
    attempts.py       one evaluation: its state, from its Jobs
    attribution.py    whose trouble a failed evaluation is
    copies.py         near copies, when the round completes
    round_status.py   counts, conditions, ranks and the end
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from bitagent_crds.evalround import ModelResult
from bitagent_kube.objects import EventMessage
from bitagent_operator import naming
from bitagent_operator.objects import JobObject, ModelObject, PodObject, RoundObject, changed
from bitagent_operator.plan import admission, evaluations, round_status, task_set
from bitagent_operator.plan.interface import (
    EventReason,
    JobDeletion,
    JobSuspension,
    LiveReads,
    Pass,
    RoundPlan,
    StartEvaluation,
)
from bitagent_operator.plan.job_outcome import next_unschedulable
from bitagent_operator.plan.task_set import TaskSetProgress

BATCH = 64
"""Jobs created in one pass; then the status is written, so that a kill loses little and progress is visible."""


UNREADABLE_SECONDS = 15.0
"""Time until a round that waits for a model which cannot be read lists the models again."""


def plan(
    observed: RoundObject,
    *,
    models: Mapping[str, ModelObject],
    jobs: Iterable[JobObject],
    pods: Sequence[PodObject],
    pass_: Pass,
) -> RoundPlan:
    """Return what to do for the round. `models` holds the MinerModels of its frozen set that are known, by name."""
    jobs = [j for j in jobs if not j.meta.deleting]
    foreign = _deletions(j for j in jobs if j.meta.owner_uid != observed.meta.uid)
    own = [j for j in jobs if j.meta.owner_uid == observed.meta.uid]
    status, spec = observed.status, observed.spec
    if status.finished_at is not None:
        end = _finished(observed, own, pass_.now)
        return replace(end, delete=(*foreign, *end.delete))
    if status.started_at is None:
        return _start(observed, pass_)

    entries = admission.admit(observed, models=models, pass_=pass_)
    tasks = task_set.progress(observed, entries, jobs=own, pods=pods, pass_=pass_)
    work = evaluations.plan(observed, entries, models=models, jobs=own, pods=pods, task_set=tasks.ready, pass_=pass_)
    if reads := pass_.requests.reads():
        return RoundPlan(status=status, reads=reads)
    new = round_status.updated(observed, work.results, tasks, models=models, now=pass_.now)
    start = () if spec.suspend or tasks.failed else work.start[:BATCH]
    queued = work.unfinished if spec.suspend and spec.workload.queue_name else ()
    return RoundPlan(
        status=new,
        task_set_attempt=None if spec.suspend else tasks.start_attempt,
        evaluate=start,
        suspend=_suspensions(observed, own),
        delete=(*foreign, *_deletions(work.obsolete), *_deletions(queued)),
        events=(*round_status.events(status, new), *_control_events(start)),
        requeue_after=0.0 if start and len(work.start) > len(start) else _next_look(tasks, pods, pass_),
    )


def _control_events(start: Iterable[StartEvaluation]) -> Iterator[EventMessage]:
    for evaluation in start:
        if evaluation.control:
            text = (
                f"{evaluation.entry.model} is evaluated again, to see whether the machines work: others gave up twice"
            )
            yield EventMessage(EventReason.CONTROL_STARTED, text)


def _start(observed: RoundObject, pass_: Pass) -> RoundPlan:
    """Freeze the set once the round is not suspended, from MinerModels listed just now, never from the cache."""
    if observed.spec.suspend:
        return RoundPlan(status=round_status.not_started(observed, now=pass_.now))
    if pass_.live.candidates is None:
        return RoundPlan(status=observed.status, reads=LiveReads(candidates=observed.spec.models))
    if unreadable := admission.unreadable(observed.spec.models, pass_.live.unreadable):
        waiting = round_status.waiting_for_models(observed, unreadable, now=pass_.now)
        events = round_status.invalid_models_event(observed.status, waiting)
        return RoundPlan(status=waiting, events=events, requeue_after=UNREADABLE_SECONDS)
    candidates, limit = pass_.live.candidates, pass_.settings.models_per_hotkey
    selection = admission.select(
        observed.spec.models, candidates, models_per_hotkey=limit, suspended=pass_.live.suspended
    )
    results = [ModelResult(model=name) for name in selection.names]
    tasks = TaskSetProgress()
    if observed.spec.tasks.seed_from is not None:
        # Commits that are named are fixed in the same write as the set.
        frozen = replace(observed, status=changed(observed.status, started_at=pass_.now, results=results))
        results = admission.admit(frozen, models={m.meta.name: m for m in candidates}, pass_=pass_)
        tasks = task_set.progress(frozen, results, jobs=(), pods=(), pass_=pass_)
    new = round_status.started(observed, results, tasks, left_out=selection.left_out, now=pass_.now)
    return RoundPlan(status=new, events=round_status.events(observed.status, new))


def _next_look(tasks: TaskSetProgress, pods: Sequence[PodObject], pass_: Pass) -> float | None:
    """Return the seconds until time alone changes the plan; None if only a change of an object does."""
    waits = (tasks.requeue_after, next_unschedulable(pods, pass_), pass_.next_retry())
    return min((wait for wait in waits if wait is not None), default=None)


def _finished(observed: RoundObject, own: list[JobObject], now: datetime) -> RoundPlan:
    """Remove Jobs: those that are not needed at once, the others when their time to live is over.

    `finishedAt` in the observed status means that all results are recorded.
    """
    status, ttl = observed.status, observed.spec.ttl_seconds_after_finished
    needed = {r.evaluation_key for r in status.results if r.score is not None}
    needed |= {naming.TASKS_KEY} if status.task_set is not None else set()
    left = None
    if ttl is not None and status.finished_at is not None and own:
        left = (status.finished_at + timedelta(seconds=ttl) - now).total_seconds()
    over = left is not None and left <= 0
    delete = [j for j in own if over or (j.ended is None and j.key not in needed)]
    return RoundPlan(status=status, delete=_deletions(delete), requeue_after=None if over else left)


def _suspensions(observed: RoundObject, own: list[JobObject]) -> tuple[JobSuspension, ...]:
    """Return the unfinished Jobs that do not follow the round's `suspend`; with a queue, the queue owns that field."""
    if observed.spec.workload.queue_name:
        own = [j for j in own if j.key == naming.TASKS_KEY]
    suspend = observed.spec.suspend
    return tuple(JobSuspension(j.meta.name, suspend) for j in own if j.ended is None and j.suspended != suspend)


def _deletions(jobs: Iterable[JobObject]) -> tuple[JobDeletion, ...]:
    return tuple(JobDeletion(j.meta.name, j.meta.uid) for j in jobs)
