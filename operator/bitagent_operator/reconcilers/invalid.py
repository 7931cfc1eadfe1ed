"""Objects that cannot be read or planned: Ready and Stalled say why, one Event reports it, others are planned."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

from bitagent_crds.conditions import ConditionStatus, ConditionType, Reason
from bitagent_kube.cache import said
from bitagent_kube.conditions import Conditions, parse_conditions
from bitagent_kube.objects import EventMessage, Obj, ObjectMeta
from bitagent_operator.observed.cache import Key, Kind, Table
from bitagent_operator.observed.objects import ValidatorObject
from bitagent_operator.plan.interface import EventReason
from bitagent_operator.plan.readiness import SUMMARIES
from bitagent_operator.reconcilers.context import Context

_OWN_STATUS = frozenset({Kind.MODEL, Kind.ROUND})
"""Kinds whose whole status the operator writes; of a Validator's it writes some conditions and the rewriter."""
OPERATOR_CONDITIONS = SUMMARIES | {ConditionType.DEPLOYED, ConditionType.REWRITER_READY}
"""Conditions of a Validator that the operator writes."""
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
        if observed.rewriter is not None:
            content["status"]["rewriter"] = observed.rewriter.to_wire()
    else:
        content = {"status": observed.status.to_wire()}
    await report_invalid(context, key, observed.meta, content, f"the operator cannot plan it: {error}")
    return INVALID_SECONDS


async def report_invalid(context: Context, key: Key, meta: ObjectMeta, content: Obj, error: str) -> None:
    """Write Ready and Stalled beside the rest of the status, as it was, and report it once."""
    found = content.get("status")
    status: Obj = found if isinstance(found, dict) else {}
    wire = [c for c in status.get("conditions") or () if isinstance(c, dict)]
    conditions = Conditions(parse_conditions(wire), generation=meta.generation, now=context.now())
    before = conditions.get(ConditionType.STALLED)
    conditions.set(ConditionType.STALLED, ConditionStatus.TRUE, Reason.INVALID, error)
    conditions.set(ConditionType.READY, ConditionStatus.FALSE, Reason.INVALID, error)
    after = conditions.get(ConditionType.STALLED)
    if after is None or before == after:
        return
    others = [c for c in wire if c.get("type") not in SUMMARIES]
    if key.kind not in _OWN_STATUS:
        status = {k: v for k, v in status.items() if k == "rewriter"}
        others = [c for c in others if c.get("type") in OPERATOR_CONDITIONS]
    try:
        said_now = [c.to_wire() for c in conditions.all() if c.type in SUMMARIES]
        new: Obj = {"conditions": [*others, *said_now], "observedGeneration": meta.generation}
        await context.write_status(key, meta, status | new)
    finally:
        context.emit_events(key, meta, [EventMessage(EventReason.INVALID, after.message, warning=True)])
