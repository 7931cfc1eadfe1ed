"""Answers in the forms in which programs keep an API's replies.

    {"custom_id": "t1", "response": {"status_code": 200, "body": {"choices": [...]}}}    batches, also vLLM's
    {"id": "t1", "choices": [{"message": {...}, "finish_reason": "stop"}], ...}          a reply as it is
    {"id": "t1", "message": {"content": ..., "tool_calls": [...]}}                       the message alone
    {"id": "t1", "tool_calls": [...]}                                                    its calls alone
    {"id": "t1", "messages": [..., {"role": "assistant", ...}]}                          the chat with the answer

They are read as the replies of an endpoint are.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any


class FailedRequest(ValueError):
    """Raised for a line of a request that has no answer; the message has the server's words."""


def completion_of(line: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the reply of the API in a line; None if it has none. Raises FailedRequest."""
    response = line.get("response")
    if "custom_id" in line and (isinstance(response, Mapping) or line.get("error")):
        body = response.get("body") if isinstance(response, Mapping) else None
        if isinstance(body, Mapping) and body.get("choices"):
            return body
        raise FailedRequest(_words(line.get("error")) or _words(body) or "no reply")
    if isinstance(line.get("choices"), list):
        return line
    if isinstance(line.get("message"), Mapping):
        return {"choices": [{"message": line["message"]}]}
    if isinstance(line.get("tool_calls"), list):
        return {"choices": [{"message": line}]}
    chat = line.get("messages")
    last = chat[-1] if isinstance(chat, list) and chat else None
    is_answer = isinstance(last, Mapping) and last.get("role") == "assistant"
    return {"choices": [{"message": last}]} if is_answer else None


def response_of(task_id: Any, completion: Mapping[str, Any], functions: Collection[str]) -> dict[str, Any]:
    """Return the members of a response to a task. `functions` are the names of those offered.

    Raises FailedRequest if the reply does not have the API's form.
    """
    # Here, since the API's client takes long to import and few files need it.
    from bitagent_evaluator.engines.openai_errors import RequestFailed
    from bitagent_evaluator.engines.openai_replies import parse_chat
    from bitagent_evaluator.evaluation.endpoint_prompts import allowed_names, reply_text

    try:
        reply = parse_chat(completion)
    except (RequestFailed, ValueError) as error:
        raise FailedRequest(str(error)) from error
    return {
        "id": task_id,
        "text": reply_text(reply, {sent: name for name, sent in allowed_names(functions).items()}),
        "finish_reason": "length" if reply.cut_off else "stop",
        "prompt_tokens": reply.prompt_tokens,
        "completion_tokens": reply.completion_tokens,
    }


def _words(error: Any) -> str:
    inner = error.get("error", error.get("message")) if isinstance(error, Mapping) else error
    return inner if isinstance(inner, str) else _words(inner) if isinstance(inner, Mapping) else ""
