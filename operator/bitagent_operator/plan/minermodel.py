"""Plan for one MinerModel: fetch it when it is new, when its spec changed, when a round wants to know anew, and when the cache may have lost it.

A need is `(generation)` or `(generation, round)`; each need gets a Job whose name follows from it. The Job is the memory: an ended Job
counts as recorded once the status that follows from it is the status that is there, and only then it may be deleted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from bitagent_crds.conditions import ConditionStatus, ConditionType, Reason
from bitagent_crds.jobs import FetchSummary
from bitagent_crds.minermodel import MinerModelStatus, ModelFacts, ResolvedModel, RoundScore
from bitagent_operator import naming
from bitagent_operator.conditions import Conditions, find, holds
from bitagent_operator.observed import JobObject, ModelObject, PodObject, RoundObject
from bitagent_operator.plan.fetches import Fetch, wanted
from bitagent_operator.plan.freshness import RESOLVING, settled
from bitagent_operator.plan.notices import Happening, Notice, Obsolete
from bitagent_operator.plan.questions import NO_QUESTIONS, Answers, Questions
from bitagent_operator.plan.results import INFRASTRUCTURE, Active, Done, InfraFault, Lost, ModelFault, Unseen, classify

MAX_ATTEMPTS = 4
"""Fetch Jobs for one need, each of which also starts several pods, before an infrastructure fault is reported as final."""
BACKOFF = timedelta(seconds=30)
"""Wait after the first failed Job; doubled after each further one."""
KEEP_FAILED = timedelta(hours=1)
"""How long the Job of a failed fetch stays, for its log."""
HISTORY = 10


@dataclass(frozen=True)
class ModelPlan:
    """What to do for a MinerModel."""

    status: MinerModelStatus
    fetch: Fetch | None = None
    delete: tuple[Obsolete, ...] = ()
    notices: tuple[Notice, ...] = ()
    questions: Questions = NO_QUESTIONS
    again: float | None = None
    """Seconds until the plan may change by itself."""


def plan(
    model: ModelObject,
    *,
    jobs: Iterable[JobObject],
    pods: Sequence[PodObject],
    rounds: Iterable[RoundObject],
    answers: Answers,
    now: datetime,
    unschedulable_after: timedelta,
) -> ModelPlan:
    """What to do, from what was observed. `rounds` are those whose frozen set has the model."""
    rounds = list(rounds)
    generation = model.meta.generation
    own = [j for j in jobs if j.meta.owner_uid == model.meta.uid and not j.meta.deleting]
    current = sorted((j for j in own if j.meta.labels.get(naming.GENERATION) == str(generation)), key=_order)
    latest = current[-1] if current else None
    delete = [j for j in own if j is not latest]

    found, retry, asks = _record_fetch(model, latest, pods, answers, now, unschedulable_after)
    if asks:
        return ModelPlan(model.status, questions=asks)
    status = _record_rounds(model, found, rounds, now)
    over = settled(replace(model, status=status))
    news = over is not None and found != model.status
    fetch = None if news else _next_fetch(replace(model, status=status), latest, retry, rounds, now)
    again = (retry - now).total_seconds() if retry is not None and retry > now else None
    if model.spec.suspend and over is None:
        delete += [latest] if latest is not None else []
        status = _waiting(status, generation, now, Reason.SUSPENDED, "suspended; not fetched")
    elif fetch is not None:
        status = _waiting(status, generation, now, Reason.FETCHING, "the fetch Job is starting")
    elif latest is not None and over is not None and not news:
        expires = (latest.ended.at if latest.ended else now) + (timedelta() if over.fetched else KEEP_FAILED)
        delete += [latest] if now >= expires else []
        again = (expires - now).total_seconds() if now < expires else None
    status = status.model_copy(update={"observed_generation": generation})
    return ModelPlan(
        status=status,
        fetch=fetch,
        delete=tuple(Obsolete(j.meta.name, j.meta.uid) for j in delete),
        notices=_notices(model.status, status),
        again=0.0 if news else again,
    )


def _next_fetch(
    model: ModelObject, latest: JobObject | None, retry: datetime | None, rounds: Iterable[RoundObject], now: datetime
) -> Fetch | None:
    """The fetch Job to create now. `latest` is the last one, `retry` when to try again after its failure."""
    if model.spec.suspend:
        return None
    if latest is not None and retry is not None:
        due = now >= retry
        return Fetch(latest.meta.labels[naming.NEED], _since(latest), latest.attempt + 1) if due else None
    if latest is not None and settled(model) is None:
        return None
    return wanted(model, rounds)


def _order(job: JobObject) -> tuple[datetime, int, datetime]:
    return (_since(job), job.attempt, job.meta.created)


def _since(job: JobObject) -> datetime:
    return datetime.fromtimestamp(int(job.meta.labels.get(naming.SINCE, "0")), UTC)


def _earliest(job: JobObject) -> datetime:
    """What the Job found, it found after this, whatever the clocks of nodes say."""
    return max(job.meta.created, _since(job))


def _recorded(model: ModelObject, job: JobObject) -> bool:
    """Whether the status holds what the Job found: it stays, also when the Job's pods are gone."""
    over = settled(model)
    return over is not None and over.at >= _earliest(job)


