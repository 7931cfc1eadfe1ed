"""Replies and errors of an OpenAI-compatible endpoint, parsed from status and JSON. Pure.

A request fails because the endpoint cannot serve any request, or because of this one. The first kind is infrastructure:
any other request would end the same, so the whole work stops and is tried again later. The second kind leaves other
requests alone.

Parsing is strict about what is scored, and lenient about what is only recorded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import openai

from bitagent_evaluator.support.text import join_lines, shorten

_MISCONFIGURED = frozenset({401, 403, 404, 405, 407})
"""Statuses of a missing or wrong key, or an unknown model or path: any request would get them."""
_OVERLOADED = frozenset({429, 502, 503, 504})
"""Statuses of an endpoint that takes no requests now: too many requests, or a proxy without a server."""
_RETRYABLE = frozenset({408, 409, 500})
"""Statuses of one request that may succeed in another attempt; if not, only this request failed."""
_MAX_MESSAGE = 300


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


@dataclass(frozen=True)
class FailedAttempt:
    """The consequence of an error of one attempt."""

    error: EndpointUnavailable | RequestFailed
    """Raised if there is no further attempt."""
    retryable: bool
    retry_after: str | None = None
    """The endpoint's Retry-After header."""


def classify_error(error: Exception, url: str) -> FailedAttempt:
    """Return the consequence of an error of one attempt.

    A timeout concerns the request only: an endpoint that is busy with a long answer to it may answer others.
    """
    if isinstance(error, TimeoutError | openai.APITimeoutError):
        return FailedAttempt(RequestFailed(RequestFailure.TIMED_OUT, f"{url} gave no answer in time"), retryable=True)
    if isinstance(error, openai.APIStatusError):
        return _classify_status(error, url)
    if isinstance(error, openai.APIConnectionError):
        cause = error.__cause__ or error
        return FailedAttempt(EndpointUnavailable(f"{url} cannot be reached: {cause}"), retryable=True)
    message = f"{url} sent what is not an answer: {_shorten(str(error))}"
    return FailedAttempt(RequestFailed(RequestFailure.UNREADABLE, message), retryable=True)


def _classify_status(error: openai.APIStatusError, url: str) -> FailedAttempt:
    status = error.status_code
    words = _shorten(_error_message(error))
    message = f"{url} answered {status}: {words}{_advice(status, words, url)}"
    retry_after = error.response.headers.get("retry-after")
    if status in _MISCONFIGURED:
        return FailedAttempt(EndpointUnavailable(message), retryable=False)
    if status in _OVERLOADED:
        return FailedAttempt(EndpointUnavailable(message), retryable=True, retry_after=retry_after)
    if status in _RETRYABLE or status > 500:
        failed = RequestFailed(RequestFailure.SERVER_ERROR, message)
        return FailedAttempt(failed, retryable=True, retry_after=retry_after)
    return FailedAttempt(RequestFailed(RequestFailure.REFUSED, message), retryable=False)


_ADVICE = (
    ("tool choice", "give its server a parser of calls, or ask with --tool-choice none: calls are then read here"),
    ("max_completion_tokens", "this is asked as servers of open models take it, with max_tokens: use one of these"),
    ("temperature", "answers are asked for greedily, with temperature 0, so that they can be repeated"),
)
"""What to do about a refusal, by what its words name."""


def _advice(status: int, words: str, url: str) -> str:
    if status in (404, 405) and not url.rstrip("/").endswith("/v1"):
        return "; an address mostly ends in /v1"
    return next((f"; {advice}" for name, advice in _ADVICE if name in words.lower()), "") if status < 500 else ""


def _error_message(error: openai.APIStatusError) -> str:
    """Return the message in the body if it has the API's form, else the body."""
    body = error.body
    if isinstance(body, dict) and isinstance(message := body.get("message"), str):
        return message
    return error.response.text or error.message


def _shorten(text: str) -> str:
    return shorten(join_lines(text), _MAX_MESSAGE)


@dataclass(frozen=True)
class ToolCall:
    """One call in the API's form."""

    name: str
    arguments: str
    """JSON text as the endpoint sent it; empty if it sent none."""


@dataclass(frozen=True)
class Reply:
    """The endpoint's answer to one request."""

    text: str
    """The answer; empty if there is none but calls or a thought."""
    tool_calls: tuple[ToolCall, ...]
    cut_off: bool
    """Whether the token limit ended the answer."""
    prompt_tokens: int
    """As counted by the endpoint; 0 if it does not report it."""
    completion_tokens: int
    thought: str = ""
    """The beginning of what the model thought, where the endpoint gives it apart from the answer."""


