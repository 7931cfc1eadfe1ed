"""Replies of endpoints as they are, and which of them cannot be read."""

from __future__ import annotations

from typing import Any

import pytest

from bitagent_evaluator.engines.openai_errors import ErrorReply, RequestFailed, RequestFailure, UnreadableReply
from bitagent_evaluator.engines.openai_replies import parse_chat, parse_completion, parse_document

CALL = {"name": "f", "arguments": "{}"}


def message(**members: Any) -> dict[str, Any]:
    return {"choices": [{"message": {"role": "assistant", **members}, "finish_reason": "stop"}]}


TEXTS: dict[str, tuple[Any, str]] = {
    "text": ("[f()]", "[f()]"),
    "nothing": (None, ""),
    "part": ([{"type": "text", "text": "[f()]"}], "[f()]"),
    "parts": ([{"type": "text", "text": "[f("}, {"type": "output_text", "text": ")]"}], "[f()]"),
    "part without a type": ([{"text": "[f()]"}], "[f()]"),
    "texts": (["[f(", ")]"], "[f()]"),
    "refusal": ([{"type": "refusal", "refusal": "No."}], "No."),
    "thought": ([{"type": "thinking", "thinking": [{"text": "hm"}]}, {"type": "text", "text": "[f()]"}], "[f()]"),
    "only a thought": ([{"type": "reasoning", "text": "hm"}], ""),
    "no parts": ([], ""),
}


@pytest.mark.parametrize(("content", "text"), TEXTS.values(), ids=TEXTS)
def test_content_is_text_or_parts_of_text(content: Any, text: str) -> None:
    assert parse_chat(message(content=content)).text == text


def test_a_call_of_the_api_before_tools() -> None:
    (call,) = parse_chat(message(content=None, function_call=CALL)).tool_calls
    assert (call.name, call.arguments) == ("f", "{}")


CALL_PARTS: dict[str, Any] = {
    "Anthropic's": {"type": "tool_use", "id": "1", "name": "f", "input": {"a": 1}},
    "with a function": {"type": "tool_call", "function": {"name": "f", "arguments": '{"a": 1}'}},
    "of OpenAI's responses": {"type": "function_call", "name": "f", "arguments": '{"a": 1}'},
}


@pytest.mark.parametrize("part", CALL_PARTS.values(), ids=CALL_PARTS)
def test_a_part_of_the_content_that_is_a_call_is_one(part: dict[str, Any]) -> None:
    reply = parse_chat(message(content=[{"type": "text", "text": "I look."}, part]))
    assert (reply.text, [(call.name, call.arguments) for call in reply.tool_calls]) == ("I look.", [("f", '{"a": 1}')])


def test_a_call_of_the_message_comes_before_the_same_among_its_parts() -> None:
    reply = parse_chat(message(content=[CALL_PARTS["Anthropic's"]], tool_calls=[{"function": CALL}]))
    assert [call.name for call in reply.tool_calls] == ["f"]


@pytest.mark.parametrize("content", [None, "", []], ids=["null", "blank", "no parts"])
def test_a_refusal_is_the_answer_where_there_is_no_other(content: Any) -> None:
    assert parse_chat(message(content=content, refusal="I cannot.")).text == "I cannot."


THOUGHTS: dict[str, dict[str, Any]] = {
    "of vLLM and DeepSeek": {"content": None, "reasoning_content": "hm"},
    "of vLLM since 0.11 and OpenRouter": {"content": "", "reasoning": "hm"},
    "of Ollama": {"content": "\n", "thinking": "hm"},
    "in details": {"content": None, "reasoning_details": [{"type": "reasoning.text", "text": "hm"}]},
    "in a summary": {"content": None, "reasoning": {"summary": [{"type": "summary_text", "text": "hm"}]}},
    "in a part": {"content": [{"type": "thinking", "thinking": "hm"}]},
    "in a part with parts": {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]},
    "without the member of the answer": {"reasoning_content": "hm"},
    "beside an empty one": {"content": None, "reasoning_content": "", "reasoning": "hm"},
}


@pytest.mark.parametrize("members", THOUGHTS.values(), ids=THOUGHTS)
def test_a_thought_without_an_answer_is_kept_apart(members: dict[str, Any]) -> None:
    reply = parse_chat(message(**members))
    assert (reply.text.strip(), reply.tool_calls, reply.thought) == ("", (), "hm")


