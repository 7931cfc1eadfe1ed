"""Evaluations of a round: one Job per identity, the owner of its result, and whose trouble a failure is.

Of models with equal weights one competes. It is the model that was committed first: by its commit block, then by the
age of its object, then by name; the others are duplicates and earn nothing. A model admitted late may still turn out to
be the first, so owners are determined in every pass until the round ends. A result belongs to an identity: weights,
tokenizer, template, configuration, format and choices for the engine. It moves to another owner only with the same
identity; a new owner with other files is evaluated itself.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from bitagent_crds.conditions import Reason
from bitagent_crds.evalround import FINAL_STATES, ModelResult, ResultState, TaskSetStatus
from bitagent_crds.evaluation import Workload
from bitagent_crds.names import control_key
from bitagent_kube.conditions import clip
from bitagent_operator import naming
from bitagent_operator.objects import JobObject, ModelObject, PodObject, RoundObject
from bitagent_operator.plan.attempts import (
    GaveUp,
    StartAttempt,
    Update,
    control_state,
    evaluation_state,
    infra_fault,
)
from bitagent_operator.plan.attribution import (
    FETCH_CAUSES,
    Control,
    Decision,
    Peers,
    Step,
    control_of,
    decide,
    decide_fetch,
)
from bitagent_operator.plan.fetch import fetch_result
from bitagent_operator.plan.identity import replaced
from bitagent_operator.plan.interface import Pass, Refusal, StartEvaluation
from bitagent_operator.plan.job_outcome import MESSAGE_LENGTH
from bitagent_operator.plan.seniority import seniority

_PREFERRED_NODES = 16
"""Nodes that a Job may name as preferred: the pod stays small, and any of them will do."""
_REFUSED_AT_ONCE = 16
"""Refused Jobs of a round with a queue, beyond which no further ones are tried."""
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


@dataclass
class _Slots:
    """Evaluation Jobs that may still be created; `free` is None if a queue decides instead.

    A refused Job holds a slot until it may be tried again: a quota that refuses it refuses the others as well.
    """

    free: int | None
    refused: int = 0
    """How many do so."""
    start: list[StartEvaluation] = field(default_factory=list)

    def take(self, evaluation: StartEvaluation) -> bool:
        """Start the evaluation if a slot is free; whether there was one."""
        if self.free is not None and len(self.start) >= self.free:
            return False
        self.start.append(evaluation)
        return True


@dataclass
class _Round:
    """What one pass works on."""

    observed: RoundObject
    models: Mapping[str, ModelObject]
    jobs: Mapping[str, list[JobObject]]
    """Jobs by key, ordered by attempt."""
    pods: Sequence[PodObject]
    pass_: Pass
    results: list[ModelResult]


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
    """Return the entries (those of `admission.admit`) with the state of their evaluations, and the Jobs to create."""
    spec = observed.spec
    by_key: dict[str, list[JobObject]] = {}
    for job in sorted(jobs, key=lambda j: j.attempt):
        if job.key and job.key != naming.TASKS_KEY:
            by_key.setdefault(job.key, []).append(job)
    this = _Round(observed, models, by_key, pods, pass_, list(entries))
    found: dict[int, tuple[str, Update | StartAttempt | GaveUp]] = {}
    for members in _groups(entries, models, pass_):
        keys = seniority((entries[i] for i in members), models, observed.clock)
        first, *others = sorted(members, key=lambda i: keys[entries[i].model])
        key = entries[first].evaluation_key or ""
        recorded = [entries[i] for i in members if entries[i].evaluation_key == key]
        found[first] = key, evaluation_state(by_key.get(key, []), recorded, spec, pods, pass_)
        for i in others:
            this.results[i] = _duplicate(entries[i], entries[first].model, pass_.now)
    control = _control(this, found)
    running = sum(isinstance(f, Update) and f.state == ResultState.RUNNING for _, f in found.values())
    running += isinstance(control.state, Control) and control.state.succeeded is None
    waits = {i: _known_refusal(this, key, state) for i, (key, state) in found.items()}
    slots = _slots(spec.workload, running, [wait for wait in waits.values() if wait is not None], pass_.now)
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
        this.results[i] = update.applied_to(owner)
    _settle(this, {i: (key, state) for i, (key, state) in found.items() if isinstance(state, GaveUp)}, control, slots)
    needed = {key for key, _ in found.values()} | {control.key}
    unfinished = tuple(j for js in by_key.values() for j in js if j.ended is None)
    obsolete = tuple(j for j in unfinished if j.key not in needed)
    return Evaluations(this.results, tuple(slots.start), unfinished, obsolete)


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


def _known_refusal(this: _Round, key: str, state: Update | StartAttempt | GaveUp) -> Refusal | None:
    """Return the last refusal of the Job to start, whether or not it is time to try again."""
    if not isinstance(state, StartAttempt):
        return None
    return this.pass_.refusals.get(naming.round_job_name(this.observed.meta.name, key=key, attempt=state.number))


def _retry_at(refusal: Refusal | None) -> datetime:
    """Return when it may be tried again, for sorting."""
    return refusal.retry_at if refusal is not None and refusal.retry_at is not None else _NEVER


def _slots(workload: Workload, running: int, refusals: Iterable[Refusal], now: datetime) -> _Slots:
    """Return the slots of a round with so many Jobs."""
    refused = sum(r.retry_at is not None and r.retry_at > now for r in refusals)
    if workload.queue_name is not None:
        return _Slots(None if refused < _REFUSED_AT_ONCE else 0, refused)
    return _Slots(max(0, workload.parallelism - running - refused), refused)


def _refusal(this: _Round, key: str, attempt: int) -> Refusal | None:
    """Return why the Job of an attempt may not be created now."""
    return this.pass_.refusal(naming.round_job_name(this.observed.meta.name, key=key, attempt=attempt))


def _pending(
    this: _Round,
    entry: ModelResult,
    key: str,
    attempt: StartAttempt,
    task_set: TaskSetStatus | None,
    slots: _Slots,
) -> Update:
    """Return the state of an owner without a Job, and take a slot for it if one is free."""
    started = ResultState.RUNNING if attempt.failures else ResultState.PENDING

    def waiting(reason: Reason, message: str = "") -> Update:
        return Update(
            started,
            reason,
            message,
            attempts=entry.attempts,
            failures=list(attempt.failures),
            started_at=entry.started_at,
        )

    if this.observed.spec.suspend:
        return waiting(Reason.ROUND_SUSPENDED)
    if task_set is None:
        return waiting(Reason.WAITING_FOR_TASKS, "the task set is being built")
    if entry.commit is None or entry.repo is None:
        return waiting(Reason.WAITING_FOR_MODEL)
    if (refusal := _refusal(this, key, attempt.number)) is not None:
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
    return update.applied_to(entry, duplicate_of=owner)


@dataclass(frozen=True)
class _ControlOf:
    """The control of a round with failures; key and entry are those of a model that has succeeded."""

    key: str = ""
    entry: ModelResult | None = None
    state: Control | StartAttempt = field(default_factory=lambda: StartAttempt(1))


def _control(this: _Round, found: Mapping[int, tuple[str, Update | StartAttempt | GaveUp]]) -> _ControlOf:
    """Return the control that decides about the evaluations that gave up, if there is a model for one.

    Its model does not change once it has a Job, whatever becomes of the facts by which it was chosen.
    """
    if not any(isinstance(state, GaveUp) for _, state in found.values()):
        return _ControlOf()
    known = [state.applied_to(this.results[i]) for i, (_, state) in found.items() if isinstance(state, Update)]
    begun = [r for r in known if control_key(r.evaluation_key or "") in this.jobs]
    entry = control_candidate(begun or known, this.models)
    if entry is None:
        return _ControlOf()
    key = control_key(entry.evaluation_key or "")
    state = control_state(entry.model, this.jobs.get(key, []), this.observed.spec, this.pods, this.pass_)
    if isinstance(state, StartAttempt):
        refusal = _refusal(this, key, state.number)
        if refusal is not None and refusal.final:
            state = Control(entry.model, succeeded=False, message=refusal.message)
    return _ControlOf(key, entry, state)


def control_candidate(results: Iterable[ModelResult], models: Mapping[str, ModelObject]) -> ModelResult | None:
    """Return the result of the model with which a control would be made; None while none has succeeded.

    Its files must stay in the model cache until the round ends.
    """
    succeeded = [result for result in results if result.state == ResultState.SUCCEEDED]
    return control_of(succeeded, _parameters(succeeded, models)) if succeeded else None


def _parameters(entries: Iterable[ModelResult], models: Mapping[str, ModelObject]) -> dict[str, int]:
    """Return the number of parameters by model, where its facts are still those of the commit that was evaluated."""
    found = {entry.model: (entry.commit, models.get(entry.model)) for entry in entries}
    return {
        name: model.status.resolved.parameters
        for name, (commit, model) in found.items()
        if model is not None and model.status.resolved is not None and model.status.resolved.commit == commit
    }


def _settle_fetches(this: _Round, gave_up: Container[int]) -> None:
    """Decide about the models whose fetch gave up, once the others have ended."""
    failed = [i for i, result in enumerate(this.results) if _fetch_gave_up(result)]
    others = [result for i, result in enumerate(this.results) if i not in gave_up and not _fetch_gave_up(result)]
    if not failed or any(result.state not in FINAL_STATES for result in others):
        return
    known = [this.models.get(result.model) for result in others if result.state == ResultState.SUCCEEDED]
    fetched = [m.status.resolved.at for m in known if m is not None and m.status.resolved is not None]
    for i in failed:
        entry, model = this.results[i], this.models.get(this.results[i].model)
        found = fetch_result(model.status, generation=model.meta.generation) if model is not None else None
        failed_at = found.at if found is not None else this.pass_.now
        this.results[i] = _decided(this, i, decide_fetch(entry.reason, failed_at, fetched))


def _fetch_gave_up(result: ModelResult) -> bool:
    return result.state == ResultState.PENDING and result.weights_digest is None and result.reason in FETCH_CAUSES


def _settle(this: _Round, gave_up: Mapping[int, tuple[str, GaveUp]], control: _ControlOf, slots: _Slots) -> None:
    """Take the next step for what gave up: the results, and the Jobs to start."""
    _settle_fetches(this, gave_up)
    if not gave_up:
        return
    others = [result for i, result in enumerate(this.results) if i not in gave_up]
    succeeded = [result for result in others if result.state == ResultState.SUCCEEDED]
    peers = Peers(
        unfinished=any(result.state not in FINAL_STATES for result in others),
        infrastructure_failed=any(result.state == ResultState.INFRA_FAULT for result in others),
        nodes=frozenset(result.node for result in succeeded if result.node),
        any_succeeded=bool(succeeded),
        control=control.state if isinstance(control.state, Control) else None,
    )
    decisions = decide({key: state.update.failures for key, state in gave_up.values()}, peers)
    may_start = not this.observed.spec.suspend
    for i, (key, state) in gave_up.items():
        match decisions[key]:
            case Decision(step=Step.REPEAT) if state.next_attempt > naming.MAX_ATTEMPTS:
                this.results[i] = _decided(this, i, Decision(Step.SHARED, "no attempt is left to repeat it"))
            case Decision(step=Step.REPEAT) if (refusal := _refusal(this, key, state.next_attempt)) is not None:
                if refusal.final:
                    because = f"it cannot be repeated: {refusal.message}"
                    this.results[i] = _decided(this, i, Decision(Step.SHARED, because))
            case Decision(step=Step.REPEAT) if may_start:
                failed = {node for failure in state.update.failures for node in failure.nodes}
                nodes = _preferred(peers.nodes - failed or peers.nodes)
                slots.take(StartEvaluation(key, state.next_attempt, this.results[i], pods=1, preferred_nodes=nodes))
            case Decision(step=Step.OWN | Step.SHARED) as decision:
                this.results[i] = _decided(this, i, decision)
            case _:
                pass
    wants_control = any(decision.step is Step.CONTROL for decision in decisions.values())
    if wants_control and may_start and control.entry is not None and isinstance(control.state, StartAttempt):
        nodes = _preferred(node for _, state in gave_up.values() for node in state.update.failures[-1].nodes)
        start = StartEvaluation(control.key, control.state.number, control.entry, preferred_nodes=nodes, control=True)
        if _refusal(this, start.key, start.attempt) is None:
            slots.take(start)


def _preferred(nodes: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(nodes))[:_PREFERRED_NODES])


def _decided(this: _Round, i: int, decision: Decision) -> ModelResult:
    """Return the entry in its final state, with its last cause and how it was decided."""
    entry, now = this.results[i], this.pass_.now
    because = clip(decision.because, MESSAGE_LENGTH // 2)
    message = f"{clip(entry.message, MESSAGE_LENGTH - len(because) - 2)}; {because}"
    state = ResultState.UNSCORED if decision.step is Step.OWN else ResultState.INFRA_FAULT
    return replace(Update.of(entry), state=state, message=message, finished_at=now).applied_to(entry)
