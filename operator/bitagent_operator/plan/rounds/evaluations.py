"""Evaluations of a round: one Job per identity, and the owner of its result.

Of models with equal weights one competes. It is the model that was committed first: by its commit block, then by the
age of its object, then by name; the others are duplicates and earn nothing. A model admitted late may still turn out to
be the first, so owners are determined in every pass until the round ends. A result belongs to an identity: weights,
tokenizer, template, configuration, format and choices for the engine. It moves to another owner only with the same
identity; a new owner with other files is evaluated itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from bitagent_crds.conditions import Reason
from bitagent_crds.evalround import TaskSetStatus
from bitagent_crds.model_result import ModelResult, ResultState
from bitagent_crds.names import COMPONENT_LABEL, Component
from bitagent_kube.conditions import clip
from bitagent_operator import naming
from bitagent_operator.observed.objects import JobObject, ModelObject, PodObject, RoundObject, changed
from bitagent_operator.plan.identity import origin, replaced
from bitagent_operator.plan.interface import Pass, Refusal, StartEvaluation
from bitagent_operator.plan.jobs.outcome import MESSAGE_LENGTH
from bitagent_operator.plan.models.fetch import found_again
from bitagent_operator.plan.rounds.attempts import (
    EVALUATED,
    GaveUp,
    StartAttempt,
    Update,
    evaluation_state,
    infra_fault,
)
from bitagent_operator.plan.rounds.holders import by_owner, given_up, holders
from bitagent_operator.plan.rounds.seniority import seniority
from bitagent_operator.plan.rounds.settlement import State, controls_for, settle
from bitagent_operator.plan.rounds.work import Slots, Work

_NEVER = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True)
class Evaluations:
    """The evaluations of a round, as they are."""

    results: list[ModelResult]
    start: tuple[StartEvaluation, ...]
    """Jobs that may be created now, within the slots."""
    unfinished: tuple[JobObject, ...]
    obsolete: tuple[JobObject, ...]
    """Unfinished Jobs whose result is not needed any longer."""


def plan(
    observed: RoundObject,
    entries: Sequence[ModelResult],
    *,
    models: Mapping[str, ModelObject],
    jobs: Iterable[JobObject],
    pods: Sequence[PodObject],
    task_set: TaskSetStatus | None,
    pass_: Pass,
) -> Evaluations:
    """Return the entries (those of `admission.admit`) with the state of their evaluations, and the Jobs to create.

    `jobs` are all of the round, those of earlier series and those that are being deleted too.
    """
    jobs = [j for j in jobs if j.key and j.key != naming.TASKS_KEY]
    by_key: dict[str, list[JobObject]] = {}
    for job in sorted(jobs, key=lambda j: j.attempt):
        if job.series == observed.status.series:
            by_key.setdefault(job.key, []).append(job)
    this = Work(observed, models, by_key, pods, pass_, list(entries))
    found: dict[int, tuple[str, State]] = {}
    owned = by_owner(pods)
    for members in _groups(entries, models, pass_):
        keys = seniority((entries[i] for i in members), models, observed.clock)
        first, *others = sorted(members, key=lambda i: keys[entries[i].model])
        key = entries[first].evaluation_key or ""
        recorded = [entries[i] for i in members if entries[i].evaluation_key == key]
        found[first] = key, _state(this, key, recorded, owned)
        for i in others:
            this.results[i] = _duplicate(entries[i], entries[first].model, pass_.now)
    controls = controls_for(this, found)
    starts = {key: state.number for key, state in found.values() if isinstance(state, StartAttempt)}
    starts |= {control.key: control.attempt for control in controls.next}
    held = _held(this, jobs, starts)
    repeats = {key for key, state in found.values() if isinstance(state, GaveUp)}
    this.busy = frozenset(key for key in held.values() if key in starts or key in repeats)
    waits = {i: _known_refusal(this, key, state) for i, (key, state) in found.items()}
    slots = Slots.of(
        observed.spec.workload, len(held), [wait for wait in waits.values() if wait is not None], pass_.now
    )
    # First what was never refused, then what has waited longest.
    for i in sorted(found, key=lambda i: _retry_at(waits[i])):
        key, state = found[i]
        owner = entries[i]
        match state:
            case Update():
                update = state
            case GaveUp():
                update = state.update
            case StartAttempt():
                update = _pending(this, owner, key, state, task_set, slots)
        begun = key in by_key or update.state != ResultState.PENDING
        this.results[i] = changed(update.applied_to(owner), key=key if begun else owner.key)
    settle(this, {i: (key, state) for i, (key, state) in found.items() if isinstance(state, GaveUp)}, controls, slots)
    needed = {key for key, _ in found.values()} | controls.keys
    unfinished = tuple(j for j in jobs if j.ended is None and not j.meta.deleting)
    obsolete = tuple(j for j in unfinished if j.key not in needed)
    return Evaluations(this.results, tuple(slots.start), unfinished, obsolete)


def _state(this: Work, key: str, recorded: Sequence[ModelResult], owned: Mapping[str, Sequence[PodObject]]) -> State:
    """Return the state of an evaluation. One whose Job is being deleted without a result is started again.

    `owned`: pods by the uid of their Job.
    """
    jobs, pass_ = this.jobs.get(key, []), this.pass_
    pods = [pod for job in jobs for pod in owned.get(job.meta.uid, ())]
    state = evaluation_state(jobs, recorded, this.observed.spec, pods, pass_)
    last = jobs[-1] if jobs else None
    if last is None or last.meta.deletion is None or last.ended is not None:
        return state
    if not isinstance(state, Update) or state.state in EVALUATED:
        return state
    if not given_up(last.meta, pass_.now):
        return StartAttempt(last.attempt, tuple(state.failures))  # once its name is free
    if last.attempt < naming.MAX_ATTEMPTS:
        return StartAttempt(last.attempt + 1, tuple(state.failures))
    return infra_fault(Reason.RESULT_LOST, f"Job {last.meta.name} is being deleted and never gone", pass_.now)


def _held(this: Work, jobs: Iterable[JobObject], starts: Mapping[str, int]) -> dict[str, str]:
    """Return the keys of the Jobs that hold a GPU, by their uids; those of lost nodes hold none that others could use.

    `starts`: the attempts to start, by key: a Job before one of them is lost if it has not ended.
    """
    series = this.observed.status.series
    lost = {j.meta.uid for j in jobs if j.series == series and j.attempt < starts.get(j.key, 0) and not j.meta.deleting}
    pods = [pod for pod in this.pods if pod.meta.labels.get(COMPONENT_LABEL) == Component.EVALUATE]
    return {uid: key for uid, key in holders(jobs, pods, this.pass_.now).items() if uid not in lost}


def _groups(entries: Sequence[ModelResult], models: Mapping[str, ModelObject], pass_: Pass) -> list[list[int]]:
    """Return the indexes of the entries that compete for one evaluation: those with equal weights."""
    groups: dict[str, list[int]] = {}
    for i, entry in enumerate(entries):
        if entry.weights_digest is None or entry.state == ResultState.REJECTED:
            continue
        model = models.get(entry.model)
        if entry.state == ResultState.DUPLICATE and (model is None or replaced(entry, model)):
            if model is None and pass_.may_exist(entry.model):
                pass_.requests.models.add(entry.model)
            continue  # deleted: it cannot become an owner, and remains a duplicate
        groups.setdefault(entry.weights_digest, []).append(i)
    return list(groups.values())


def _known_refusal(this: Work, key: str, state: State) -> Refusal | None:
    """Return the last refusal of the Job to start, whether or not it is time to try again."""
    return this.known_refusal(key, state.number) if isinstance(state, StartAttempt) else None


def _retry_at(refusal: Refusal | None) -> datetime:
    """Return when it may be tried again, for sorting."""
    return refusal.retry_at if refusal is not None and refusal.retry_at is not None else _NEVER


def _pending(
    this: Work,
    entry: ModelResult,
    key: str,
    attempt: StartAttempt,
    task_set: TaskSetStatus | None,
    slots: Slots,
) -> Update:
    """Return the state of an owner without a Job, and take a slot for it if one is free."""
    started = ResultState.RUNNING if attempt.failures else ResultState.PENDING

    def waiting(reason: Reason, message: str = "") -> Update:
        return Update(
            started,
            reason,
            message,
            attempts=entry.attempts,
            disruptions=entry.disruptions,
            failures=list(attempt.failures),
            started_at=entry.started_at,
        )

    if this.observed.spec.suspend:
        return waiting(Reason.ROUND_SUSPENDED)
    if task_set is None:
        return waiting(Reason.WAITING_FOR_TASKS, "the task set is being built")
    if entry.commit is None or entry.repo is None:
        return waiting(Reason.WAITING_FOR_MODEL)
    if (since := attempt.files_missing_since) is not None:
        model = this.models.get(entry.model)
        if model is not None and origin(model.spec.source) != entry.repo:
            text = "the cache has lost its files, and its MinerModel names another source by now"
            return Update(ResultState.REJECTED, Reason.COMMIT_TOO_LATE, text)
        again = found_again(model, entry.commit, since=since) if model is not None else None
        if again is None:
            text = "the cache has lost its files; it is evaluated once they are fetched again"
            return replace(waiting(Reason.MODEL_FILES_MISSING, text), finished_at=since)
        if not again.fetched and again.infrastructure:
            return infra_fault(again.reason, again.message, this.pass_.now)
        if not again.fetched:
            return Update(ResultState.REJECTED, again.reason, clip(again.message, MESSAGE_LENGTH))
    if key in this.busy:
        return waiting(Reason.WAITING_FOR_SLOT, "an earlier Job of it is being deleted, or a pod of that has not ended")
    if (refusal := this.refusal(key, attempt.number)) is not None:
        if refusal.final:
            return infra_fault(refusal.reason, refusal.message, this.pass_.now)
        return waiting(refusal.reason, clip(refusal.message, MESSAGE_LENGTH))
    if slots.take(StartEvaluation(key, attempt.number, entry, pods=1 if attempt.failures else None)):
        if entry.reason is Reason.JOB_REFUSED:
            return waiting(entry.reason, entry.message)  # until it is accepted
        return waiting(Reason.WAITING_FOR_SLOT, "its Job is being created")
    if entry.reason is Reason.JOB_REFUSED:
        return waiting(entry.reason, entry.message)
    text = "other Jobs of this round are refused" if slots.refused else "all slots of this round are taken"
    return waiting(Reason.WAITING_FOR_SLOT, text)


def _duplicate(entry: ModelResult, owner: str, now: datetime) -> ModelResult:
    """Return the entry as a duplicate of `owner`, dated once."""
    text = f"has the weights of {owner}, which was committed earlier"
    since = entry.finished_at if entry.state == ResultState.DUPLICATE else now
    update = Update(ResultState.DUPLICATE, Reason.DUPLICATE_WEIGHTS, text, finished_at=since)
    return changed(update.applied_to(entry, duplicate_of=owner), key=None)