def _waiting(
    status: MinerModelStatus, generation: int, now: datetime, reason: Reason, message: str
) -> MinerModelStatus:
    conditions = Conditions(status.conditions, generation=generation, now=now)
    conditions.set(ConditionType.FETCHED, ConditionStatus.UNKNOWN, reason, message)
    for kind in (ConditionType.RESOLVED, ConditionType.SAFE):
        old = conditions.get(kind)
        if old is None or old.observed_generation != generation:
            conditions.set(kind, ConditionStatus.UNKNOWN, reason, message)
    return status.model_copy(update={"conditions": conditions.all()})


def _record_fetch(
    model: ModelObject,
    job: JobObject | None,
    pods: Sequence[PodObject],
    answers: Answers,
    now: datetime,
    unschedulable_after: timedelta,
) -> tuple[MinerModelStatus, datetime | None, Questions | None]:
    """The status after the last fetch Job, when to try again, and what must be asked first."""
    status, generation = model.status, model.meta.generation
    if job is None or _recorded(model, job):
        return status, None, None
    last = find(status.conditions, ConditionType.FETCHED)
    outcome = classify(
        job,
        pods,
        FetchSummary,
        answers=answers,
        now=now,
        unschedulable_after=unschedulable_after,
        told=(last.reason, last.message) if last is not None and last.status == ConditionStatus.UNKNOWN else None,
    )
    match outcome:
        case Unseen():
            return status, None, Questions(pods_of=frozenset({job.meta.uid}))
        case Active():
            text = outcome.message or f"Job {job.meta.name} is fetching it"
            return _waiting(status, generation, now, outcome.reason or Reason.FETCHING, text), None, None
        case InfraFault() | Lost():
            reason = outcome.reason if isinstance(outcome, InfraFault) else Reason.RESULT_LOST
            if job.attempt < MAX_ATTEMPTS:
                due = outcome.at + BACKOFF * 2 ** (job.attempt - 1)
                text = f"attempt {job.attempt} of {MAX_ATTEMPTS}: {outcome.message}; next one at {due:%H:%M:%S} UTC"
                return _waiting(status, generation, now, reason, text), due, None
            text = f"{outcome.message}; tried {job.attempt} times, the next round that selects it tries again"
            return _failed(status, generation, now, max(outcome.at, _earliest(job)), reason, text), None, None
        case Done(summary=summary, pod=pod) if summary.facts is not None:
            at = max(pod.started or job.meta.created, _earliest(job))
            return _fetched(status, generation, now, at, summary.facts, summary.message), None, None
        case ModelFault() | Done():
            pod, summary_or_none = outcome.pod, outcome.summary
            ended = pod.terminated.finished if pod.terminated and pod.terminated.finished else job.meta.created
            at = max(ended, _earliest(job))
            reason = outcome.reason if isinstance(outcome, ModelFault) else Reason.BAD_CONFIG
            text = outcome.message if isinstance(outcome, ModelFault) else "the fetch established no facts"
            started = max(pod.started or job.meta.created, _earliest(job))
            facts = summary_or_none.facts if summary_or_none is not None else None
            resolved = ResolvedModel(**facts.model_dump(), at=started) if facts is not None else None
            status = status.model_copy(update={"resolved": resolved})
            return _failed(status, generation, now, at, reason, text), None, None


