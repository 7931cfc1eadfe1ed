"""Requests to an endpoint: what is sent, what is repeated, and which failures stop the whole run."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import threading
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from bitagent_evaluator.engines import openai as client
from bitagent_evaluator.engines.openai import Address, CircuitBreaker, Endpoint, for_each_concurrently
from bitagent_evaluator.engines.openai_errors import EndpointUnavailable, RequestFailed, RequestFailure
from bitagent_evaluator.engines.openai_replies import Reply

ASK = [{"role": "user", "content": "hi"}]


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only as long as the server asks for."""
    delay = "bitagent_evaluator.support.http.backoff_delay"
    monkeypatch.setattr(delay, lambda failures, *, retry_after, **_: retry_after or 0.0)


async def ask(url: str, *, key: str | None = None, limit: float = 5.0, tries: int = 3, **more: Any) -> Reply:
    async with Endpoint(Address(url, "m", key), timeout_seconds=limit, attempts=tries) as endpoint:
        return await endpoint.chat(ASK, max_tokens=9, temperature=0.0, **more)


async def test_a_request_says_what_is_asked(fake_endpoint: Any) -> None:
    reply = await ask(fake_endpoint.url, key="secret", seed=5, tools=[{"type": "function", "function": {"name": "f"}}])
    assert (reply.text, reply.cut_off, reply.prompt_tokens, reply.completion_tokens) == ("hi", False, 7, 3)
    (request,) = fake_endpoint.requests
    assert request.path == "/v1/chat/completions"
    assert request.headers["authorization"] == "Bearer secret"
    assert request.body == {
        "model": "m",
        "messages": ASK,
        "max_tokens": 9,
        "temperature": 0.0,
        "seed": 5,
        "tool_choice": "auto",
        "tools": [{"type": "function", "function": {"name": "f"}}],
    }


async def test_variables_for_the_chat_template_are_beside_the_api(fake_endpoint: Any) -> None:
    await ask(fake_endpoint.url, template_variables={"thinking": False})
    await ask(fake_endpoint.url, template_variables={})
    chosen, silent = (request.body for request in fake_endpoint.requests)
    assert chosen["chat_template_kwargs"] == {"thinking": False}
    assert "chat_template_kwargs" not in silent


async def test_without_a_key_none_is_sent(fake_endpoint: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "somebody's")
    await ask(fake_endpoint.url)
    assert "authorization" not in fake_endpoint.requests[0].headers
    assert "tools" not in fake_endpoint.requests[0].body


async def test_a_completion(fake_endpoint: Any) -> None:
    async with Endpoint(Address(fake_endpoint.url, "m"), timeout_seconds=5) as endpoint:
        assert (await endpoint.complete("Once", max_tokens=4, temperature=0.0)).text == "Once"
    assert fake_endpoint.requests[0].path == "/v1/completions"


async def test_tool_calls(fake_endpoint: Any, replies: Any) -> None:
    fake_endpoint.reply_with(replies.completion(None, calls=[("f", '{"a": 1}'), ("g", "")], cut_off=True))
    reply = await ask(fake_endpoint.url)
    assert reply.text == "" and reply.cut_off
    assert [(call.name, call.arguments) for call in reply.tool_calls] == [("f", '{"a": 1}'), ("g", "")]


@pytest.mark.parametrize(("given", "read"), [({"a": "é"}, '{"a": "é"}'), (None, ""), (3, "3")])
async def test_arguments_that_are_no_text(fake_endpoint: Any, replies: Any, given: object, read: str) -> None:
    call = {"type": "function", "function": {"name": "f", "arguments": given}}
    fake_endpoint.reply_with(replies.raw(body={"choices": [{"message": {"content": None, "tool_calls": [call]}}]}))
    assert [found.arguments for found in (await ask(fake_endpoint.url)).tool_calls] == [read]


