"""What happened when: moments of an object, from its status and its Events. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bitagent_cli.objects.ages import duration
from bitagent_crds.names import COMPETITION_LABEL, EPOCH_LABEL, VALIDATOR_LABEL
from bitagent_kube.objects import Obj, parse_time

MODELS_IN_FULL = 30
"""Models of a round up to which each start and end is a moment of its own."""
_TROUBLES = frozenset({"InfraFault", "Unscored", "NotEvaluated", "ModelFault"})


@dataclass(frozen=True, order=True)
class Moment:
    """Something that happened."""

    at: datetime
    what: str
    warning: bool = False


def timeline(kind: str, obj: Obj, events: Iterable[Obj] = (), *, every: bool = False) -> list[Moment]:
    """Return the moments of an object (`er`, `mm` or `val`), the oldest first; `every`: those of all models."""
    match kind:
        case "er":
            own = _round(obj, every)
        case "mm":
            own = _model(obj)
        case _:
            own = _validator(obj)
    return sorted({*_created(obj), *own, *_events(events)})


def _moment(at: object, what: str, *, warning: bool = False) -> Iterator[Moment]:
    when = parse_time(str(at)) if at else None
    if when is not None:
        yield Moment(when, what, warning)


def _created(obj: Obj) -> Iterator[Moment]:
    labels = obj["metadata"].get("labels") or {}
    by = f" by Validator {labels[VALIDATOR_LABEL]}" if VALIDATOR_LABEL in labels else ""
    of = f", competition {labels[COMPETITION_LABEL]}" if COMPETITION_LABEL in labels else ""
    epoch = f", epoch {labels[EPOCH_LABEL]}" if EPOCH_LABEL in labels else ""
    yield from _moment(obj["metadata"].get("creationTimestamp"), f"created{by}{of}{epoch}")


def _round(obj: Obj, every: bool) -> Iterator[Moment]:
    status = obj.get("status") or {}
    selected = (status.get("counts") or {}).get("selected", 0)
    yield from _moment(status.get("startedAt"), f"the set of models is frozen: {selected}")
    for condition in status.get("conditions") or []:
        if condition.get("type") == "TasksReady" and condition.get("status") == "True":
            count = (status.get("taskSet") or {}).get("count", "?")
            yield from _moment(condition.get("lastTransitionTime"), f"the task set is built: {count} tasks")
    results = status.get("results") or []
    in_full = every or len(results) <= MODELS_IN_FULL
    for result in results:
        yield from _troubles(result)
        if in_full:
            yield from _course(result)
    if not in_full:
        yield from _course_of_all(results)
    yield from _moment(status.get("retriedAt"), f"taken up again: retry {status.get('retry', '')}".rstrip())
    yield from _moment(status.get("finishedAt"), _end(status), warning=status.get("phase") == "Failed")
    yield from _moment((status.get("archive") or {}).get("at"), "the files are in the archive")
    yield from _moment((status.get("files") or {}).get("removedAt"), "the files were removed from the artifact volume")


def _end(status: Mapping[str, Any]) -> str:
    best = f"; the best is {status['best']}" if status.get("best") else ""
    counts = status.get("counts") or {}
    scored = f"{counts.get('succeeded', 0)} of {counts.get('selected', 0)} have a score"
    return f"{status.get('phase', 'ended')}: {scored}{best}"


def _course(result: Mapping[str, Any]) -> Iterator[Moment]:
    name, node = result.get("model"), result.get("node")
    yield from _moment(result.get("startedAt"), f"{name}: evaluation starts" + (f" on {node}" if node else ""))
    state, reason = result.get("state"), result.get("reason")
    score = f", score {result['score']}" if result.get("score") is not None else ""
    text = f"{name}: {state}{score}" if state == "Succeeded" else f"{name}: {state}{score}: {reason}"
    yield from _moment(result.get("finishedAt"), text, warning=state in _TROUBLES)


def _course_of_all(results: Iterable[Mapping[str, Any]]) -> Iterator[Moment]:
    started = sorted(str(r["startedAt"]) for r in results if r.get("startedAt"))
    if started:
        yield from _moment(started[0], f"the first of {len(started)} evaluations starts")
        yield from _moment(started[-1], "the last of them starts")
    for result in results:
        if result.get("state") in _TROUBLES:
            yield from _course(result)


def _troubles(result: Mapping[str, Any]) -> Iterator[Moment]:
    name = result.get("model")
    for at in result.get("disruptions") or []:
        yield from _moment(at, f"{name}: its pod was evicted, preempted or lost", warning=True)
    for at in result.get("stalls") or []:
        yield from _moment(at, f"{name}: its process made no progress, and was ended", warning=True)
    for failure in result.get("failures") or []:
        nodes = f" on {', '.join(failure['nodes'])}" if failure.get("nodes") else ""
        yield from _moment(failure.get("at"), f"{name}: Job gave up{nodes}: {failure.get('reason')}", warning=True)


def _model(obj: Obj) -> Iterator[Moment]:
    status = obj.get("status") or {}
    resolved = status.get("resolved") or {}
    yield from _moment(resolved.get("at"), f"resolved to commit {str(resolved.get('commit'))[:12]}")
    for score in status.get("history") or []:
        yield from _moment(
            score.get("at"), f"round {score.get('round')}: score {score.get('score')}, rank {score.get('rank')}"
        )
    yield from _conditions(status, ("Safe", "Fetched"))


def _validator(obj: Obj) -> Iterator[Moment]:
    status = obj.get("status") or {}
    last = status.get("lastWeights") or {}
    of = ", ".join(last.get("rounds") or [])
    text = f"weights set at block {last.get('block')}: {last.get('hotkeys')} hotkeys, of {of}"
    yield from _moment(last.get("at"), text)
    yield from _conditions(status, ())


def _conditions(status: Mapping[str, Any], only: tuple[str, ...]) -> Iterator[Moment]:
    """Yield when each condition became what it is, but for those that sum others up."""
    for condition in status.get("conditions") or []:
        kind, said = condition.get("type"), condition.get("status")
        if kind in ("Ready", "Stalled") or (only and kind not in only):
            continue
        text = f"{kind} is {said}: {condition.get('reason')}"
        yield from _moment(condition.get("lastTransitionTime"), text, warning=said == "False")


def _events(events: Iterable[Obj]) -> Iterator[Moment]:
    for event in events:
        at = event.get("eventTime") or event.get("lastTimestamp") or event.get("firstTimestamp")
        text = f"{event.get('reason')}: {event.get('message') or event.get('note') or ''}"
        yield from _moment(at, text.rstrip(": "), warning=event.get("type") == "Warning")


def since_first(moments: list[Moment]) -> list[str]:
    """Return the time of each moment since the first one."""
    return [f"+{duration((each.at - moments[0].at).total_seconds())}" for each in moments]
