"""Which finished rounds keep their files on the artifact volume, by the operator's retention.

After each end of a round a Job records it on the volume, measures the free space, and removes what is left of rounds
that do not exist any more. Another Job removes a round's own files once a rule says so: its age, newer rounds of its
Validator, or too little free space, the oldest round first. Where there is an archive, nothing is removed that is not
in it. Every round has a folder of its own, so that no other round needs its files.

Rounds that only build tasks are never archived. They are counted by competition and apart from others, and the newest
two that a competition of a Validator has built stay whatever the rules are: tasks of the last period are being asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bitagent_crds.conditions import ConditionStatus, ConditionType, Fault, Reason
from bitagent_crds.evalround import EvalRoundStatus, FilesStatus
from bitagent_crds.jobs import RetentionSummary
from bitagent_crds.names import COMPETITION_LABEL, COMPONENT_LABEL, KEY_LABEL, VALIDATOR_LABEL, Component
from bitagent_kube.conditions import Conditions, find
from bitagent_kube.objects import EventMessage, ObjectMeta
from bitagent_operator import naming
from bitagent_operator.observed.objects import RoundObject, changed
from bitagent_operator.observed.workloads import JobObject, PodObject
from bitagent_operator.plan.files.archive import is_archived
from bitagent_operator.plan.files.repeated import JobStep, RepeatedWork, deletions, next_step
from bitagent_operator.plan.inputs import Pass, RetentionPolicy
from bitagent_operator.plan.interface import EventReason, RoundPlan, StartRetention
from bitagent_operator.plan.jobs.pods import Problem
from bitagent_operator.plan.rounds.end import is_to_be_retried

ASKED_POOLS = 2
"""Newest task sets of a competition whose tasks may be asked online: those of the last period and of this one."""
MEASURE_AGAIN = timedelta(hours=1)
"""Age from which on a measurement of too little free space is repeated."""


def is_retention_job(job: JobObject) -> bool:
    """Whether the Job is of the retention."""
    return job.meta.labels.get(COMPONENT_LABEL) == Component.RETENTION


def is_removing(observed: RoundObject, jobs: Iterable[JobObject], pods: Iterable[PodObject]) -> bool:
    """Whether a Job is there to remove the round's files, or a pod of one that has not ended."""
    begun = any(_removes(job.meta) and job.meta.owner_uid == observed.meta.uid for job in jobs)
    return begun or any(_removes(pod.meta) and pod.phase in ("Pending", "Running") for pod in pods)


def _removes(meta: ObjectMeta) -> bool:
    return meta.labels.get(COMPONENT_LABEL) == Component.RETENTION and meta.labels.get(KEY_LABEL) == naming.REMOVE_KEY


@dataclass(frozen=True)
class FinishedFiles:
    """The files of one finished round."""

    round: str
    validator: str
    """Name of its Validator; empty for a round of a person."""
    finished: datetime
    measured: FilesStatus | None
    """What its own Jobs found since it finished."""
    saved: bool
    """Whether its files may be removed at all: they are archived, or there is no archive."""
    failing: bool = False
    """Whether their removal was tried and has failed."""
    pool: str | None = None
    """Of a round that only builds tasks the competition that asks them; None for any other round."""
    built: bool = True
    """Whether it has a task set."""

    @property
    def removed(self) -> bool:
        """Whether its files are gone."""
        return self.measured is not None and self.measured.removed_at is not None

    @property
    def removable(self) -> bool:
        """Whether its files are there, recorded as those of a finished round, and may be removed."""
        return self.saved and self.measured is not None and not self.removed


def removal_fails(jobs: Iterable[JobObject]) -> bool:
    """Whether a Job that removes files has failed, among the Jobs of one round: the last one, or one before it."""
    removing = (job for job in jobs if _removes(job.meta))
    return any(job.attempt > 1 or (job.ended is not None and not job.ended.complete) for job in removing)