async def test_halves_of_characters_are_replaced(fake_endpoint: Any, replies: Any) -> None:
    fake_endpoint.reply_with(replies.completion("a\ud83e\udd80b\ud83ec", calls=[("f\udd80", '"\ud83e"')]))
    reply = await ask(fake_endpoint.url)
    assert (reply.text, reply.tool_calls[0].name, reply.tool_calls[0].arguments) == (
        "a\U0001f980b\ufffdc",
        "f\ufffd",
        '"\ufffd"',
    )


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504, 529])
async def test_what_may_pass_is_tried_again(fake_endpoint: Any, replies: Any, status: int) -> None:
    fake_endpoint.reply_with(replies.error(status), replies.error(status), replies.completion("at last"))
    assert (await ask(fake_endpoint.url)).text == "at last"
    assert len(fake_endpoint.requests) == 3


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b"",
        b"[" * 100_000,
        [],
        {},
        {"choices": []},
        {"choices": [{"message": None}]},
        {"choices": [{"message": {"content": 3}}]},
        {"choices": [{"message": {"tool_calls": [{"function": {}}]}}]},
        {"choices": [{"message": {"tool_calls": 1}}]},
    ],
    ids=[
        "html",
        "nothing",
        "endlessly nested",
        "list",
        "empty",
        "no choice",
        "no message",
        "number",
        "nameless call",
        "calls",
    ],
)
async def test_garbage_is_tried_again_and_then_the_requests_fault(fake_endpoint: Any, replies: Any, body: Any) -> None:
    fake_endpoint.reply_with(replies.raw(body=body), replies.completion("better"))
    assert (await ask(fake_endpoint.url)).text == "better"
    fake_endpoint.reply_with(replies.raw(body=body))
    with pytest.raises(RequestFailed) as caught:
        await ask(fake_endpoint.url)
    assert caught.value.failure is RequestFailure.UNREADABLE


@pytest.mark.parametrize(
    ("status", "tries", "expected"),
    [
        (400, 1, RequestFailure.REFUSED),
        (413, 1, RequestFailure.REFUSED),
        (422, 1, RequestFailure.REFUSED),
        (500, 3, RequestFailure.SERVER_ERROR),
        (401, 1, None),
        (403, 1, None),
        (404, 1, None),
        (429, 3, None),
        (502, 3, None),
        (503, 3, None),
        (504, 3, None),
    ],
)
async def test_whose_fault_it_is(
    fake_endpoint: Any, replies: Any, status: int, tries: int, expected: RequestFailure | None
) -> None:
    fake_endpoint.reply_with(replies.error(status, "the model `m` is odd"))
    with pytest.raises(
        EndpointUnavailable if expected is None else RequestFailed, match="the model `m` is odd"
    ) as caught:
        await ask(fake_endpoint.url)
    assert len(fake_endpoint.requests) == tries
    assert getattr(caught.value, "failure", None) == expected


async def test_a_hang_is_the_requests_fault(fake_endpoint: Any, replies: Any) -> None:
    fake_endpoint.reply_with(replies.raw(hang=True))
    began = time.monotonic()
    with pytest.raises(RequestFailed, match="no answer in time") as caught:
        await ask(fake_endpoint.url, limit=0.2, tries=2)
    assert caught.value.failure is RequestFailure.TIMED_OUT
    assert time.monotonic() - began < 25, "the endpoint hangs for 30 s"


async def test_an_unreachable_endpoint_is_unavailable() -> None:
    with pytest.raises(EndpointUnavailable, match=r"http://127\.0\.0\.1:9/v1 cannot be reached"):
        await ask("http://user:word@127.0.0.1:9/v1?key=1")


