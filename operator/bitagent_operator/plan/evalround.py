"""Plan for one EvalRound: freeze the set, build the tasks, admit models, evaluate each set of weights once, rank, finish.

Split by step; this file puts them together.

    selection.py     the frozen set
    tasks.py         the task set
    entries.py       one model's way: waiting, admitted, rejected
    evaluations.py   Jobs and results by weights; who owns a result, who is a duplicate
    summary.py       counts, conditions and the end
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bitagent_crds.evalround import EvalRoundStatus
from bitagent_crds.layout import evaluation_key
from bitagent_operator import naming
from bitagent_operator.observed import JobObject, ModelObject, PodObject, RoundObject
from bitagent_operator.plan import entries, evaluations, selection, summary
from bitagent_operator.plan.evaluations import Evaluation
from bitagent_operator.plan.notices import Notice, Obsolete
from bitagent_operator.plan.questions import NO_QUESTIONS, Answers, Gather, Questions
from bitagent_operator.plan.results import next_look
from bitagent_operator.plan.tasks import observe_task_set

BATCH = 64
"""Jobs created in one pass: then the status is written, so that a kill loses little and progress shows."""


@dataclass(frozen=True)
class RoundSettings:
    """What the operator's configuration says about rounds."""

    artifact_claim: str
    unschedulable_after: timedelta


@dataclass(frozen=True)
class RoundPlan:
    """What to do for an EvalRound, in this order: create, write the status, suspend, delete, tell."""

    status: EvalRoundStatus
    tasks: int | None = None
    """Attempt number of the task-set Job to create."""
    evaluate: tuple[Evaluation, ...] = ()
    suspend: tuple[tuple[str, bool], ...] = ()
    """Names of Jobs, and whether they are to be suspended."""
    delete: tuple[Obsolete, ...] = ()
    notices: tuple[Notice, ...] = ()
    questions: Questions = NO_QUESTIONS
    again: float | None = None
    """Seconds until the plan may change by itself."""


def plan(
    observed: RoundObject,
    *,
    models: Mapping[str, ModelObject],
    jobs: Iterable[JobObject],
    pods: Sequence[PodObject],
    settings: RoundSettings,
    answers: Answers,
    now: datetime,
) -> RoundPlan:
    """What to do, from what was observed. Before the round has started, `models` are the candidates; later any superset of its set."""
    jobs = [j for j in jobs if not j.meta.deleting]
    foreign = _obsolete(j for j in jobs if j.meta.owner_uid != observed.meta.uid)
    own = [j for j in jobs if j.meta.owner_uid == observed.meta.uid]
    status = observed.status
    if status.finished_at is not None:
        end = _finished(observed, own, now)
        return replace(end, delete=(*foreign, *end.delete))
    if status.started_at is None:
        return _start(observed, models, answers, now)

    ask = Gather()
    claim, bound = settings.artifact_claim, settings.unschedulable_after
    tasks = observe_task_set(
        observed, jobs=own, pods=pods, claim=claim, answers=answers, ask=ask, now=now, unschedulable_after=bound
    )
    judged = entries.judge(observed, models=models, answers=answers, ask=ask)
    work = evaluations.plan(
        observed,
        judged,
        models=models,
        jobs=own,
        pods=pods,
        task_set=tasks.ready,
        answers=answers,
        ask=ask,
        now=now,
        unschedulable_after=bound,
    )
    if questions := ask.questions():
        return RoundPlan(status, questions=questions)
    suspended = observed.spec.suspend
    new = summary.status(observed, work.results, tasks, now=now)
    evaluate = () if suspended or tasks.failed else work.create[:BATCH]
    queued = work.unfinished if suspended and observed.spec.workload.queue_name else ()
    look = next_look(pods, now=now, unschedulable_after=bound)
    return RoundPlan(
        status=new,
        tasks=None if suspended else tasks.attempt,
        evaluate=evaluate,
        suspend=_suspensions(observed, own),
        delete=(*foreign, *_obsolete(work.obsolete), *_obsolete(queued)),
        notices=summary.notices(status, new),
        again=0.0 if evaluate and len(work.create) > len(evaluate) else look,
    )


def _start(observed: RoundObject, models: Mapping[str, ModelObject], answers: Answers, now: datetime) -> RoundPlan:
    """The set is frozen when the round is first seen and not suspended; from a list read just now, never from the cache."""
    if observed.spec.suspend:
        return RoundPlan(summary.not_started(observed, now=now))
    if not answers.selected:
        return RoundPlan(observed.status, questions=Questions(selection=True))
    new = summary.started(observed, selection.select(observed.spec.models, models.values()), now=now)
    return RoundPlan(new, notices=summary.notices(observed.status, new))


def _finished(observed: RoundObject, own: list[JobObject], now: datetime) -> RoundPlan:
    """Only Jobs are left to remove: those nobody needs now, the others when their time is over.

    `finishedAt` in the observed status says that all results are recorded.
    """
    status, ttl = observed.status, observed.spec.ttl_seconds_after_finished
    needed = {evaluation_key(r.weights_digest) for r in status.results if r.weights_digest and r.score is not None}
    needed |= {naming.TASKS_KEY} if status.task_set is not None else set()
    left = None
    if ttl is not None and status.finished_at is not None and own:
        left = (status.finished_at + timedelta(seconds=ttl) - now).total_seconds()
    over = left is not None and left <= 0
    delete = [j for j in own if over or (j.ended is None and j.key not in needed)]
    return RoundPlan(status, delete=_obsolete(delete), again=None if over else left)


def _suspensions(observed: RoundObject, own: list[JobObject]) -> tuple[tuple[str, bool], ...]:
    """Unfinished Jobs follow the round's `suspend`; with a queue the queue owns that field."""
    if observed.spec.workload.queue_name:
        own = [j for j in own if j.key == naming.TASKS_KEY]
    wanted = observed.spec.suspend
    return tuple((j.meta.name, wanted) for j in own if j.ended is None and j.suspended != wanted)


def _obsolete(jobs: Iterable[JobObject]) -> tuple[Obsolete, ...]:
    return tuple(Obsolete(j.meta.name, j.meta.uid) for j in jobs)
