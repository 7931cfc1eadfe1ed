"""Archive of a finished round: one Job writes its files to the operator's archive, tried again until it succeeds.

A failure never changes the round: it is the words of the condition Archived. The Job starts when no pod of the round
can write any more. A round that is retried and finishes again is archived again, in another place.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from bitagent_crds.conditions import ConditionStatus, ConditionType, Fault, Reason
from bitagent_crds.evalround import ArchiveStatus, EvalRoundStatus
from bitagent_crds.jobs import ArchiveSummary
from bitagent_crds.names import COMPONENT_LABEL, FINISHED_LABEL, Component
from bitagent_kube.conditions import Conditions, clip, find
from bitagent_kube.objects import EventMessage
from bitagent_operator import naming
from bitagent_operator.objects import JobObject, PodObject, RoundObject, changed
from bitagent_operator.plan.interface import EventReason, JobDeletion, Pass, RoundPlan, StartArchive
from bitagent_operator.plan.job_outcome import (
    MESSAGE_LENGTH,
    Active,
    Done,
    InfraFault,
    Lost,
    ModelFault,
    Problem,
    Unseen,
    classify,
)

PARALLEL = 4
"""Archive Jobs of all rounds together: an archive that is switched on finds every finished round at once."""
SLOT_SECONDS = 15.0
"""Time after which a round that waits for one of them looks again."""
SETTLE = timedelta(minutes=5)
"""How long pods of the round may take to end; then its files are archived as they are."""
FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=30), timedelta(hours=1)
"""Time until a failed Job is followed by the next one: doubled with each attempt."""


def is_archive_job(job: JobObject) -> bool:
    """Whether the Job archives its round."""
    return job.meta.labels.get(COMPONENT_LABEL) == Component.ARCHIVE


def is_archived(status: EvalRoundStatus) -> bool:
    """Whether the files of the round, as it has finished last, are archived."""
    return status.archive is not None and status.finished_at is not None and status.archive.at >= status.finished_at


def archive_uri(root: str, observed: RoundObject, finished: datetime) -> str:
    """Return the place of a round's archive; no two rounds, and no two ends of one, have the same."""
    return f"{root}/{observed.meta.name}-{observed.meta.uid[:8]}/{finished:%Y%m%dT%H%M%SZ}"


@dataclass(frozen=True)
class _Step:
    """What to do for the archive of a finished round, and what to report."""

    reason: Reason
    message: str = ""
    start: int | None = None
    """Attempt to start now."""
    done: ArchiveSummary | None = None
    obsolete: list[JobObject] = field(default_factory=list)


def with_archive(
    plan: RoundPlan,
    observed: RoundObject,
    *,
    jobs: Iterable[JobObject],
    pods: Sequence[PodObject],
    elsewhere: int,
    pass_: Pass,
) -> RoundPlan:
    """Return the plan of a round with what its archive needs.

    `jobs` are the archive Jobs of the round's name, which the plan itself was not given; `elsewhere`: archive Jobs of
    other rounds that have not ended.
    """
    if plan.reads:
        return plan
    jobs = [job for job in jobs if not job.meta.deleting]
    own = sorted((j for j in jobs if j.meta.owner_uid == observed.meta.uid), key=lambda j: j.attempt)
    status, root, finished = plan.status, pass_.settings.archive_uri, observed.status.finished_at
    if not root or status.finished_at is None:
        return replace(plan, status=_without(status), delete=(*plan.delete, *_deletions(jobs)))
    if finished is None or status.finished_at != finished:
        announced = _with_condition(status, observed, _Step(Reason.ARCHIVING), pass_.now)
        return replace(plan, status=announced, delete=(*plan.delete, *_deletions(jobs)))
    if is_archived(status):
        return replace(plan, delete=(*plan.delete, *_deletions(jobs)))
    step = _next_step(observed, own, finished=finished, pods=pods, elsewhere=elsewhere, pass_=pass_)
    if reads := pass_.requests.reads():
        return RoundPlan(status=observed.status, reads=reads)
    new = _with_condition(status, observed, step, pass_.now)
    if step.done is not None:
        new = _archived(new, step.done, archive_uri(root, observed, finished), pass_.now)
    foreign = [job for job in jobs if job.meta.owner_uid != observed.meta.uid]
    waits = [plan.requeue_after, pass_.next_look(), pass_.next_retry()]
    return replace(
        plan,
        status=new,
        archive=None if step.start is None else StartArchive(step.start, archive_uri(root, observed, finished)),
        delete=(*plan.delete, *_deletions([*foreign, *step.obsolete])),
        events=(*plan.events, *_events(observed.status, new)),
        requeue_after=min((wait for wait in waits if wait is not None), default=None),
    )


