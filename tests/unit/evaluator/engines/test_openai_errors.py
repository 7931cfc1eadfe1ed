"""What follows from an error of an endpoint: for its request, for all others, and for the one who reads it."""

from __future__ import annotations

from typing import Any

import httpx
import openai
import pytest

from bitagent_evaluator.engines.openai_errors import (
    EndpointUnavailable,
    ErrorReply,
    RequestFailed,
    RequestFailure,
    TooLong,
    classify_error,
)

URL = "http://a:1/v1"


def refusal(status: int, error: Any, **headers: str) -> openai.APIStatusError:
    response = httpx.Response(status, json={"error": error}, headers=headers, request=httpx.Request("POST", URL))
    return openai.APIStatusError("x", response=response, body=error)


def page(status: int, body: str) -> openai.APIStatusError:
    headers = {"content-type": "text/html"}
    response = httpx.Response(status, text=body, headers=headers, request=httpx.Request("POST", URL))
    return openai.APIStatusError("x", response=response, body=body)


def no_connection(cause: Exception) -> openai.APIConnectionError:
    error = openai.APIConnectionError(request=httpx.Request("POST", URL))
    error.__cause__ = cause
    return error


UNAVAILABLE: dict[str, Exception] = {
    "an empty account": refusal(402, {"message": "Insufficient Balance"}),
    "an empty account, as a bad request": refusal(400, {"message": "Your credit balance is too low to access it."}),
    "a quota, by its code": refusal(400, {"message": "No.", "code": "insufficient_quota"}),
    "a model that is not there, as a bad request": refusal(400, {"message": "Model `m` does not exist."}),
    "an unloaded model": refusal(400, {"message": "Model unloaded."}),
    "no loaded model": refusal(400, {"message": "No models loaded. Please load a model"}),
    "a proxy's unknown model": refusal(400, {"message": "Invalid model name passed in model=m"}),
    "a key, as a bad request": refusal(400, {"message": "API key not valid. Please pass a valid API key."}),
    "a model, after names of errors": refusal(400, {"message": "litellm.NotFoundError: The model `m` does not exist"}),
    "a model, in another member": page(400, '{"detail": "Model \'m\' not found"}'),
    "a key, as the error itself": refusal(400, "Incorrect API key provided: sk-1"),
    "a model, in a member of other servers": refusal(400, {"code": 20012, "msg": "Model does not exist."}),
    "an account, by its type": refusal(400, {"message": "No.", "type": "billing_not_active"}),
    "a redirection without an address": page(304, ""),
    "a circle of redirections": no_connection(httpx.TooManyRedirects("Exceeded maximum allowed redirects.")),
    "a header that cannot be written": no_connection(httpx.LocalProtocolError("Illegal header value b'Bearer s'")),
    "a key of other letters": UnicodeEncodeError("ascii", "Bearer ключ", 7, 11, "ordinal not in range"),
    "no connection": no_connection(httpx.ConnectError("refused")),
    "an account, inside a 200": ErrorReply(402, "no credits"),
    "too many requests, inside a 200": ErrorReply(429, "rate limited upstream"),
}


@pytest.mark.parametrize("error", UNAVAILABLE.values(), ids=UNAVAILABLE)
def test_what_any_other_request_would_get_too(error: Exception) -> None:
    assert isinstance(classify_error(error, URL).error, EndpointUnavailable)


