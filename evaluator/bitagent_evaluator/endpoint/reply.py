"""What an endpoint answered, read from its JSON. Strict about what counts, forgiving about what is only for the record."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ToolCall:
    """One call in the API's form."""

    name: str
    arguments: str
    """JSON text, as the endpoint gave it; empty if it gave none."""


@dataclass(frozen=True)
class Reply:
    """An answer."""

    text: str
    tool_calls: tuple[ToolCall, ...]
    cut_off: bool
    """Whether the token limit ended it."""
    prompt_tokens: int
    """As the endpoint counts; 0 if it does not tell."""
    completion_tokens: int


class Unreadable(ValueError):
    """The document is no answer; the message says what is missing."""


def chat_reply(document: Any) -> Reply:
    """The first choice of a chat completion. Raises Unreadable."""
    choice = _first_choice(document)
    message = choice.get("message")
    if not isinstance(message, Mapping):
        raise Unreadable("a choice without a message")
    calls = message.get("tool_calls") or []
    if not isinstance(calls, list):
        raise Unreadable("tool_calls that are no list")
    return _reply(document, choice, message.get("content"), tuple(_tool_call(call) for call in calls))


def completion_reply(document: Any) -> Reply:
    """The first choice of a completion. Raises Unreadable."""
    choice = _first_choice(document)
    return _reply(document, choice, choice.get("text"), ())


def _first_choice(document: Any) -> Mapping[str, Any]:
    choices = document.get("choices") if isinstance(document, Mapping) else None
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], Mapping):
        raise Unreadable("a document without choices")
    return choices[0]


def _tool_call(call: Any) -> ToolCall:
    function = call.get("function") if isinstance(call, Mapping) else None
    if not isinstance(function, Mapping) or not isinstance(name := function.get("name"), str):
        raise Unreadable("a tool call without a function's name")
    arguments = function.get("arguments")
    if isinstance(arguments, Mapping):  # some servers give the object itself
        arguments = json.dumps(arguments, ensure_ascii=False)
    return ToolCall(_whole(name), _whole(arguments) if isinstance(arguments, str) else "")


def _reply(document: Any, choice: Mapping[str, Any], text: Any, calls: tuple[ToolCall, ...]) -> Reply:
    if text is None:
        text = ""
    if not isinstance(text, str):
        raise Unreadable("content that is no text")
    usage = document.get("usage")
    counts = usage if isinstance(usage, Mapping) else {}
    return Reply(
        text=_whole(text),
        tool_calls=calls,
        cut_off=choice.get("finish_reason") == "length",
        prompt_tokens=_count(counts.get("prompt_tokens")),
        completion_tokens=_count(counts.get("completion_tokens")),
    )


def _whole(text: str) -> str:
    """The text with halves of characters replaced, which JSON can escape but no file can hold."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value >= 0 else 0