class UnreadableReply(ValueError):
    """The document does not have the API's form; the message says what is missing, in the server's words if it has
    any."""


def parse_document(body: bytes, content_type: str) -> Any:
    """Return the JSON document of a reply. Raises UnreadableReply, with the beginning of a text that is not JSON."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        kind = content_type.partition(";")[0].strip() or "no content type"
        kind = f"{kind}, a stream that was not asked for" if kind == "text/event-stream" else kind
        text = body[:_MAX_PAGE].decode(errors="replace")
        words = " ".join(_TAG.sub(" ", _INVISIBLE.sub(" ", text)).split()) if "html" in kind else text
        raise UnreadableReply(f"no JSON, but {kind}: {_shorten(words) or 'nothing'}") from None


_MAX_PAGE = 16_384
_INVISIBLE = re.compile(r"<(script|style)\b.*?(</\1\s*>|\Z)", re.DOTALL | re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*>?")


def parse_chat(document: Any) -> Reply:
    """Return the first choice of a chat completion.

    Raises UnreadableReply, and RequestFailed if a content filter left nothing of the answer.
    """
    choice = _first_choice(document)
    message = choice.get("message")
    if not isinstance(message, Mapping):
        raise UnreadableReply("a choice without a message")
    calls = message.get("tool_calls") or []
    if isinstance(calls, Mapping):
        calls = [calls]
    if not isinstance(calls, list):
        raise UnreadableReply("tool_calls that are not a list")
    if not calls and isinstance(message.get("function_call"), Mapping):  # the API before tools
        calls = [{"function": message["function_call"]}]
    content = message.get("content")
    if not calls and isinstance(content, list):
        calls = [_call_of_part(part) for part in content if _is_call(part)]
    if not calls and not content:
        content = message.get("refusal")
    reply = _reply(document, choice, content, tuple(_tool_call(call) for call in calls))
    reply = replace(reply, thought=_thought(message))
    if not reply.tool_calls and not reply.text.strip():
        _check_nothing(choice, content, reply)
    return reply


def _check_nothing(choice: Mapping[str, Any], content: Any, reply: Reply) -> None:
    """Raise an error if a reply without text and calls is something else than an answer without words."""
    reason = str(choice.get("finish_reason"))
    if words := _error_words({"error": choice.get("error")}):
        raise UnreadableReply(f"an error: {words}")
    if reason in _FILTERED:
        message = f"the endpoint stopped the answer: finish_reason is {reason}"
        raise RequestFailed(RequestFailure.REFUSED, message)
    if reason in _CALLED:
        raise UnreadableReply(f"finish_reason {reason} and no call: the server's parser of calls may have failed")
    kinds = (
        {str(part.get("type")) for part in content if isinstance(part, Mapping)} if isinstance(content, list) else ()
    )
    if not reply.thought and (unknown := sorted(set(kinds) - _TEXT_PARTS - _THOUGHT_PARTS)):
        raise UnreadableReply(f"content with nothing but parts of type {_shorten(', '.join(unknown))}")


_CUT = frozenset({"length", "max_tokens", "MAX_TOKENS", "model_length"})
"""Finish reasons of an answer that the limit ended: OpenAI's, and those that proxies pass on from other APIs."""
_FILTERED = frozenset({"content_filter", "SAFETY", "safety", "refusal", "RECITATION", "PROHIBITED_CONTENT"})
_CALLED = frozenset({"tool_calls", "function_call", "tool_use"})


def parse_completion(document: Any) -> Reply:
    """Return the first choice of a completion. Raises UnreadableReply."""
    choice = _first_choice(document)
    return _reply(document, choice, choice.get("text"), ())


_OF_OTHER_APIS = ("message", "content", "output", "candidates", "response", "generated_text")
"""Members of replies of Ollama, Anthropic, OpenAI's responses, Gemini and others."""


def _first_choice(document: Any) -> Mapping[str, Any]:
    choices = document.get("choices") if isinstance(document, Mapping) else None
    if isinstance(document, Mapping) and not choices and (words := _error_words(document)):
        raise UnreadableReply(f"an error: {words}")
    if isinstance(document, Mapping) and choices is None and any(name in document for name in _OF_OTHER_APIS):
        raise UnreadableReply("a reply of another API: give the address of its OpenAI-compatible one, mostly in /v1")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], Mapping):
        raise UnreadableReply("a document without choices")
    return choices[0]


