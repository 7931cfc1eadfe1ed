"""One request to an endpoint: what is sent, what is tried again, and whose fault a failure is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from bitagent_evaluator.endpoint import (
    Address,
    Endpoint,
    EndpointUnavailable,
    Failure,
    Patience,
    Reply,
    RequestFailed,
    for_each,
)
from bitagent_evaluator.endpoint import client as client_module
from bitagent_evaluator.endpoint.waiting import seconds_before

ASK = [{"role": "user", "content": "hi"}]


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only as told."""
    monkeypatch.setattr(client_module, "seconds_before", lambda attempt, *, told, **_: float(told or 0))


async def ask(url: str, *, key: str | None = None, limit: float = 5.0, tries: int = 3, **more: Any) -> Reply:
    async with Endpoint(Address(url, "m", key), timeout_seconds=limit, tries=tries) as endpoint:
        return await endpoint.chat(ASK, max_tokens=9, temperature=0.0, **more)


async def test_a_request_says_what_is_asked(stand_in: Any) -> None:
    reply = await ask(stand_in.url, key="secret", seed=5, tools=[{"type": "function", "function": {"name": "f"}}])
    assert (reply.text, reply.cut_off, reply.prompt_tokens, reply.completion_tokens) == ("hi", False, 7, 3)
    (request,) = stand_in.requests
    assert request.path == "/v1/chat/completions"
    assert request.headers["authorization"] == "Bearer secret"
    assert request.body == {
        "model": "m", "messages": ASK, "max_tokens": 9, "temperature": 0.0, "seed": 5, "tool_choice": "auto",
        "tools": [{"type": "function", "function": {"name": "f"}}],
    }  # fmt: skip


async def test_without_a_key_none_is_sent(stand_in: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "somebody's")
    await ask(stand_in.url)
    assert "authorization" not in stand_in.requests[0].headers
    assert "tools" not in stand_in.requests[0].body


async def test_a_completion(stand_in: Any) -> None:
    async with Endpoint(Address(stand_in.url, "m"), timeout_seconds=5) as endpoint:
        assert (await endpoint.complete("Once", max_tokens=4, temperature=0.0)).text == "Once"
    assert stand_in.requests[0].path == "/v1/completions"


async def test_tool_calls(stand_in: Any, script: Any) -> None:
    stand_in.says(script.said(None, calls=[("f", '{"a": 1}'), ("g", "")], cut_off=True))
    reply = await ask(stand_in.url)
    assert reply.text == "" and reply.cut_off
    assert [(call.name, call.arguments) for call in reply.tool_calls] == [("f", '{"a": 1}'), ("g", "")]


@pytest.mark.parametrize(("given", "read"), [({"a": "é"}, '{"a": "é"}'), (None, ""), (3, "")])
async def test_arguments_that_are_no_text(stand_in: Any, script: Any, given: object, read: str) -> None:
    call = {"type": "function", "function": {"name": "f", "arguments": given}}
    stand_in.says(script.answer(body={"choices": [{"message": {"content": None, "tool_calls": [call]}}]}))
    assert [found.arguments for found in (await ask(stand_in.url)).tool_calls] == [read]


async def test_halves_of_characters_are_replaced(stand_in: Any, script: Any) -> None:
    stand_in.says(script.said("a\ud83e\udd80b\ud83ec", calls=[("f\udd80", '"\ud83e"')]))
    reply = await ask(stand_in.url)
    assert (reply.text, reply.tool_calls[0].name, reply.tool_calls[0].arguments) == (
        "a\U0001f980b\ufffdc",
        "f\ufffd",
        '"\ufffd"',
    )


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504, 529])
async def test_what_may_pass_is_tried_again(stand_in: Any, script: Any, status: int) -> None:
    stand_in.says(script.problem(status), script.problem(status), script.said("at last"))
    assert (await ask(stand_in.url)).text == "at last"
    assert len(stand_in.requests) == 3


@pytest.mark.parametrize(
    "body",
    [b"<html>", b"", b"[" * 100_000, [], {}, {"choices": []}, {"choices": [{"message": None}]}, {"choices": [{"message": {"content": 3}}]},
     {"choices": [{"message": {"tool_calls": [{"function": {}}]}}]}, {"choices": [{"message": {"tool_calls": 1}}]}],
    ids=["html", "nothing", "endlessly nested", "list", "empty", "no choice", "no message", "number", "nameless call", "calls"],
)  # fmt: skip
async def test_garbage_is_tried_again_and_then_the_requests_fault(stand_in: Any, script: Any, body: Any) -> None:
    stand_in.says(script.answer(body=body), script.said("better"))
    assert (await ask(stand_in.url)).text == "better"
    stand_in.says(script.answer(body=body))
    with pytest.raises(RequestFailed) as caught:
        await ask(stand_in.url)
    assert caught.value.failure is Failure.UNREADABLE