async def test_retry_after_is_honoured(fake_endpoint: Any, replies: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    fake_endpoint.reply_with(replies.error(429, **{"Retry-After": "7"}), replies.completion("now"))
    assert (await ask(fake_endpoint.url)).text == "now"
    assert waited == [7]


REFUSALS: dict[str, tuple[str, dict[str, Any]]] = {
    "the limit's other name": (
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
        {"max_completion_tokens": 9},
    ),
    "streams only": ("This model only support stream mode, please enable the stream parameter", {"stream": True}),
    "streams for thoughts": (
        "parameter.enable_thinking must be set to false for non-streaming calls",
        {"stream": True},
    ),
    "no seed": ("Unsupported parameter: seed", {}),
}


@pytest.mark.parametrize(("words", "sent"), REFUSALS.values(), ids=REFUSALS)
async def test_what_a_server_does_not_take_is_asked_in_another_way(
    fake_endpoint: Any, replies: Any, words: str, sent: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    fake_endpoint.reply_with(replies.error(400, words), replies.completion("hi"))
    async with Endpoint(Address(fake_endpoint.url, "m"), timeout_seconds=5) as endpoint:
        for _ in range(2):
            assert (await endpoint.chat(ASK, max_tokens=9, temperature=0.0, seed=5)).text == "hi"
    refused, *others = (request.body for request in fake_endpoint.requests)
    kept = {"model": "m", "messages": ASK, "temperature": 0.0}
    kept |= {name: refused[name] for name in ("seed", "max_tokens") if not (name in words or f"max_{name}" in sent)}
    kept |= {"stream_options": {"include_usage": True}} if "stream" in sent else {}
    assert others == [kept | sent] * 2
    assert len(caplog.records) == 1


async def test_each_refusal_is_met_once(fake_endpoint: Any, replies: Any) -> None:
    fake_endpoint.reply_with(replies.error(400, "use max_completion_tokens; no seed; streaming is required"))
    with pytest.raises(RequestFailed) as caught:
        await ask(fake_endpoint.url, seed=5)
    assert (caught.value.failure, len(fake_endpoint.requests)) == (RequestFailure.REFUSED, 4)


async def test_a_question_quoted_in_a_refusal_changes_nothing_for_others(fake_endpoint: Any, replies: Any) -> None:
    words = "too long: 'say max_completion_tokens, stream must be true, seed'"
    fake_endpoint.reply_with(*[replies.error(400, words)] * 4, replies.completion("hi"))
    async with Endpoint(Address(fake_endpoint.url, "m"), timeout_seconds=5) as endpoint:
        with pytest.raises(RequestFailed):
            await endpoint.chat(ASK, max_tokens=9, temperature=0.0, seed=5)
        await endpoint.chat(ASK, max_tokens=9, temperature=0.0, seed=5)
    assert fake_endpoint.requests[-1].body == fake_endpoint.requests[0].body


@pytest.mark.parametrize("status", [200, 400, 500])
@pytest.mark.parametrize("compressed", [False, True], ids=["as it is", "compressed"])
async def test_a_reply_of_too_many_bytes_is_left(
    monkeypatch: pytest.MonkeyPatch, status: int, compressed: bool
) -> None:
    monkeypatch.setattr(client, "MAX_REPLY_BYTES", 1 << 20)
    body = bytes(1 << 21)
    body = gzip.compress(body) if compressed else body
    head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n" + "Content-Encoding: gzip\r\n" * compressed
    async with serving(head.encode() + b"\r\n" + body) as url:
        with pytest.raises(RequestFailed, match="1 MiB") as caught:
            await ask(url, tries=1)
    assert caught.value.failure is RequestFailure.UNREADABLE


async def test_an_addresss_query_is_sent_and_its_path_kept(fake_endpoint: Any) -> None:
    await ask(f"{fake_endpoint.url}/?api-version=preview")
    assert fake_endpoint.requests[0].path == "/v1/chat/completions?api-version=preview"


async def test_an_address_that_redirects_and_loses_the_question(fake_endpoint: Any, replies: Any) -> None:
    there = f"{fake_endpoint.url}/there"
    fake_endpoint.reply_with(replies.raw(status=301, headers={"Location": there}, body=b""))
    with pytest.raises(EndpointUnavailable) as caught:
        await ask(fake_endpoint.url)
    assert f"redirects to {there}" in str(caught.value)


async def test_an_address_that_redirects_and_loses_the_key(fake_endpoint: Any, replies: Any) -> None:
    there = {"Location": f"{fake_endpoint.url}/there"}
    fake_endpoint.reply_with(replies.raw(status=307, headers=there, body=b""), replies.error(401, "no key"))
    with pytest.raises(EndpointUnavailable, match=f"redirects to {fake_endpoint.url}/there, by which the key"):
        await ask(fake_endpoint.url, key="secret")


async def test_an_address_that_redirects_and_keeps_the_question(fake_endpoint: Any, replies: Any) -> None:
    there = {"Location": f"{fake_endpoint.url}/there"}
    fake_endpoint.reply_with(replies.raw(status=308, headers=there, body=b""), replies.completion("hi"))
    assert (await ask(fake_endpoint.url)).text == "hi"


@pytest.mark.parametrize(
    ("sent", "failure"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", RequestFailure.SERVER_ERROR),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{", RequestFailure.SERVER_ERROR),
        (b"", RequestFailure.SERVER_ERROR),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}", RequestFailure.UNREADABLE),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", RequestFailure.UNREADABLE),
        (b"SSH-2.0-OpenSSH_9.6\r\n", RequestFailure.SERVER_ERROR),
    ],
    ids=["early close", "early close of chunks", "no answer", "no gzip", "empty", "another protocol"],
)
async def test_an_answer_that_breaks_off_costs_one_request(sent: bytes, failure: RequestFailure) -> None:
    async with serving(sent) as url:
        with pytest.raises(RequestFailed) as caught:
            await ask(url, tries=2)
    assert caught.value.failure is failure