def files_of(observed: RoundObject, *, archive: bool, jobs: Iterable[JobObject] = ()) -> FinishedFiles | None:
    """Return the files of a round; None if it has not finished.

    `archive`: whether the operator has an archive; `jobs`: the round's own.
    """
    status = observed.status
    if status.finished_at is None:
        return None
    archived, since = is_archived(status), _counts_since(status, status.finished_at, archive=archive)
    current = status.files is not None and status.files.checked_at >= since
    return FinishedFiles(
        observed.meta.name,
        observed.meta.labels.get(VALIDATOR_LABEL, ""),
        status.finished_at,
        status.files if current else None,
        saved=not archive or archived or observed.spec.tasks_only,
        failing=removal_fails(job for job in jobs if job.meta.owner_uid == observed.meta.uid),
        pool=observed.meta.labels.get(COMPETITION_LABEL, "") if observed.spec.tasks_only else None,
        built=status.task_set is not None,
    )


def _counts_since(status: EvalRoundStatus, finished: datetime, *, archive: bool) -> datetime:
    """Return since when a measurement counts: the record on the volume has to name the archive, if there is one."""
    removed = status.files is not None and status.files.removed_at is not None
    if not archive or not is_archived(status) or status.archive is None or removed:
        return finished
    return status.archive.at


def rule_for(mine: FinishedFiles, rounds: Sequence[FinishedFiles], policy: RetentionPolicy, now: datetime) -> str:
    """Return the rule by which a round's files are removed now, in words; empty if they stay.

    `rounds` are those of all finished rounds of the namespace.
    """
    newer = _newer(mine, rounds)
    if not mine.removable or _is_asked(mine, newer):
        return ""
    if policy.ttl is not None and now >= mine.finished + policy.ttl:
        return f"retention.ttlSeconds is over since {mine.finished + policy.ttl:%Y-%m-%d %H:%M} UTC"
    if policy.rounds_per_validator is not None and mine.validator and len(newer) >= policy.rounds_per_validator:
        return f"{len(newer)} newer rounds of {mine.validator} have finished (retention.roundsPerValidator)"
    if too_little_space(rounds, policy) is not None and mine in _due_for_space(rounds):
        return "the volume has less than retention.minFreeBytes free, and no round with files is older"
    return ""


def _newer(mine: FinishedFiles, rounds: Iterable[FinishedFiles]) -> list[FinishedFiles]:
    """Return the finished rounds of the same Validator, or of persons, that are newer.

    Of one that only builds tasks these are such rounds of its competition that have built them.
    """
    same = (other for other in rounds if (other.validator, other.pool) == (mine.validator, mine.pool))
    newer = (other for other in same if (other.finished, other.round) > (mine.finished, mine.round))
    return [other for other in newer if other.pool is None or other.built]


def _is_asked(mine: FinishedFiles, newer: Sequence[FinishedFiles]) -> bool:
    """Whether a Validator asks the tasks of this round."""
    return mine.pool is not None and bool(mine.validator) and len(newer) < ASKED_POOLS


def too_little_space(rounds: Iterable[FinishedFiles], policy: RetentionPolicy) -> FinishedFiles | None:
    """Return the round whose measurement, the last of all, found less free space than the floor; None if none did."""
    measured = [other for other in rounds if other.measured is not None]
    last = max(measured, key=_measured_at, default=None)
    short = last is not None and last.measured is not None and last.measured.free_bytes < policy.min_free_bytes
    return last if short else None


def looks_after_space(rounds: Iterable[FinishedFiles]) -> FinishedFiles | None:
    """Return the round that measures again and reports while space is short: the last to measure that has files."""
    return max((r for r in rounds if r.measured is not None and not r.removed), key=_measured_at, default=None)


def _measured_at(files: FinishedFiles) -> tuple[float, str]:
    return (files.measured.checked_at.timestamp() if files.measured is not None else 0.0, files.round)


def for_space(rounds: Sequence[FinishedFiles]) -> list[FinishedFiles]:
    """Return the rounds whose files may be removed to make room, the oldest first: never the newest of a Validator."""
    newer = ((other, _newer(other, rounds)) for other in rounds if other.removable)
    free = (other for other, since in newer if since and not _is_asked(other, since))
    return sorted(free, key=lambda other: (other.finished, other.round))


