"""The exception of a failed request to the API server."""

from __future__ import annotations

import json
from http import HTTPStatus


class ApiError(Exception):
    """The API server refused a request, or did not answer (code 0).

    `code` is the HTTP status, `reason` the machine-readable reason of the Kubernetes Status, such as `AlreadyExists`.
    """

    def __init__(self, *, code: int, reason: str, message: str) -> None:
        super().__init__(f"{code} {reason}: {message}" if code else message)
        self.code, self.reason, self.message = code, reason, message

    @property
    def not_found(self) -> bool:
        """Whether the object does not exist."""
        return self.code == HTTPStatus.NOT_FOUND

    @property
    def conflict(self) -> bool:
        """Whether the object exists already, has another uid, or changed since it was read."""
        return self.code == HTTPStatus.CONFLICT

    @property
    def lasting(self) -> bool:
        """Whether the request is likely to fail again until somebody does something: refused, or by what it needs."""
        return self.final or self.reason == _INTERNAL

    @property
    def not_sent(self) -> bool:
        """Whether the request was withheld, because this process may not write at present."""
        return self.reason == _NOT_SENT

    @property
    def final(self) -> bool:
        """Whether the same request would be refused again: the object, or who sends it, must change first.

        Not if the server asks to repeat it (429), waited for it too long (408), or does not know its sender yet (401).
        """
        return 400 <= self.code < 500 and not self.conflict and self.code not in _PASSING


_INTERNAL = "InternalError"
"""Reason of an answer 500 if what the server calls or stores fails, such as a webhook that does not answer. Other
answers 500 say that the server is busy."""
_NOT_SENT = "NotSent"
_PASSING = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})


def not_sent(request: str) -> ApiError:
    """Return the error of a request that this process may not make at present."""
    return ApiError(code=0, reason=_NOT_SENT, message=f"{request}: not sent, because another process may act now")


def no_answer(request: str, error: BaseException) -> ApiError:
    """Return the error of a request without a complete answer."""
    # Time-outs have no text; the representation of aiohttp's errors is of 300 characters.
    said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return ApiError(code=0, reason="NoAnswer", message=f"{request}: {said}")


def error_of_answer(code: int, content: bytes, *, request: str) -> ApiError:
    """Return the error of an answer other than 2xx.

    If its body is not a Kubernetes Status, as from a proxy or for a path that is not served, the message names the
    request and quotes the body.
    """
    try:
        status = json.loads(content)
        return ApiError(code=code, reason=str(status.get("reason", "")), message=str(status.get("message", "")))
    except (ValueError, AttributeError):
        text = content[:500].decode(errors="replace").strip()
        return ApiError(code=code, reason="NoStatus", message=f"{request}: {text}")
