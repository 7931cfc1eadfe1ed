"""The one way a safety check says no."""

from __future__ import annotations

from bitagent_crds.conditions import Reason
from bitagent_evaluator.bounded.worker import Refused


def require(condition: object, reason: Reason, message: str) -> None:
    """Refuse the repository with `reason` unless `condition` holds."""
    if not condition:
        raise Refused(reason, message)


def shown(value: object, limit: int = 60) -> str:
    """A stranger's value, short enough and plain enough for a message."""
    text = repr(value) if isinstance(value, str) else str(value)
    printable = "".join(character if character.isprintable() else "?" for character in text)
    return printable if len(printable) <= limit else printable[: limit - 1] + "…"
