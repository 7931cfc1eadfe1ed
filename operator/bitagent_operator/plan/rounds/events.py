"""Events that report the changes of a round's status."""

from __future__ import annotations

from bitagent_crds.conditions import ConditionType, Fault
from bitagent_crds.evalround import EvalRoundStatus
from bitagent_crds.model_result import FINAL_STATES, ModelResult, ResultState
from bitagent_kube.conditions import find, holds
from bitagent_kube.objects import EventMessage
from bitagent_operator.plan.interface import EventReason
from bitagent_operator.plan.jobs.queue import TROUBLES as QUEUE_TROUBLES


def wait_event(old: EvalRoundStatus, new: EvalRoundStatus, reason: EventReason) -> tuple[EventMessage, ...]:
    """Return the Event of a round that begins to wait before its start, or waits for other models than before."""
    before, after = find(old.conditions, ConditionType.RUNNING), find(new.conditions, ConditionType.RUNNING)
    if after is None or (before is not None and before.message == after.message):
        return ()
    return (EventMessage(reason, after.message, warning=True),)


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
    running, was = find(new.conditions, ConditionType.RUNNING), find(old.conditions, ConditionType.RUNNING)
    if running is not None and running.reason in QUEUE_TROUBLES and (was is None or was.reason != running.reason):
        out.append(EventMessage(EventReason.ROUND_WAITING, f"{running.reason}: {running.message}", warning=True))
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
    # A trouble that is seen before the Job says that it has started is reported once it does.
    begun = result.started_at is not None and result.reason.fault is Fault.INFRASTRUCTURE
    return (result.state, result.reason, result.failures, result.near_copy_of, begun)


def _near_copy(result: ModelResult) -> str:
    text = f"{result.model}: score {result.score}; a near copy of {result.near_copy_of}"
    if result.evidence is None:
        return text
    return f"{text}: weights {result.evidence.weights} alike, answers {result.evidence.answers}"


def _result_event(old: ModelResult | None, new: ModelResult) -> EventMessage | None:
    if (
        old is None
        or _reported(old) == _reported(new)
        or (new.state not in FINAL_STATES and new.reason in QUEUE_TROUBLES)
    ):
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
        case ResultState.RUNNING | ResultState.PENDING if new.started_at and new.reason.fault is Fault.INFRASTRUCTURE:
            return EventMessage(EventReason.EVALUATION_DELAYED, text, warning=True)
        case _:
            return None
