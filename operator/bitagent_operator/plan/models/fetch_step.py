"""The state of a model's files according to its last fetch Job, and the conditions that say so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from bitagent_crds.conditions import ConditionStatus, ConditionType, Fault, Reason
from bitagent_crds.jobs import FetchSummary
from bitagent_crds.minermodel import Inspection, MinerModelStatus, ModelFacts, ResolvedModel
from bitagent_crds.names import CACHE_LABEL, COMMIT_LABEL, FACTS_LABEL, NEED_LABEL, VERIFY_LABEL, short_hash
from bitagent_crds.schema import is_later
from bitagent_kube.conditions import Conditions, find
from bitagent_operator.observed.objects import ModelObject, changed
from bitagent_operator.observed.workloads import JobObject, PodObject
from bitagent_operator.plan.identity import origin
from bitagent_operator.plan.inputs import Pass
from bitagent_operator.plan.interface import Evicted, HubTrouble, StartFetch
from bitagent_operator.plan.jobs.counts import never_ran, only_removed
from bitagent_operator.plan.jobs.outcome import (
    Active,
    Done,
    InfraFault,
    Lost,
    ModelFault,
    Unseen,
    classify,
)
from bitagent_operator.plan.jobs.pods import Problem
from bitagent_operator.plan.models.fetch import BY_ADMISSION, FetchResult, fetch_result, named_commit
from bitagent_operator.plan.models.hub import hub_trouble
from bitagent_operator.plan.models.resolution import since_of

MAX_ATTEMPTS = 4
"""Fetch Jobs for one need, each with several pods, before an infrastructure fault is reported as final."""
BACKOFF = timedelta(seconds=30)
"""Wait after the first failed Job; doubled after each further one."""
SOUND = "file list, configuration and weight headers are sound"
ROOM_BACKOFF = timedelta(seconds=30)
"""Wait before a fetch that found no room in the cache looks for it again."""


class Series(StrEnum):
    """What a fetch may wait for without using up its attempts."""

    ROOM = "room"
    HUB = "hub"
    START = "start"
    """A container, of a pod that a node has accepted."""
    CHANGED = "changed"
    """The size of what a directory holds now."""
    REMOVED = "removed"
    """A node that keeps its pod; attempts that failed before still count."""


@dataclass(frozen=True)
class FetchStep:
    """The state of the model's files according to the last fetch Job."""

    status: MinerModelStatus
    result: FetchResult | None
    """The result that the status holds; None while the present spec has none."""
    retry_at: datetime | None = None
    """Start of the next attempt, if the last one failed for an infrastructure reason or found no room."""
    series: Series | None = None
    """What it waits for, if the next attempt begins a series of its own: any number of times."""
    trouble: HubTrouble | None = None
    """What the last Job met at the hub, if every other fetch would meet it as well."""
    answered: datetime | None = None
    """When the hub answered the last Job, if that is news."""
    then: StartFetch | None = None
    """The fetch of the files, if the last Job has found their size."""
    evicted: Evicted | None = None
    """What the last Job has removed from the cache, if that is news."""


def _earliest(job: JobObject) -> datetime:
    """Return a lower bound of the time of the Job's findings, however far the nodes' clocks are off."""
    return max(job.meta.created, since_of(job))


def _found_at(said: datetime | None, job: JobObject, pass_: Pass) -> datetime:
    """Return when a pod has found something by its node's clock, but not in the future nor before its Job.

    A result of the future would count as recent for rounds that start until then.
    """
    return max(min(said or job.meta.created, pass_.now), _earliest(job))