def _next_step(
    observed: RoundObject,
    own: list[JobObject],
    *,
    finished: datetime,
    pods: Sequence[PodObject],
    elsewhere: int,
    pass_: Pass,
) -> _Step:
    """Return the next step, from the last Job for this end of the round. It is void if the pass has requested reads."""
    stamp = finished_label(finished)
    current = [job for job in own if job.meta.labels.get(FINISHED_LABEL) == stamp]
    past = [job for job in own if job not in current]
    if not current:
        step = _before_the_first(observed, 1 + max((j.attempt for j in past), default=0), finished, pods, pass_)
        return replace(_slot(step, elsewhere, pass_), obsolete=past)
    last, older = current[-1], [*past, *current[:-1]]
    reported = find(observed.status.conditions, ConditionType.ARCHIVED)
    problem = Problem(reported.reason, reported.message) if reported is not None else None
    outcome = classify(last, pods, ArchiveSummary, pass_, last_reported=problem)
    match outcome:
        case Unseen():
            return _Step(Reason.ARCHIVING)
        case Active():
            found = outcome.problem or Problem(Reason.ARCHIVING, "")
            return _Step(found.reason, found.message, obsolete=older)
        case Done(summary=summary) if summary.digest is not None:
            return _Step(Reason.ARCHIVED, summary.message, done=summary, obsolete=[*older, last])
        case Done():
            reason, message, at = Reason.RESULT_LOST, "its summary names no archive", last.meta.created
        case ModelFault():
            reason, message, at = outcome.reason, outcome.message, last.meta.created
        case InfraFault() | Lost():
            reason, message, at = outcome.reason, outcome.message, outcome.at
    again = at + wait_after(last.attempt)
    if pass_.now < again:
        pass_.look_at(again)
        return _Step(reason, f"{message}; tried again at {again:%H:%M:%S} UTC", obsolete=older)
    step = _start(observed, last.attempt + 1, pass_)
    step = replace(step, reason=reason, message=message) if step.start is not None else step
    return replace(_slot(step, elsewhere, pass_), obsolete=older)


def _before_the_first(
    observed: RoundObject, attempt: int, finished: datetime, pods: Sequence[PodObject], pass_: Pass
) -> _Step:
    """Return the first attempt, once no pod of the round can write to its files any more."""
    writing = [pod for pod in pods if pod.phase in ("Pending", "Running") and _writes(pod)]
    until = finished + SETTLE
    if writing and pass_.now < until:
        pass_.look_at(until)
        return _Step(Reason.ARCHIVING, f"waits until pod {writing[0].meta.name} has ended")
    return _start(observed, attempt, pass_)


def _writes(pod: PodObject) -> bool:
    return pod.meta.labels.get(COMPONENT_LABEL) in (Component.TASK_SET, Component.EVALUATE)


def _start(observed: RoundObject, attempt: int, pass_: Pass) -> _Step:
    """Return the start of a Job, unless the API server does not accept it."""
    name = naming.round_job_name(observed.meta.name, key=naming.ARCHIVE_KEY, attempt=attempt)
    known, refusal = pass_.refusals.get(name), pass_.refusal(name)
    reason = known.reason if known is not None else Reason.ARCHIVING
    message = clip(known.message, MESSAGE_LENGTH) if known is not None else ""
    return _Step(reason, message, start=attempt if refusal is None else None)


def _slot(step: _Step, elsewhere: int, pass_: Pass) -> _Step:
    """Return the step without its start while too many other rounds are being archived."""
    if step.start is None or elsewhere < PARALLEL:
        return step
    pass_.look_at(pass_.now + timedelta(seconds=SLOT_SECONDS))
    message = step.message or f"waits for the archives of {elsewhere} other rounds"
    return replace(step, start=None, message=message)


def wait_after(attempt: int) -> timedelta:
    """Return the time from the end of a failed attempt to the next one."""
    return min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(attempt - 1, 16))


def finished_label(finished: datetime) -> str:
    """Return the value of FINISHED_LABEL for the end of a round."""
    return str(int(finished.timestamp()))


def _with_condition(status: EvalRoundStatus, observed: RoundObject, step: _Step, now: datetime) -> EvalRoundStatus:
    conditions = Conditions(status.conditions, generation=observed.meta.generation, now=now)
    value = ConditionStatus.TRUE if step.done is not None else ConditionStatus.FALSE
    conditions.set(ConditionType.ARCHIVED, value, step.reason, step.message)
    return changed(status, conditions=conditions.all())


def _archived(status: EvalRoundStatus, summary: ArchiveSummary, uri: str, now: datetime) -> EvalRoundStatus:
    made = ArchiveStatus(uri=uri, digest=summary.digest or "", files=summary.files, bytes=summary.bytes, at=now)
    return changed(status, archive=made)


def _without(status: EvalRoundStatus) -> EvalRoundStatus:
    """Return the status of a round that runs, or whose operator has no archive; an archive that was made stays."""
    if status.finished_at is not None and status.archive is not None:
        return status
    kept = [c for c in status.conditions if c.type != ConditionType.ARCHIVED]
    return changed(status, conditions=kept, archive=None)


def _events(old: EvalRoundStatus, new: EvalRoundStatus) -> tuple[EventMessage, ...]:
    """Return the Event of an archive that is complete, or that fails for another reason than before."""
    before, after = find(old.conditions, ConditionType.ARCHIVED), find(new.conditions, ConditionType.ARCHIVED)
    if after is None or (before is not None and before.reason == after.reason):
        return ()
    if new.archive is not None and after.reason is Reason.ARCHIVED:
        text = f"{new.archive.files} files, {new.archive.bytes} bytes in {new.archive.uri}; {new.archive.digest}"
        return (EventMessage(EventReason.ROUND_ARCHIVED, text),)
    if after.reason.fault is Fault.NONE:
        return ()
    return (EventMessage(EventReason.ARCHIVE_DELAYED, f"{after.reason}: {after.message}", warning=True),)


def _deletions(jobs: Iterable[JobObject]) -> tuple[JobDeletion, ...]:
    return tuple(JobDeletion(j.meta.name, j.meta.uid) for j in jobs)
