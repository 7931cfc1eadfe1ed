"""How long to wait before another try. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

FIRST_SECONDS = 0.5
LONGEST_SECONDS = 8.0
LONGEST_AS_TOLD_SECONDS = 60.0
"""An endpoint that wants more time than this is not worth waiting for with a request in hand."""


def seconds_before(attempt: int, *, told: str | None, spread: float, now: datetime) -> float:
    """Seconds before try number `attempt` (the second is 1). What the endpoint told (a Retry-After header) goes before our own back-off.

    `spread`, from 0 to 1, keeps requests that failed together from coming back together: it shortens our own waits by up to a quarter.
    """
    asked_for = _told_seconds(told, now)
    if asked_for is not None:
        return min(asked_for, LONGEST_AS_TOLD_SECONDS)
    longest: float = min(FIRST_SECONDS * 2 ** (attempt - 1), LONGEST_SECONDS)
    return longest * (1 - 0.25 * spread)


def _told_seconds(header: str | None, now: datetime) -> float | None:
    """A Retry-After header in seconds: it holds a number or a date. None for one that is neither, or already over."""
    if header is None:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            moment = parsedate_to_datetime(header)
        except ValueError:
            return None
        seconds = (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds()
    return seconds if 0 < seconds < float("inf") else None
