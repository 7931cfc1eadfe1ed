"""Status of a round as a whole: counts, conditions, ranks, the end, and the Events that report its changes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

from bitagent_crds.conditions import ConditionStatus, ConditionType, Fault, Reason
from bitagent_crds.evalround import FINAL_STATES, EvalRoundStatus, ModelResult, ResultState, RoundCounts, RoundPhase
from bitagent_crds.fields import digest_of
from bitagent_crds.ranking import ranks
from bitagent_kube.conditions import Conditions, clip, find, holds
from bitagent_kube.objects import EventMessage
from bitagent_operator.objects import ModelObject, RoundObject, changed
from bitagent_operator.plan.copies import flagged
from bitagent_operator.plan.interface import EventReason
from bitagent_operator.plan.task_set import TaskSetProgress

SCORED = frozenset({ResultState.SUCCEEDED, ResultState.MODEL_FAULT})
"""States with a score; a model's own fault scores 0."""
_MESSAGES = 64 * 1024
"""Stored bytes of all messages of a round together: 1,024 results must fit in etcd, 1.5 MiB by default."""
_RESULTS = 1480 * 1024
"""Stored bytes of all final results together: the rest of the object needs the difference to 1.5 MiB."""
_ESCAPED = 6
"""Bytes of a character that JSON escapes, `\\u003c`; no other takes more."""
_NAMED = 8
"""Models that a condition's message names."""
_YES, _NO = ConditionStatus.TRUE, ConditionStatus.FALSE


def not_started(observed: RoundObject, *, now: datetime) -> EvalRoundStatus:
    """Return the status of a round that is suspended before it started: its set is not frozen yet."""
    text = "suspended before it started; set spec.suspend to false to start it"
    return _before_start(observed, RoundPhase.SUSPENDED, Reason.ROUND_SUSPENDED, text, now=now)


def waiting_for_models(observed: RoundObject, unreadable: Mapping[str, str], *, now: datetime) -> EvalRoundStatus:
    """Return the status of a round that does not start, because models that it selects cannot be read.

    Without them it would be a partial round. `unreadable`: what is wrong, by model.
    """
    named = "; ".join(f"{name}: {error}" for name, error in sorted(unreadable.items())[:_NAMED])
    more = f"; and {len(unreadable) - _NAMED} more" if len(unreadable) > _NAMED else ""
    text = f"waits for models that the operator cannot read (correct them, delete them, or upgrade): {named}{more}"
    return _before_start(observed, RoundPhase.PENDING, Reason.MODEL_INVALID, text, now=now)


def _before_start(
    observed: RoundObject, phase: RoundPhase, reason: Reason, text: str, *, now: datetime
) -> EvalRoundStatus:
    """Return the status of a round whose set of models is not frozen yet, for this reason."""
    conditions = _conditions(observed, now)
    for kind in (ConditionType.TASKS_READY, ConditionType.RUNNING, ConditionType.COMPLETE):
        conditions.set(kind, _NO, reason, text)
    conditions.set(ConditionType.FAILED, _NO, Reason.NOT_FAILED)
    return changed(
        observed.status,
        phase=phase,
        conditions=conditions.all(),
        observed_generation=observed.meta.generation,
    )


def invalid_models_event(old: EvalRoundStatus, new: EvalRoundStatus) -> tuple[EventMessage, ...]:
    """Return the Event of a round that begins to wait for models that cannot be read, or for others of them."""
    before, after = find(old.conditions, ConditionType.RUNNING), find(new.conditions, ConditionType.RUNNING)
    if after is None or (before is not None and before.message == after.message):
        return ()
    return (EventMessage(EventReason.INVALID, after.message, warning=True),)


def started(
    observed: RoundObject, results: Sequence[ModelResult], tasks: TaskSetProgress, *, left_out: int, now: datetime
) -> EvalRoundStatus:
    """Return the status with the frozen set. An empty set fails the round: its leaderboard could only be empty."""
    counts = changed(observed.status.counts, left_out=left_out)
    new = changed(observed.status, started_at=now, results=[_stamped(r, now) for r in results], counts=counts)
    if results:
        return _running(observed, new, tasks, now)
    text = "no MinerModel matches spec.models; create a new round with another selection"
    return _failed(observed, new, _conditions(observed, now), Reason.NO_MODELS, text, now)


