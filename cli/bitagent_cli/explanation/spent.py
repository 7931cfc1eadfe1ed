"""Where the time of a round went: its own course, and the phases of its evaluations. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bitagent_crds.status_rows import PHASES
from bitagent_kube.objects import Obj, parse_time

MEANINGS = {
    "waiting": "for a node or a queue; no GPU was held",
    "pulling": "images and volumes",
    "load": "weights and engine",
    "generate": "answers",
    "score": "verdicts",
    "idle": "interpreters that start and end, attempts that failed",
}


@dataclass(frozen=True)
class Part:
    """A part of some time."""

    name: str
    seconds: float
    share: float
    """Of the whole, from 0 to 1."""
    meaning: str = ""


def course(obj: Obj, now: datetime) -> list[Part]:
    """Return the parts of a round's time from its creation to its end, or to now."""
    status, results = obj.get("status") or {}, (obj.get("status") or {}).get("results") or []
    created = parse_time(obj["metadata"].get("creationTimestamp"))
    if created is None:
        return []
    frozen = parse_time(status.get("startedAt"))
    ready = next(
        (
            parse_time(c.get("lastTransitionTime"))
            for c in status.get("conditions") or []
            if c.get("type") == "TasksReady" and c.get("status") == "True"
        ),
        None,
    )
    first = min((at for r in results if (at := parse_time(r.get("startedAt"))) is not None), default=None)
    finished = parse_time(status.get("finishedAt"))
    steps: list[tuple[str, datetime | None, str]] = [
        ("models", frozen, "until the set of models was frozen"),
        ("tasks", ready, "until the task set was built"),
        ("start", first, "until the first evaluation began"),
        ("evaluations", None, ""),
    ]
    reached = max((index for index, (_, until, _) in enumerate(steps) if until is not None), default=-1)
    end = finished or now
    steps[reached + 1] = (steps[reached + 1][0], end, "until the end" if finished else "until now")
    whole, before, parts = max(1.0, (end - created).total_seconds()), created, []
    for name, until, meaning in steps:
        if until is None or until < before:
            continue
        seconds = (until - before).total_seconds()
        parts.append(Part(name, seconds, seconds / whole, meaning))
        before = until
    return parts


def phases(status: Mapping[str, Any]) -> list[Part]:
    """Return the time of all evaluations by phase, as far as it is known."""
    sums = dict.fromkeys(PHASES, 0.0)
    for result in status.get("results") or []:
        for phase in PHASES:
            sums[phase] += float((result.get("seconds") or {}).get(phase) or 0)
    whole = sum(sums.values())
    return [Part(phase, spent, spent / whole, MEANINGS[phase]) for phase, spent in sums.items()] if whole else []
