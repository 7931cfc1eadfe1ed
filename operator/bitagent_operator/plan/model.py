"""Plan for one MinerModel: fetch Jobs, the conditions that follow from them, and scores.

A need is `(generation)` or `(generation, round)`; each need gets a Job whose name follows from it. What a branch stands
for when a round fixes its models is found by Jobs of their own (see `resolution`). The Job is the memory: an ended Job
counts as recorded once the status that follows from it has been written, and only then may it be deleted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bitagent_crds.conditions import ConditionStatus, ConditionType, Fault, Reason
from bitagent_crds.evalround import ResultState
from bitagent_crds.jobs import FetchSummary
from bitagent_crds.minermodel import MinerModelStatus, ModelFacts, ResolvedModel, RoundScore
from bitagent_crds.names import COMMIT_LABEL, GENERATION_LABEL, NEED_LABEL, RESOLVE_LABEL, short_hash
from bitagent_crds.schema import is_later
from bitagent_kube.conditions import Conditions, find, holds
from bitagent_kube.objects import EventMessage
from bitagent_operator import naming
from bitagent_operator.objects import JobObject, ModelObject, PodObject, RoundObject, changed
from bitagent_operator.plan.fetch import FetchResult, fetch_result, needed_fetch
from bitagent_operator.plan.identity import replaced
from bitagent_operator.plan.interface import EventReason, JobDeletion, ModelPlan, Pass, Refusal, StartFetch
from bitagent_operator.plan.job_outcome import Active, Done, InfraFault, Lost, ModelFault, Problem, Unseen, classify
from bitagent_operator.plan.resolution import resolve, since_of

MAX_ATTEMPTS = 4
"""Fetch Jobs for one need, each with several pods, before an infrastructure fault is reported as final."""
BACKOFF = timedelta(seconds=30)
"""Wait after the first failed Job; doubled after each further one."""
ROOM_BACKOFF = timedelta(seconds=30)
"""Wait before a fetch that found no room in the cache looks for it again."""
KEEP_FAILED = timedelta(hours=1)
"""How long the Job of a failed fetch is kept, for its log."""
HISTORY = 10
"""Round scores that a status keeps."""


@dataclass(frozen=True)
class FetchStep:
    """The state of the model's files according to the last fetch Job."""

    status: MinerModelStatus
    result: FetchResult | None
    """The result that the status holds; None while the present spec has none."""
    retry_at: datetime | None = None
    """Start of the next attempt, if the last one failed for an infrastructure reason or found no room."""
    waits_for_room: bool = False
    """Whether the last one found no room in the cache."""


