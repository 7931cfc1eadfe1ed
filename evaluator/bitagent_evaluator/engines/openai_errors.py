"""Errors of an OpenAI-compatible endpoint: what follows from each for its own request and for all others. Pure.

A request fails because the endpoint cannot serve any request, or because of this one. The first kind is infrastructure:
any other request would end the same, so the whole work stops and is tried again later. The second kind leaves other
requests alone.

The status says which kind it is, wherever it stands: proxies send errors with status 200 whose body names the real one.
Some servers answer 400 to a missing model or an empty account; their words say so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import openai

from bitagent_evaluator.support.text import join_lines, shorten

_MISCONFIGURED = frozenset({401, 402, 403, 404, 405, 407})
"""Statuses of a missing or wrong key, an empty account, or an unknown model or path: any request would get them."""
_DENIED = frozenset({401, 403})
_OVERLOADED = frozenset({429, 502, 503, 504})
"""Statuses of an endpoint that takes no requests now: too many requests, or a proxy without a server."""
_RETRYABLE = frozenset({408, 409, 500})
"""Statuses of one request that may succeed in another attempt; if not, only this request failed."""
_MAX_MESSAGE = 300
_MAX_PAGE = 16_384


class RequestFailure(StrEnum):
    """Why one request failed."""

    REFUSED = "refused"
    """The endpoint does not accept the request, such as a prompt that is too long. It is not repeated."""
    TIMED_OUT = "timed_out"
    """No answer within the time limit, in any attempt."""
    SERVER_ERROR = "server_error"
    """The endpoint failed, in every attempt."""
    UNREADABLE = "unreadable"
    """The reply does not have the API's form, in any attempt."""


class EndpointUnavailable(Exception):
    """The endpoint is unreachable, does not know the model or the key, or takes no requests now."""


class RequestFailed(Exception):
    """One request failed; the endpoint may still answer others."""

    def __init__(self, failure: RequestFailure, message: str) -> None:
        super().__init__(message)
        self.failure = failure


class UnreadableReply(ValueError):
    """The document does not have the API's form; the message says what is missing, in the server's words if it has
    any."""


class ErrorReply(UnreadableReply):
    """An error in a reply with status 200 that names the status it has; the message has the server's words."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(f"an error: {words}")
        self.status, self.words = status, words


class TooLong(ValueError):
    """A reply that was left in the middle, because it has more bytes than any answer."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"sent more than {limit >> 20} MiB for one answer")


class Redirected(UnreadableReply):
    """A reply to something else than the question, which a redirection lost; the message says what to do."""


@dataclass(frozen=True)
class FailedAttempt:
    """The consequence of an error of one attempt."""

    error: EndpointUnavailable | RequestFailed
    """Raised if there is no further attempt."""
    retryable: bool
    retry_after: str | None = None
    """The endpoint's Retry-After header."""
    words: str = ""
    """The server's words, where it refused the request as it is."""


def classify_error(error: Exception, url: str) -> FailedAttempt:
    """Return the consequence of an error of one attempt.

    A timeout concerns the request only: an endpoint that is busy with a long answer to it may answer others. So does a
    connection that ends before the answer does.
    """
    if isinstance(error, TimeoutError | openai.APITimeoutError):
        return FailedAttempt(RequestFailed(RequestFailure.TIMED_OUT, f"{url} gave no answer in time"), retryable=True)
    if isinstance(error, openai.APIStatusError):
        if advice := moved(error.response):
            return FailedAttempt(EndpointUnavailable(f"{url}{advice}"), retryable=False)
        retry_after = _retry_after(error.response.headers)
        codes = _codes(error.body)
        return _classify_status(error.status_code, _error_words(error), url, codes=codes, retry_after=retry_after)
    if isinstance(error, Redirected):
        return FailedAttempt(EndpointUnavailable(f"{url}{error}"), retryable=False)
    if isinstance(error, TooLong):
        return FailedAttempt(RequestFailed(RequestFailure.UNREADABLE, f"{url} {error}"), retryable=False)
    if isinstance(error, ErrorReply):
        return _classify_status(error.status, error.words, url)
    if isinstance(error, openai.APIConnectionError):
        return _classify_connection(error.__cause__ or error, url)
    if isinstance(error, UnicodeEncodeError) and error.encoding != "ascii":
        message = f"the request to {url} cannot be written: its text has a character that UTF-8 does not have"
        return FailedAttempt(RequestFailed(RequestFailure.REFUSED, message), retryable=False)
    if isinstance(error, UnicodeEncodeError):  # the key is all of a request that has to be ASCII
        return FailedAttempt(EndpointUnavailable(_NO_HEADER.format(url)), retryable=False)
    message = f"{url} sent what is not an answer: {shown(str(error))}"
    return FailedAttempt(RequestFailed(RequestFailure.UNREADABLE, message), retryable=True)


