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
from bitagent_crds.evalround import FetchControl, TaskSetStatus
from bitagent_crds.model_result import ModelResult, ResultState
from bitagent_crds.names import COMPONENT_LABEL, Component, pack_key
from bitagent_kube.conditions import clip
from bitagent_operator import naming
from bitagent_operator.observed.objects import ModelObject, RoundObject, changed
from bitagent_operator.observed.workloads import JobObject, PodObject
from bitagent_operator.plan.identity import replaced
from bitagent_operator.plan.inputs import Pass, Refusal
from bitagent_operator.plan.interface import StartEvaluation
from bitagent_operator.plan.jobs.outcome import MESSAGE_LENGTH
from bitagent_operator.plan.jobs.packs import open_keys, parts
from bitagent_operator.plan.jobs.pods import LINGERING, given_up
from bitagent_operator.plan.rounds.attempts import (
    EVALUATED,
    GaveUp,
    StartAttempt,
    Update,
    evaluation_state,
    infra_fault,
)
from bitagent_operator.plan.rounds.holders import by_owner, holders, leave_slots_at
from bitagent_operator.plan.rounds.packing import family_of, packs, repeats_later_job, twins_of
from bitagent_operator.plan.rounds.seniority import seniority
from bitagent_operator.plan.rounds.settlement import State, controls_for, settle
from bitagent_operator.plan.rounds.unstarted import LOST_FOR_GOOD, is_deleted, wait_of, waiting
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
    held: int = 0
    """Jobs that hold shared slots."""
    waits: int = 0
    """Further ones that could start, if there were slots."""
    fetch_controls: tuple[FetchControl, ...] = ()
    """Models that are fetched again, to see whether fetching works; the last one may still be."""


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
    twins = twins_of(jobs, series=observed.status.series)
    only = [j for j in jobs if j.meta.uid not in twins]
    by_key, parts_of = _by_key(only, by_owner(pods), series=observed.status.series)
    this = Work(observed, models, by_key, pods, pass_, list(entries))
    found: dict[int, tuple[str, State]] = {}
    for members in _groups(entries, models, pass_):
        keys = seniority((entries[i] for i in members), models, observed.clock)
        first, *others = sorted(members, key=lambda i: keys[entries[i].model])
        key = entries[first].evaluation_key or ""
        recorded = [entries[i] for i in members if entries[i].evaluation_key == key]
        found[first] = key, _state(this, key, recorded, parts_of.get(key, ()))
        for i in others:
            this.results[i] = _duplicate(entries[i], entries[first].model, pass_.now)
    controls = controls_for(this, found)
    starts = {key: state.number for key, state in found.values() if isinstance(state, StartAttempt)}
    starts |= {control.key: control.attempt for control in controls.next}
    held = _held(this, jobs, starts)
    repeats = {key for key, state in found.values() if isinstance(state, GaveUp)}
    this.busy = frozenset(key for keys in held.values() for key in keys if key in starts or key in repeats)
    waits = {i: _known_refusal(this, key, state) for i, (key, state) in found.items()}
    refusals = [w for w in waits.values() if w is not None]
    left = _left(this, jobs, held)
    slots = Slots.of(observed.spec.workload, len(held), refusals, pass_.now, pass_.share, left=left)
    updates: dict[int, Update] = {}
    ready: list[_Ready] = []
    # First what was never refused, then what has waited longest.
    for i in sorted(found, key=lambda i: _retry_at(waits[i])):
        key, state = found[i]
        match state:
            case Update(state=ResultState.PENDING | ResultState.RUNNING, reason=Reason.MODEL_FILES_MISSING) if (
                is_deleted(this, entries[i].model)
            ):
                updates[i] = LOST_FOR_GOOD
            case Update():
                updates[i] = state
            case GaveUp():
                updates[i] = state.update
            case StartAttempt():
                wait = wait_of(this, entries[i], key, state, task_set)
                if wait is not None:
                    updates[i] = wait
                else:
                    ready.append(_Ready(i, key, entries[i], state))
    for group in _packed(this, ready):
        updates |= _started(this, group, slots)
    for i, update in updates.items():
        key, owner = found[i][0], entries[i]
        begun = key in by_key or update.state != ResultState.PENDING
        this.results[i] = changed(update.applied_to(owner), key=key if begun else owner.key)
    settle(this, {i: (key, state) for i, (key, state) in found.items() if isinstance(state, GaveUp)}, controls, slots)
    needed = {key for key, _ in found.values()} | controls.keys
    unfinished = tuple(j for j in jobs if j.ended is None and not j.meta.deleting)
    owned = by_owner(pods)
    obsolete = tuple(
        j
        for j in unfinished
        if j.meta.uid in twins
        or needed.isdisjoint(j.members or (j.key,))
        or repeats_later_job(j, by_key, owned.get(j.meta.uid, ()))
    )
    fetch_controls = observed.status.fetch_controls if this.fetch_controls is None else this.fetch_controls
    return Evaluations(
        this.results,
        tuple(slots.start),
        unfinished,
        obsolete,
        fetch_controls=tuple(fetch_controls),
        held=len(held) - left,
        waits=slots.waits,
    )