def plan(
    model: ModelObject,
    *,
    jobs: Iterable[JobObject],
    pods: Sequence[PodObject],
    rounds: Iterable[RoundObject],
    pass_: Pass,
    older_of_hotkey: int = 0,
) -> ModelPlan:
    """Return what to do for the model.

    `rounds` are those whose frozen set has it; `older_of_hotkey` is how many older MinerModels its hotkey has.
    """
    rounds, now, generation = list(rounds), pass_.now, model.meta.generation
    own = [j for j in jobs if j.meta.owner_uid == model.meta.uid and not j.meta.deleting]
    most = pass_.settings.models_per_hotkey
    if most and older_of_hotkey >= most:
        return _surplus(model, own, rounds, most=most, now=now)
    current = sorted((j for j in own if j.meta.labels.get(GENERATION_LABEL) == str(generation)), key=_order)
    resolving = [j for j in current if RESOLVE_LABEL in j.meta.labels]
    fetching = [j for j in current if RESOLVE_LABEL not in j.meta.labels]
    latest = fetching[-1] if fetching else None

    step = _record_fetch(model, latest, pods, pass_)
    resolution = resolve(model, jobs=resolving, pods=pods, rounds=rounds, pass_=pass_)
    if reads := pass_.requests.reads():
        return ModelPlan(status=model.status, reads=reads)
    kept = {j.meta.uid for j in resolving} - {j.meta.uid for j in resolution.unneeded}
    delete = [j for j in own if j is not latest and j.meta.uid not in kept]
    found = changed(step.status, resolution=resolution.status.resolution)
    if resolution.failure is not None:
        problem, at = resolution.failure
        found = _failed(found, generation, now, _verdict(problem), at=at)
        step = FetchStep(found, fetch_result(found, generation=generation))
    status = _record_rounds(model, found, rounds, now)
    unrecorded = step.result is not None and found != model.status
    fetch = None if unrecorded else _next_fetch(model, step, latest, rounds, pass_)
    wait = _accepted(model, fetch, pass_)
    resolve_wait = _accepted(model, resolution.start, pass_)
    requeue = (step.retry_at - now).total_seconds() if step.retry_at is not None and step.retry_at > now else None
    if unrecorded:
        requeue = 0.0
    if model.spec.suspend and step.result is None:
        delete += [latest] if latest is not None else []
        status = _unknown(status, generation, now, Problem(Reason.SUSPENDED, "suspended; not fetched"))
    elif wait is not None and wait.final:
        status = _failed(status, generation, now, Problem(wait.reason, wait.message), at=wait.at or now)
        status = changed(status, attempted=fetch.commit if fetch is not None else None)
    elif wait is not None:
        status = _unknown(status, generation, now, Problem(wait.reason, wait.message))
    elif fetch is not None and not step.waits_for_room:
        status = _unknown(status, generation, now, _starting(status))
    elif latest is not None and step.result is not None and not unrecorded:
        expires = (latest.ended.at if latest.ended else now) + (timedelta() if step.result.fetched else KEEP_FAILED)
        delete += [latest] if now >= expires else []
        requeue = (expires - now).total_seconds() if now < expires else None
    status = changed(status, observed_generation=generation)
    if resolution.requeue_after is not None:
        requeue = min(resolution.requeue_after, resolution.requeue_after if requeue is None else requeue)
    if resolve_wait is not None:
        status = _unresolved(status, generation, now, resolve_wait)
    if (retry := pass_.next_retry()) is not None and (wait or resolve_wait):
        requeue = min(retry, retry if requeue is None else requeue)
    return ModelPlan(
        status=status,
        fetch=None if wait else fetch,
        resolve=None if resolve_wait else resolution.start,
        delete=tuple(JobDeletion(j.meta.name, j.meta.uid) for j in delete),
        events=_events(model.status, status),
        requeue_after=requeue,
    )


def _next_fetch(
    model: ModelObject, step: FetchStep, latest: JobObject | None, rounds: Iterable[RoundObject], pass_: Pass
) -> StartFetch | None:
    """Return the fetch Job to create now, if any. `latest` is the last one."""
    if model.spec.suspend:
        return None
    if latest is not None and step.retry_at is not None:
        need, attempt = latest.meta.labels[NEED_LABEL], latest.attempt + 1
        if step.waits_for_room:
            need, attempt = short_hash(need, "room"), 1  # any number of times, and a name holds few attempts
        again = StartFetch(need, since_of(latest), attempt, latest.meta.labels.get(COMMIT_LABEL))
        return again if pass_.now >= step.retry_at else None
    if latest is not None and step.result is None:
        return None
    return needed_fetch(model, step.result, rounds, cache_is_bounded=pass_.settings.cache_is_bounded)


def _accepted(model: ModelObject, start: StartFetch | None, pass_: Pass) -> Refusal | None:
    """Return why a Job may not be created now, if the API server has refused it; None if it may be, or if none is."""
    if start is None:
        return None
    return pass_.refusal(naming.fetch_job_name(model.meta.name, need=start.need, attempt=start.attempt))


def _starting(status: MinerModelStatus) -> Problem:
    """Return the state of a model whose fetch Job is created now; one that was refused before stays so until then."""
    fetched = find(status.conditions, ConditionType.FETCHED)
    if fetched is not None and fetched.status == ConditionStatus.UNKNOWN and fetched.reason is Reason.JOB_REFUSED:
        return Problem(fetched.reason, fetched.message)
    return Problem(Reason.FETCHING, "the fetch Job is starting")


def _unresolved(status: MinerModelStatus, generation: int, now: datetime, refusal: Refusal) -> MinerModelStatus:
    """Return the status of a model whose revision is not resolved, because the Job for that is refused."""
    if refusal.final:
        return _failed(status, generation, now, Problem(refusal.reason, refusal.message), at=refusal.at or now)
    conditions = Conditions(status.conditions, generation=generation, now=now)
    conditions.set(ConditionType.RESOLVED, ConditionStatus.UNKNOWN, refusal.reason, refusal.message)
    return changed(status, conditions=conditions.all())


