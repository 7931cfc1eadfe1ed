"""Spans of a round, from what its finished status and the statuses of its models record. Pure.

A trace's id is the round's uid without dashes, and the id of a span follows from the uid and from what the span is
about: the same spans sent again are the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bitagent_crds.conditions import ConditionStatus, ConditionType
from bitagent_crds.evalround import RoundPhase
from bitagent_crds.model_result import ModelResult, ResultState
from bitagent_crds.validator import LastWeights
from bitagent_kube.conditions import find
from bitagent_operator.metrics.rounds import PHASES, phase_seconds
from bitagent_operator.observed.objects import ModelObject, RoundObject

Value = str | int | float | bool

_BAD_STATES = (ResultState.MODEL_FAULT, ResultState.UNSCORED, ResultState.INFRA_FAULT)


@dataclass(frozen=True, slots=True)
class SpanEvent:
    """Something that happened at one time during a span."""

    name: str
    at: datetime
    attributes: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Span:
    """One piece of work."""

    trace_id: str
    span_id: str
    parent_id: str
    """Span that it is a part of; empty: none."""
    name: str
    start: datetime
    end: datetime
    attributes: Mapping[str, Value] = field(default_factory=dict)
    events: tuple[SpanEvent, ...] = ()
    error: str | None = None
    """Why it failed, if it did."""


def trace_id(uid: str) -> str:
    """Return the id of an object's trace."""
    digits = uid.replace("-", "").lower()
    is_id = len(digits) == 32 and set(digits) <= set("0123456789abcdef") and digits.strip("0")
    return digits if is_id else hashlib.sha256(uid.encode()).hexdigest()[:32]


def span_id(uid: str, *about: str) -> str:
    """Return the id of a span of an object's trace."""
    return hashlib.sha256("\0".join((uid, *about)).encode()).hexdigest()[:16]


def round_spans(observed: RoundObject, models: Mapping[str, ModelObject]) -> list[Span]:
    """Return the spans of a finished round: itself, its start, fetches, task set, and evaluations with their phases.

    `models` are those of its results that exist, by name.
    """
    status, meta = observed.status, observed.meta
    if status.finished_at is None:
        raise ValueError(f"round {meta.name} has not ended")
    failed = find(status.conditions, ConditionType.FAILED)
    attributes: dict[str, Value] = {
        "bitagent.round": meta.name,
        "bitagent.round.uid": meta.uid,
        "bitagent.phase": str(status.phase),
        "bitagent.models": len(status.results),
        "bitagent.series": status.series,
    }
    if status.gpu_seconds is not None:
        attributes["bitagent.gpu_seconds.held"] = float(status.gpu_seconds.held)
        attributes["bitagent.gpu_seconds.generating"] = float(status.gpu_seconds.generating)
    root = Span(
        trace_id(meta.uid),
        span_id(meta.uid),
        "",
        f"round {meta.name}",
        meta.created,
        status.finished_at,
        attributes,
        (SpanEvent("retry", status.retried_at),) if status.retried_at is not None else (),
        error=None if status.phase != RoundPhase.FAILED else failed.message if failed is not None else "",
    )
    return [root, *_preparations(observed), *_fetches(observed, models), *_evaluations(observed)]


def weights_span(observed: RoundObject, validator: str, weights: LastWeights) -> Span:
    """Return the span from the end of a round until the chain accepted weights that were computed from it."""
    if observed.status.finished_at is None:
        raise ValueError(f"round {observed.meta.name} has not ended")
    attributes: dict[str, Value] = {
        "bitagent.validator": validator,
        "bitagent.weights.block": weights.block,
        "bitagent.weights.extrinsic": weights.extrinsic,
        "bitagent.weights.hotkeys": weights.hotkeys,
        "bitagent.weights.digest": weights.digest,
    }
    about = ("weights", validator, weights.extrinsic)
    return _child(observed, about, "weights", observed.status.finished_at, weights.at, attributes)