def updated(
    observed: RoundObject,
    results: Sequence[ModelResult],
    tasks: TaskSetProgress,
    *,
    models: Mapping[str, ModelObject],
    now: datetime,
) -> EvalRoundStatus:
    """Return the status of a started round that follows from its results and its task set.

    `models` are the MinerModels of its set that are known, by name: near copies are found by their facts.
    """
    results = [_stamped(r, now) for r in _fitting(results)]
    new = changed(observed.status, results=results, task_set=tasks.ready)
    conditions = _conditions(observed, now)
    if tasks.failed:
        infrastructure = tasks.reason.fault is Fault.INFRASTRUCTURE
        reason = Reason.ROUND_HAS_INFRASTRUCTURE_FAULTS if infrastructure else tasks.reason
        conditions.set(ConditionType.TASKS_READY, _NO, tasks.reason, tasks.message)
        text = f"the task set could not be built: {tasks.message}"
        return _failed(observed, new, conditions, reason, text, now)
    if any(r.state not in FINAL_STATES for r in results):
        return _running(observed, new, tasks, now)
    faults = [r for r in results if r.state == ResultState.INFRA_FAULT]
    if faults:
        text = f"{len(faults)} of {len(results)} models could not be evaluated, through no fault of theirs; "
        text += f"first {faults[0].model}: {faults[0].reason}: {faults[0].message}"
        spec = all(r.reason is Reason.JOB_INVALID for r in faults)
        reason = Reason.JOB_INVALID if spec else Reason.ROUND_HAS_INFRASTRUCTURE_FAULTS
        return _failed(observed, new, conditions, reason, text, now)
    return _complete(observed, new, tasks, models, now)


def _conditions(observed: RoundObject, now: datetime) -> Conditions:
    return Conditions(observed.status.conditions, generation=observed.meta.generation, now=now)


def _running(observed: RoundObject, new: EvalRoundStatus, tasks: TaskSetProgress, now: datetime) -> EvalRoundStatus:
    conditions = _conditions(observed, now)
    counts = _counts(new.results)
    if new.task_set is not None:
        conditions.set(ConditionType.TASKS_READY, _YES, Reason.TASKS_READY, tasks.message)
    else:
        conditions.set(ConditionType.TASKS_READY, _NO, tasks.reason, tasks.message)
    phase = RoundPhase.RUNNING if counts.running or counts.succeeded or counts.model_faults else RoundPhase.PREPARING
    text = f"{_final(counts)} of {counts.selected} models have their verdict"
    gave_up = [r for r in new.results if r.state == ResultState.RUNNING and r.failures]
    if gave_up:
        text += f"; {len(gave_up)} gave up, and are tried again and compared with a control when the others have ended"
    if observed.spec.suspend:
        phase = RoundPhase.SUSPENDED
        conditions.set(ConditionType.RUNNING, _NO, Reason.ROUND_SUSPENDED, "spec.suspend is true; Jobs are suspended")
        conditions.set(ConditionType.COMPLETE, _NO, Reason.ROUND_SUSPENDED, text)
    else:
        running = _YES if counts.running else _NO
        reason = Reason.ROUND_RUNNING if counts.running else _most_common_wait(new.results)
        conditions.set(ConditionType.RUNNING, running, reason, f"{counts.running} models are being evaluated")
        conditions.set(ConditionType.COMPLETE, _NO, Reason.ROUND_RUNNING, text)
    conditions.set(ConditionType.FAILED, _NO, Reason.NOT_FAILED)
    return _derived(observed, changed(new, phase=phase, conditions=conditions.all()))


def _most_common_wait(results: Sequence[ModelResult]) -> Reason:
    """Return the reason for which most of the pending models wait; a refused Job is why others wait for a slot."""
    waiting = Counter(r.reason for r in results if r.state == ResultState.PENDING)
    if Reason.JOB_REFUSED in waiting:
        return Reason.JOB_REFUSED
    return waiting.most_common(1)[0][0] if waiting else Reason.ROUND_RUNNING


def _complete(
    observed: RoundObject,
    new: EvalRoundStatus,
    tasks: TaskSetProgress,
    models: Mapping[str, ModelObject],
    now: datetime,
) -> EvalRoundStatus:
    count = new.task_set.count if new.task_set is not None else 0
    ranked = _stored_whole(with_ranks(flagged(new.results, models, clock=observed.clock, tasks=count)))
    conditions = _conditions(observed, now)
    if new.task_set is not None:
        conditions.set(ConditionType.TASKS_READY, _YES, Reason.TASKS_READY, tasks.message)
    else:
        conditions.set(ConditionType.TASKS_READY, _NO, Reason.ROUND_COMPLETE, "not needed: no model was admitted")
    counts = _counts(ranked)
    text = f"{counts.succeeded + counts.model_faults} of {counts.selected} models have a score"
    text += _unscored(ranked)
    conditions.set(ConditionType.RUNNING, _NO, Reason.ROUND_COMPLETE, "")
    conditions.set(ConditionType.COMPLETE, _YES, Reason.ROUND_COMPLETE, text)
    conditions.set(ConditionType.FAILED, _NO, Reason.NOT_FAILED)
    end = changed(
        new,
        results=ranked,
        phase=RoundPhase.COMPLETE,
        finished_at=now,
        leaderboard_digest=leaderboard_digest(ranked),
        conditions=conditions.all(),
    )
    return _derived(observed, end)


