"""Events of a watch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum

from bitagent_kube.errors import ApiError
from bitagent_kube.objects import Obj


class EventType(StrEnum):
    """Types of watch events."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"
    BOOKMARK = "BOOKMARK"
    """No change: only the resourceVersion from which a watch can be resumed."""


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One change of a collection."""

    type: EventType
    object: Obj


def parse_event(line: str | bytes) -> WatchEvent | None:
    """Parse one line of a watch; None for a type that a later API server may add.

    Raises ApiError for an error event, and ValueError for a line that is not an event, such as one that is cut off.
    """
    match json.loads(line):
        case {"type": "ERROR", "object": dict(status)}:
            reason, message = str(status.get("reason") or ""), str(status.get("message") or "")
            raise ApiError(code=int(status.get("code") or 0), reason=reason, message=message)
        case {"type": str(kind), "object": dict(obj)}:
            return WatchEvent(EventType(kind), obj) if kind in tuple(EventType) else None
        case _:
            raise ValueError(f"not a watch event: {line[:200]!r}")
