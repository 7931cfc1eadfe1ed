"""Replies of endpoints as they are, and what is said about those that cannot be read."""

from __future__ import annotations

from typing import Any

import httpx
import openai
import pytest

from bitagent_evaluator.engines.openai_replies import (
    RequestFailed,
    RequestFailure,
    UnreadableReply,
    classify_error,
    parse_chat,
    parse_document,
)

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


@pytest.mark.parametrize(
    ("reason", "cut"), [("length", True), ("max_tokens", True), ("MAX_TOKENS", True), ("stop", False), (None, False)]
)
def test_the_limit_by_any_name(reason: str | None, cut: bool) -> None:
    document = message(content="[f(")
    document["choices"][0]["finish_reason"] = reason
    assert parse_chat(document).cut_off is cut


@pytest.mark.parametrize("reason", ["content_filter", "SAFETY", "refusal"])
def test_an_answer_that_a_filter_took_is_refused_not_empty(reason: str) -> None:
    document = message(content="")
    document["choices"][0]["finish_reason"] = reason
    with pytest.raises(RequestFailed) as caught:
        parse_chat(document)
    assert (caught.value.failure, reason in str(caught.value)) == (RequestFailure.REFUSED, True)
    document["choices"][0]["message"]["content"] = "I cannot"
    assert parse_chat(document).text == "I cannot"


@pytest.mark.parametrize("reason", [{}, ["length"], 3], ids=["an object", "a list", "a number"])
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
        (b'data: {"choices": []}\n\n', "text/event-stream; charset=utf-8", "not asked for: data:"),
        (b"[" * 100_000, "application/json", "application/json: [[["),
        (b"\xff\xfe", "application/json", "application/json"),
        (b"<script>" * 4000, "text/html", "text/html: nothing"),
    ],
    ids=["page", "text", "nothing", "a stream", "endlessly nested", "bytes", "scripts"],
)
def test_a_body_that_is_no_json_is_shown(body: bytes, kind: str, words: str) -> None:
    with pytest.raises(UnreadableReply) as caught:
        parse_document(body, kind)
    assert words in str(caught.value)
    assert "var a" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "words", "url", "advice"),
    [
        (404, "Not Found", "http://a:1", "/v1"),
        (405, "Method Not Allowed", "http://a:1/api", "/v1"),
        (404, "no model m", "http://a:1/v1", ""),
        (400, '"auto" tool choice requires --enable-auto-tool-choice', "http://a:1/v1", "--tool-choice none"),
        (400, "Use 'max_completion_tokens' instead.", "http://a:1/v1", "max_tokens"),
        (400, "'temperature' does not support 0", "http://a:1/v1", "greedily"),
        (500, "temperature sensor", "http://a:1/v1", ""),
        (400, "too long", "http://a:1/v1", ""),
    ],
)
def test_a_refusal_says_what_to_do(status: int, words: str, url: str, advice: str) -> None:
    request = httpx.Request("POST", url)
    response = httpx.Response(status, json={"error": {"message": words}}, request=request)
    error = openai.APIStatusError("x", response=response, body={"message": words})
    shown = str(classify_error(error, url).error).partition(words)[2]
    assert shown.endswith(advice) if not advice else advice in shown
    assert bool(shown) is bool(advice)
