"""Replies of an OpenAI-compatible endpoint, parsed from JSON. Pure.

Parsing is strict about what is scored, and lenient about what is only recorded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from bitagent_evaluator.engines.openai_errors import (
    ErrorReply,
    RequestFailed,
    RequestFailure,
    UnreadableReply,
    shown,
    words_of_page,
)
from bitagent_evaluator.engines.openai_streams import is_stream, join_stream


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
    model: str = ""
    """The model that answered, as the endpoint calls it; empty if it does not say."""


def parse_document(body: bytes, content_type: str) -> Any:
    """Return the JSON document of a reply, also of one that was streamed or is JSON in a JSON text.

    Raises UnreadableReply, with the beginning of a text that is not JSON.
    """
    if is_stream(body, content_type):
        return join_stream(body)
    try:
        document = json.loads(body)
        return json.loads(document) if isinstance(document, str) and document.lstrip().startswith("{") else document
    except (ValueError, RecursionError):
        kind = content_type.partition(";")[0].strip() or "no content type"
        raise UnreadableReply(f"no JSON, but {kind}: {words_of_page(body, kind) or 'nothing'}") from None


def parse_chat(document: Any) -> Reply:
    """Return the first choice of a chat completion.

    Raises UnreadableReply, and RequestFailed if a content filter left nothing of the answer.
    """
    choice = _first_choice(document)
    _check_whole(choice)
    message = choice.get("message") or choice.get("delta")
    if not isinstance(message, Mapping):
        raise UnreadableReply("a choice without a message")
    calls = message.get("tool_calls") or []
    if isinstance(calls, str):
        calls = _calls_in(calls)
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


def _check_whole(choice: Mapping[str, Any]) -> None:
    """Raise an error if the server broke the answer off: what there is of it would be scored as the answer."""
    reason = _reason(choice)
    if words := _error_words({"error": choice.get("error")}):
        error = _error_reply(choice["error"], words)
        # The answer had begun: the endpoint takes requests, and failed in this one.
        raise ErrorReply(500, words) if isinstance(error, ErrorReply) and error.status > 500 else error
    if reason in _OUT_OF_TIME:
        raise ErrorReply(408, f"finish_reason is {reason}: the server ended the answer")
    if reason in _OUT_OF_RESOURCES:
        raise ErrorReply(503, f"finish_reason is {reason}: the server ran out of resources")
    if reason in _BROKEN:
        raise UnreadableReply(f"an answer that the server broke off: finish_reason is {reason}")


def _check_nothing(choice: Mapping[str, Any], content: Any, reply: Reply) -> None:
    """Raise an error if a reply without text and calls is something else than an answer without words."""
    reason = _reason(choice)
    if reason in _FILTERED:
        message = f"the endpoint stopped the answer: finish_reason is {choice.get('finish_reason')}"
        raise RequestFailed(RequestFailure.REFUSED, message)
    if reason in _CALLED:
        raise UnreadableReply(f"finish_reason {reason} and no call: the server's parser of calls may have failed")
    kinds = (
        {str(part.get("type")) for part in content if isinstance(part, Mapping)} if isinstance(content, list) else ()
    )
    if not reply.thought and (unknown := sorted(set(kinds) - _TEXT_PARTS - _THOUGHT_PARTS)):
        raise UnreadableReply(f"content with nothing but parts of type {shown(', '.join(unknown))}")


def _reason(choice: Mapping[str, Any]) -> str:
    """Return why an answer ended: a text, or the type of an object, as SGLang's own API has it."""
    reason = choice.get("finish_reason")
    reason = reason.get("type") if isinstance(reason, Mapping) else reason
    return str(reason).lower().replace("-", "_").removeprefix("finish_reason_")


_CUT = frozenset(
    {
        *("length", "max_tokens", "model_length", "max_length", "max_output_tokens", "max_new_tokens", "token_limit"),
        *("model_context_window_exceeded", "context_length_exceeded"),
    }
)
"""Finish reasons of an answer that a limit ended: OpenAI's, and those that proxies pass on from other APIs."""
_FILTERED = frozenset(
    {
        *("content_filter", "content_filtered", "safety", "refusal", "recitation", "prohibited_content", "blocklist"),
        *("spii", "sensitive", "guardrail_intervened", "error_toxic"),
    }
)
_CALLED = frozenset({"tool_calls", "tool_call", "function_call", "tool_use", "malformed_function_call"})
_BROKEN = frozenset({"error", "abort", "aborted", "cancelled", "canceled", "network_error", "internal_error"})
"""Finish reasons of an answer that the server did not bring to its end: vLLM's, SGLang's, OpenRouter's, GLM's."""
_OUT_OF_RESOURCES = frozenset({"insufficient_system_resource", "overloaded"})
_OUT_OF_TIME = frozenset({"timeout", "time_limit"})


