"""Which requests are repeated, and after how long.

A request is repeated if the answer asks for it: 429, or 5xx with a `Retry-After` header, as in client-go
(`rest/with_retry.go`). After any other 5xx, or without a complete answer, the request may have been carried out: it
is then repeated only where a second execution does no harm.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from http import HTTPStatus

TRANSIENT = frozenset({500, 502, 503, 504})
"""Status codes of failures that usually pass."""
ATTEMPTS = 6
"""Maximum number of attempts of one request."""
LAST_START_SECONDS = 60.0
"""Maximum time from the start of the first attempt to the start of the last."""


class Backoff:
    """Delays that double with every failure in a row, each drawn at random from the upper half of its range."""

    def __init__(self, *, first: float, longest: float) -> None:
        self._first, self._longest = first, longest
        self._failures = 0

    def next(self) -> float:
        """Count a failure; return the seconds to wait after it."""
        delay = min(self._longest, self._first * 2.0 ** min(self._failures, 30))
        self._failures += 1
        return delay * random.uniform(0.5, 1)

    def reset(self) -> None:
        """Start again from the first delay, after a success."""
        self._failures = 0


def request_backoff() -> Backoff:
    """Return the delays between the attempts of one request."""
    return Backoff(first=0.2, longest=10.0)


def asks_to_repeat(code: int, headers: Mapping[str, str]) -> bool:
    """Whether the server itself says to send the request again."""
    return code == HTTPStatus.TOO_MANY_REQUESTS or (code in TRANSIENT and "Retry-After" in headers)


def is_repeatable(body: object) -> bool:
    """Whether sending the request a second time does no harm if the first attempt was carried out.

    True of reads; of creations, which name their object, so that a second one ends in `AlreadyExists`; of
    unconditional patches; and of deletions, which name a uid. Not of a write with `metadata.resourceVersion`: the
    second attempt would report a conflict with the first.
    """
    metadata = body.get("metadata") if isinstance(body, Mapping) else None
    return not (isinstance(metadata, Mapping) and metadata.get("resourceVersion"))


def retry_after(headers: Mapping[str, str], backoff: float) -> float:
    """Return the seconds to wait: those of the `Retry-After` header, but at least `backoff`, as in client-go.

    A date in the header, which API servers do not send, is ignored.
    """
    try:
        return max(backoff, float(headers["Retry-After"]))
    except (KeyError, ValueError):
        return backoff
