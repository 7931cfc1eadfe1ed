"""Plan for one MinerModel: fetch Jobs, the conditions that follow from them, and scores.

A need is `(generation)` or `(generation, round)`; each need gets a Job whose name follows from it. What a branch stands
for when a round fixes its models is found by Jobs of their own (see `resolution`). The Job is the memory: an ended Job
counts as recorded once the status that follows from it has been written, and only then may it be deleted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType

from bitagent_crds.conditions import ConditionStatus, ConditionType, Fault, Reason
from bitagent_crds.minermodel import SHORT_COMMIT, MinerModelStatus, RoundScore
from bitagent_crds.model_result import ResultState
from bitagent_crds.names import (
    COMMIT_LABEL,
    FACTS_LABEL,
    GENERATION_LABEL,
    NEED_LABEL,
    RESOLVE_LABEL,
    VERIFY_LABEL,
    short_hash,
)
from bitagent_kube.conditions import Conditions, find, holds
from bitagent_kube.objects import EventMessage
from bitagent_operator import naming
from bitagent_operator.observed.objects import ModelObject, RoundObject, changed
from bitagent_operator.observed.workloads import JobObject, PodObject
from bitagent_operator.plan.identity import replaced
from bitagent_operator.plan.inputs import Pass, Refusal
from bitagent_operator.plan.interface import EventReason, JobDeletion, ModelPlan, StartFetch
from bitagent_operator.plan.jobs.counts import REMOVALS
from bitagent_operator.plan.jobs.pods import Problem
from bitagent_operator.plan.models.fetch import fetch_result, needed_fetch
from bitagent_operator.plan.models.fetch_slots import NOTHING_WAITS, Turn, Turns, free_of_the_dead, in_use
from bitagent_operator.plan.models.fetch_step import (
    FetchStep,
    Series,
    failed,
    record_fetch,
    unknown,
    verdict,
    with_size,
)
from bitagent_operator.plan.models.resolution import resolve, since_of, with_first_sight

KEEP_FAILED = timedelta(hours=1)
"""How long the Job of a failed fetch is kept, for its log."""
NO_TEMPLATES: Mapping[str, str] = MappingProxyType({})
HISTORY = 10
"""Round scores that a status keeps."""


def plan(
    model: ModelObject,
    *,
    jobs: Iterable[JobObject],
    pods: Sequence[PodObject],
    rounds: Iterable[RoundObject],
    pass_: Pass,
    older_of_hotkey: int = 0,
    templates: Mapping[str, str] = NO_TEMPLATES,
    turns: Turns = NOTHING_WAITS,
) -> ModelPlan:
    """Return what to do for the model.

    `rounds` are those whose frozen set has it; `older_of_hotkey` is how many older MinerModels its hotkey has.
    `templates`: digests of the pods that its Jobs would have now, by the Jobs' uids, as far as they are known. `turns`:
    what keeps its Jobs from starting, if an earlier plan of this pass has one to start.
    """
    rounds, now, generation = list(rounds), pass_.now, model.meta.generation
    all_ = [j for j in jobs if j.meta.owner_uid == model.meta.uid]
    own, going = [j for j in all_ if not j.meta.deleting], [j for j in all_ if j.meta.deleting]
    most = pass_.settings.models_per_hotkey
    if most and older_of_hotkey >= most:
        return _surplus(model, own, rounds, most=most, now=now)
    outdated = [j for j in own if _never_started(j, pods) and templates.get(j.meta.uid, "") not in ("", j.template)]
    of_spec = (j for j in own if j.meta.labels.get(GENERATION_LABEL) == str(generation) and j not in outdated)
    current = sorted(of_spec, key=_order)
    resolving = [j for j in current if RESOLVE_LABEL in j.meta.labels]
    fetching = [j for j in current if RESOLVE_LABEL not in j.meta.labels]
    latest = fetching[-1] if fetching else None

    step = record_fetch(model, latest, pods, pass_)
    resolution = resolve(model, jobs=resolving, pods=pods, rounds=rounds, pass_=pass_)
    if reads := pass_.requests.reads():
        return ModelPlan(status=model.status, reads=reads)
    kept = {j.meta.uid for j in resolving} - {j.meta.uid for j in resolution.unneeded}
    delete = [j for j in own if j is not latest and j.meta.uid not in kept]
    found = changed(step.status, resolution=resolution.status.resolution)
    if resolution.failure is not None:
        problem, at = resolution.failure
        found = failed(found, generation, now, verdict(problem), at=at)
        step = FetchStep(found, fetch_result(found, generation=generation))
    status = _record_rounds(model, found, rounds, now)
    unrecorded = step.result is not None and found != model.status
    fetch, start = (None, None) if outdated else (_next_fetch(model, step, latest, rounds, pass_), resolution.start)
    fetch = None if unrecorded else fetch
    if fetch is not None and pass_.settings.volume_per_model:
        fetch = with_size(model, found, fetch)
    fetch, start = (free_of_the_dead(model.meta.name, each, going, now) for each in (fetch, start))
    held, _ = (in_use(model.meta.name, each, going, pass_) for each in (fetch, start))
    refused = _accepted(model, fetch, pass_)
    wait = refused or _in_turn(turns.fetch)
    waits = (wait is not None and refused is None) or (fetch is None and step.series is not None)
    resolve_refused = _accepted(model, start, pass_)
    resolve_wait = resolve_refused or _in_turn(turns.resolve)
    requeue = (step.retry_at - now).total_seconds() if step.retry_at is not None and step.retry_at > now else None
    if unrecorded:
        requeue = 0.0
    if model.spec.suspend and step.result is None:
        delete += [latest] if latest is not None else []
        status = unknown(status, generation, now, Problem(Reason.SUSPENDED, "suspended; not fetched"))
    elif wait is not None and wait.final:
        status = failed(status, generation, now, Problem(wait.reason, wait.message), at=wait.at or now)
        status = changed(status, attempted=fetch.commit if fetch is not None else None)
    elif wait is not None:
        delete += [latest] if latest is not None and step.result is not None else []  # or it would be recorded again
        status = unknown(status, generation, now, Problem(wait.reason, wait.message))
    elif fetch is not None and step.series not in (Series.ROOM, Series.START):
        status = unknown(status, generation, now, held or _starting(status))
    elif latest is not None and step.result is not None and not unrecorded:
        starts_more = latest.ended is None and step.result.infrastructure
        kept_for = timedelta() if step.result.fetched or starts_more else KEEP_FAILED
        expires = (latest.ended.at if latest.ended is not None else now) + kept_for
        delete += [latest] if now >= expires else []
        requeue = (expires - now).total_seconds() if now < expires else None
    status = with_first_sight(_seen(status, generation))
    if resolution.requeue_after is not None:
        requeue = min(resolution.requeue_after, resolution.requeue_after if requeue is None else requeue)
    if (look := pass_.next_look()) is not None:
        requeue = min(look, look if requeue is None else requeue)
    known = holds(status.conditions, ConditionType.RESOLVED)  # of an earlier commit, which a short wait leaves as it is
    if resolve_wait is not None and (resolve_refused is not None or not known):
        status = _unresolved(status, generation, now, resolve_wait)
    for refusal in (wait, resolve_wait):
        if refusal is not None and refusal.retry_at is not None:
            retry = max(0.0, (refusal.retry_at - now).total_seconds())
            requeue = min(retry, retry if requeue is None else requeue)
    return ModelPlan(
        status=status,
        fetch=None if wait else fetch,
        resolve=None if resolve_wait else start,
        delete=tuple(JobDeletion(j.meta.name, j.meta.uid, replaced=j in outdated) for j in delete),
        events=(*events(model.status, status, waits=waits), *map(_replaced, outdated)),
        requeue_after=requeue,
        troubles=tuple(t for t in (step.trouble, resolution.trouble) if t is not None),
        evicted=step.evicted,
        answered=max((at for at in (step.answered, resolution.answered) if at is not None), default=None),
    )


def _replaced(job: JobObject) -> EventMessage:
    text = f"Job {job.meta.name} has started no container, and would be made with other settings now"
    return EventMessage(EventReason.JOB_REPLACED, text)


def _in_turn(turn: Turn | None) -> Refusal | None:
    """Return why a Job waits for its turn; None if it does not."""
    if turn is None:
        return None
    return Refusal(turn.reason, turn.message, retry_at=turn.pause.until if turn.pause is not None else None)


def _next_fetch(
    model: ModelObject, step: FetchStep, latest: JobObject | None, rounds: Iterable[RoundObject], pass_: Pass
) -> StartFetch | None:
    """Return the fetch Job to create now, if any. `latest` is the last one."""
    if model.spec.suspend:
        return None
    if step.then is not None:
        return step.then
    if latest is not None and step.retry_at is not None:
        need, attempt = latest.meta.labels[NEED_LABEL], latest.attempt + 1
        if step.series is not None:
            first = latest.attempt if step.series is Series.REMOVED else 1
            need, attempt = short_hash(need, step.series), first  # a name holds few attempts
        labels = latest.meta.labels
        verify = VERIFY_LABEL in labels
        commit = labels.get(COMMIT_LABEL) if step.series is not Series.CHANGED else None
        again = StartFetch(need, since_of(latest), attempt, commit, verify=verify)
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
        return failed(status, generation, now, Problem(refusal.reason, refusal.message), at=refusal.at or now)
    conditions = Conditions(status.conditions, generation=generation, now=now)
    conditions.set(ConditionType.RESOLVED, ConditionStatus.UNKNOWN, refusal.reason, refusal.message)
    return changed(status, conditions=conditions.all())


def _surplus(
    model: ModelObject, own: Sequence[JobObject], rounds: Iterable[RoundObject], *, most: int, now: datetime
) -> ModelPlan:
    """Return the plan for a model beyond those that its hotkey may have: it is not fetched."""
    text = f"its hotkey has {most} older MinerModels, as many as the operator allows; delete some of these first"
    problem = Problem(Reason.TOO_MANY_MODELS, text)
    status = failed(model.status, model.meta.generation, now, problem, at=model.meta.created)
    status = _seen(_record_rounds(model, status, rounds, now), model.meta.generation)
    delete = tuple(JobDeletion(j.meta.name, j.meta.uid) for j in own)
    return ModelPlan(status=status, delete=delete, events=events(model.status, status))


def _never_started(job: JobObject, pods: Iterable[PodObject]) -> bool:
    """Whether the Job has not ended, and no container of it has run."""
    own = (p for p in pods if p.meta.owner_uid == job.meta.uid)
    return job.ended is None and job.failed == 0 and not any(p.started is not None for p in own)


def _seen(status: MinerModelStatus, generation: int) -> MinerModelStatus:
    """Return the status of this generation, with the members that only display others."""
    commit = status.resolved.commit if status.resolved is not None else ""
    return changed(status, observed_generation=generation, short_commit=commit[:SHORT_COMMIT])


def _order(job: JobObject) -> tuple[datetime, datetime, bool, int]:
    """Return when a Job was made, also for two of one second. A series of its own begins with attempt 1 again."""
    return (since_of(job), job.meta.created, FACTS_LABEL not in job.meta.labels, job.attempt)


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


def events(old: MinerModelStatus, new: MinerModelStatus, *, waits: bool = False) -> tuple[EventMessage, ...]:
    """Return the Events that report a change of the Fetched condition.

    `waits`: whether the fetch only waits, for its turn, for the hub or for room: nothing has failed, and a message with
    another time is not news. What waits may do so again and again, as after each removal of its pod: the Event then has
    one text, which the API takes once.
    """
    before, after = find(old.conditions, ConditionType.FETCHED), find(new.conditions, ConditionType.FETCHED)
    if after is None or (before is not None and before.status == after.status and before.message == after.message):
        return ()
    if after.status == ConditionStatus.TRUE:
        commit = new.resolved.commit[:12] if new.resolved is not None else "unknown"
        return (EventMessage(EventReason.MODEL_FETCHED, f"commit {commit}: {after.message}"),)
    text = f"{after.reason}: {after.message}"
    waits = waits or (after.status == ConditionStatus.UNKNOWN and after.reason in REMOVALS)
    if waits or after.reason is Reason.CACHE_FULL:
        known = before is not None and before.status == after.status and before.reason == after.reason
        delayed = after.reason is Reason.CACHE_FULL or after.reason.fault is Fault.INFRASTRUCTURE
        news = delayed and (after.reason is Reason.CACHE_FULL or not known)
        if after.reason is not Reason.CACHE_FULL:
            text = f"{after.reason}: {after.reason.meaning} It is tried again; condition Fetched has the last cause."
        return (EventMessage(EventReason.FETCH_DELAYED, text, warning=True),) if news else ()
    if after.reason.fault is Fault.INFRASTRUCTURE:
        return (EventMessage(EventReason.FETCH_FAILED, text, warning=True),)
    if after.status == ConditionStatus.FALSE:
        return (EventMessage(EventReason.MODEL_REJECTED, text, warning=True),)
    return ()