@pytest.mark.parametrize(
    "thought", [None, 5, [[[[[["hm"]]]]]], {"tokens": 9}, "\n"], ids=["null", "number", "deep", "no text", "blank"]
)
def test_what_is_no_thought_is_none(thought: Any) -> None:
    assert parse_chat(message(content=None, reasoning=thought)).thought == ""


def test_a_thought_is_kept_in_part_and_without_surrogates() -> None:
    thought = parse_chat(message(content=None, reasoning="\ud800" + "x" * 99_999)).thought
    assert thought.startswith("\ufffdx") and len(thought) == 16_384


CUT = ["length", "max_tokens", "MAX_TOKENS", "model_length", "FINISH_REASON_MAX_TOKENS", {"type": "length"}]
ENDED = ["stop", None, "", "eos_token", "stop_sequence", "end_turn", "end", {"type": "stop", "matched": 2}]


@pytest.mark.parametrize(("reason", "cut"), [*((r, True) for r in CUT), *((r, False) for r in ENDED)], ids=str)
def test_the_limit_by_any_name(reason: Any, cut: bool) -> None:
    document = message(content="[f(")
    document["choices"][0]["finish_reason"] = reason
    assert parse_chat(document).cut_off is cut


@pytest.mark.parametrize("parse", [parse_chat, parse_completion])
@pytest.mark.parametrize(
    ("reason", "status"),
    [
        ("abort", None),
        ("error", None),
        ("network_error", None),
        ("CANCELLED", None),
        ({"type": "abort", "message": "x"}, None),
        ("insufficient_system_resource", 503),
        ("timeout", 408),
    ],
    ids=str,
)
def test_a_part_of_an_answer_is_no_answer(parse: Any, reason: Any, status: int | None) -> None:
    with pytest.raises(UnreadableReply) as caught:
        parse({"choices": [{"message": {"content": "[f(a=1)]"}, "text": "[f(a=1)]", "finish_reason": reason}]})
    assert getattr(caught.value, "status", None) == status


STATUSES: dict[str, tuple[Any, int | None]] = {
    "OpenRouter's limit": ({"choices": None, "error": {"message": "Provider returned error", "code": 429}}, 429),
    "a code as text": ({"error": {"message": "no credits", "code": "402"}}, 402),
    "a status beside": ({"error": {"message": "gone", "status": 502}}, 502),
    "a kind of error": ({"error": {"message": "You have no quota", "type": "insufficient_quota", "code": None}}, 402),
    "Google's status": ({"error": {"message": "Quota", "status": "RESOURCE_EXHAUSTED"}}, 429),
    "older vLLM's": ({"object": "error", "message": "no such model", "code": 404}, 404),
    "beside a part of an answer": (
        {"choices": [{"message": {"content": "[f("}, "error": {"message": "upstream", "code": 502}}]},
        500,
    ),
    "none": ({"error": {"message": "odd"}}, None),
    "no status of HTTP": ({"error": {"message": "odd", "code": 1001}}, None),
}


@pytest.mark.parametrize(("document", "status"), STATUSES.values(), ids=STATUSES)
def test_an_error_inside_a_reply_has_the_status_that_it_names(document: Any, status: int | None) -> None:
    with pytest.raises(UnreadableReply) as caught:
        parse_chat(document)
    assert (caught.value.status if isinstance(caught.value, ErrorReply) else None) == status


CALLS: dict[str, tuple[Any, tuple[str, str]]] = {
    "OpenAI's": ([{"id": "1", "type": "function", "function": CALL}], ("f", "{}")),
    "without a function around": ([{"id": "1", "name": "f", "arguments": '{"a": 1}'}], ("f", '{"a": 1}')),
    "the function's name alone": ([{"type": "function", "function": "f", "arguments": {"a": 1}}], ("f", '{"a": 1}')),
    "arguments as an object": ([{"function": {"name": "f", "arguments": {"a": "é"}}}], ("f", '{"a": "é"}')),
    "parameters": ([{"function": {"name": "f", "parameters": {"a": 1}}}], ("f", '{"a": 1}')),
    "input": ([{"type": "tool_use", "name": "f", "input": {"a": 1}}], ("f", '{"a": 1}')),
    "arguments as a list": ([{"function": {"name": "f", "arguments": [1]}}], ("f", "[1]")),
    "no arguments": ([{"function": {"name": "f", "arguments": None}}], ("f", "")),
    "a text of the list": ('[{"function": {"name": "f", "arguments": "{}"}}]', ("f", "{}")),
    "one as a text": ('{"name": "f", "arguments": {"a": 1}}', ("f", '{"a": 1}')),
}