def _stored_whole(results: Sequence[ModelResult]) -> list[ModelResult]:
    """Return the final results so that they fit in etcd: without what a score does without, if there are too many.

    Near copies have two more fields, and one miner can make all models of a round near copies.
    """
    size = sum(_escaped(r.model_dump_json(by_alias=True, exclude_none=True)) for r in results)
    if size <= _RESULTS:
        return list(results)
    return [changed(r, node=None, message="") if r.state == ResultState.SUCCEEDED else r for r in results]


def _unscored(results: Sequence[ModelResult]) -> str:
    """Return which models ended without a score by trouble of their own, and why; empty if none did."""
    found = [r for r in results if r.state == ResultState.UNSCORED]
    if not found:
        return ""
    named = ", ".join(f"{r.model} ({r.reason})" for r in found[:_NAMED])
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return f"; without a score by trouble of their own: {named}{more}"


def _failed(
    observed: RoundObject,
    new: EvalRoundStatus,
    conditions: Conditions,
    reason: Reason,
    message: str,
    now: datetime,
) -> EvalRoundStatus:
    for kind in (ConditionType.RUNNING, ConditionType.COMPLETE):
        conditions.set(kind, _NO, reason, "")
    if conditions.get(ConditionType.TASKS_READY) is None:
        conditions.set(ConditionType.TASKS_READY, _NO, reason, "")
    conditions.set(ConditionType.FAILED, _YES, reason, message)
    end = changed(new, phase=RoundPhase.FAILED, finished_at=now, conditions=conditions.all())
    return _derived(observed, end)


def _derived(observed: RoundObject, new: EvalRoundStatus) -> EvalRoundStatus:
    """Return the status with the fields that follow from its results."""
    counts = changed(_counts(new.results), left_out=new.counts.left_out)
    return changed(
        new,
        observed_generation=observed.meta.generation,
        counts=counts,
        progress=f"{_final(counts)}/{counts.selected}",
        best=clip(best(new.results), 128),
    )


def _counts(results: Sequence[ModelResult]) -> RoundCounts:
    by_state = Counter(r.state for r in results)
    return RoundCounts(
        selected=len(results),
        pending=by_state[ResultState.PENDING],
        running=by_state[ResultState.RUNNING],
        succeeded=by_state[ResultState.SUCCEEDED],
        rejected=by_state[ResultState.REJECTED],
        duplicate=by_state[ResultState.DUPLICATE],
        model_faults=by_state[ResultState.MODEL_FAULT],
        unscored=by_state[ResultState.UNSCORED],
        infra_faults=by_state[ResultState.INFRA_FAULT],
    )


def _final(counts: RoundCounts) -> int:
    """Return how many models are in a final state."""
    return counts.selected - counts.pending - counts.running


def _stamped(result: ModelResult, now: datetime) -> ModelResult:
    if result.state in FINAL_STATES and result.finished_at is None:
        return changed(result, finished_at=now)
    return result


