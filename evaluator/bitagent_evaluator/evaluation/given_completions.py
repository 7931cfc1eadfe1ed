"""Answers in the forms in which programs keep an API's replies.

    {"custom_id": "t1", "response": {"status_code": 200, "body": {"choices": [...]}}}    batches, also vLLM's
    {"custom_id": "t1", "response": {"body": {"object": "response", "output": [...]}}}   batches of responses
    {"custom_id": "t1", "result": {"type": "succeeded", "message": {"content": [...]}}}  Anthropic's batches
    {"id": "t1", "choices": [{"message": {...}, "finish_reason": "stop"}], ...}          a reply as it is
    {"id": "t1", "output": {"choices": [{"message": {...}, "stop_reason": "stop"}]}}     Inspect's samples
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
        if isinstance(body, Mapping) and isinstance(body.get("output"), list):
            return _of_items(body)
        raise FailedRequest(_words(line.get("error")) or _words(body) or "no reply")
    if isinstance(result := line.get("result"), Mapping) and isinstance(result.get("type"), str):
        message = result.get("message")
        if not isinstance(message, Mapping):
            raise FailedRequest(_words(result.get("error")) or f"the request has {result['type']}")
        return {"choices": [{"message": message, "finish_reason": message.get("stop_reason")}]}
    if isinstance(output := line.get("output"), Mapping) and isinstance(output.get("choices"), list):
        named = [each for each in output["choices"] if isinstance(each, Mapping)]
        return {"choices": [{"finish_reason": each.get("stop_reason"), **each} for each in named]}
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


def _of_items(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the reply of OpenAI's responses, a list of items, as one with a message. Raises FailedRequest."""
    items = [item for item in body["output"] if isinstance(item, Mapping)]
    texts = [item.get("content") for item in items if item.get("type") == "message"]
    parts = [part for content in texts if isinstance(content, list) for part in content]
    calls = [item for item in items if str(item.get("type")).endswith("_call") and item.get("name")]
    if not parts and not calls:
        raise FailedRequest(_words(body.get("error")) or "no message and no call")
    details = body.get("incomplete_details")
    reason = details.get("reason") if isinstance(details, Mapping) else None
    return {"choices": [{"message": {"content": parts, "tool_calls": calls}, "finish_reason": reason}]}


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
