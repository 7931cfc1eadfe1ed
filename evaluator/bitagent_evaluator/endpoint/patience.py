"""When to stop believing in an endpoint that lets one request after the other down."""

from __future__ import annotations

from bitagent_evaluator.endpoint.errors import EndpointUnavailable, Failure, RequestFailed

LIMIT = 16
"""Requests that may fail one after the other."""


class Patience:
    """Counts what becomes of requests. A refusal is about its request and says nothing about the endpoint, unless nothing was ever answered."""

    def __init__(self) -> None:
        self._answered = 0
        self._in_a_row = 0
        self._last: RequestFailed | None = None

    def answered(self) -> None:
        """A request was answered, now or in an earlier attempt."""
        self._answered += 1
        self._in_a_row = 0

    def failed(self, error: RequestFailed) -> None:
        """A request failed. Raises EndpointUnavailable when too many did."""
        self._last = error
        self._in_a_row += error.failure is not Failure.REFUSED
        if self._in_a_row >= LIMIT:
            raise EndpointUnavailable(f"{LIMIT} requests failed one after the other; {error}") from error

    def check(self) -> None:
        """When all is done: raises EndpointUnavailable when requests failed and none was answered."""
        if self._last is not None and not self._answered:
            raise EndpointUnavailable(f"no request was answered; {self._last}")
