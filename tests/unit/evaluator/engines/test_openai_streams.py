"""Streams of endpoints as they are, joined to the answers that they are parts of."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from bitagent_evaluator.engines.openai_errors import ErrorReply, UnreadableReply
from bitagent_evaluator.engines.openai_replies import parse_chat, parse_completion, parse_document
from bitagent_evaluator.engines.openai_streams import is_stream, join_stream


def chunk(delta: dict[str, Any] | None = None, finish: Any = None, **choice: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta or {}, "finish_reason": finish, **choice}]}


def call(index: int | None, name: str | None, arguments: Any, identity: str | None = None) -> dict[str, Any]:
    return {"tool_calls": [{"index": index, "id": identity, "function": {"name": name, "arguments": arguments}}]}


def stream(*chunks: Any, done: bool = True, end: str = "\n", prefix: str = "data: ") -> bytes:
    lines = [prefix + json.dumps(item, ensure_ascii=False) + 2 * end for item in chunks]
    return "".join([*lines, f"{prefix}[DONE]{2 * end}" if done else ""]).encode()


HI = (chunk({"role": "assistant", "content": ""}), chunk({"content": "h"}), chunk({"content": "é"}, "stop"))

TEXTS: dict[str, bytes] = {
    "plain": stream(*HI),
    "Windows' line ends": stream(*HI, end="\r\n"),
    "old line ends": stream(*HI, end="\r"),
    "no blank after the colon": stream(*HI, prefix="data:"),
    "led by a mark": b"\xef\xbb\xbf" + stream(*HI),
    "comments": b": OPENROUTER PROCESSING\n\n" + stream(*HI),
    "names of events": b"event: message\nid: 4\nretry: 10\n" + stream(*HI),
    "no [DONE]": stream(*HI, done=False),
    "no blank line at the end": stream(*HI, done=False).rstrip(),
    "no finish reason": stream(*HI[:2], chunk({"content": "é"})),
    "events without data": b"data:\n\nevent: ping\ndata: \n\n" + stream(*HI),
    "a thought after the whole message": stream(
        {"choices": [{"index": 0, "message": {"content": "hé", "reasoning": ["x"]}}]}, chunk({"reasoning": "y"})
    ),
    "a chunk without choices": stream({"choices": []}, *HI, {"choices": [], "usage": None}),
    "null as choices": stream({"choices": None, "id": "x"}, *HI),
    "something after [DONE]": stream(*HI) + b"data: {broken\n\n",
    "the whole message at the end": stream(*HI[:2], {"choices": [{"index": 0, "message": {"content": "hé"}}]}),
    "several choices": stream(HI[0], chunk({"content": "x"}, index=1), *HI[1:]),
    "no index": stream(*({"choices": [{"delta": {"content": part}}]} for part in "hé")),
    "content as parts": stream(chunk({"content": [{"type": "text", "text": "h"}]}), chunk({"content": "é"}, "stop")),
}


@pytest.mark.parametrize("body", TEXTS.values(), ids=TEXTS)
def test_the_text_is_joined(body: bytes) -> None:
    assert parse_chat(parse_document(body, "text/event-stream")).text == "hé"


CALLS: dict[str, tuple[list[dict[str, Any]], list[tuple[str, str]]]] = {
    "one": (
        [call(0, "f", "", "1"), call(0, None, '{"a"'), call(0, None, ": 1}")],
        [("f", '{"a": 1}')],
    ),
    "two": ([call(0, "f", "{}", "1"), call(1, "g", "{", "2"), call(1, None, "}")], [("f", "{}"), ("g", "{}")]),
    "all at place 0": ([call(0, "f", "{}", "1"), call(0, "g", "{}", "2")], [("f", "{}"), ("g", "{}")]),
    "no places": ([call(None, "f", "{}", "1"), call(None, "f", "{}", "2")], [("f", "{}"), ("f", "{}")]),
    "no places and no ids": ([call(None, "f", "{}"), call(None, "f", "{}")], [("f", "{}"), ("f", "{}")]),
    "an object as arguments": ([call(0, "f", {"a": 1}, "1")], [("f", '{"a": 1}')]),
    "the name in every part": ([call(0, "f", "{", "1"), call(0, "f", "}", "1")], [("f", "{}")]),
    "the name later": ([call(0, None, "", "1"), call(0, "f", "{}")], [("f", "{}")]),
    "a name in parts": ([call(0, "f", "{", "1"), call(0, "g", "}")], [("fg", "{}")]),
    "an empty id later": ([call(0, "f", "{", "1"), call(0, "", "}", "")], [("f", "{}")]),
    "the API before tools": (
        [{"function_call": {"name": "f", "arguments": "{"}}, {"function_call": {"arguments": "}"}}],
        [("f", "{}")],
    ),
}


@pytest.mark.parametrize(("deltas", "read"), CALLS.values(), ids=CALLS)
def test_calls_are_joined(deltas: list[dict[str, Any]], read: list[tuple[str, str]]) -> None:
    reply = parse_chat(join_stream(stream(*map(chunk, deltas), chunk(finish="tool_calls"))))
    assert [(found.name, found.arguments) for found in reply.tool_calls] == read


def test_thought_counts_and_model_are_joined() -> None:
    usage = {"prompt_tokens": 7, "completion_tokens": 3}
    parts = [chunk({"reasoning_content": "h"}), chunk({"reasoning_content": "m"}), chunk({"content": "x"}, "length")]
    reply = parse_chat(join_stream(stream(*parts, {"model": "m", "choices": [], "usage": usage})))
    assert (reply.thought, reply.text, reply.cut_off, reply.model) == ("hm", "x", True, "m")
    assert (reply.prompt_tokens, reply.completion_tokens) == (7, 3)


def test_many_calls_are_joined_in_linear_time() -> None:
    event = json.dumps(chunk(call(1000, "f", "{}")))
    body = "".join(f"data: {event.replace('1000', str(place))}\n\n" for place in range(40_000)).encode()
    before = time.process_time()
    join_stream(body + b"data: [DONE]\n\n")
    assert time.process_time() - before < 20


def test_an_answer_without_words_is_one() -> None:
    assert parse_chat(join_stream(stream(HI[0], chunk(finish="stop")))).text == ""


def test_calls_after_the_whole_message_are_joined() -> None:
    whole = {"choices": [{"index": 0, "message": {"content": "x"}}]}
    parts = [chunk(call(0, "e", "{}")), whole, chunk(call(0, "f", "{")), chunk(call(0, None, "}"))]
    reply = parse_chat(join_stream(stream(*parts)))
    assert [(found.name, found.arguments) for found in reply.tool_calls] == [("f", "{}")]


def test_a_finished_text_is_joined() -> None:
    body = stream({"choices": [{"index": 0, "text": "h"}]}, {"choices": [{"text": "i", "index": 0}]})
    assert parse_completion(join_stream(body)).text == "hi"


UNREADABLE: dict[str, tuple[bytes, int | None]] = {
    "an early end": (stream(*HI[:2], done=False), None),
    "an early end within an event": (stream(*HI[:2], done=False) + b'data: {"choices": [{"de', None),
    "nothing": (b": ping\n\n", None),
    "an error": (stream({"error": {"message": "overloaded", "code": 503}}, done=False), 503),
    "an error after a part": (stream(*HI[:2], {"error": {"message": "gone", "code": 502}}), 500),
    "an error beside a part": (stream(HI[1], {"error": {"message": "x", "code": 502}, **chunk(finish="error")}), 500),
    "an answer that was broken off": (stream(*HI[:2], chunk(finish="abort")), None),
    "no objects": (stream([1]), None),
    "choices of numbers": (stream({"choices": [1]}), None),
    "a call without a function": (stream(chunk({"tool_calls": [{"index": 0}]})), None),
}


@pytest.mark.parametrize(("body", "status"), UNREADABLE.values(), ids=UNREADABLE)
def test_what_is_no_answer(body: bytes, status: int | None) -> None:
    with pytest.raises(UnreadableReply) as caught:
        parse_chat(parse_document(body, "text/event-stream"))
    assert (caught.value.status if isinstance(caught.value, ErrorReply) else None) == status


@pytest.mark.parametrize(
    ("body", "kind", "stream"),
    [
        (b"{}", "text/event-stream; charset=utf-8", True),
        (b"data: {}", "application/json", True),
        (b"\n\nevent: x", "", True),
        (b": ping", "text/plain", True),
        (b'{"data": 1}', "application/json", False),
        (b"", "", False),
    ],
    ids=["type", "data", "event", "comment", "object", "nothing"],
)
def test_a_stream_is_recognised(body: bytes, kind: str, stream: bool) -> None:
    assert is_stream(body, kind) is stream