FAILED: dict[str, tuple[Exception, RequestFailure, bool]] = {
    "a long prompt": (refusal(400, {"message": "This model's maximum context length is 8192"}), "refused", False),
    "a flagged question": (refusal(403, {"message": "Your input was flagged"}), "refused", False),
    "a flagged question, as a gateway's": (refusal(502, {"message": "flagged for possible risk"}), "refused", False),
    "a flagged question, inside a 200": (ErrorReply(502, "content was flagged"), "refused", False),
    "content management": (refusal(400, {"message": "content management policy"}), "refused", False),
    "a question that is quoted": (
        refusal(
            400, {"message": "messages[0].content: 'why is the model gpt-4 not found? invalid api key' is too long"}
        ),
        "refused",
        False,
    ),
    "a question that is quoted, inside a 200": (ErrorReply(400, "cannot parse: no models loaded"), "refused", False),
    "a question that is not text": (UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates"), "refused", False),
    "a reply without an end": (TooLong(1 << 26), "unreadable", False),
    "a connection that ends": (no_connection(httpx.RemoteProtocolError("peer closed")), "server_error", True),
    "a connection that is reset": (no_connection(httpx.ReadError("")), "server_error", True),
    "a wrong compression": (no_connection(httpx.DecodingError("incorrect header check")), "unreadable", True),
    "a failure inside a 200": (ErrorReply(500, "CUDA error"), "server_error", True),
    "no answer in time": (TimeoutError(), "timed_out", True),
}


@pytest.mark.parametrize(("error", "failure", "retryable"), FAILED.values(), ids=FAILED)
def test_what_costs_one_request(error: Exception, failure: str, retryable: bool) -> None:
    found = classify_error(error, URL)
    assert isinstance(found.error, RequestFailed)
    assert (found.error.failure, found.retryable) == (failure, retryable)


def test_no_key_is_shown() -> None:
    error = no_connection(httpx.LocalProtocolError("Illegal header value b'Bearer sk-secret\\n'"))
    assert "secret" not in str(classify_error(error, URL).error)


def test_a_page_is_shown_as_its_text() -> None:
    found = page(502, "<html><head><style>a {}</style></head><body><h1>502 Bad Gateway</h1><hr>nginx</body></html>")
    assert str(classify_error(found, URL).error) == f"{URL} answered 502: 502 Bad Gateway nginx"


@pytest.mark.parametrize(
    ("headers", "asked"),
    [
        ({"retry-after": "7"}, "7"),
        ({"retry-after": "Fri, 31 Dec 2027 23:59:59 GMT"}, "Fri, 31 Dec 2027 23:59:59 GMT"),
        ({"retry-after-ms": "250"}, "0.25"),
        ({"retry-after-ms": "soon", "retry-after": "7"}, "7"),
        ({}, None),
    ],
    ids=["seconds", "a date", "milliseconds", "words", "nothing"],
)
def test_how_long_a_server_asks_to_wait(headers: dict[str, str], asked: str | None) -> None:
    assert classify_error(refusal(429, {"message": "slow"}, **headers), URL).retry_after == asked


@pytest.mark.parametrize(
    ("status", "words", "url", "advice"),
    [
        (404, "Not Found", "http://a:1", "/v1"),
        (405, "Method Not Allowed", "http://a:1/api", "/v1"),
        (404, "no model m", "http://a:1/v1", ""),
        (400, '"auto" tool choice requires --enable-auto-tool-choice', "http://a:1/v1", "--tool-choice none"),
        (400, "'temperature' does not support 0", "http://a:1/v1", "greedily"),
        (500, "temperature sensor", "http://a:1/v1", ""),
        (400, "too long", "http://a:1/v1", ""),
        (400, "Unrecognized request argument supplied: chat_template_kwargs", "http://a:1/v1", "--thinking"),
        (500, "tools param requires --jinja flag", "http://a:1/v1", "--jinja, or"),
        (400, "registry/m:7b does not support tools", "http://a:1/v1", "--prompt-format Bfcl"),
        (429, "Rate limit reached", "http://a:1/v1", "--concurrency"),
        (429, "You exceeded your current quota", "http://a:1/v1", "see to the account"),
        (402, "Payment Required", "http://a:1/v1", "see to the account"),
    ],
)
def test_a_refusal_says_what_to_do(status: int, words: str, url: str, advice: str) -> None:
    shown = str(classify_error(refusal(status, {"message": words}), url).error).partition(words)[2]
    assert shown.endswith(advice) if not advice else advice in shown
    assert bool(shown) is bool(advice)