async def test_an_answer_in_compressed_chunks_is_read(replies: Any) -> None:
    body = gzip.compress(json.dumps(replies.completion("hi").body).encode())
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:9], body[9:], b""))
    async with serving(head + chunks) as url:
        assert (await ask(url)).text == "hi"


@contextlib.asynccontextmanager
async def serving(sent: bytes) -> AsyncIterator[str]:
    """Serve these bytes to each request, and close the connection."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(head.lower().partition(b"content-length:")[2].split()[0]))
        writer.write(sent)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    finally:
        server.close()


async def test_a_key_that_no_header_can_have_is_not_shown(fake_endpoint: Any) -> None:
    for key in ("sk-secret\nx", "ключ-secret"):
        with pytest.raises(EndpointUnavailable) as caught:
            await ask(fake_endpoint.url, key=key)
        assert "secret" not in str(caught.value) and "key" in str(caught.value)


async def test_another_model_that_answers_is_named_once(
    fake_endpoint: Any, replies: Any, caplog: pytest.LogCaptureFixture
) -> None:
    fake_endpoint.reply_with(replies.raw(body={**replies.completion("hi").body, "model": "other"}))
    async with Endpoint(Address(fake_endpoint.url, "m"), timeout_seconds=5) as endpoint:
        for _ in range(2):
            await endpoint.chat(ASK, max_tokens=9, temperature=0.0)
    assert [record.args[1:] for record in caplog.records if isinstance(record.args, tuple)] == [("m", "other")]


@pytest.mark.parametrize(
    ("url", "shown"),
    [("http://h:1/v1", "http://h:1/v1"), ("https://a:b@h/v1/?k=s#x", "https://h/v1/")],
    ids=["plain", "credentials"],
)
def test_an_address_is_shown_without_secrets(url: str, shown: str) -> None:
    address = Address(url, "m", "key")
    assert address.shown == shown
    assert "key" not in repr(address)


async def test_concurrency_is_bounded(fake_endpoint: Any, replies: Any) -> None:
    together = threading.Barrier(3, timeout=60)

    def slowly(request: Any) -> Any:
        together.wait()
        time.sleep(0.05)  # a fourth would come meanwhile
        return replies.completion("x")

    fake_endpoint.script = slowly
    done: list[int] = []
    async with Endpoint(Address(fake_endpoint.url, "m"), timeout_seconds=60) as endpoint:

        async def one(number: int) -> None:
            await endpoint.chat(ASK, max_tokens=1, temperature=0.0)
            done.append(number)

        await for_each_concurrently(range(12), one, concurrency=3)
    assert sorted(done) == list(range(12))
    assert fake_endpoint.most_open == 3


class Stop(BaseException):
    """Not an Exception, as the signal that stops a pod is not."""


@pytest.mark.parametrize("error", [EndpointUnavailable("down"), Stop("stop")], ids=["unavailable", "stopped"])
async def test_the_first_error_ends_all_and_comes_out_as_itself(error: BaseException) -> None:
    begun: list[int] = []

    async def one(number: int) -> None:
        begun.append(number)
        if number == 1:
            raise error
        await asyncio.sleep(60)

    with pytest.raises(type(error)):
        await for_each_concurrently(range(100), one, concurrency=2)
    assert begun == [0, 1]


def failed(failure: RequestFailure) -> RequestFailed:
    return RequestFailed(failure, "it said no")


def fail_often(breaker: CircuitBreaker, times: int, failure: RequestFailure = RequestFailure.TIMED_OUT) -> None:
    for _ in range(times):
        breaker.record_failure(failed(failure))


@pytest.mark.parametrize(
    "course",
    [
        lambda p: fail_often(p, 16),
        lambda p: [p.record_success(), fail_often(p, 16)],
        lambda p: [fail_often(p, 1), p.check()],
        lambda p: [fail_often(p, 99, RequestFailure.REFUSED), p.check()],
    ],
    ids=["from the start", "later", "nothing answered", "all refused"],
)
def test_the_circuit_opens(course: Callable[[CircuitBreaker], Any]) -> None:
    with pytest.raises(EndpointUnavailable, match="it said no"):
        course(CircuitBreaker())


@pytest.mark.parametrize(
    "course",
    [
        lambda p: p.check(),
        lambda p: [fail_often(p, 15), p.record_success(), fail_often(p, 15), p.check()],
        lambda p: [p.record_success(), fail_often(p, 99, RequestFailure.REFUSED), p.check()],
    ],
    ids=["nothing asked", "now and then", "refusals"],
)
def test_the_circuit_stays_closed(course: Callable[[CircuitBreaker], Any]) -> None:
    course(CircuitBreaker())