def _by_key(
    jobs: Iterable[JobObject], owned: Mapping[str, Sequence[PodObject]], *, series: int
) -> tuple[dict[str, list[JobObject]], dict[str, list[PodObject]]]:
    """Return the Jobs of a series by key, ordered by attempt, and their pods; of packs, the parts that keys have.

    `owned`: pods by the uid of their Job.
    """
    found: dict[str, list[JobObject]] = {}
    pods: dict[str, list[PodObject]] = {}
    for job in sorted(jobs, key=lambda j: j.attempt):
        if job.series == series:
            for part, own in parts(job, owned.get(job.meta.uid, ())):
                found.setdefault(part.key, []).append(part)
                pods.setdefault(part.key, []).extend(own)
    return found, pods


def _state(this: Work, key: str, recorded: Sequence[ModelResult], pods: Sequence[PodObject]) -> State:
    """Return the state of an evaluation with these pods. One whose Job is being deleted without a result is started
    again."""
    jobs, pass_ = this.jobs.get(key, []), this.pass_
    state = evaluation_state(jobs, recorded, this.observed.spec, pods, pass_)
    last = jobs[-1] if jobs else None
    if last is None or last.meta.deletion is None or last.ended is not None:
        return state
    if not isinstance(state, Update) or state.state in EVALUATED:
        return state
    failures = tuple(state.failures)
    if not given_up(last.meta, pass_.now):
        packable = last.in_pack and not state.stalls
        return StartAttempt(last.attempt, failures, packable=packable)  # once its name is free
    if last.attempt < naming.MAX_ATTEMPTS:
        return StartAttempt(last.attempt + 1, failures)
    return infra_fault(Reason.RESULT_LOST, f"Job {last.meta.name} is being deleted and never gone", pass_.now)


def _held(this: Work, jobs: Iterable[JobObject], starts: Mapping[str, int]) -> dict[str, frozenset[str]]:
    """Return the Jobs that hold a GPU, by their uids, with their keys; those of lost nodes hold none for others to use.

    `starts`: the attempts to start, by key: a Job before one of them is lost if it has not ended.
    """
    pods = [pod for pod in this.pods if pod.meta.labels.get(COMPONENT_LABEL) == Component.EVALUATE]
    held, owned = holders(jobs, pods, this.pass_.now), by_owner(pods)
    series = this.observed.status.series
    lost = {
        j.meta.uid
        for j in jobs
        if j.series == series
        and not j.meta.deleting
        and (
            any(j.attempt < starts.get(key, 0) for key in held.get(j.meta.uid, ()))
            or _lingers(j, owned.get(j.meta.uid, ()), this.pass_)
        )
    }
    return {uid: keys for uid, keys in held.items() if uid not in lost}


