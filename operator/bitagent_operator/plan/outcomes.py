"""What ended between two statuses of an object: for metrics, and for Events that a process could not post any more."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from bitagent_crds.conditions import ConditionStatus, ConditionType, Reason
from bitagent_crds.evalround import EvalRoundStatus
from bitagent_crds.minermodel import MinerModelStatus
from bitagent_crds.model_result import FINAL_STATES, PhaseSeconds
from bitagent_crds.names import Component
from bitagent_crds.status import Condition
from bitagent_kube.conditions import find
from bitagent_kube.objects import EventMessage
from bitagent_operator.observed.objects import ModelObject, RoundObject, changed
from bitagent_operator.plan.models import model
from bitagent_operator.plan.rounds import events as round_events


@dataclass(frozen=True, slots=True)
class EndedWork:
    """One piece of work that has a result."""

    component: Component
    reason: Reason
    seconds: PhaseSeconds | None = None
    """Of an evaluation: the duration of its phases."""


@dataclass(frozen=True, slots=True)
class EndEvents:
    """The Events about an end, and the generation of the object that has it."""

    messages: tuple[EventMessage, ...]
    generation: int


def ended_of_model(before: MinerModelStatus, after: MinerModelStatus) -> Iterator[EndedWork]:
    """Yield the fetch whose result the second status has and the first has not."""
    old, new = find(before.conditions, ConditionType.FETCHED), find(after.conditions, ConditionType.FETCHED)
    if new is not None and new.status != ConditionStatus.UNKNOWN and not _same(old, new):
        yield EndedWork(Component.FETCH, new.reason)


def ended_of_round(before: EvalRoundStatus, after: EvalRoundStatus) -> Iterator[EndedWork]:
    """Yield the task set and the evaluations whose results the second status has and the first has not.

    A result without a key was never evaluated: its model was rejected, or has the weights of another.
    """
    if before.task_set is None and after.task_set is not None:
        yield EndedWork(Component.TASK_SET, Reason.TASKS_READY)
    ready = find(after.conditions, ConditionType.TASKS_READY)
    ended = after.finished_at is not None and before.finished_at is None
    if ended and after.task_set is None and ready is not None and ready.reason is not Reason.ROUND_COMPLETE:
        yield EndedWork(Component.TASK_SET, ready.reason)
    known = {r.model: r.state for r in before.results}
    for result in after.results:
        open_before = known.get(result.model) not in FINAL_STATES
        if result.state in FINAL_STATES and open_before and result.attempts:
            yield EndedWork(Component.EVALUATE, result.reason, result.seconds)


def end_events(observed: ModelObject | RoundObject, *, since: datetime) -> EndEvents | None:
    """Return the Events about the end of an object, if it ended after `since`; they are those that its pass posted.

    A process that is killed between a status and its Events never posts them. The next one does: a second Event of the
    same text about the same generation is not made.
    """
    kinds = (
        (ConditionType.FETCHED,)
        if isinstance(observed, ModelObject)
        else (ConditionType.COMPLETE, ConditionType.FAILED)
    )
    decided = ConditionStatus.UNKNOWN if isinstance(observed, ModelObject) else ConditionStatus.FALSE
    found = [c for kind in kinds if (c := find(observed.status.conditions, kind)) is not None and c.status != decided]
    if not found or max(c.last_transition_time for c in found) < since:
        return None
    generation = found[0].observed_generation
    rest = [c for c in observed.status.conditions if c.type not in kinds]
    if isinstance(observed, ModelObject):
        messages = model.events(changed(observed.status, conditions=rest), observed.status)
    else:
        messages = round_events.events(changed(observed.status, conditions=rest), observed.status)
    return EndEvents(messages, generation) if messages else None


def _same(old: Condition | None, new: Condition) -> bool:
    """Whether two conditions are one result, recorded again at most."""
    if old is None:
        return False
    return (old.status, old.reason, old.message) == (new.status, new.reason, new.message)