def parse_completion(document: Any) -> Reply:
    """Return the first choice of a completion. Raises UnreadableReply."""
    choice = _first_choice(document)
    _check_whole(choice)
    if choice.get("text") is None and isinstance(message := choice.get("message"), Mapping):
        return _reply(document, choice, message.get("content"), ())
    return _reply(document, choice, choice.get("text"), ())


_OF_OTHER_APIS = ("message", "content", "output", "candidates", "response", "generated_text")
"""Members of replies of Ollama, Anthropic, OpenAI's responses, Gemini and others."""


def _first_choice(document: Any) -> Mapping[str, Any]:
    choices = document.get("choices") if isinstance(document, Mapping) else None
    if isinstance(document, Mapping) and not choices and (words := _error_words(document)):
        raise _error_reply(document.get("error") or document, words)
    if isinstance(document, Mapping) and choices is None and any(name in document for name in _OF_OTHER_APIS):
        raise UnreadableReply("a reply of another API: give the address of its OpenAI-compatible one, mostly in /v1")
    if isinstance(choices, Mapping):
        choices = [choices]
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], Mapping):
        raise UnreadableReply(f"a document without choices: {shown(json.dumps(document, ensure_ascii=False))}")
    return choices[0]


def _error_words(document: Mapping[str, Any]) -> str:
    """The words of an error inside a reply with status 200, as proxies and some servers send it; empty if it is none.

    `{"error": {"message": ...}}` is OpenAI's form, `{"object": "error", "message": ...}` that of older vLLM,
    `{"detail": ...}` FastAPI's.
    """
    error = document.get("error")
    found = [error.get("message"), error.get("code"), error.get("type")] if isinstance(error, Mapping) else [error]
    found += [document.get("message"), document.get("detail"), document.get("error_msg"), document.get("msg")]
    words = next((value for value in found if isinstance(value, str) and value.strip()), None)
    if words is None and error:
        words = json.dumps(error, ensure_ascii=False)
    return shown(words or "")


def _error_reply(error: Any, words: str) -> UnreadableReply:
    """Return an error as the status that it names, or as one that names none."""
    named = [error.get(name) for name in ("code", "status", "status_code")] if isinstance(error, Mapping) else []
    for value in named:
        if str(value).isdecimal() and 400 <= int(str(value)) < 600:
            return ErrorReply(int(str(value)), words)
    kinds = [str(error.get(name)) for name in ("code", "type", "status")] if isinstance(error, Mapping) else []
    status = next((_STATUSES[kind.lower()] for kind in kinds if kind.lower() in _STATUSES), None)
    return UnreadableReply(f"an error: {words}") if status is None else ErrorReply(status, words)


_STATUSES = {
    "insufficient_quota": 402,
    "insufficient_balance": 402,
    "invalid_api_key": 401,
    "authentication_error": 401,
    "model_not_found": 404,
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "resource_exhausted": 429,
    "overloaded_error": 503,
    "unavailable": 503,
}
"""Statuses of errors by what their codes or types are called."""


def _calls_in(text: str) -> Any:
    """Return the calls in a text of JSON, as some servers write the list."""
    try:
        return json.loads(text) if text.strip() else []
    except (ValueError, RecursionError):
        raise UnreadableReply(f"tool_calls that are a text without JSON: {shown(text)}") from None


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
    """Return a call, from OpenAI's form or from one without `function` around name and arguments.

    Arguments that are no text are written as JSON: some servers give the object itself.
    """
    function = call.get("function", call) if isinstance(call, Mapping) else None
    if isinstance(function, str):
        function = {**call, "name": function}
    if not isinstance(function, Mapping) or not isinstance(name := function.get("name"), str) or not name.strip():
        raise UnreadableReply("a tool call without a function's name")
    arguments = next((function[name] for name in _ARGUMENTS if function.get(name) is not None), "")
    if not isinstance(arguments, str):
        arguments = json.dumps(arguments, ensure_ascii=False)
    return ToolCall(_replace_surrogates(name), _replace_surrogates(arguments))


_ARGUMENTS = ("arguments", "parameters", "input", "args")


def _reply(document: Any, choice: Mapping[str, Any], text: Any, calls: tuple[ToolCall, ...]) -> Reply:
    usage = document.get("usage")
    counts = usage if isinstance(usage, Mapping) else {}
    return Reply(
        text=_replace_surrogates(_content(text)),
        tool_calls=calls,
        cut_off=_reason(choice) in _CUT,
        prompt_tokens=_count(counts.get("prompt_tokens", counts.get("input_tokens"))),
        completion_tokens=_count(counts.get("completion_tokens", counts.get("output_tokens"))),
        model=model if isinstance(model := document.get("model"), str) else "",
    )


def _replace_surrogates(text: str) -> str:
    """Return the text without lone surrogates, which JSON can escape but UTF-8 cannot encode."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _count(value: Any) -> int:
    """Return a number of tokens, also where it is a text or a decimal fraction; 0 for anything else."""
    try:
        count = int(float(value)) if isinstance(value, str | float | int) else 0
    except (ValueError, OverflowError):
        return 0
    return max(count, 0)
