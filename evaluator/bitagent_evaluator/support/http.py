"""Web addresses that a spec names, and the one rule for repeating requests: growing, jittered pauses, Retry-After."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar
from urllib.parse import urlsplit

from bitagent_crds.conditions import Reason
from bitagent_evaluator.support.faults import FetchError

_log = logging.getLogger(__name__)
_Value = TypeVar("_Value")

ATTEMPTS = 5
FIRST_SECONDS = 0.5
LONGEST_SECONDS = 8.0
LONGEST_RETRY_AFTER_SECONDS = 60.0
"""Longest pause that a server may ask for; a job does not wait longer than this for one request."""


def check_address(url: str) -> None:
    """Check an address of a spec. Raises ValueError if it is not a web address or holds a user name or a password.

    Addresses are copied into manifests and messages, and a password would be published with them.
    """
    check_web_address(url)
    if "@" in urlsplit(url).netloc:
        raise ValueError(
            "url holds a user name or a password, which the manifest would publish: give a key in a Secret"
        )


def check_web_address(url: str) -> None:
    """Check that a text is an address of the web, with any user name. Raises ValueError if it is not."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").encode("idna")
        parts.port  # noqa: B018 - reading it checks it
    except ValueError as error:
        raise ValueError(f"{url!r} is not a web address: {error}") from None
    if parts.scheme not in ("http", "https") or not host:
        raise ValueError(f"{url!r} is not a web address: it begins with http:// or https:// and a host")
    if any(sign.isspace() for sign in url):
        raise ValueError(f"{url!r} is not a web address: it has a blank")


class TransientError(Exception):
    """A request failed in a way that often passes: a 5xx, a 429, a reset connection."""

    def __init__(
        self,
        message: str,
        *,
        reason: Reason = Reason.HUB_UNAVAILABLE,
        advice: str = "is the hub up and reachable?",
        retry_after: str | None = None,
    ) -> None:
        """`reason` and `advice` are reported if it does not pass; `retry_after` is the server's Retry-After header."""
        super().__init__(message)
        self.reason = reason
        self.advice = advice
        self.retry_after = retry_after


def parse_retry_after(header: str | None, *, now: datetime) -> float | None:
    """Return the seconds of a Retry-After header, which holds a number or a date (RFC 9110, 10.2.3).

    None for a header that is missing, has neither form, or names a time that has passed.
    """
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


def backoff_delay(failures: int, *, retry_after: float | None, jitter: float) -> float:
    """Return the seconds to wait after so many failures in a row: our own, or within bounds what the server asks for.

    `jitter`, from 0 to 1, shortens our own pause by up to half of it, so that many clients do not return together.
    """
    if retry_after is not None:
        return min(retry_after, LONGEST_RETRY_AFTER_SECONDS)
    longest = min(FIRST_SECONDS * 2.0 ** (failures - 1), LONGEST_SECONDS)
    return longest * (1 - 0.5 * jitter)


class Backoff:
    """Counts failures in a row of one piece of work, and gives the pauses between its attempts."""

    def __init__(self, attempts: int = ATTEMPTS) -> None:
        self._attempts = attempts
        self._failures = 0

    def next_delay(self, retry_after: str | None = None) -> float | None:
        """Count a failure; return the seconds until the next attempt, or None if this was the last one.

        `retry_after` is the server's Retry-After header.
        """
        self._failures += 1
        if self._failures >= self._attempts:
            return None
        asked = parse_retry_after(retry_after, now=datetime.now(tz=UTC))
        return backoff_delay(self._failures, retry_after=asked, jitter=random.random())

    def wait(self, error: TransientError, what: str) -> None:
        """Count a failure of `what` and wait. Raises FetchError if that was the last attempt."""
        delay = self.next_delay(error.retry_after)
        if delay is None:
            advice = f"; {error.advice}" if error.advice else ""
            asked = parse_retry_after(error.retry_after, now=datetime.now(tz=UTC))
            message = f"{what}: {error} ({self._attempts} attempts){advice}"
            raise FetchError(error.reason, message, retry_after=asked) from error
        _log.warning("%s: %s; trying again in %.1f s", what, error, delay)
        time.sleep(delay)

    def reset(self) -> None:
        """Count from zero again, after progress."""
        self._failures = 0


def retry(action: Callable[[], _Value], what: str, *, progressed: Callable[[], bool] = lambda: False) -> _Value:
    """Return the value of `action`, repeated while it raises TransientError. Raises FetchError after ATTEMPTS in a row.

    Attempts are counted from the last one that `progressed`: an action that continues its earlier work may go on for
    as long as it gets further.
    """
    backoff = Backoff()
    while True:
        try:
            return action()
        except TransientError as error:
            if progressed():
                backoff.reset()
            backoff.wait(error, what)
