"""Answers that an endpoint streams, as the document that it would have sent at once. Pure.

A stream is a sequence of server-sent events, each with a chunk in JSON:

    data: {"choices": [{"index": 0, "delta": {"content": "[f("}}]}
    data: {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": "{"}}]}}]}
    data: [DONE]

A stream that ends before its answer does is an error: a part of an answer would be scored as the answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from bitagent_evaluator.engines.openai_errors import UnreadableReply, shown

_EVENT = re.compile(rb"\s*(?:(?:data|event):|: )")
_LINE_END = re.compile(r"\r\n|\n|\r")
_DONE = "[DONE]"
_THOUGHTS = ("reasoning_content", "reasoning", "reasoning_text", "thinking")


def is_stream(body: bytes, content_type: str) -> bool:
    """Whether a body is a stream of events: by its type, or by how it begins."""
    return content_type.partition(";")[0].strip().lower() == "text/event-stream" or bool(_EVENT.match(body))


def join_stream(body: bytes) -> dict[str, Any]:
    """Return the document of a streamed answer, or of the error in it. Raises UnreadableReply."""
    joined: dict[str, Any] = {}
    answer = _Answer()
    done = False
    for data in _events(body.decode("utf-8-sig", errors="replace")):
        if data == _DONE:
            done = True
            break
        try:
            chunk = json.loads(data)
        except (ValueError, RecursionError):
            raise UnreadableReply(f"a stream with an event that is not JSON: {shown(data)}") from None
        if not isinstance(chunk, Mapping):
            raise UnreadableReply(f"a stream with an event that is not an object: {shown(data)}")
        is_answer = bool(chunk.get("choices")) and not chunk.get("error")
        if not is_answer and any(chunk.get(name) for name in ("error", "message", "detail")):
            return {**chunk, "choices": None}
        joined |= {name: chunk[name] for name in ("model", "usage") if chunk.get(name)}
        answer.add(chunk.get("choices"))
    if answer.is_empty and not done:
        raise UnreadableReply("a stream without an answer")
    if not done and answer.finish_reason is None:
        raise UnreadableReply("a stream that ended before its answer: no finish_reason, no [DONE]")
    return joined | {"choices": [answer.choice()]}


def _events(text: str) -> Iterator[str]:
    """Yield the data of each event; lines end in any way, comments are left out."""
    lines: list[str] = []
    for line in _LINE_END.split(text):
        name, _, value = line.partition(":")
        if name == "data":
            lines.append(value.removeprefix(" "))
        elif not line and lines:
            yield "\n".join(lines).strip()
            lines = []
    if lines:
        yield "\n".join(lines).strip()


class _Answer:
    """The first choice of a stream, as far as its chunks were added."""

    def __init__(self) -> None:
        self.finish_reason: Any = None
        self.is_empty = True
        self._index: Any = None
        self._message: dict[str, Any] = {}
        self._content: list[Any] = []
        self._text: str | None = None
        self._error: Any = None
        self._calls: list[dict[str, Any]] = []
        self._places: list[tuple[Any, Any]] = []

    def add(self, choices: Any) -> None:
        """Add a chunk's part of the first choice."""
        for choice in choices if isinstance(choices, list) else ():
            if not isinstance(choice, Mapping):
                raise UnreadableReply("a stream with a choice that is not an object")
            if self.is_empty:
                self._index = choice.get("index")
            if choice.get("index") == self._index:
                self.is_empty = False
                self._add(choice)

    def _add(self, choice: Mapping[str, Any]) -> None:
        self.finish_reason = choice.get("finish_reason") or self.finish_reason
        self._error = choice.get("error") or self._error
        if isinstance(text := choice.get("text"), str):
            self._text = (self._text or "") + text
        whole = choice.get("message")
        if isinstance(whole, Mapping) and not choice.get("delta"):  # some servers end with the whole message
            self._message, self._content, self._calls = dict(whole), [], []
            return
        delta = choice.get("delta")
        if not isinstance(delta, Mapping):
            return
        content = delta.get("content")
        self._content += content if isinstance(content, list) else [content] if content else []
        for name in (*_THOUGHTS, "refusal"):
            if isinstance(part := delta.get(name), str):
                self._message[name] = self._message.get(name, "") + part
        calls = delta.get("tool_calls")
        for call in calls if isinstance(calls, list) else ():
            self._add_call(call)
        if isinstance(function := delta.get("function_call"), Mapping):
            self._add_call({"index": 0, "function": function})

    def _add_call(self, call: Any) -> None:
        """Add a part of a call, to the call with its place: the index, unless another id begins another call."""
        if not isinstance(call, Mapping) or not isinstance(function := call.get("function"), Mapping):
            raise UnreadableReply("a stream with a part of a call that has no function")
        index, identity, name = call.get("index"), call.get("id"), function.get("name")
        place = next((at for at in reversed(range(len(self._calls))) if self._places[at][0] == index), None)
        is_next = bool(name) and (bool(identity) or index is None)
        if place is None or (is_next and (index is None or self._places[place][1] not in (None, "", identity))):
            self._places.append((index, identity))
            self._calls.append({"name": name, "arguments": function.get("arguments")})
            return
        joined, arguments = self._calls[place], function.get("arguments")
        if not joined["name"]:
            joined["name"] = name
        elif name and name != joined["name"]:
            joined["name"] = f"{joined['name']}{name}"
        if isinstance(arguments, str) and isinstance(joined["arguments"] or "", str):
            joined["arguments"] = (joined["arguments"] or "") + arguments
        elif arguments:
            joined["arguments"] = arguments

    def choice(self) -> dict[str, Any]:
        """Return the choice as a document has it."""
        found: dict[str, Any] = {"finish_reason": self.finish_reason, "error": self._error}
        if self._text is not None:
            found["text"] = self._text
        message = dict(self._message)
        if self._content:
            texts_only = all(isinstance(part, str) for part in self._content)
            message["content"] = "".join(self._content) if texts_only else self._content
        if self._calls:
            message["tool_calls"] = [{"function": call} for call in self._calls]
        return found | {"message": message}