@pytest.mark.parametrize(
    ("status", "tries", "expected"),
    [
        (400, 1, Failure.REFUSED), (413, 1, Failure.REFUSED), (422, 1, Failure.REFUSED), (500, 3, Failure.SERVER_ERROR),
        (401, 1, None), (403, 1, None), (404, 1, None), (429, 3, None), (502, 3, None), (503, 3, None), (504, 3, None),
    ],
)  # fmt: skip
async def test_whose_fault_it_is(stand_in: Any, script: Any, status: int, tries: int, expected: Failure | None) -> None:
    stand_in.says(script.problem(status, "the model `m` is odd"))
    with pytest.raises(
        EndpointUnavailable if expected is None else RequestFailed, match="the model `m` is odd"
    ) as caught:
        await ask(stand_in.url)
    assert len(stand_in.requests) == tries
    assert getattr(caught.value, "failure", None) == expected


async def test_a_hang_is_the_requests_fault(stand_in: Any, script: Any) -> None:
    stand_in.says(script.answer(hang=True))
    began = time.monotonic()
    with pytest.raises(RequestFailed, match="no answer in time") as caught:
        await ask(stand_in.url, limit=0.2, tries=2)
    assert caught.value.failure is Failure.TIMED_OUT
    assert time.monotonic() - began < 5


async def test_nobody_there_is_the_endpoints_fault() -> None:
    with pytest.raises(EndpointUnavailable, match=r"http://127\.0\.0\.1:9/v1 cannot be reached"):
        await ask("http://user:word@127.0.0.1:9/v1?key=1")


async def test_retry_after_is_honoured(stand_in: Any, script: Any) -> None:
    stand_in.says(script.problem(429, **{"Retry-After": "0.3"}), script.said("now"))
    began = time.monotonic()
    assert (await ask(stand_in.url)).text == "now"
    assert 0.3 <= time.monotonic() - began < 0.5 + 5


NOW = datetime(2026, 11, 21, 20, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("attempt", "told", "spread", "seconds"),
    [
        (1, None, 0.0, 0.5), (2, None, 0.0, 1.0), (3, None, 1.0, 1.5), (9, None, 0.0, 8.0), (1, "2.5", 1.0, 2.5),
        (1, "3600", 0.0, 60.0), (1, "-1", 0.0, 0.5), (1, "soon", 0.0, 0.5), (1, "nan", 0.0, 0.5), (1, "inf", 0.0, 0.5),
        (1, "Sat, 21 Nov 2026 20:00:07 GMT", 0.0, 7.0), (1, "Sat, 21 Nov 2026 19:00:07 GMT", 0.0, 0.5),
    ],
)  # fmt: skip
def test_how_long_to_wait(attempt: int, told: str | None, spread: float, seconds: float) -> None:
    assert seconds_before(attempt, told=told, spread=spread, now=NOW) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("url", "shown"),
    [("http://h:1/v1", "http://h:1/v1"), ("https://a:b@h/v1/?k=s#x", "https://h/v1/")],
    ids=["plain", "credentials"],
)
def test_an_address_is_shown_without_secrets(url: str, shown: str) -> None:
    address = Address(url, "m", "key")
    assert address.shown == shown
    assert "key" not in repr(address)


async def test_concurrency_is_bounded(stand_in: Any, script: Any) -> None:
    def slowly(request: Any) -> Any:
        time.sleep(0.05)
        return script.said("x")

    stand_in.script = slowly
    done: list[int] = []
    async with Endpoint(Address(stand_in.url, "m"), timeout_seconds=5) as endpoint:

        async def one(number: int) -> None:
            await endpoint.chat(ASK, max_tokens=1, temperature=0.0)
            done.append(number)

        await for_each(range(12), one, concurrency=3)
    assert sorted(done) == list(range(12))
    assert stand_in.most_open == 3


class Told(BaseException):
    """Not an Exception, as the signal that stops a pod is not."""


@pytest.mark.parametrize("error", [EndpointUnavailable("down"), Told("stop")], ids=["unavailable", "stopped"])
async def test_the_first_error_ends_all_and_comes_out_as_itself(error: BaseException) -> None:
    begun: list[int] = []

    async def one(number: int) -> None:
        begun.append(number)
        if number == 1:
            raise error
        await asyncio.sleep(60)

    with pytest.raises(type(error)):
        await for_each(range(100), one, concurrency=2)
    assert begun == [0, 1]


def failed(failure: Failure) -> RequestFailed:
    return RequestFailed(failure, "it said no")


def fail_often(patience: Patience, times: int, failure: Failure = Failure.TIMED_OUT) -> None:
    for _ in range(times):
        patience.failed(failed(failure))


@pytest.mark.parametrize(
    "course",
    [lambda p: fail_often(p, 16), lambda p: [p.answered(), fail_often(p, 16)], lambda p: [fail_often(p, 1), p.check()],
     lambda p: [fail_often(p, 99, Failure.REFUSED), p.check()]],
    ids=["from the start", "later", "nothing answered", "all refused"],
)  # fmt: skip
def test_patience_ends(course: Callable[[Patience], Any]) -> None:
    with pytest.raises(EndpointUnavailable, match="it said no"):
        course(Patience())


@pytest.mark.parametrize(
    "course",
    [lambda p: p.check(), lambda p: [fail_often(p, 15), p.answered(), fail_often(p, 15), p.check()],
     lambda p: [p.answered(), fail_often(p, 99, Failure.REFUSED), p.check()]],
    ids=["nothing asked", "now and then", "refusals"],
)  # fmt: skip
def test_patience_lasts(course: Callable[[Patience], Any]) -> None:
    course(Patience())