def _left(this: Work, jobs: Iterable[JobObject], held: Mapping[str, frozenset[str]]) -> int:
    """Return how many of the Jobs that hold GPUs have left their slots to other rounds, if rounds share slots."""
    if this.pass_.share is None:
        return 0
    times = leave_slots_at((job for job in jobs if job.meta.uid in held), this.pods, this.results).values()
    for due in times:
        this.pass_.look_at(due)
    return sum(due <= this.pass_.now for due in times)


def _lingers(job: JobObject, pods: Sequence[PodObject], pass_: Pass) -> bool:
    """Whether all evaluations of a pack have ended, and another container keeps its pod running."""
    ends = [end.terminated.finished for pod in pods for end in pod.ends if end.terminated.finished is not None]
    if not job.members or not ends or open_keys(job, pods):
        return False
    due = max(ends) + LINGERING
    pass_.look_at(due)
    return pass_.now >= due


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


@dataclass(frozen=True)
class _Ready:
    """An evaluation that may be started as soon as a slot is free."""

    index: int
    key: str
    entry: ModelResult
    attempt: StartAttempt

    @property
    def start(self) -> StartEvaluation:
        """Its Job."""
        pods = 1 if self.attempt.failures else None
        return StartEvaluation(self.key, self.attempt.number, self.entry, pods=pods)


def _packed(this: Work, ready: Sequence[_Ready]) -> list[list[_Ready]]:
    """Return what is ready in groups, each for one Job. A pack that the API server will never accept is taken apart."""
    spec = this.observed.spec

    def family(each: _Ready) -> tuple[str, int] | None:
        alone = this.pass_.settings.volume_per_model or spec.workload.shards is not None  # one pod, one node
        may = each.attempt.packable and not alone
        name = family_of(each.entry, this.models.get(each.entry.model), spec) if may else None
        return (name, each.attempt.number) if name is not None else None

    groups = packs(ready, family, max_models=spec.packing.max_models if spec.packing is not None else 1)
    whole = []
    for group in groups:
        refusal = this.refusal(pack_key([each.key for each in group]), group[0].attempt.number)
        refused = len(group) > 1 and refusal is not None and refusal.final
        whole += [[each] for each in group] if refused else [group]
    return whole


def _started(this: Work, group: Sequence[_Ready], slots: Slots) -> dict[int, Update]:
    """Return the states of evaluations that share a Job, or of one, by index; take a slot for them if one is free."""
    first, *others = (each.start for each in group)
    start = replace(first, others=tuple(others))
    if others and (refusal := this.refusal(start.job_key, start.attempt)) is not None:
        slots.hold()
        reason, text = refusal.reason, clip(refusal.message, MESSAGE_LENGTH)
        return {each.index: waiting(each.entry, each.attempt, reason, text) for each in group}
    if slots.take(start):
        text = "its Job is being created"
    else:
        text = "other Jobs of this round are refused" if slots.refused else "all slots of this round are taken"
        text = slots.limited or text
    return {each.index: _for_slot(each, text) for each in group}


def _for_slot(each: _Ready, text: str) -> Update:
    """Return the wait for a slot, or for a Job that was refused to be accepted."""
    if each.entry.reason is Reason.JOB_REFUSED:
        return waiting(each.entry, each.attempt, each.entry.reason, each.entry.message)
    return waiting(each.entry, each.attempt, Reason.WAITING_FOR_SLOT, text)


def _duplicate(entry: ModelResult, owner: str, now: datetime) -> ModelResult:
    """Return the entry as a duplicate of `owner`, dated once."""
    text = f"has the weights of {owner}, which was committed earlier"
    since = entry.finished_at if entry.state == ResultState.DUPLICATE else now
    update = Update(ResultState.DUPLICATE, Reason.DUPLICATE_WEIGHTS, text, finished_at=since)
    return changed(update.applied_to(entry, duplicate_of=owner), key=None)
