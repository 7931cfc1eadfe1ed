"""Work after the end of a round: one Job of a kind at a time, tried again until it succeeds, for ever.

A failure never changes the round's verdicts. Each attempt has a Job of its own, whose name has room for 10,000 of them;
the one before is removed when the next exists.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from bitagent_crds.conditions import Reason
from bitagent_crds.jobs import ArchiveSummary, RetentionSummary
from bitagent_crds.names import COMPONENT_LABEL, FINISHED_LABEL, KEY_LABEL, Component
from bitagent_kube.conditions import clip
from bitagent_operator import naming
from bitagent_operator.observed.objects import RoundObject
from bitagent_operator.observed.workloads import JobObject, PodObject
from bitagent_operator.plan.inputs import Pass
from bitagent_operator.plan.interface import JobDeletion
from bitagent_operator.plan.jobs.outcome import (
    MESSAGE_LENGTH,
    Active,
    Done,
    InfraFault,
    Lost,
    ModelFault,
    Unseen,
    classify,
)
from bitagent_operator.plan.jobs.pods import GONE_AFTER, Problem, given_up

PARALLEL = 4
"""Jobs of one component for all rounds together: an archive that is switched on finds every finished round at once."""
SLOT_SECONDS = 15.0
"""Time after which a round that waits for one of them looks again."""
FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=30), timedelta(hours=1)
"""Time until a failed Job is followed by the next one: doubled with each attempt."""

S = TypeVar("S", ArchiveSummary, RetentionSummary)


def is_after_the_end(job: JobObject) -> bool:
    """Whether the Job does work after the end of its round: it is none of the round's own."""
    return job.meta.labels.get(COMPONENT_LABEL) in (Component.ARCHIVE, Component.RETENTION)


@dataclass(frozen=True)
class JobStep(Generic[S]):
    """What to do next for one kind of work, and what to report."""

    reason: Reason
    message: str = ""
    start: int | None = None
    """Attempt to start now."""
    done: S | None = None
    obsolete: list[JobObject] = field(default_factory=list)
    """Jobs to delete."""


@dataclass(frozen=True)
class RepeatedWork(Generic[S]):
    """One kind of work of a finished round."""

    key: str
    """Value of KEY_LABEL; part of the Job's name."""
    summary: type[S]
    under_way: Reason
    """Reported while a Job runs without trouble."""
    reported: Problem | None
    """What the round's condition says so far."""


def next_step(
    observed: RoundObject,
    work: RepeatedWork[S],
    jobs: Iterable[JobObject],
    *,
    going: Iterable[JobObject],
    finished: datetime,
    pods: Sequence[PodObject],
    elsewhere: int,
    pass_: Pass,
) -> JobStep[S]:
    """Return the next step, from the last Job for this end of the round. It is void if the pass has requested reads.

    `jobs` are the round's own of any kind, but for those that are being deleted: `going`. `elsewhere`: Jobs of the
    component for other rounds that have not ended.
    """
    taken = _taken(work, going, pass_)
    mine = sorted((j for j in jobs if j.meta.labels.get(KEY_LABEL) == work.key), key=lambda j: j.attempt)
    stamp = finished_label(finished)
    current: list[JobObject] = [job for job in mine if job.meta.labels.get(FINISHED_LABEL) == stamp]
    past: list[JobObject] = [job for job in mine if job not in current]
    if not current:
        first = 1 + max([taken, *(job.attempt for job in past)])
        return replace(_slot(_start(observed, work, first, pass_), elsewhere, pass_), obsolete=past)
    last = current[-1]
    older: list[JobObject] = [*past, *current[:-1]]
    outcome = classify(last, pods, work.summary, pass_, last_reported=work.reported)
    wait = wait_after(last.attempt)
    match outcome:
        case Unseen():
            return JobStep(work.under_way)
        case Active():
            found = outcome.problem or Problem(work.under_way, "")
            return JobStep(found.reason, found.message, obsolete=older)
        case Done(summary=summary) if summary.complete:
            return JobStep(summary.reason, summary.message, done=summary, obsolete=[*older, last])
        case Done():
            reason, message, at = Reason.RESULT_LOST, "its summary has no result", last.meta.created
        case ModelFault():
            reason, message, at = outcome.reason, outcome.message, last.meta.created
        case InfraFault() | Lost():
            reason, message, at = outcome.reason, outcome.message, outcome.at
            wait = timedelta() if isinstance(outcome, InfraFault) and outcome.untimed else wait
    again = at + wait
    if pass_.now < again:
        pass_.look_at(again)
        return JobStep(reason, f"{message}; tried again at {again:%H:%M:%S} UTC", obsolete=older)
    step = _start(observed, work, max(taken, last.attempt) + 1, pass_)
    step = replace(step, reason=reason, message=message) if step.start is not None else step
    return replace(_slot(step, elsewhere, pass_), obsolete=older)


def _taken(work: RepeatedWork[S], going: Iterable[JobObject], pass_: Pass) -> int:
    """Return the last attempt whose name is that of a Job which is being deleted and never goes; 0 if there is none."""
    taken = 0
    for job in going:
        if job.meta.labels.get(KEY_LABEL) == work.key and job.meta.deletion is not None:
            pass_.look_at(job.meta.deletion + GONE_AFTER)
            taken = max(taken, job.attempt if given_up(job.meta, pass_.now) else 0)
    return taken


def _start(observed: RoundObject, work: RepeatedWork[S], attempt: int, pass_: Pass) -> JobStep[S]:
    """Return the start of a Job, unless the API server does not accept it."""
    name = naming.round_job_name(observed.meta.name, key=work.key, attempt=attempt)
    known, refusal = pass_.refusals.get(name), pass_.refusal(name)
    reason = known.reason if known is not None else work.under_way
    message = clip(known.message, MESSAGE_LENGTH) if known is not None else ""
    return JobStep(reason, message, start=attempt if refusal is None else None)


def _slot(step: JobStep[S], elsewhere: int, pass_: Pass) -> JobStep[S]:
    """Return the step without its start while too many other rounds have such a Job."""
    if step.start is None or elsewhere < PARALLEL:
        return step
    pass_.look_at(pass_.now + timedelta(seconds=SLOT_SECONDS))
    return replace(step, start=None, message=step.message or f"waits for the Jobs of {elsewhere} other rounds")


def wait_after(attempt: int) -> timedelta:
    """Return the time from the end of a failed attempt to the next one."""
    return min(LONGEST_WAIT, FIRST_WAIT * (1 << min(attempt - 1, 16)))


def finished_label(finished: datetime) -> str:
    """Return the value of FINISHED_LABEL for the end of a round."""
    return str(int(finished.timestamp()))


def deletions(jobs: Iterable[JobObject]) -> tuple[JobDeletion, ...]:
    """Return the deletions of these Jobs."""
    return tuple(JobDeletion(j.meta.name, j.meta.uid) for j in jobs)
