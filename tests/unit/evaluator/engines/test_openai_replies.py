"""Replies of endpoints as they are, and what is said about those that cannot be read."""

from __future__ import annotations

from typing import Any

import pytest

from bitagent_evaluator.engines.openai_replies import UnreadableReply, parse_chat, parse_document

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
        (b"[" * 100_000, "application/json", "application/json: [[["),
        (b"\xff\xfe", "application/json", "application/json"),
        (b"<script>" * 4000, "text/html", "text/html: nothing"),
    ],
    ids=["page", "text", "nothing", "endlessly nested", "bytes", "scripts"],
)
def test_a_body_that_is_no_json_is_shown(body: bytes, kind: str, words: str) -> None:
    with pytest.raises(UnreadableReply) as caught:
        parse_document(body, kind)
    assert words in str(caught.value)
    assert "var a" not in str(caught.value)
