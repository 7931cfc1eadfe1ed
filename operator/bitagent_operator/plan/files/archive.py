"""Archive of a finished round: one Job writes its files to the operator's archive, tried again until it succeeds.

A failure never changes the round: it is the words of the condition Archived. The Job starts when no pod of the round
can write any more. A round that is retried and finishes again is archived again, in another place.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from bitagent_crds.conditions import ConditionStatus, ConditionType, Fault, Reason
from bitagent_crds.evalround import ArchiveStatus, EvalRoundStatus
from bitagent_crds.jobs import ArchiveSummary
from bitagent_crds.names import COMPONENT_LABEL, VALIDATOR_LABEL, Component
from bitagent_kube.conditions import Conditions, find, holds
from bitagent_kube.objects import EventMessage
from bitagent_operator import naming
from bitagent_operator.observed.objects import RoundObject, changed
from bitagent_operator.observed.workloads import JobObject, PodObject
from bitagent_operator.plan.files.repeated import JobStep, RepeatedWork, deletions, next_step
from bitagent_operator.plan.inputs import Pass
from bitagent_operator.plan.interface import EventReason, RoundPlan, StartArchive
from bitagent_operator.plan.jobs.pods import Problem

SETTLE = timedelta(minutes=5)
"""How long pods of the round may take to end; then its files are archived as they are."""


SIGNING = timedelta(seconds=60)
"""How long the round of a Validator waits for its signed leaderboard; without one it is archived all the same."""


def is_archive_job(job: JobObject) -> bool:
    """Whether the Job archives its round."""
    return job.meta.labels.get(COMPONENT_LABEL) == Component.ARCHIVE


def is_archived(status: EvalRoundStatus) -> bool:
    """Whether the files of the round, as it has finished last, are archived."""
    return status.archive is not None and status.finished_at is not None and status.archive.at >= status.finished_at


def _is_removed(status: EvalRoundStatus) -> bool:
    """Whether the files went before there was an archive: one of an empty folder would look like that of the round."""
    return status.files is not None and status.files.removed_at is not None


def archive_uri(root: str, observed: RoundObject, finished: datetime) -> str:
    """Return the place of a round's archive; no two rounds, and no two ends of one, have the same."""
    return f"{root}/{observed.meta.name}-{observed.meta.uid[:8]}/{finished:%Y%m%dT%H%M%SZ}"


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
    all_ = list(jobs)
    jobs = [job for job in all_ if not job.meta.deleting]
    own = [job for job in jobs if job.meta.owner_uid == observed.meta.uid]
    going = [job for job in all_ if job.meta.deleting and job.meta.owner_uid == observed.meta.uid]
    status, root, finished = plan.status, pass_.settings.archive_uri, observed.status.finished_at
    # Tasks that are asked online stay secret: an archive may be public.
    if not root or status.finished_at is None or observed.spec.tasks_only:
        return replace(plan, status=_without(status), delete=(*plan.delete, *deletions(jobs)))
    if finished is None or status.finished_at != finished:
        announced = _with_condition(status, observed, JobStep(Reason.ARCHIVING), pass_.now)
        return replace(plan, status=announced, delete=(*plan.delete, *deletions(jobs)))
    if is_archived(status) or _is_removed(status):
        return replace(plan, delete=(*plan.delete, *deletions(jobs)))
    step = _next(observed, own, going=going, finished=finished, pods=pods, elsewhere=elsewhere, pass_=pass_)
    if reads := pass_.requests.reads():
        return RoundPlan(status=observed.status, reads=reads)
    new = _with_condition(status, observed, step, pass_.now)
    if step.done is not None:
        at = max(pass_.now, finished)  # this pod's clock may be behind that of the one before
        new = _archived(new, step.done, archive_uri(root, observed, finished), at)
    foreign = [job for job in jobs if job.meta.owner_uid != observed.meta.uid]
    waits = [plan.requeue_after, pass_.next_look(), pass_.next_retry()]
    return replace(
        plan,
        status=new,
        archive=None if step.start is None else StartArchive(step.start, archive_uri(root, observed, finished)),
        delete=(*plan.delete, *deletions([*foreign, *step.obsolete])),
        events=(*plan.events, *archive_events(observed.status, new)),
        requeue_after=min((wait for wait in waits if wait is not None), default=None),
    )


def _next(
    observed: RoundObject,
    own: Sequence[JobObject],
    *,
    going: Sequence[JobObject],
    finished: datetime,
    pods: Sequence[PodObject],
    elsewhere: int,
    pass_: Pass,
) -> JobStep[ArchiveSummary]:
    """Return the next step.

    The first Job waits until no pod of the round can write to its files any more, and for the Validator's leaderboard.
    """
    writing = [pod for pod in pods if pod.phase in ("Pending", "Running") and _writes(pod)]
    if not own and writing and pass_.now < finished + SETTLE:
        pass_.look_at(finished + SETTLE)
        return JobStep(Reason.ARCHIVING, f"waits until pod {writing[0].meta.name} has ended")
    signs = VALIDATOR_LABEL in observed.meta.labels and holds(observed.status.conditions, ConditionType.COMPLETE)
    if not own and signs and pass_.now < finished + SIGNING:
        pass_.look_at(finished + SIGNING)
        return JobStep(Reason.ARCHIVING, "waits a minute for the leaderboard that the Validator signs")
    reported = find(observed.status.conditions, ConditionType.ARCHIVED)
    problem = Problem(reported.reason, reported.message) if reported is not None else None
    work = RepeatedWork(naming.ARCHIVE_KEY, ArchiveSummary, Reason.ARCHIVING, problem)
    return next_step(observed, work, own, going=going, finished=finished, pods=pods, elsewhere=elsewhere, pass_=pass_)


def _writes(pod: PodObject) -> bool:
    return pod.meta.labels.get(COMPONENT_LABEL) in (Component.TASK_SET, Component.EVALUATE)


def _with_condition(
    status: EvalRoundStatus, observed: RoundObject, step: JobStep[ArchiveSummary], now: datetime
) -> EvalRoundStatus:
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


def archive_events(old: EvalRoundStatus, new: EvalRoundStatus) -> tuple[EventMessage, ...]:
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