_NO_HEADER = "the request to {} cannot be written: its key has characters that a header cannot have, such as a line end"
_BROKEN_OFF = frozenset({"RemoteProtocolError", "ReadError", "WriteError"})
_OTHER_PROTOCOL = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE")
"""Words of OpenSSL for a port that does not speak TLS."""


def _classify_connection(cause: BaseException, url: str) -> FailedAttempt:
    """Return the consequence of an error of the connection, by what its kind is called.

    The package of the client's connections is another in each version of the client. The words of a header that cannot
    be written are not shown: they hold the key.
    """
    kinds = {kind.__name__ for kind in type(cause).__mro__}
    if "LocalProtocolError" in kinds:
        return FailedAttempt(EndpointUnavailable(_NO_HEADER.format(url)), retryable=False)
    if "DecodingError" in kinds:
        message = f"{url} sent an answer whose compression cannot be read: {shown(str(cause))}"
        return FailedAttempt(RequestFailed(RequestFailure.UNREADABLE, message), retryable=True)
    if "TooManyRedirects" in kinds:
        message = f"{url} redirects in a circle: give the address to which it leads"
        return FailedAttempt(EndpointUnavailable(message), retryable=False)
    if kinds & _BROKEN_OFF:
        message = f"{url} ended the connection before the answer: {shown(str(cause)) or type(cause).__name__}"
        return FailedAttempt(RequestFailed(RequestFailure.SERVER_ERROR, message), retryable=True)
    advice = "; it speaks http, not https" if any(word in str(cause) for word in _OTHER_PROTOCOL) else ""
    return FailedAttempt(EndpointUnavailable(f"{url} cannot be reached: {cause}{advice}"), retryable=True)


_BEFORE = (
    r"\s*(?:\{\W{1,8}\w{1,16}\W{1,8})?(?:error code: \d{1,3} - )?(?:[\w./]{1,64}: ){0,3}"
    r"(?:(?:sorry,|error:?|the|this|your|you|you've|have|has|requested|account|an?|provided) ){0,4}"
)
"""What a message may begin with before it says what is wrong: a member of JSON, names of errors, articles."""
_OF_ALL = (
    r"(?:insufficient[ _](?:balance|quota|credits?|funds)|credit balance is too low|exceeded your current quota"
    r"|billing[ _](?:not[ _]active|hard[ _]limit)|(?:invalid|incorrect|missing)[ _]api[ _]?key|api[ _]key not valid"
    r"|model[ _]not[ _](?:found|exist)|model_not_supported|no models? (?:is |are )?loaded|model (?:was |is )?unloaded"
    r"|invalid model name|model (?:['\"`]?[\w./:@-]+['\"`]? )?(?:does not exist|not found|is not loaded)"
    r"|arrearage|model_decommissioned)"
)
"""What any other request would be refused for, too, whatever the status is: of the account or the model."""
_MESSAGE_OF_ALL = re.compile(_BEFORE + _OF_ALL, re.IGNORECASE)
_CODE_OF_ALL = re.compile(_OF_ALL, re.IGNORECASE)


def _is_of_all(words: str, codes: Iterable[str] = ()) -> bool:
    """Whether a message begins with what refuses all requests, or a code or type says so.

    Further on, a message may quote the question.
    """
    return bool(_MESSAGE_OF_ALL.match(words)) or any(_CODE_OF_ALL.match(code) for code in codes)


_OF_CONTENT = re.compile(r"\bflagged\b|\bmoderation\b|content[ _](?:policy|filter|management)", re.IGNORECASE)
"""Words of a refusal of this one question, with whatever status a proxy sends it on."""