def _fitting(results: Sequence[ModelResult]) -> list[ModelResult]:
    """Return the results with messages that fit together; in a small round none is cut."""
    limit = max(64, _MESSAGES // max(1, len(results)))
    cut = ((r, _clip_stored(r.message, limit)) for r in results)
    return [r if r.message == message else changed(r, message=message) for r, message in cut]


def _clip_stored(text: str, limit: int) -> str:
    """Cut the text so that the API server stores it in at most `limit` bytes. It may contain text of a miner."""
    cut = text
    while (excess := _stored(cut) - limit) > 0:
        cut = clip(text, len(cut) - max(1, excess // _ESCAPED))
    return cut


def _stored(text: str) -> int:
    """Return the bytes of a text inside of a JSON document, as the API server writes it."""
    return _escaped(json.dumps(text, ensure_ascii=False)) - 2


def _escaped(document: str) -> int:
    """Return the bytes of a JSON document as the API server writes it: it also escapes <, > and &."""
    return len(document.encode()) + sum(document.count(c) for c in "<>&") * (_ESCAPED - 1)


def _ranks(results: Sequence[ModelResult]) -> list[int | None]:
    return ranks([r if r.state in SCORED else None for r in results])


def with_ranks(results: Sequence[ModelResult]) -> list[ModelResult]:
    """Return the results, in their order, with their ranks; only SCORED states have one."""
    return [changed(r, rank=rank) for r, rank in zip(results, _ranks(results), strict=True)]


def leaderboard_digest(results: Sequence[ModelResult]) -> str:
    """Return the SHA-256 of the ranking, best first, as JSON.

    The rows are `[rank, model, score, commit, weightsDigest, resultDigest]`.
    """
    rows = [
        [r.rank, r.model, r.score, r.commit, r.weights_digest, r.result_digest]
        for r in sorted(results, key=lambda r: (r.rank or 0, r.model))
        if r.rank is not None
    ]
    text = json.dumps(rows, separators=(",", ":"), ensure_ascii=True)
    return digest_of(text.encode())


def best(results: Sequence[ModelResult]) -> str:
    """Return the leading model and its score, or its loss if losses were measured; empty while there is none."""
    leading = [r for r, rank in zip(results, _ranks(results), strict=True) if rank == 1]
    if not leading:
        return ""
    first = min(leading, key=lambda r: r.model)
    return f"{first.model} {first.score}" if first.loss is None else f"{first.model} loss {first.loss}"


def events(old: EvalRoundStatus, new: EvalRoundStatus) -> tuple[EventMessage, ...]:
    """Return the Events that report the difference."""
    out: list[EventMessage] = []
    if old.started_at is None and new.started_at is not None and new.results:
        text = f"{len(new.results)} models compete; the set is frozen"
        if new.counts.left_out:
            text += f"; {new.counts.left_out} more match, whose commit blocks or objects are not among the earliest"
        out.append(EventMessage(EventReason.ROUND_STARTED, text))
    if old.task_set is None and new.task_set is not None:
        ready = find(new.conditions, ConditionType.TASKS_READY)
        text = ready.message if ready is not None else f"{new.task_set.count} tasks"
        out.append(EventMessage(EventReason.TASK_SET_BUILT, f"{text}; {new.task_set.digest}"))
    before = {r.model: r for r in old.results}
    out += [e for r in new.results if (e := _result_event(before.get(r.model), r)) is not None]
    for kind, reason in (
        (ConditionType.COMPLETE, EventReason.ROUND_COMPLETE),
        (ConditionType.FAILED, EventReason.ROUND_FAILED),
    ):
        if holds(new.conditions, kind) and not holds(old.conditions, kind):
            text = next(c.message for c in new.conditions if c.type == kind)
            text = f"{text}; best {new.best}" if new.best and kind == ConditionType.COMPLETE else text
            out.append(EventMessage(reason, text, warning=kind == ConditionType.FAILED))
    return tuple(out)


def _reported(result: ModelResult) -> tuple[object, ...]:
    """Return the fields whose change is reported."""
    return (result.state, result.reason, result.failures, result.near_copy_of)


def _near_copy(result: ModelResult) -> str:
    text = f"{result.model}: score {result.score}; a near copy of {result.near_copy_of}"
    if result.evidence is None:
        return text
    return f"{text}: weights {result.evidence.weights} alike, answers {result.evidence.answers}"


def _result_event(old: ModelResult | None, new: ModelResult) -> EventMessage | None:
    if old is None or _reported(old) == _reported(new):
        return None
    text = f"{new.model}: {new.reason}" + (f": {new.message}" if new.message else "")
    match new.state:
        case ResultState.SUCCEEDED if new.near_copy_of is not None:
            return EventMessage(EventReason.NEAR_COPY_FOUND, _near_copy(new), warning=True)
        case ResultState.SUCCEEDED:
            return EventMessage(EventReason.MODEL_EVALUATED, f"{new.model}: score {new.score}")
        case ResultState.MODEL_FAULT | ResultState.INFRA_FAULT:
            return EventMessage(EventReason.EVALUATION_FAILED, text, warning=True)
        case ResultState.UNSCORED:
            return EventMessage(EventReason.MODEL_UNSCORED, text, warning=True)
        case ResultState.REJECTED | ResultState.DUPLICATE:
            return EventMessage(EventReason.MODEL_REJECTED, text, warning=True)
        case ResultState.RUNNING if len(new.failures) > len(old.failures):
            then = "it is tried again" if len(new.failures) == 1 else "a control decides whose trouble it is"
            return EventMessage(
                EventReason.EVALUATION_DELAYED, f"{text}; {then} when the others have ended", warning=True
            )
        case ResultState.RUNNING if new.reason.fault is Fault.INFRASTRUCTURE:
            return EventMessage(EventReason.EVALUATION_DELAYED, text, warning=True)
        case _:
            return None