def _child(
    observed: RoundObject,
    about: tuple[str, ...],
    name: str,
    start: datetime,
    end: datetime,
    attributes: Mapping[str, Value],
    *,
    events: Iterable[SpanEvent] = (),
    error: str | None = None,
    parent: tuple[str, ...] = (),
) -> Span:
    uid = observed.meta.uid
    ids = trace_id(uid), span_id(uid, *about), span_id(uid, *parent)
    return Span(*ids, name, start, max(start, end), attributes, tuple(events), error)


def _preparations(observed: RoundObject) -> Iterator[Span]:
    """Yield the wait until the set of models was frozen, and the making of the task set."""
    status, began = observed.status, observed.status.started_at
    if began is None:
        return
    yield _child(observed, ("start",), "wait for the start", observed.meta.created, began, {})
    ready = find(status.conditions, ConditionType.TASKS_READY)
    if ready is None or ready.last_transition_time < began:
        return
    attributes: dict[str, Value] = {"bitagent.reason": str(ready.reason)}
    if status.task_set is not None:
        attributes |= {"bitagent.tasks": status.task_set.count, "bitagent.tasks.digest": status.task_set.digest}
    error = None if ready.status == ConditionStatus.TRUE or status.task_set is not None else ready.message
    yield _child(observed, ("tasks",), "task set", began, ready.last_transition_time, attributes, error=error)


def _fetches(observed: RoundObject, models: Mapping[str, ModelObject]) -> Iterator[Span]:
    """Yield the last fetch of each model that ended while the round existed."""
    for result in observed.status.results:
        model = models.get(result.model)
        if model is None or model.status.resolved is None:
            continue
        began, fetched = model.status.resolved.at, find(model.status.conditions, ConditionType.FETCHED)
        if fetched is None or fetched.status != ConditionStatus.TRUE:
            continue
        end = fetched.last_transition_time
        if observed.meta.created <= end and (observed.status.finished_at is None or end <= observed.status.finished_at):
            attributes: dict[str, Value] = {
                "bitagent.model": result.model,
                "bitagent.commit": model.status.resolved.commit,
                "bitagent.bytes": model.status.resolved.size_bytes,
            }
            yield _child(observed, ("fetch", result.model), f"fetch {result.model}", began, end, attributes)


def _evaluations(observed: RoundObject) -> Iterator[Span]:
    """Yield each evaluation that began, and its phases.

    The durations of phases are measured, and their places are not: they follow one another from the begin. Of a model
    that was tried several times they are those of all attempts together.
    """
    finished = observed.status.finished_at
    for result in observed.status.results:
        began, end = result.started_at, result.finished_at or finished
        if began is None or end is None or result.duplicate_of is not None:
            continue
        about = ("evaluation", result.model)
        error = f"{result.reason}: {result.message}" if result.state in _BAD_STATES else None
        name, attributes = f"evaluate {result.model}", _attributes(result)
        yield _child(observed, about, name, began, end, attributes, events=_events(result), error=error)
        if result.seconds is None:
            continue
        known, at = phase_seconds(result.seconds), began
        for phase in PHASES:
            if phase in known:
                until = at + timedelta(seconds=known[phase])
                of_model = {"bitagent.model": result.model}
                yield _child(observed, (*about, phase), phase, at, until, of_model, parent=about)
                at = until


def _attributes(result: ModelResult) -> dict[str, Value]:
    known: dict[str, Value | None] = {
        "bitagent.model": result.model,
        "bitagent.state": str(result.state),
        "bitagent.reason": str(result.reason),
        "bitagent.score": None if result.score is None else str(result.score),
        "bitagent.rank": result.rank,
        "bitagent.attempts": result.attempts,
        "bitagent.key": result.key,
        "k8s.node.name": result.node,
    }
    return {name: value for name, value in known.items() if value is not None}


def _events(result: ModelResult) -> Iterator[SpanEvent]:
    yield from (SpanEvent("disruption", at) for at in result.disruptions)
    yield from (SpanEvent("stall", at) for at in result.stalls)
    for failure in result.failures:
        yield SpanEvent("failure", failure.at, {"bitagent.reason": str(failure.reason)})
