"""Events about what was recorded lately: a process that is killed between a status and its Events never posts them.

The next one does, at the begin of its term. Of rounds and Validators it reads what was posted, and posts the rest. Of
models, of which there may be thousands, it posts the ends of fetches again: an Event of the same text about the same
generation is not made twice.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from bitagent_crds.conditions import ConditionType, Reason
from bitagent_crds.minermodel import MinerModelStatus
from bitagent_crds.model_result import ModelResult, ResultState
from bitagent_crds.status import Condition
from bitagent_kube.conditions import find
from bitagent_kube.errors import ApiError
from bitagent_kube.events import NOTE_BYTES, clip_bytes
from bitagent_kube.objects import EventMessage, ObjectMeta
from bitagent_kube.resources import CORE_EVENTS
from bitagent_operator.observed.cache import Key, Kind
from bitagent_operator.observed.objects import RoundObject, ValidatorObject, changed
from bitagent_operator.plan.files.archive import archive_events
from bitagent_operator.plan.interface import EventReason
from bitagent_operator.plan.models.model import events as model_events
from bitagent_operator.plan.outcomes import end_events
from bitagent_operator.plan.rounds.events import events as round_events
from bitagent_operator.plan.validators.rewriter import rewriter_events
from bitagent_operator.reconcilers.context import Context
from bitagent_operator.reconcilers.invalid import Unplannable, guarded

FETCHED_SINCE = timedelta(minutes=10)
"""How old the end of a fetch may be whose Event is posted again."""
RECORDED_SINCE = timedelta(minutes=50)
"""How old another record may be: the API server keeps Events for an hour, unless configured otherwise."""

_DELAY = re.compile(r"[^:]+: \w+(?!.* when the others have ended$)")
"""Model and reason of a delay, whose words may change while it lasts; those of a failure that is recorded do not."""
_ENDS = (ConditionType.COMPLETE, ConditionType.FAILED, ConditionType.ARCHIVED)

log = logging.getLogger(__name__)
T = TypeVar("T")


async def late_events(context: Context) -> None:
    """Submit the Events about what was recorded lately that are missing."""
    now = context.now()
    for model in list(context.cache.models):
        found = _made(model.meta, partial(end_events, model, since=now - FETCHED_SINCE))
        if found is not None:
            key = Key(Kind.MODEL, model.meta.name)
            context.emit_events(key, model.meta, found.messages, generation=found.generation)
    since = now - RECORDED_SINCE
    for observed in list(context.cache.rounds):
        messages = _made(observed.meta, partial(events_of_round, observed, since=since))
        await _submit(context, Kind.ROUND, observed.meta, messages or ())
    for validator in list(context.cache.validators):
        messages = _made(validator.meta, partial(events_of_validator, validator, since=since))
        await _submit(context, Kind.VALIDATOR, validator.meta, messages or ())


def _made(meta: ObjectMeta, make: Callable[[], T]) -> T | None:
    """Return what `make` makes; None if it cannot: one object must not end the term, and with it the process."""
    try:
        return guarded(make)
    except Unplannable as error:
        log.error("missing Events about %s cannot be made, so none of them is posted", meta.name, exc_info=error)
        return None


async def _submit(context: Context, kind: Kind, meta: ObjectMeta, messages: tuple[EventMessage, ...]) -> None:
    """Submit those of the messages about an object of which there is no Event."""
    if not messages:
        return
    try:
        events = await context.client.list(CORE_EVENTS, fields=f"involvedObject.uid={meta.uid}")
    except ApiError as error:
        log.warning("the Events about %s %s cannot be read, so missing ones are not posted: %s", kind, meta.name, error)
        return
    posted = {_said(str(event.get("reason")), str(event.get("message"))) for event in events}
    missing = [m for m in messages if _said(str(m.reason), clip_bytes(m.message, NOTE_BYTES)) not in posted]
    context.emit_events(Key(kind, meta.name), meta, missing)


def _said(reason: str, message: str) -> tuple[str, str]:
    """Return by what an Event is known: a delay that was posted is not posted again in other words."""
    delay = _DELAY.match(message) if reason == EventReason.EVALUATION_DELAYED else None
    return reason, delay.group() if delay is not None else message


def events_of_round(observed: RoundObject, *, since: datetime) -> tuple[EventMessage, ...]:
    """Return the Events about what a round has recorded since: its start, its tasks, delays, verdicts, end, archive.

    They are those of the difference to a status without all that. A verdict without a time, which is an exclusion,
    counts as being of the time when the round started, and a delay as being of the time when its evaluation did.
    """
    status = observed.status
    ready = find(status.conditions, ConditionType.TASKS_READY)
    old = changed(
        status,
        started_at=None if _recent(status.started_at, since) else status.started_at,
        task_set=None if ready is not None and _recent(ready.last_transition_time, since) else status.task_set,
        results=[
            _undecided(result) if _recent(_recorded(result) or status.started_at, since) else result
            for result in status.results
        ],
        conditions=_without(status.conditions, _ENDS, since),
    )
    return (*round_events(old, status), *archive_events(old, status))


def events_of_validator(observed: ValidatorObject, *, since: datetime) -> tuple[EventMessage, ...]:
    """Return the Events about what the operator has recorded of a Validator's rewriter since."""
    ready, rewriter = find(observed.conditions, ConditionType.REWRITER_READY), observed.rewriter
    found = rewriter_events(None, ready) if ready is not None and _recent(ready.last_transition_time, since) else ()
    if rewriter is None:
        return found
    new = MinerModelStatus(resolved=rewriter.resolved, conditions=rewriter.conditions)
    old = changed(new, conditions=_without(new.conditions, (ConditionType.FETCHED,), since))
    return (*model_events(old, new), *found)


def _recorded(result: ModelResult) -> datetime | None:
    """Return when a verdict or a failure was recorded, or else when the evaluation began."""
    failed = result.failures[-1].at if result.failures else None
    return result.finished_at or failed or result.started_at


def _undecided(result: ModelResult) -> ModelResult:
    """Return a result as it may have been before its verdict, or its delay."""
    return result.model_copy(update={"state": ResultState.PENDING, "reason": Reason.WAITING_FOR_MODEL, "failures": []})


def _without(conditions: list[Condition], kinds: tuple[ConditionType, ...], since: datetime) -> list[Condition]:
    """Return the conditions but those of these types that changed since."""
    return [c for c in conditions if not (c.type in kinds and _recent(c.last_transition_time, since))]


def _recent(at: datetime | None, since: datetime) -> bool:
    return at is not None and at >= since
