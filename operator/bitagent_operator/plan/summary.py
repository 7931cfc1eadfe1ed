"""A round's status as a whole: counts, conditions, the end."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from bitagent_crds.conditions import Condition, ConditionStatus, ConditionType, Reason
from bitagent_crds.evalround import FINAL_STATES, EvalRoundStatus, ModelResult, ResultState, RoundCounts, RoundPhase
from bitagent_operator.conditions import Conditions, clip, find, holds
from bitagent_operator.observed import RoundObject
from bitagent_operator.plan import ranking
from bitagent_operator.plan.notices import Happening, Notice
from bitagent_operator.plan.results import INFRASTRUCTURE
from bitagent_operator.plan.selection import MAX_MODELS, Selection
from bitagent_operator.plan.tasks import TaskSet

_MESSAGES = 128 * 1024
"""Stored bytes that all messages of a round may take together: 1,024 results, their managed fields included, must fit in etcd."""
_ESCAPED = 6
"""Bytes of a character that JSON escapes, `\\u003c`; no other takes more."""
_YES, _NO = ConditionStatus.TRUE, ConditionStatus.FALSE


def not_started(observed: RoundObject, *, now: datetime) -> EvalRoundStatus:
    """Suspended before it started: nothing is frozen yet."""
    conditions = _conditions(observed, now)
    text = "suspended before it started; clear spec.suspend to start it"
    for kind in (ConditionType.TASKS_READY, ConditionType.RUNNING, ConditionType.COMPLETE):
        conditions.set(kind, _NO, Reason.ROUND_SUSPENDED, text)
    conditions.set(ConditionType.FAILED, _NO, Reason.NOT_FAILED)
    changes = {"phase": RoundPhase.SUSPENDED, "conditions": conditions.all()}
    return observed.status.model_copy(update=changes | {"observed_generation": observed.meta.generation})


def started(observed: RoundObject, selected: Selection, *, now: datetime) -> EvalRoundStatus:
    """The set is frozen. An empty one fails the round: it could only ever give an empty leaderboard."""
    results = [ModelResult(model=name) for name in selected.names]
    new = observed.status.model_copy(update={"started_at": now, "results": results})
    if results:
        return _running(observed, new, TaskSet(), now)
    text = "no MinerModel matches spec.models"
    if selected.matched > MAX_MODELS:
        text = f"{selected.matched} MinerModels match spec.models; a round takes at most {MAX_MODELS}"
    return _failed(observed, new, Reason.NO_MODELS, f"{text}; create a new round with another selection", now)


def status(observed: RoundObject, results: Sequence[ModelResult], tasks: TaskSet, *, now: datetime) -> EvalRoundStatus:
    """The status that follows from the results and the task set."""
    results = [_stamped(r, now) for r in _fitting(results)]
    new = observed.status.model_copy(update={"results": results, "task_set": tasks.ready})
    if tasks.failed:
        infra = tasks.reason in INFRASTRUCTURE
        reason = Reason.INFRASTRUCTURE_FAULTS if infra else Reason.TASKS_FAILED
        text = f"the task set could not be built: {tasks.message}"
        return _failed(observed, _tasks_failed(observed, new, tasks, now), reason, text, now)
    if any(r.state not in FINAL_STATES for r in results):
        return _running(observed, new, tasks, now)
    faults = [r for r in results if r.state == ResultState.INFRA_FAULT]
    if faults:
        text = f"{len(faults)} of {len(results)} models could not be evaluated, through no fault of theirs; "
        text += f"first {faults[0].model}: {faults[0].reason}: {faults[0].message}"
        return _failed(observed, new, Reason.INFRASTRUCTURE_FAULTS, text, now)
    return _complete(observed, new, tasks, now)


def _conditions(observed: RoundObject, now: datetime) -> Conditions:
    return Conditions(observed.status.conditions, generation=observed.meta.generation, now=now)


def _running(observed: RoundObject, new: EvalRoundStatus, tasks: TaskSet, now: datetime) -> EvalRoundStatus:
    conditions = _conditions(observed, now)
    counts = _counts(new.results)
    if new.task_set is not None:
        conditions.set(ConditionType.TASKS_READY, _YES, Reason.TASKS_READY, tasks.message)
    else:
        conditions.set(ConditionType.TASKS_READY, _NO, tasks.reason, tasks.message)
    phase = RoundPhase.RUNNING if counts.running or counts.succeeded or counts.model_faults else RoundPhase.PREPARING
    text = f"{_done(counts)} of {counts.selected} models have their verdict"
    if observed.spec.suspend:
        phase = RoundPhase.SUSPENDED
        conditions.set(ConditionType.RUNNING, _NO, Reason.ROUND_SUSPENDED, "spec.suspend is true; Jobs are suspended")
        conditions.set(ConditionType.COMPLETE, _NO, Reason.ROUND_SUSPENDED, text)
    else:
        running = _YES if counts.running else _NO
        reason = Reason.ROUND_RUNNING if counts.running else _waits_for(new.results)
        conditions.set(ConditionType.RUNNING, running, reason, f"{counts.running} models are being evaluated")
        conditions.set(ConditionType.COMPLETE, _NO, Reason.ROUND_RUNNING, text)
    conditions.set(ConditionType.FAILED, _NO, Reason.NOT_FAILED)
    return _finish(observed, new, conditions.all(), {"phase": phase})


def _waits_for(results: Sequence[ModelResult]) -> Reason:
    """What most of the waiting models wait for."""
    waiting = Counter(r.reason for r in results if r.state == ResultState.PENDING)
    return waiting.most_common(1)[0][0] if waiting else Reason.ROUND_RUNNING


def _complete(observed: RoundObject, new: EvalRoundStatus, tasks: TaskSet, now: datetime) -> EvalRoundStatus:
    ranked = ranking.rank(new.results)
    new = new.model_copy(update={"results": ranked})
    conditions = _conditions(observed, now)
    if new.task_set is not None:
        conditions.set(ConditionType.TASKS_READY, _YES, Reason.TASKS_READY, tasks.message)
    else:
        conditions.set(ConditionType.TASKS_READY, _NO, Reason.ROUND_COMPLETE, "not needed: no model was admitted")
    counts = _counts(ranked)
    text = f"{counts.succeeded + counts.model_faults} of {counts.selected} models have a score"
    conditions.set(ConditionType.RUNNING, _NO, Reason.ROUND_COMPLETE, "")
    conditions.set(ConditionType.COMPLETE, _YES, Reason.ROUND_COMPLETE, text)
    conditions.set(ConditionType.FAILED, _NO, Reason.NOT_FAILED)
    end = {"phase": RoundPhase.COMPLETE, "finished_at": now, "leaderboard_digest": ranking.leaderboard_digest(ranked)}
    return _finish(observed, new, conditions.all(), end)


def _failed(
    observed: RoundObject, new: EvalRoundStatus, reason: Reason, message: str, now: datetime
) -> EvalRoundStatus:
    conditions = Conditions(new.conditions, generation=observed.meta.generation, now=now)
    for kind in (ConditionType.RUNNING, ConditionType.COMPLETE):
        conditions.set(kind, _NO, reason, "")
    if conditions.get(ConditionType.TASKS_READY) is None:
        conditions.set(ConditionType.TASKS_READY, _NO, reason, "")
    conditions.set(ConditionType.FAILED, _YES, reason, message)
    return _finish(observed, new, conditions.all(), {"phase": RoundPhase.FAILED, "finished_at": now})


def _tasks_failed(observed: RoundObject, new: EvalRoundStatus, tasks: TaskSet, now: datetime) -> EvalRoundStatus:
    conditions = _conditions(observed, now)
    conditions.set(ConditionType.TASKS_READY, _NO, tasks.reason, tasks.message)
    return new.model_copy(update={"conditions": conditions.all()})


def _finish(
    observed: RoundObject, new: EvalRoundStatus, conditions: list[Condition], changes: dict[str, Any]
) -> EvalRoundStatus:
    counts = _counts(new.results)
    derived = {
        "observed_generation": observed.meta.generation,
        "counts": counts,
        "progress": f"{_done(counts)}/{counts.selected}",
        "best": clip(ranking.best(new.results), 128),
        "conditions": conditions,
    }
    return new.model_copy(update=derived | changes)


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
        infra_faults=by_state[ResultState.INFRA_FAULT],
    )


def _done(counts: RoundCounts) -> int:
    return counts.selected - counts.pending - counts.running


def _stamped(result: ModelResult, now: datetime) -> ModelResult:
    if result.state in FINAL_STATES and result.finished_at is None:
        return result.model_copy(update={"finished_at": now})
    return result


def _fitting(results: Sequence[ModelResult]) -> list[ModelResult]:
    """The results with messages that fit together; in a small round none is cut."""
    limit = max(64, _MESSAGES // max(1, len(results)))
    cut = ((r, _clip_stored(r.message, limit)) for r in results)
    return [r if r.message == message else r.model_copy(update={"message": message}) for r, message in cut]


def _clip_stored(text: str, limit: int) -> str:
    """The text, cut so that it takes at most `limit` bytes where the API server stores it. What a miner wrote may be in it."""
    cut = text
    while (excess := _stored(cut) - limit) > 0:
        cut = clip(text, len(cut) - max(1, excess // _ESCAPED))
    return cut


def _stored(text: str) -> int:
    """Bytes of a text as the API server writes JSON: it also escapes <, > and &."""
    return len(json.dumps(text, ensure_ascii=False).encode()) - 2 + sum(text.count(c) for c in "<>&") * (_ESCAPED - 1)


def notices(old: EvalRoundStatus, new: EvalRoundStatus) -> tuple[Notice, ...]:
    """What a person wants to be told of the difference."""
    told: list[Notice] = []
    if old.started_at is None and new.started_at is not None and new.results:
        told.append(Notice(Happening.ROUND_STARTED, f"{len(new.results)} models compete; the set is frozen"))
    if old.task_set is None and new.task_set is not None:
        built = find(new.conditions, ConditionType.TASKS_READY)
        text = built.message if built is not None else f"{new.task_set.count} tasks"
        told.append(Notice(Happening.TASK_SET_BUILT, f"{text}; {new.task_set.digest}"))
    before = {r.model: r for r in old.results}
    told += [n for r in new.results if (n := _result_notice(before.get(r.model), r)) is not None]
    for kind, happening in (
        (ConditionType.COMPLETE, Happening.ROUND_COMPLETE),
        (ConditionType.FAILED, Happening.ROUND_FAILED),
    ):
        if holds(new.conditions, kind) and not holds(old.conditions, kind):
            text = next(c.message for c in new.conditions if c.type == kind)
            text = f"{text}; best {new.best}" if new.best and kind == ConditionType.COMPLETE else text
            told.append(Notice(happening, text, warning=kind == ConditionType.FAILED))
    return tuple(told)


def _result_notice(old: ModelResult | None, new: ModelResult) -> Notice | None:
    if old is None or (old.state, old.reason) == (new.state, new.reason):
        return None
    text = f"{new.model}: {new.reason}" + (f": {new.message}" if new.message else "")
    match new.state:
        case ResultState.SUCCEEDED:
            return Notice(Happening.MODEL_EVALUATED, f"{new.model}: score {new.score}")
        case ResultState.MODEL_FAULT | ResultState.INFRA_FAULT:
            return Notice(Happening.EVALUATION_FAILED, text, warning=True)
        case ResultState.REJECTED | ResultState.DUPLICATE:
            return Notice(Happening.MODEL_REJECTED, text, warning=True)
        case ResultState.RUNNING if new.reason in INFRASTRUCTURE:
            return Notice(Happening.EVALUATION_DELAYED, text, warning=True)
        case _:
            return None
