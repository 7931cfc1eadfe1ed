"""Objects that cannot be read or planned: the condition Stalled says why, one Event reports it, others are planned."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

from bitagent_crds.conditions import ConditionStatus, ConditionType, Reason
from bitagent_kube.cache import said
from bitagent_kube.conditions import Conditions, parse_conditions
from bitagent_kube.objects import EventMessage, Obj, ObjectMeta
from bitagent_operator.cache import Key, Kind, Table
from bitagent_operator.context import Context
from bitagent_operator.objects import ValidatorObject, changed
from bitagent_operator.plan.interface import EventReason, StatusT

_OWN_STATUS = frozenset({Kind.MODEL, Kind.ROUND})
"""Kinds whose whole status the operator writes; of a Validator's it writes two conditions."""
_OPERATOR_CONDITIONS = frozenset({ConditionType.DEPLOYED, ConditionType.STALLED})
INVALID_SECONDS = 60.0
"""Time until an object whose planning failed is planned again, if nothing changes."""


log = logging.getLogger(__name__)
T = TypeVar("T")


class Unplannable(Exception):
    """Raised for an object that is readable and that cannot be planned; the message says why."""


def guarded(make: Callable[[], T]) -> T:
    """Return what `make` plans. Raises Unplannable instead of any error: one object must not stop the others."""
    try:
        return make()
    except Exception as error:
        raise Unplannable(said(error)) from error


async def report_unplannable(context: Context, key: Key, error: Unplannable) -> float | None:
    """Report an object whose planning failed; return the seconds until it is planned again."""
    tables: dict[Kind, Table[Any]] = {
        Kind.MODEL: context.cache.models,
        Kind.ROUND: context.cache.rounds,
        Kind.VALIDATOR: context.cache.validators,
    }
    observed = tables[key.kind].get(key)
    if observed is None:
        return None
    log.error("%s cannot be planned", key, exc_info=error)
    if isinstance(observed, ValidatorObject):
        content: Obj = {"status": {"conditions": [c.to_wire() for c in observed.conditions]}}
    else:
        content = {"status": observed.status.to_wire()}
    await report_invalid(context, key, observed.meta, content, f"the operator cannot plan it: {error}")
    return INVALID_SECONDS


async def report_invalid(context: Context, key: Key, meta: ObjectMeta, content: Obj, error: str) -> None:
    """Write the condition Stalled beside the rest of the status, as it was, and tell it once."""
    found = content.get("status")
    status: Obj = found if isinstance(found, dict) else {}
    wire = [c for c in status.get("conditions") or () if isinstance(c, dict)]
    conditions = Conditions(parse_conditions(wire), generation=meta.generation, now=context.now())
    before = conditions.get(ConditionType.STALLED)
    conditions.set(ConditionType.STALLED, ConditionStatus.TRUE, Reason.INVALID, error)
    after = conditions.get(ConditionType.STALLED)
    if after is None or before == after:
        return
    others = [c for c in wire if c.get("type") != ConditionType.STALLED]
    if key.kind not in _OWN_STATUS:
        status, others = {}, [c for c in others if c.get("type") in _OPERATOR_CONDITIONS]
    try:
        await context.write_status(key, meta, status | {"conditions": [*others, after.to_wire()]})
    finally:
        await context.emit_events(key, meta, [EventMessage(EventReason.INVALID, after.message, warning=True)])


def without_stalled(status: StatusT) -> StatusT:
    """Return the status of an object that could be planned."""
    kept = [c for c in status.conditions if c.type != ConditionType.STALLED]
    return status if len(kept) == len(status.conditions) else changed(status, conditions=kept)
