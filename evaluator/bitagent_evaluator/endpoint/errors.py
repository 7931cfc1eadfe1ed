"""How a request fails: because the endpoint cannot serve anybody, or because of this one request.

The first kind is infrastructure: asking another question would end the same, so the whole work stops and is tried again later. The second
kind leaves the other questions alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import openai

_MISCONFIGURED = frozenset({401, 403, 404, 405, 407})
"""No key, a wrong key, an unknown model or path: whatever is asked."""
_OVERLOADED = frozenset({429, 502, 503, 504})
"""Not now: too many requests, or nobody behind the proxy."""
_PASSING = frozenset({408, 409, 500})
"""Another try may go well, and if it does not, it is this request's misfortune."""
_MAX_MESSAGE = 300


class Failure(StrEnum):
    """What was wrong with one request."""

    REFUSED = "refused"
    """The endpoint does not accept it, such as a prompt that is too long. Another try would end the same."""
    TIMED_OUT = "timed_out"
    """No answer within the time limit, in any try."""
    SERVER_ERROR = "server_error"
    """The endpoint failed on it, in every try."""
    UNREADABLE = "unreadable"
    """What came back is no answer in the API's form, in any try."""


class EndpointUnavailable(Exception):
    """The endpoint cannot be reached, does not know the model or the key, or takes no requests now. The message names it."""


class RequestFailed(Exception):
    """One request failed; the endpoint may still answer others."""

    def __init__(self, failure: Failure, message: str) -> None:
        super().__init__(message)
        self.failure = failure


@dataclass(frozen=True)
class Diagnosis:
    """What follows from an error of one try."""

    error: EndpointUnavailable | RequestFailed
    """What to raise when no further try is made."""
    try_again: bool
    wait: str | None = None
    """The endpoint's Retry-After header."""


def diagnose(error: Exception, url: str) -> Diagnosis:
    """What an error of one try means. Pure.

    A timeout is the request's: an endpoint that is busy with a long answer to it may answer others.
    """
    if isinstance(error, TimeoutError | openai.APITimeoutError):
        return Diagnosis(RequestFailed(Failure.TIMED_OUT, f"{url} gave no answer in time"), try_again=True)
    if isinstance(error, openai.APIStatusError):
        return _of_status(error, url)
    if isinstance(error, openai.APIConnectionError):
        cause = error.__cause__ or error
        return Diagnosis(EndpointUnavailable(f"{url} cannot be reached: {cause}"), try_again=True)
    message = f"{url} sent what is no answer: {_short(str(error))}"
    return Diagnosis(RequestFailed(Failure.UNREADABLE, message), try_again=True)


def _of_status(error: openai.APIStatusError, url: str) -> Diagnosis:
    status = error.status_code
    said = f"{url} answered {status}: {_short(_what_it_said(error))}"
    wait = error.response.headers.get("retry-after")
    if status in _MISCONFIGURED:
        return Diagnosis(EndpointUnavailable(said), try_again=False)
    if status in _OVERLOADED:
        return Diagnosis(EndpointUnavailable(said), try_again=True, wait=wait)
    if status in _PASSING or status > 500:
        return Diagnosis(RequestFailed(Failure.SERVER_ERROR, said), try_again=True, wait=wait)
    return Diagnosis(RequestFailed(Failure.REFUSED, said), try_again=False)


def _what_it_said(error: openai.APIStatusError) -> str:
    """The message in the body, where it has the API's form; else the body."""
    body = error.body
    if isinstance(body, dict) and isinstance(said := body.get("message"), str):
        return said
    return error.response.text or error.message


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _MAX_MESSAGE else text[:_MAX_MESSAGE] + "…"