def record_fetch(model: ModelObject, job: JobObject | None, pods: Sequence[PodObject], pass_: Pass) -> FetchStep:
    """Return the status after the last fetch Job. A recorded result is final for its Job, also without its pods."""
    status, generation = model.status, model.meta.generation
    known = fetch_result(status, generation=generation)
    if known is not None and known.reason is Reason.TOO_MANY_MODELS:
        known = None  # no longer: its hotkey has fewer now
    if job is None or (known is not None and known.at >= _earliest(job)):
        return FetchStep(status, known)
    last = find(status.conditions, ConditionType.FETCHED)
    reported = Problem(last.reason, last.message) if last and last.status == ConditionStatus.UNKNOWN else None
    outcome = classify(job, pods, FetchSummary, pass_, last_reported=reported)
    on_hub = model.spec.source.hugging_face is not None
    answered = (job.ended.at if job.ended is not None else pass_.now) if on_hub else None
    match outcome:
        case Unseen():
            return FetchStep(status, known)
        case Active():
            problem = outcome.problem or Problem(Reason.FETCHING, f"Job {job.meta.name} is fetching it")
            looks_again = reported is not None and reported.reason is Reason.CACHE_FULL
            if reported is not None and looks_again and problem.reason.fault is not Fault.INFRASTRUCTURE:
                problem = reported
            new = unknown(status, generation, pass_.now, problem)
            return FetchStep(new, None, trouble=hub_trouble(job, outcome, pods, repository=origin(model.spec.source)))
        case InfraFault() | Lost():
            reason = outcome.reason
            trouble = hub_trouble(job, outcome, pods, repository=origin(model.spec.source))
            untimed = isinstance(outcome, InfraFault) and outcome.untimed
            if reason is Reason.HUB_RATE_LIMITED and not untimed:
                due = outcome.at + max(BACKOFF, (trouble and trouble.retry_after) or BACKOFF)
                problem = Problem(reason, f"{outcome.message}; next one at {due:%H:%M:%S} UTC at the earliest")
                new = unknown(status, generation, pass_.now, problem)
                return FetchStep(new, None, due, series=Series.HUB, trouble=trouble)
            if never_ran(job, pods):
                problem = Problem(reason, f"{outcome.message}; it is tried again")
                new = unknown(status, generation, pass_.now, problem)
                return FetchStep(new, None, outcome.at, series=Series.START, trouble=trouble)
            if only_removed(job, pods, outcome.reason):
                due = outcome.at + (timedelta() if untimed else BACKOFF)
                problem = Problem(reason, f"{outcome.message}; next one at {due:%H:%M:%S} UTC")
                new = unknown(status, generation, pass_.now, problem)
                return FetchStep(new, None, due, series=Series.REMOVED, trouble=trouble)
            if job.attempt < MAX_ATTEMPTS:
                # One that was late has had its time, and its Job is about to start another pod: the next replaces it.
                late = untimed or (reason is Reason.DEADLINE_EXCEEDED and job.ended is None)
                due = outcome.at + (timedelta() if late else BACKOFF * 2 ** (job.attempt - 1))
                text = f"attempt {job.attempt} of {MAX_ATTEMPTS}: {outcome.message}; next one at {due:%H:%M:%S} UTC"
                new = unknown(status, generation, pass_.now, Problem(reason, text))
                return FetchStep(new, None, due, trouble=trouble)
            text = f"{outcome.message}; tried {job.attempt} times, the next round that selects it tries again"
            at = max(outcome.at, _earliest(job))
            new = failed(status, generation, pass_.now, Problem(reason, text), at=at)
            new = changed(new, attempted=job.meta.labels.get(COMMIT_LABEL))
            return FetchStep(new, fetch_result(new, generation=generation), trouble=trouble)
        case Done(summary=summary, pod=pod) if FACTS_LABEL in job.meta.labels and summary.facts is not None:
            found, at = summary.facts, _found_at(pod.started, job, pass_)
            seen = Inspection(commit=found.commit, size_bytes=found.size_bytes, generation=generation, at=at)
            problem = Problem(Reason.FETCHING, f"its {found.size_bytes:,} bytes are to be fetched")
            new = changed(unknown(status, generation, pass_.now, problem), inspection=seen)
            need = short_hash(job.meta.labels[NEED_LABEL], "files")
            then = StartFetch(need, since_of(job), 1, found.commit, verify=VERIFY_LABEL in job.meta.labels)
            return FetchStep(new, None, answered=answered, then=then)
        case Done(summary=summary) if summary.facts is not None and _other_files(job, summary.facts.commit):
            due = (job.ended.at if job.ended is not None else pass_.now) + BACKOFF
            problem = Problem(Reason.FILES_CHANGED, f"its files are those of {summary.facts.commit[:12]} by now")
            new = unknown(status, generation, pass_.now, problem)
            return FetchStep(new, None, due, series=Series.CHANGED, answered=answered)
        case Done(summary=summary, pod=pod) if summary.facts is not None:
            resolved = _resolved(summary.facts, pod, job, pass_)
            new = _fetched(status, generation, pass_.now, resolved, summary.message)
        case Done(summary=summary) if summary.reason is Reason.CACHE_FULL:
            due = (job.ended.at if job.ended is not None else pass_.now) + ROOM_BACKOFF
            problem = Problem(Reason.CACHE_FULL, summary.message)
            new = unknown(status, generation, pass_.now, problem)
            return FetchStep(new, None, due, series=Series.ROOM, answered=answered)
        case Done() | ModelFault():
            problem = Problem(Reason.BAD_CONFIG, "the fetch established no facts")
            if isinstance(outcome, ModelFault):
                problem = verdict(Problem(outcome.reason, outcome.message))
            ended = outcome.pod.terminated.finished if outcome.pod.terminated else None
            at = _found_at(ended, job, pass_)
            facts = outcome.summary.facts if outcome.summary is not None else None
            status = changed(status, resolved=_resolved(facts, outcome.pod, job, pass_) if facts is not None else None)
            new = failed(status, generation, pass_.now, problem, at=at)
    new = changed(new, attempted=job.meta.labels.get(COMMIT_LABEL))
    return FetchStep(
        new, fetch_result(new, generation=generation), answered=answered, evicted=_evicted(outcome.summary)
    )