@pytest.mark.parametrize(("calls", "read"), CALLS.values(), ids=CALLS)
def test_a_call_in_any_form(calls: Any, read: tuple[str, str]) -> None:
    (call,) = parse_chat(message(content=None, tool_calls=calls)).tool_calls
    assert (call.name, call.arguments) == read


@pytest.mark.parametrize(
    ("usage", "counts"),
    [
        ({"prompt_tokens": 7, "completion_tokens": 3}, (7, 3)),
        ({"prompt_tokens": "7", "completion_tokens": 3.0}, (7, 3)),
        ({"input_tokens": 7, "output_tokens": 3}, (7, 3)),
        ({"prompt_tokens": None, "completion_tokens": -1}, (0, 0)),
        ({"prompt_tokens": "many", "completion_tokens": float("inf")}, (0, 0)),
        (None, (0, 0)),
    ],
    ids=["OpenAI's", "texts", "other names", "nothing", "words", "no usage"],
)
def test_counts_of_tokens(usage: Any, counts: tuple[int, int]) -> None:
    reply = parse_chat({**message(content="x"), "usage": usage})
    assert (reply.prompt_tokens, reply.completion_tokens) == counts


BODIES: dict[str, bytes] = {
    "plain": b'{"choices": [{"message": {"content": "hi"}}]}',
    "led by blanks": b' \n\n {"choices": [{"message": {"content": "hi"}}]}',
    "led by a mark": b'\xef\xbb\xbf{"choices": [{"message": {"content": "hi"}}]}',
    "in UTF-16": '{"choices": [{"message": {"content": "hi"}}]}'.encode("utf-16"),
    "JSON in a text": b'"{\\"choices\\": [{\\"message\\": {\\"content\\": \\"hi\\"}}]}"',
    "a delta": b'{"choices": [{"delta": {"content": "hi"}}]}',
    "a choice alone": b'{"choices": {"message": {"content": "hi"}}}',
    "a stream": b'data: {"choices": [{"delta": {"content": "hi"}, "finish_reason": "stop"}]}\n\n',
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_body_in_any_form(body: bytes) -> None:
    assert parse_chat(parse_document(body, "application/json")).text == "hi"


def test_a_chats_answer_to_a_text_is_read() -> None:
    assert parse_completion(message(content="[f()]")).text == "[f()]"


def test_the_model_that_answers_is_known() -> None:
    assert parse_chat({**message(content="x"), "model": "m"}).model == "m"
    assert parse_chat({**message(content="x"), "model": None}).model == ""


@pytest.mark.parametrize("reason", ["content_filter", "SAFETY", "refusal"])
def test_an_answer_that_a_filter_took_is_refused_not_empty(reason: str) -> None:
    document = message(content="")
    document["choices"][0]["finish_reason"] = reason
    with pytest.raises(RequestFailed) as caught:
        parse_chat(document)
    assert (caught.value.failure, reason in str(caught.value)) == (RequestFailure.REFUSED, True)
    document["choices"][0]["message"]["content"] = "I cannot"
    assert parse_chat(document).text == "I cannot"


@pytest.mark.parametrize("reason", [{}, ["error"], 3], ids=["an object", "a list", "a number"])
def test_a_finish_reason_of_another_type_says_nothing(reason: Any) -> None:
    reply = parse_chat({"choices": [{"message": {"content": ""}, "finish_reason": reason}]})
    assert (reply.text, reply.cut_off) == ("", False)


def test_a_single_call_need_not_be_in_a_list() -> None:
    (call,) = parse_chat(message(content=None, tool_calls={"function": CALL})).tool_calls
    assert call.name == "f"


def _ended(reason: str, **members: Any) -> dict[str, Any]:
    document = message(**members)
    document["choices"][0]["finish_reason"] = reason
    return document


UNREADABLE: dict[str, tuple[Any, str]] = {
    "an object as content": (message(content={"text": "x"}), "content"),
    "a part that is a number": (message(content=[1]), "content"),
    "a text part without a text": (message(content=[{"type": "text"}]), "content"),
    "a part that is a call without a name": (message(content=[{"type": "tool_use"}]), "without a function's name"),
    "an error": ({"error": {"message": "out of credits", "code": 402}}, "out of credits"),
    "an error without a message": ({"error": {"status": 7}}, '"status": 7'),
    "an error as text": ({"error": "no GPU is free"}, "no GPU is free"),
    "an error of older vLLM": ({"object": "error", "message": "too long"}, "too long"),
    "an error of FastAPI": ({"detail": "Not ready"}, "Not ready"),
    "nothing": ({}, "without choices"),
    "another document": ({"statusCode": 200, "body": "x"}, '"statusCode": 200'),
    "a call that the server could not read": (_ended("MALFORMED_FUNCTION_CALL", content=None), "no call"),
    "a call with an empty name": (message(content=None, tool_calls=[{"function": {"name": ""}}]), "name"),
    "calls in words": (message(content=None, tool_calls="f()"), "without JSON: f()"),
    "a code of others": ({"error_code": 336, "error_msg": "no such method"}, "no such method"),
    "Ollama's own API": ({"message": {"content": "x"}, "done": True}, "another API"),
    "Anthropic's API": ({"type": "message", "content": [{"type": "text", "text": "x"}]}, "another API"),
    "OpenAI's responses": ({"object": "response", "output": []}, "another API"),
    "an error of Ollama": ({"message": "model is loading"}, "model is loading"),
    "calls that are not there": (_ended("tool_calls", content=None, tool_calls=[]), "no call"),
    "calls of other APIs that are not there": (_ended("tool_use", content=""), "no call"),
    "an error in the choice": (
        {"choices": [{"message": {"content": ""}, "finish_reason": "error", "error": {"message": "upstream gone"}}]},
        "upstream gone",
    ),
    "an image alone": (message(content=[{"type": "image_url", "image_url": {"url": "x"}}]), "image_url"),
    "sound alone": (message(content=[{"type": "audio"}, {"type": "text", "text": ""}]), "audio"),
}


@pytest.mark.parametrize("kind", [["text"], {}, None, 1], ids=["list", "object", "nothing", "number"])
def test_a_part_of_a_kind_that_is_no_text_is_passed_over(kind: object) -> None:
    assert parse_chat(message(content=["f()", {"type": kind, "text": "g()"}])).text == "f()"


@pytest.mark.parametrize(("document", "words"), UNREADABLE.values(), ids=UNREADABLE)
def test_the_servers_words_are_shown(document: Any, words: str) -> None:
    with pytest.raises(UnreadableReply) as caught:
        parse_chat(document)
    assert words in str(caught.value)


PAGE = b"<html><head><script>var a = 1;</script><style>b {}</style></head><body><h1>Sign in</h1>to go on</body></html>"


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        (PAGE, "text/html; charset=utf-8", "text/html: Sign in to go on"),
        (b"upstream timed out", "text/plain", "text/plain: upstream timed out"),
        (b"", "", "no content type: nothing"),
        (b'data: {"choices": []}\n\n', "text/event-stream; charset=utf-8", "a stream without an answer"),
        (b'{"message": {}}\n{"message": {}}\n', "application/x-ndjson", "application/x-ndjson: {"),
        (b"<!DOCTYPE html><title>Log in</title>", "application/json", "application/json: Log in"),
        (b"[" * 100_000, "application/json", "application/json: [[["),
        (b"\xff\xfe", "application/json", "application/json"),
        (b"<script>" * 4000, "text/html", "text/html: nothing"),
    ],
    ids=[
        "page",
        "text",
        "nothing",
        "a stream",
        "lines",
        "a page by another name",
        "endlessly nested",
        "bytes",
        "scripts",
    ],
)
def test_a_body_that_is_no_json_is_shown(body: bytes, kind: str, words: str) -> None:
    with pytest.raises(UnreadableReply) as caught:
        parse_document(body, kind)
    assert words in str(caught.value)
    assert "var a" not in str(caught.value)