def _due_for_space(rounds: Sequence[FinishedFiles]) -> list[FinishedFiles]:
    """Return the rounds whose files are removed now: the oldest, and beside each whose removal fails the next one."""
    due: list[FinishedFiles] = []
    for other in for_space(rounds):
        due.append(other)
        if not other.failing:
            break
    return due


def with_retention(
    plan: RoundPlan,
    observed: RoundObject,
    *,
    jobs: Iterable[JobObject],
    pods: Sequence[PodObject],
    rounds: Sequence[FinishedFiles],
    elsewhere: int,
    pass_: Pass,
) -> RoundPlan:
    """Return the plan of a round with what the retention needs.

    `jobs` are the retention Jobs of the round's name; `rounds`: the files of all finished rounds; `elsewhere`: such
    Jobs of other rounds that have not ended.
    """
    if plan.reads:
        return plan
    all_ = list(jobs)
    jobs = [job for job in all_ if not job.meta.deleting]
    going = [job for job in all_ if job.meta.deleting and job.meta.owner_uid == observed.meta.uid]
    policy, status, archive = pass_.settings.retention, plan.status, bool(pass_.settings.archive_uri)
    mine = files_of(replace(observed, status=status), archive=archive, jobs=jobs)
    begun = pass_.removing and mine is not None and not mine.removed and is_to_be_retried(observed)
    if begun and mine is not None and mine.measured is not None:
        return _given_up(plan, observed, mine.measured, jobs, pass_)
    if policy is None or mine is None or observed.status.finished_at != mine.finished:
        gone = status.files is not None and status.files.removed_at is not None and mine is not None
        kept = status if gone else _without(status)
        return replace(plan, status=kept, delete=(*plan.delete, *deletions(jobs)))
    if mine.removed or not mine.saved:
        return replace(plan, delete=(*plan.delete, *deletions(jobs)))
    rounds = [mine, *(other for other in rounds if other.round != mine.round)]
    rule = rule_for(mine, rounds, policy, pass_.now)
    if not rule and not _measures(mine, rounds, policy, pass_):
        return _kept(plan, observed, mine, rounds, policy, jobs, pass_)
    own = [job for job in jobs if job.meta.owner_uid == observed.meta.uid]
    key = naming.REMOVE_KEY if rule else naming.SWEEP_KEY
    reported = find(status.conditions, ConditionType.FILES_KEPT)
    problem = Problem(reported.reason, reported.message) if reported is not None else None
    work = RepeatedWork(key, RetentionSummary, Reason.FILES_KEPT, problem)
    step = next_step(
        observed, work, own, going=going, finished=mine.finished, pods=pods, elsewhere=elsewhere, pass_=pass_
    )
    if reads := pass_.requests.reads():
        return RoundPlan(status=observed.status, reads=reads)
    obsolete = [job for job in jobs if job not in own or job.meta.labels.get(KEY_LABEL) != key]
    at = max(pass_.now, _counts_since(status, mine.finished, archive=archive))
    new = _with_step(status, observed, step, rule, at)
    return replace(
        plan,
        status=new,
        retention=None if step.start is None else StartRetention(key, step.start),
        delete=(*plan.delete, *deletions([*obsolete, *step.obsolete])),
        events=(*plan.events, *_events(status, new)),
        requeue_after=_soonest(plan.requeue_after, pass_),
    )


def _given_up(
    plan: RoundPlan, observed: RoundObject, measured: FilesStatus, jobs: Sequence[JobObject], pass_: Pass
) -> RoundPlan:
    """Return the plan of a round that is to be retried while a Job removes its files: they count as removed.

    What that Job has done so far is not known, so that the retry must build on none of them.
    """
    text = "their removal had begun when spec.retry was raised: the retry begins without them, once its pod has ended"
    new = _with_condition(plan.status, observed, ConditionStatus.FALSE, Reason.FILES_REMOVED, text, pass_.now)
    return replace(
        plan,
        status=changed(new, files=changed(measured, removed_at=pass_.now)),
        delete=(*plan.delete, *deletions(jobs)),
        events=(*plan.events, *_events(plan.status, new)),
    )