def _evicted(summary: FetchSummary | None) -> Evicted | None:
    """Return what a Job says that it has removed; the one process that writes it is ours."""
    if summary is None or not summary.evicted_models:
        return None
    return Evicted(summary.evicted_models, summary.evicted_bytes or 0)


def _other_files(job: JobObject, commit: str) -> bool:
    """Whether a Job with a volume for one commit has found another one, in a directory that has changed."""
    return CACHE_LABEL in job.meta.labels and job.meta.labels.get(COMMIT_LABEL) not in (None, commit)


def with_size(model: ModelObject, status: MinerModelStatus, start: StartFetch) -> StartFetch:
    """Return the fetch with the size of its files, or one that finds it, where each model has a volume of its own."""
    commit, seen, resolved = start.commit or named_commit(model.spec), status.inspection, status.resolved
    if start.resolve_only:
        return start
    if commit is not None and seen is not None and (seen.commit, seen.generation) == (commit, model.meta.generation):
        return replace(start, commit=commit, size_bytes=seen.size_bytes)
    if commit is not None and resolved is not None and resolved.commit == commit:
        return replace(start, commit=commit, size_bytes=resolved.size_bytes)
    return replace(start, facts_only=True)


def verdict(problem: Problem) -> Problem:
    """Return the verdict of a Job that ended with a model's fault; one of a later evaluator is quoted.

    The exit code says that another attempt would end the same; with a reason that has no fault it would be repeated.
    """
    if not is_later(problem.reason):
        return problem
    return Problem(Reason.BAD_CONFIG, f"{problem.reason} (a reason of a later version): {problem.message}")


def _resolved(facts: ModelFacts, pod: PodObject, job: JobObject, pass_: Pass) -> ResolvedModel:
    """Return the facts with the time of their resolution: the start of the pod that found them."""
    known = {name: getattr(facts, name) for name in ModelFacts.model_fields}
    return ResolvedModel(**known, at=_found_at(pod.started, job, pass_))


def unknown(status: MinerModelStatus, generation: int, now: datetime, problem: Problem) -> MinerModelStatus:
    """Return the status of a model that has no result yet."""
    conditions = Conditions(status.conditions, generation=generation, now=now)
    conditions.set(ConditionType.FETCHED, ConditionStatus.UNKNOWN, problem.reason, problem.message)
    for kind in (ConditionType.RESOLVED, ConditionType.SAFE):
        old = conditions.get(kind)
        if old is None or old.observed_generation != generation or old.status == ConditionStatus.UNKNOWN:
            conditions.set(kind, ConditionStatus.UNKNOWN, problem.reason, problem.message)
    return changed(status, conditions=conditions.all())


def _fetched(
    status: MinerModelStatus, generation: int, now: datetime, resolved: ResolvedModel, message: str
) -> MinerModelStatus:
    """Return the status of a fetched model. The Job's message may be a warning, such as about the chat template."""
    conditions = Conditions(status.conditions, generation=generation, now=now)
    yes = ConditionStatus.TRUE
    conditions.set(ConditionType.RESOLVED, yes, Reason.RESOLVED, f"commit {resolved.commit}")
    conditions.set(ConditionType.SAFE, yes, Reason.SAFE, SOUND)
    text = message or f"{resolved.size_bytes:,} bytes are in the cache, verified"
    conditions.set(ConditionType.FETCHED, yes, Reason.FETCHED, text)
    return changed(status, resolved=resolved, conditions=conditions.all())


def failed(
    status: MinerModelStatus, generation: int, now: datetime, problem: Problem, *, at: datetime
) -> MinerModelStatus:
    """Return the status after a final failure at the time `at`; rounds that start later may try again."""
    conditions = Conditions(status.conditions, generation=generation, now=now)
    no, unknown = ConditionStatus.FALSE, ConditionStatus.UNKNOWN
    conditions.set(ConditionType.FETCHED, no, problem.reason, problem.message, not_before=at)
    if problem.reason.fault is Fault.SPEC:  # the hub does not show the repository or the revision
        conditions.set(ConditionType.RESOLVED, no, problem.reason, problem.message)
        conditions.set(ConditionType.SAFE, unknown, problem.reason, "could not be checked")
    elif problem.reason.fault is not Fault.INFRASTRUCTURE:
        conditions.set(ConditionType.RESOLVED, ConditionStatus.TRUE, Reason.RESOLVED, "")
        sound = problem.reason in BY_ADMISSION
        reason, message = (Reason.SAFE, SOUND) if sound else (problem.reason, problem.message)
        conditions.set(ConditionType.SAFE, ConditionStatus.TRUE if sound else no, reason, message)
    return changed(status, conditions=conditions.all())
