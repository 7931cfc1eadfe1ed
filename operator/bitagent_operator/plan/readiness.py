"""The conditions Ready and Stalled, which follow from an object's other conditions.

They are what kstatus, and so Flux and `kubectl wait`, and health checks of Argo CD read:

    Ready     True: as the spec says. A model is fetched, a round complete, a validator works. False: not yet, or not
              any more; reason and message are those of the first thing that is in the way.
    Stalled   True beside Ready False, if no waiting helps: the spec, or what it refers to, has to change. Else absent.

The reason of Ready is also the one that `kubectl get` shows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from bitagent_crds.conditions import ConditionStatus, ConditionType, Reason
from bitagent_crds.evalround import EvalRoundStatus
from bitagent_crds.status import Condition
from bitagent_crds.validator import WeightsMode
from bitagent_kube.conditions import Conditions, ConditionValue, find, holds, update_conditions
from bitagent_operator.observed.objects import changed
from bitagent_operator.plan.interface import StatusT

SUMMARIES = frozenset({ConditionType.READY, ConditionType.STALLED})
"""Conditions that follow from the others."""
_OF_VALIDATOR = (
    ConditionType.DEPLOYED,
    ConditionType.CHAIN_CONNECTED,
    ConditionType.REGISTERED,
    ConditionType.PERMITTED,
    ConditionType.ROUND_CURRENT,
    ConditionType.WEIGHTS_CURRENT,
)
"""What a validator needs, each of which needs those before it."""
_AS_IT_SHOULD_BE = frozenset(
    {
        Reason.WAITING_FOR_EPOCH,
        Reason.WEIGHTS_PENDING,
        Reason.RATE_LIMITED,
        Reason.REVEAL_PENDING,
        Reason.NO_ELIGIBLE_MINERS,
        Reason.DRY_RUN,
        Reason.WEIGHTS_OFF,
    }
)
"""Reasons for which RoundCurrent or WeightsCurrent does not hold for a while, or by choice, while all is well."""
_NEEDED_TO_SET = frozenset({ConditionType.REGISTERED, ConditionType.PERMITTED})
"""What only a validator that sets weights needs."""


@dataclass(frozen=True)
class Readiness:
    """Whether an object is as its spec says, and why not."""

    ready: bool
    reason: Reason
    message: str
    stalled: bool = False
    """Whether no waiting helps."""

    def values(self) -> list[ConditionValue]:
        """Return the conditions that say so."""
        status = ConditionStatus.TRUE if self.ready else ConditionStatus.FALSE
        found = [ConditionValue(ConditionType.READY, status, self.reason, self.message)]
        if self.stalled:
            found.append(ConditionValue(ConditionType.STALLED, ConditionStatus.TRUE, self.reason, self.message))
        return found

    def conditions(self, previous: Iterable[Condition], *, generation: int, now: datetime) -> list[Condition]:
        """Return them with their history."""
        return update_conditions(self.values(), previous=previous, generation=generation, now=now)


def with_readiness(status: StatusT, *, generation: int, now: datetime) -> StatusT:
    """Return the status of a MinerModel or an EvalRound that was planned, with Ready and Stalled of its conditions."""
    found = of_round(status.conditions) if isinstance(status, EvalRoundStatus) else of_model(status.conditions)
    conditions = Conditions(status.conditions, generation=generation, now=now)
    for value in found.values():
        conditions.set(value.type, value.status, value.reason, value.message)
    kept = [c for c in conditions.all() if c.type != ConditionType.STALLED or found.stalled]
    return changed(status, conditions=kept)


def of_model(conditions: Iterable[Condition]) -> Readiness:
    """Return whether a model is fetched. It is stalled if its files are refused, or cannot be found."""
    conditions = list(conditions)
    for kind in (ConditionType.FETCHED, ConditionType.RESOLVED):
        found = find(conditions, kind)
        if found is None:
            return Readiness(ready=False, reason=Reason.PENDING, message="the operator has not looked at it yet")
        if found.status != ConditionStatus.TRUE:
            final = found.status == ConditionStatus.FALSE and found.reason.fault.final
            stalled = final or _stands_still(found)
            return Readiness(ready=False, reason=found.reason, message=found.message, stalled=stalled)
    fetched = find(conditions, ConditionType.FETCHED)
    return Readiness(ready=True, reason=Reason.FETCHED, message=fetched.message if fetched is not None else "")


def of_round(conditions: Iterable[Condition]) -> Readiness:
    """Return whether a round is complete. It is stalled if it has failed: only a retry, if anything, helps."""
    conditions = list(conditions)
    failed, complete = find(conditions, ConditionType.FAILED), find(conditions, ConditionType.COMPLETE)
    if failed is not None and failed.status == ConditionStatus.TRUE:
        return Readiness(ready=False, reason=failed.reason, message=failed.message, stalled=True)
    if complete is not None and complete.status == ConditionStatus.TRUE:
        return Readiness(ready=True, reason=complete.reason, message=complete.message)
    running, tasks = find(conditions, ConditionType.RUNNING), find(conditions, ConditionType.TASKS_READY)
    if running is None:
        return Readiness(ready=False, reason=Reason.PENDING, message="the operator has not looked at it yet")
    waits_for_tasks = running.status != ConditionStatus.TRUE and running.reason is Reason.WAITING_FOR_TASKS
    if tasks is not None and tasks.status != ConditionStatus.TRUE and waits_for_tasks:
        return Readiness(ready=False, reason=tasks.reason, message=tasks.message, stalled=_stands_still(tasks))
    return Readiness(ready=False, reason=running.reason, message=running.message, stalled=_stands_still(running))


def _stands_still(condition: Condition) -> bool:
    """Whether somebody has to create what it waits for; then it continues by itself."""
    return condition.status != ConditionStatus.TRUE and condition.reason is Reason.QUEUE_NOT_FOUND


def of_validator(conditions: Iterable[Condition], *, generation: int, mode: WeightsMode) -> Readiness:
    """Return whether a validator works: its pod runs and follows the chain, and no competition stands still.

    Of conditions that its pod writes only the fixed meaning of the reason is repeated: their messages name blocks, and
    every one of these would be another write.
    """
    known = {c.type: c for c in conditions}
    aside: list[Condition] = []
    for kind in _OF_VALIDATOR:
        found = known.get(kind)
        if found is None or found.observed_generation < generation:
            return Readiness(ready=False, reason=Reason.PENDING, message=f"{kind} is not known for this spec yet")
        well = holds([found], kind) or found.reason in _AS_IT_SHOULD_BE
        if not well and not (kind in _NEEDED_TO_SET and mode is not WeightsMode.SET):
            message = found.message if kind == ConditionType.DEPLOYED else _repeated(found)
            return Readiness(ready=False, reason=found.reason, message=message, stalled=found.reason.fault.final)
        if not holds([found], kind):
            aside.append(found)
    shown = aside[0] if aside else known[ConditionType.WEIGHTS_CURRENT]
    return Readiness(ready=True, reason=shown.reason, message=_repeated(shown))


def _repeated(condition: Condition) -> str:
    return f"{condition.type} is {condition.status}: {condition.reason.meaning or condition.reason}"