def _surplus(
    model: ModelObject, own: Sequence[JobObject], rounds: Iterable[RoundObject], *, most: int, now: datetime
) -> ModelPlan:
    """Return the plan for a model beyond those that its hotkey may have: it is not fetched."""
    text = f"its hotkey has {most} older MinerModels, as many as the operator allows; delete some of these first"
    problem = Problem(Reason.TOO_MANY_MODELS, text)
    status = _failed(model.status, model.meta.generation, now, problem, at=model.meta.created)
    status = changed(_record_rounds(model, status, rounds, now), observed_generation=model.meta.generation)
    delete = tuple(JobDeletion(j.meta.name, j.meta.uid) for j in own)
    return ModelPlan(status=status, delete=delete, events=_events(model.status, status))


def _order(job: JobObject) -> tuple[datetime, int, datetime]:
    return (since_of(job), job.attempt, job.meta.created)


def _earliest(job: JobObject) -> datetime:
    """Return a lower bound of the time of the Job's findings, however far the nodes' clocks are off."""
    return max(job.meta.created, since_of(job))


def _record_fetch(model: ModelObject, job: JobObject | None, pods: Sequence[PodObject], pass_: Pass) -> FetchStep:
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
    match outcome:
        case Unseen():
            return FetchStep(status, known)
        case Active():
            problem = outcome.problem or Problem(Reason.FETCHING, f"Job {job.meta.name} is fetching it")
            if reported is not None and reported.reason is Reason.CACHE_FULL and outcome.problem is None:
                problem = reported  # it looks for room again
            return FetchStep(_unknown(status, generation, pass_.now, problem), None)
        case InfraFault() | Lost():
            reason = outcome.reason if isinstance(outcome, InfraFault) else Reason.RESULT_LOST
            if job.attempt < MAX_ATTEMPTS:
                due = outcome.at + BACKOFF * 2 ** (job.attempt - 1)
                text = f"attempt {job.attempt} of {MAX_ATTEMPTS}: {outcome.message}; next one at {due:%H:%M:%S} UTC"
                return FetchStep(_unknown(status, generation, pass_.now, Problem(reason, text)), None, due)
            text = f"{outcome.message}; tried {job.attempt} times, the next round that selects it tries again"
            at = max(outcome.at, _earliest(job))
            new = _failed(status, generation, pass_.now, Problem(reason, text), at=at)
        case Done(summary=summary, pod=pod) if summary.facts is not None:
            resolved = _resolved(summary.facts, pod, job)
            new = _fetched(status, generation, pass_.now, resolved, summary.message)
        case Done(summary=summary) if summary.reason is Reason.CACHE_FULL:
            due = (job.ended.at if job.ended is not None else pass_.now) + ROOM_BACKOFF
            problem = Problem(Reason.CACHE_FULL, summary.message)
            return FetchStep(_unknown(status, generation, pass_.now, problem), None, due, waits_for_room=True)
        case Done() | ModelFault():
            problem = Problem(Reason.BAD_CONFIG, "the fetch established no facts")
            if isinstance(outcome, ModelFault):
                problem = _verdict(Problem(outcome.reason, outcome.message))
            ended = outcome.pod.terminated.finished if outcome.pod.terminated else None
            at = max(ended or job.meta.created, _earliest(job))
            facts = outcome.summary.facts if outcome.summary is not None else None
            status = changed(status, resolved=_resolved(facts, outcome.pod, job) if facts is not None else None)
            new = _failed(status, generation, pass_.now, problem, at=at)
    new = changed(new, attempted=job.meta.labels.get(COMMIT_LABEL))
    return FetchStep(new, fetch_result(new, generation=generation))


def _verdict(problem: Problem) -> Problem:
    """Return the verdict of a Job that ended with a model's fault; one of a later evaluator is quoted.

    The exit code says that another attempt would end the same; with a reason that has no fault it would be repeated.
    """
    if not is_later(problem.reason):
        return problem
    return Problem(Reason.BAD_CONFIG, f"{problem.reason} (a reason of a later version): {problem.message}")


def _resolved(facts: ModelFacts, pod: PodObject, job: JobObject) -> ResolvedModel:
    """Return the facts with the time of their resolution: the start of the pod that found them."""
    known = {name: getattr(facts, name) for name in ModelFacts.model_fields}
    return ResolvedModel(**known, at=max(pod.started or job.meta.created, _earliest(job)))


def _unknown(status: MinerModelStatus, generation: int, now: datetime, problem: Problem) -> MinerModelStatus:
    """Return the status of a model that has no result yet."""
    conditions = Conditions(status.conditions, generation=generation, now=now)
    conditions.set(ConditionType.FETCHED, ConditionStatus.UNKNOWN, problem.reason, problem.message)
    for kind in (ConditionType.RESOLVED, ConditionType.SAFE):
        old = conditions.get(kind)
        if old is None or old.observed_generation != generation:
            conditions.set(kind, ConditionStatus.UNKNOWN, problem.reason, problem.message)
    return changed(status, conditions=conditions.all())