def _fetched(
    status: MinerModelStatus, generation: int, now: datetime, at: datetime, facts: ModelFacts, message: str
) -> MinerModelStatus:
    """Fetched. The Job's own message may have a warning, such as about the chat template."""
    conditions = Conditions(status.conditions, generation=generation, now=now)
    yes = ConditionStatus.TRUE
    conditions.set(ConditionType.RESOLVED, yes, Reason.RESOLVED, f"commit {facts.commit}")
    conditions.set(ConditionType.SAFE, yes, Reason.SAFE, "file list, configuration and weight headers are sound")
    text = message or f"{facts.size_bytes:,} bytes are in the cache, verified"
    conditions.set(ConditionType.FETCHED, yes, Reason.FETCHED, text)
    resolved = ResolvedModel(**facts.model_dump(), at=at)
    return status.model_copy(update={"resolved": resolved, "conditions": conditions.all()})


def _failed(
    status: MinerModelStatus, generation: int, now: datetime, at: datetime, reason: Reason, message: str
) -> MinerModelStatus:
    """Not fetched, for good. `at` is when that was found: a round that started later wants to know anew."""
    conditions = Conditions(status.conditions, generation=generation, now=now)
    no, unknown = ConditionStatus.FALSE, ConditionStatus.UNKNOWN
    conditions.set(ConditionType.FETCHED, no, reason, message, not_before=at)
    if reason in RESOLVING:
        conditions.set(ConditionType.RESOLVED, no, reason, message)
        conditions.set(ConditionType.SAFE, unknown, reason, "could not be judged")
    elif reason not in INFRASTRUCTURE:
        conditions.set(ConditionType.RESOLVED, ConditionStatus.TRUE, Reason.RESOLVED, "")
        conditions.set(ConditionType.SAFE, no, reason, message)
    return status.model_copy(update={"conditions": conditions.all()})


def _record_rounds(
    model: ModelObject, status: MinerModelStatus, rounds: Iterable[RoundObject], now: datetime
) -> MinerModelStatus:
    """Scores of the complete rounds; those of rounds that are deleted by now stay. A round that was over before the model was made had another
    one of its name.
    """
    scores = {score.round: score for score in status.history}
    for observed in rounds:
        at = observed.status.finished_at
        if at is None or at < model.meta.created or not holds(observed.status.conditions, ConditionType.COMPLETE):
            continue
        for r in observed.status.results:
            if r.model == model.meta.name and r.score is not None and r.rank is not None:
                scores[observed.meta.name] = RoundScore(round=observed.meta.name, score=r.score, rank=r.rank, at=at)
    history = sorted(scores.values(), key=lambda s: (s.at, s.round), reverse=True)[:HISTORY]
    if history == status.history and find(status.conditions, ConditionType.EVALUATED) is not None:
        return status
    conditions = Conditions(status.conditions, generation=model.meta.generation, now=now)
    if history:
        newest = history[0]
        text = f"score {newest.score}, rank {newest.rank} in round {newest.round}"
        conditions.set(ConditionType.EVALUATED, ConditionStatus.TRUE, Reason.EVALUATED, text)
    else:
        text = "no complete round has scored it yet"
        conditions.set(ConditionType.EVALUATED, ConditionStatus.FALSE, Reason.NOT_EVALUATED, text)
    changes = {"history": history, "latest": history[0] if history else None, "conditions": conditions.all()}
    return status.model_copy(update=changes)


def _notices(old: MinerModelStatus, new: MinerModelStatus) -> tuple[Notice, ...]:
    before, after = find(old.conditions, ConditionType.FETCHED), find(new.conditions, ConditionType.FETCHED)
    if after is None or (before is not None and before.status == after.status and before.message == after.message):
        return ()
    if after.status == ConditionStatus.TRUE:
        commit = new.resolved.commit[:12] if new.resolved is not None else "unknown"
        return (Notice(Happening.MODEL_FETCHED, f"commit {commit}: {after.message}"),)
    if after.status == ConditionStatus.FALSE and after.reason not in INFRASTRUCTURE:
        return (Notice(Happening.MODEL_REJECTED, f"{after.reason}: {after.message}", warning=True),)
    if after.reason in INFRASTRUCTURE:
        return (Notice(Happening.FETCH_FAILED, f"{after.reason}: {after.message}", warning=True),)
    return ()
