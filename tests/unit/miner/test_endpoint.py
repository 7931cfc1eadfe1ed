from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from bitagent_miner.endpoint import Endpoint, EndpointSettings, ModelFailed, parse
from bitagent_miner.prompting import ToolMode
from bitagent_wire.messages import ChatMessage, QueryTask, Role, Tool, write_answer

TASK = QueryTask(messages=[ChatMessage(role=Role.USER, content="q")], tools=[Tool(name="f")])

INFINITE = b'{"choices": [{"message": {"content": "x"}}], "usage": {"prompt_tokens": Infinity}}'


async def answered(openai: Any, *, settings: dict[str, Any] | None = None, **model: Any) -> Any:
    async with openai(**model) as fake, aiohttp.ClientSession() as session:
        endpoint = Endpoint(session, EndpointSettings(url=fake.url, model="m", **(settings or {})))
        return await endpoint.answer(TASK), fake


async def test_a_request_is_bounded_and_names_its_key(openai: Any) -> None:
    completion, fake = await answered(openai, settings={"key": "secret", "max_tokens": 99})
    assert (completion.text, completion.prompt_tokens, completion.answer_tokens) == ('[weather(city="Lisbon")]', 7, 3)
    asked = fake.requests[0]
    assert (asked["model"], asked["max_tokens"], asked["temperature"], asked["stream"]) == ("m", 99, 0.0, False)
    assert "tools" not in asked
    assert fake.keys == ["Bearer secret"]


async def test_native_calls_are_written_out(openai: Any) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    completion, fake = await answered(openai, settings={"mode": ToolMode.NATIVE}, answer=message)
    assert completion.text == "[f(a=1)]"
    assert fake.requests[0]["tools"][0]["function"]["name"] == "f"


async def test_an_endpoint_that_fails(openai: Any) -> None:
    with pytest.raises(ModelFailed, match="500"):
        await answered(openai, status=500)


async def test_an_endpoint_that_is_not_there(unused_tcp_port: int) -> None:
    async with aiohttp.ClientSession() as session:
        endpoint = Endpoint(session, EndpointSettings(url=f"http://127.0.0.1:{unused_tcp_port}/v1", model="m"))
        with pytest.raises(ModelFailed):
            await endpoint.answer(TASK)


async def test_an_answer_without_end_is_cut(openai: Any) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b" " * 65536)
        except (ConnectionError, asyncio.CancelledError):
            return response

    with pytest.raises(ModelFailed, match="more than"):
        await answered(openai, answer=endless)


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"{}", b'{"choices": []}', b'{"choices": [{"message": null}]}', b"[" * 100_000, INFINITE],
    ids=["empty", "list", "object", "no choice", "no message", "nested", "tokens without end"],
)
def test_answers_that_are_no_completions(content: bytes) -> None:
    with pytest.raises(ModelFailed):
        parse(content)


def test_an_answer_without_text_or_usage() -> None:
    assert parse(b'{"choices": [{"message": {"content": null}}]}').text == ""


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"content": "a\ud800b"}, "a?b"),
        ({"content": [{"type": "text", "text": "[f("}, {"type": "text", "text": "a=1)]"}]}, "[f(a=1)]"),
        ({"tool_calls": [{"function": {"name": "f", "arguments": {"a": "\ud800"}}}]}, "[f(a='\\ud800')]"),
        ({"tool_calls": [{"function": {"name": "f", "arguments": None}}]}, "[f()]"),
        ({"tool_calls": [{"function": {"name": "f"}}]}, "[f()]"),
    ],
    ids=["lone surrogate", "parts", "an object of arguments", "null arguments", "no arguments"],
)
def test_the_answers_of_other_servers_can_be_sent(message: dict[str, Any], text: str) -> None:
    completion = parse(json.dumps({"choices": [{"message": message}]}).encode())
    assert completion.text == text
    sent = json.loads(write_answer(TASK.model_copy(update={"response": completion.text})))
    assert sent["response"] == text


@pytest.mark.parametrize(("count", "tokens"), [("-5", 0), ("null", 0), ("7.0", 7)])
def test_a_count_of_tokens_never_lowers_a_metric(count: str, tokens: int) -> None:
    content = INFINITE.replace(b"Infinity", count.encode())
    assert parse(content).prompt_tokens == tokens