def _fetched(
    status: MinerModelStatus, generation: int, now: datetime, resolved: ResolvedModel, message: str
) -> MinerModelStatus:
    """Return the status of a fetched model. The Job's message may be a warning, such as about the chat template."""
    conditions = Conditions(status.conditions, generation=generation, now=now)
    yes = ConditionStatus.TRUE
    conditions.set(ConditionType.RESOLVED, yes, Reason.RESOLVED, f"commit {resolved.commit}")
    conditions.set(ConditionType.SAFE, yes, Reason.SAFE, "file list, configuration and weight headers are sound")
    text = message or f"{resolved.size_bytes:,} bytes are in the cache, verified"
    conditions.set(ConditionType.FETCHED, yes, Reason.FETCHED, text)
    return changed(status, resolved=resolved, conditions=conditions.all())


def _failed(
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
        conditions.set(ConditionType.SAFE, no, problem.reason, problem.message)
    return changed(status, conditions=conditions.all())


def _record_rounds(
    model: ModelObject, status: MinerModelStatus, rounds: Iterable[RoundObject], now: datetime
) -> MinerModelStatus:
    """Return the status with the scores of complete rounds; those of rounds that were deleted since are kept.

    A round that finished before the model was created scored another model of the same name, and so did one that froze
    another uid. The condition also names a
    later round that ended without a score by trouble of the model's own.
    """
    scores = {score.round: score for score in status.history}
    unscored: list[tuple[datetime, str, Reason]] = []
    for observed in rounds:
        at = observed.status.finished_at
        if at is None or at < model.meta.created or not holds(observed.status.conditions, ConditionType.COMPLETE):
            continue
        for r in observed.status.results:
            if r.model != model.meta.name or replaced(r, model):
                continue
            if r.score is not None and r.rank is not None:
                known = scores.get(observed.meta.name)
                score = RoundScore(round=observed.meta.name, score=r.score, rank=r.rank, at=at)
                scores[observed.meta.name] = score if known is None else changed(known, **dict(score))
            if r.state == ResultState.UNSCORED:
                unscored.append((at, observed.meta.name, r.reason))
    history = sorted(scores.values(), key=lambda s: (s.at, s.round), reverse=True)[:HISTORY]
    text = "no complete round has scored it yet"
    if history:
        text = f"score {history[0].score}, rank {history[0].rank} in round {history[0].round}"
    if unscored and (not history or max(unscored)[0] > history[0].at):
        _, name, cause = max(unscored)
        text += f"; round {name} has no score for it, by trouble of its own: {cause}"
    evaluated = find(status.conditions, ConditionType.EVALUATED)
    if history == status.history and evaluated is not None and evaluated.message == text:
        return status
    conditions = Conditions(status.conditions, generation=model.meta.generation, now=now)
    if history:
        conditions.set(ConditionType.EVALUATED, ConditionStatus.TRUE, Reason.EVALUATED, text)
    else:
        conditions.set(ConditionType.EVALUATED, ConditionStatus.FALSE, Reason.NOT_EVALUATED, text)
    latest = history[0] if history else None
    return changed(status, history=history, latest=latest, conditions=conditions.all())


def _events(old: MinerModelStatus, new: MinerModelStatus) -> tuple[EventMessage, ...]:
    """Return the Events that report a change of the Fetched condition."""
    before, after = find(old.conditions, ConditionType.FETCHED), find(new.conditions, ConditionType.FETCHED)
    if after is None or (before is not None and before.status == after.status and before.message == after.message):
        return ()
    if after.status == ConditionStatus.TRUE:
        commit = new.resolved.commit[:12] if new.resolved is not None else "unknown"
        return (EventMessage(EventReason.MODEL_FETCHED, f"commit {commit}: {after.message}"),)
    text = f"{after.reason}: {after.message}"
    if after.reason is Reason.CACHE_FULL:
        return (EventMessage(EventReason.FETCH_DELAYED, text, warning=True),)
    if after.reason.fault is Fault.INFRASTRUCTURE:
        return (EventMessage(EventReason.FETCH_FAILED, text, warning=True),)
    if after.status == ConditionStatus.FALSE:
        return (EventMessage(EventReason.MODEL_REJECTED, text, warning=True),)
    return ()