def _classify_status(
    status: int, words: str, url: str, *, codes: Iterable[str] = (), retry_after: str | None = None
) -> FailedAttempt:
    message = f"{url} answered {status}: {words}{_advice(status, words, url)}"
    if status != 404 and status != 429 and _OF_CONTENT.search(words):
        return FailedAttempt(RequestFailed(RequestFailure.REFUSED, message), retryable=False)
    is_of_all = status < 500 and status != 429 and _is_of_all(words, codes)
    if status in _MISCONFIGURED or 300 <= status < 400 or is_of_all:
        return FailedAttempt(EndpointUnavailable(message), retryable=False)
    if status in _OVERLOADED:
        return FailedAttempt(EndpointUnavailable(message), retryable=True, retry_after=retry_after)
    if status in _RETRYABLE or status > 500:
        failed = RequestFailed(RequestFailure.SERVER_ERROR, message)
        return FailedAttempt(failed, retryable=True, retry_after=retry_after)
    return FailedAttempt(RequestFailed(RequestFailure.REFUSED, message), retryable=False, words=words)


_IN_TEXT = "ask with --prompt-format Bfcl: functions and calls are then part of the text"
_ADVICE = (
    ("tool choice", "give its server a parser of calls, or ask with --tool-choice none: calls are then read here"),
    ("temperature", "answers are asked for greedily, with temperature 0, so that they can be repeated"),
    ("chat_template_kwargs", "its template has no such switch: leave out --thinking"),
    ("--jinja", f"start its server with --jinja, or {_IN_TEXT}"),
    ("support tools", _IN_TEXT),
    ("support function", _IN_TEXT),
    ("support tool", _IN_TEXT),
)
"""What to do about a refusal, by what its words name."""
_OF_REFUSALS = frozenset({"temperature"})
"""Words that say nothing in an error of the server's own."""


def _advice(status: int, words: str, url: str) -> str:
    if status in (404, 405) and not url.rstrip("/").endswith("/v1"):
        return "; an address mostly ends in /v1"
    if status == 402 or (status == 429 and _is_of_all(words)):
        return "; see to the account, then run it again: answers until now are kept"
    if status == 429:
        return "; ask fewer at once (--concurrency), or run it again later: answers until now are kept"
    found = (advice for name, advice in _ADVICE if name in words.lower() and (status < 500 or name not in _OF_REFUSALS))
    return next((f"; {advice}" for advice in found), "")


_MESSAGES = ("message", "detail", "error_msg", "msg")


def _error_words(error: openai.APIStatusError) -> str:
    """Return the message in the body if it has the API's form, else the body; of a page, its text.

    The code is part of the words where it says more than the status.
    """
    body = error.body
    if isinstance(body, str) and body.strip() and body != error.response.text:  # {"error": "..."}
        return shown(body)
    found = [body.get(name) for name in _MESSAGES] if isinstance(body, dict) else []
    if isinstance(body, dict) and (message := next((m for m in found if isinstance(m, str) and m.strip()), "")):
        code = body.get("code")
        return shown(f"{message} ({code})" if isinstance(code, str) and not code.isdigit() else message)
    kind = error.response.headers.get("content-type", "")
    return words_of_page(error.response.content, kind) or shown(error.message)


def _codes(body: object) -> list[str]:
    """Return code and type in the body of an error."""
    return [str(body[name]) for name in ("code", "type") if body.get(name)] if isinstance(body, Mapping) else []


def _retry_after(headers: Mapping[str, str]) -> str | None:
    """Return how long the server asks to wait, in seconds or as a date: Retry-After, or what has milliseconds."""
    try:
        return str(float(headers["retry-after-ms"]) / 1000)
    except (KeyError, ValueError):
        return headers.get("retry-after")


def moved(response: Any) -> str:
    """Return what to do about an address that redirects and loses the question by it, or the key; empty otherwise.

    `response` is one of the client's own, whose package is another in each of its versions.
    """
    is_question = response.request.method == "POST"
    if not response.history or (is_question and response.status_code not in _DENIED):
        return ""
    parts = urlsplit(str(response.url))
    there = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
    lost = "the key may be" if is_question else "the question is"
    return f" redirects to {there}, by which {lost} lost: give the address there"


_INVISIBLE = re.compile(r"<(script|style)\b.*?(</\1\s*>|\Z)", re.DOTALL | re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*>?")


def words_of_page(body: bytes, kind: str) -> str:
    """Return the beginning of a body that has not the API's form; of HTML, what a browser would show."""
    text = body[:_MAX_PAGE].decode(errors="replace")
    is_page = "html" in kind or text.lstrip()[:9].lower() in ("<!doctype", "<html>")
    return shown(" ".join(_TAG.sub(" ", _INVISIBLE.sub(" ", text)).split()) if is_page else text)


def shown(text: str) -> str:
    """Return a text on one line, shortened."""
    return shorten(join_lines(text), _MAX_MESSAGE)