def _error_words(document: Mapping[str, Any]) -> str:
    """The words of an error inside a reply with status 200, as proxies and some servers send it; empty if it is none.

    `{"error": {"message": ...}}` is OpenAI's form, `{"object": "error", "message": ...}` that of older vLLM,
    `{"detail": ...}` FastAPI's.
    """
    error = document.get("error")
    found = [error.get("message"), error.get("code"), error.get("type")] if isinstance(error, Mapping) else [error]
    found += [document.get("message"), document.get("detail")]
    words = next((value for value in found if isinstance(value, str) and value.strip()), None)
    if words is None and error:
        words = json.dumps(error, ensure_ascii=False)
    return _shorten(words or "")


_TEXT_PARTS = frozenset({"text", "output_text", "refusal"})
_THOUGHT_PARTS = frozenset({"thinking", "reasoning", "redacted_thinking"})
_THOUGHTS = ("reasoning_content", "reasoning", "reasoning_text", "thinking", "reasoning_details")
"""Members of a message with the model's thought, as vLLM, SGLang, DeepSeek, OpenRouter and Ollama call it."""
_IN_THOUGHTS = ("text", "thinking", "reasoning", "summary", "content")
"""Members of the parts of a thought that have its text."""
_MAX_THOUGHT = 16_384
"""Most characters of a thought that are kept."""
_MAX_LEVELS = 4


def _thought(message: Mapping[str, Any]) -> str:
    """Return the beginning of a message's thought; empty without one."""
    content = message.get("content")
    parts = content if isinstance(content, list) else []
    own = [part for part in parts if isinstance(part, Mapping) and str(part.get("type")) in _THOUGHT_PARTS]
    found = (_thought_text(value) for value in (*(message.get(name) for name in _THOUGHTS), own))
    return _replace_surrogates(next(filter(str.strip, found), "")[:_MAX_THOUGHT])


def _thought_text(value: Any, level: int = 0) -> str:
    if isinstance(value, str):
        return value
    if level < _MAX_LEVELS and isinstance(value, list):
        return "".join(_thought_text(part, level + 1) for part in value)
    if level < _MAX_LEVELS and isinstance(value, Mapping):
        return next(filter(None, (_thought_text(value.get(name), level + 1) for name in _IN_THOUGHTS)), "")
    return ""


def _content(value: Any) -> str:
    """Return the text of a message's content: a text, or a list of parts, of which only those of text count.

    Servers of reasoning models put thoughts into parts of their own (`thinking`, `reasoning`); they are not part of the
    answer. Raises UnreadableReply.
    """
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        raise UnreadableReply("content that is not a text")
    parts = []
    for part in value:
        if isinstance(part, str):
            parts.append(part)
        elif not isinstance(part, Mapping):
            raise UnreadableReply("content with a part that is not an object")
        elif str(part.get("type", "text")) in _TEXT_PARTS:
            text = part.get("text", part.get("refusal"))
            if not isinstance(text, str):
                raise UnreadableReply("content with a text part without a text")
            parts.append(text)
    return "".join(parts)


_CALL_PART = re.compile(r"(?:tool|function)[_-]?(?:use|call)")
"""Types of parts of a content that are calls, as servers have them that translate from Anthropic's API."""


def _is_call(part: Any) -> bool:
    return isinstance(part, Mapping) and _CALL_PART.fullmatch(str(part.get("type"))) is not None


def _call_of_part(part: Mapping[str, Any]) -> Any:
    """Return a part in the form of a tool call: without a name it has none, which is not passed over."""
    if "function" in part:
        return part
    return {"function": {"name": part.get("name"), "arguments": part.get("arguments", part.get("input"))}}


def _tool_call(call: Any) -> ToolCall:
    function = call.get("function") if isinstance(call, Mapping) else None
    if not isinstance(function, Mapping) or not isinstance(name := function.get("name"), str):
        raise UnreadableReply("a tool call without a function's name")
    arguments = function.get("arguments")
    if isinstance(arguments, Mapping):  # some servers give the object itself
        arguments = json.dumps(arguments, ensure_ascii=False)
    return ToolCall(_replace_surrogates(name), _replace_surrogates(arguments) if isinstance(arguments, str) else "")


def _reply(document: Any, choice: Mapping[str, Any], text: Any, calls: tuple[ToolCall, ...]) -> Reply:
    usage = document.get("usage")
    counts = usage if isinstance(usage, Mapping) else {}
    return Reply(
        text=_replace_surrogates(_content(text)),
        tool_calls=calls,
        cut_off=str(choice.get("finish_reason")) in _CUT,
        prompt_tokens=_count(counts.get("prompt_tokens")),
        completion_tokens=_count(counts.get("completion_tokens")),
    )


def _replace_surrogates(text: str) -> str:
    """Return the text without lone surrogates, which JSON can escape but UTF-8 cannot encode."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value >= 0 else 0
