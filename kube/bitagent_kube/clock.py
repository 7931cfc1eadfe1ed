"""The API server's clock, from the `Date` headers of its answers. Pure; local times are arguments.

Times in a status are compared with `creationTimestamp`, which the API server sets: a process whose own clock is wrong
would find that things ended before they began.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

_RESOLUTION = timedelta(seconds=1)
"""A `Date` header has whole seconds, cut off."""


class ServerClock:
    """How far the API server's clock is ahead of this machine's.

    Each answer bounds that from both sides. As long as no skew is one of the values that all answers allow, there is
    none: clocks that agree are not corrected back and forth.
    """

    def __init__(self) -> None:
        self._least: timedelta | None = None
        self._most = timedelta()

    @property
    def offset(self) -> timedelta:
        """Time to add to the local clock."""
        if self._least is None or self._least <= timedelta() <= self._most:
            return timedelta()
        return (self._least + self._most) / 2

    def now(self) -> datetime:
        """Return the time by the API server's clock."""
        return datetime.now(UTC) + self.offset

    def observe(self, date: str | None, *, sent: datetime, received: datetime) -> None:
        """Take in the `Date` header of an answer to a request; one that is missing or no date is ignored."""
        try:
            said = parsedate_to_datetime(date or "").astimezone(UTC)
        except (ValueError, TypeError):
            return
        least, most = said - received, said + _RESOLUTION - sent
        if self._least is not None:
            kept = max(least, self._least), min(most, self._most)
            if kept[0] <= kept[1]:  # else one of the clocks was set, and only this answer counts
                least, most = kept
        self._least, self._most = least, most