def _measures(mine: FinishedFiles, rounds: Sequence[FinishedFiles], policy: RetentionPolicy, pass_: Pass) -> bool:
    """Whether the volume is to be measured by a Job of this round: once after its end, and again while it is short."""
    if mine.measured is None:
        return True
    short = too_little_space(rounds, policy)
    if short is None or short.measured is None or looks_after_space(rounds) != mine:
        return False
    again = short.measured.checked_at + MEASURE_AGAIN
    pass_.look_at(again)
    return pass_.now >= again


def _kept(
    plan: RoundPlan,
    observed: RoundObject,
    mine: FinishedFiles,
    rounds: Sequence[FinishedFiles],
    policy: RetentionPolicy,
    jobs: Sequence[JobObject],
    pass_: Pass,
) -> RoundPlan:
    """Return the plan of a round whose files stay for now; the one that measured last says if nothing can be freed."""
    if policy.ttl is not None:
        pass_.look_at(mine.finished + policy.ttl)
    known = find(plan.status.conditions, ConditionType.FILES_KEPT)
    stays = known is not None and known.reason is Reason.FILES_KEPT
    reason, message = Reason.FILES_KEPT, known.message if stays and known is not None else ""
    short = too_little_space(rounds, policy)
    reports = looks_after_space(rounds) == mine and not for_space(rounds)
    if short is not None and short.measured is not None and reports:
        reason = Reason.SPACE_SHORT
        message = f"{short.measured.free_bytes} bytes are free, retention.minFreeBytes is {policy.min_free_bytes}, and "
        message += "no round's files may be removed: they are not archived yet, or the newest of their Validator"
    new = _with_condition(plan.status, observed, ConditionStatus.TRUE, reason, message, pass_.now)
    return replace(
        plan,
        status=new,
        delete=(*plan.delete, *deletions(jobs)),
        events=(*plan.events, *_events(plan.status, new)),
        requeue_after=_soonest(plan.requeue_after, pass_),
    )


def _soonest(requeue_after: float | None, pass_: Pass) -> float | None:
    waits = (requeue_after, pass_.next_look(), pass_.next_retry())
    return min((wait for wait in waits if wait is not None), default=None)


def _with_step(
    status: EvalRoundStatus, observed: RoundObject, step: JobStep[RetentionSummary], rule: str, now: datetime
) -> EvalRoundStatus:
    """Return the status with what a Job has done, or why it does not get on."""
    if step.done is None or step.done.free_bytes is None:
        return _with_condition(status, observed, ConditionStatus.TRUE, step.reason, step.message, now)
    found = FilesStatus(free_bytes=step.done.free_bytes, checked_at=now, removed_at=now if rule else None)
    value = ConditionStatus.FALSE if rule else ConditionStatus.TRUE
    reason = Reason.FILES_REMOVED if rule else Reason.FILES_KEPT
    message = "; ".join(part for part in (rule, step.done.message) if part)
    return changed(_with_condition(status, observed, value, reason, message, now), files=found)


def _with_condition(
    status: EvalRoundStatus, observed: RoundObject, value: ConditionStatus, reason: Reason, message: str, now: datetime
) -> EvalRoundStatus:
    conditions = Conditions(status.conditions, generation=observed.meta.generation, now=now)
    conditions.set(ConditionType.FILES_KEPT, value, reason, message)
    return changed(status, conditions=conditions.all())


def _without(status: EvalRoundStatus) -> EvalRoundStatus:
    """Return the status of a round that runs, or whose operator has no retention."""
    kept = [c for c in status.conditions if c.type != ConditionType.FILES_KEPT]
    return changed(status, conditions=kept, files=None)


def _events(old: EvalRoundStatus, new: EvalRoundStatus) -> tuple[EventMessage, ...]:
    """Return the Event of files that were removed, or of a trouble that is new."""
    before, after = find(old.conditions, ConditionType.FILES_KEPT), find(new.conditions, ConditionType.FILES_KEPT)
    if after is None or (before is not None and before.reason == after.reason):
        return ()
    if after.reason is Reason.FILES_REMOVED:
        return (EventMessage(EventReason.FILES_REMOVED, after.message),)
    if after.reason.fault is Fault.NONE:
        return ()
    return (EventMessage(EventReason.RETENTION_DELAYED, f"{after.reason}: {after.message}", warning=True),)
