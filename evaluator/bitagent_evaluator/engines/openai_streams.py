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
from dataclasses import dataclass, field
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
            if answer.is_empty:
                return {**chunk, "choices": None}
            error = next(chunk[name] for name in ("error", "message", "detail") if chunk.get(name))
            return {"choices": [{"message": {}, "error": error}]}
        joined |= {name: chunk[name] for name in ("model", "usage") if chunk.get(name)}
        answer.add(chunk.get("choices"))
    if answer.is_empty and not done:
        raise UnreadableReply("a stream without an answer")
    if not done and answer.finish_reason is None:
        raise UnreadableReply("a stream that ended before its answer: no finish_reason, no [DONE]")
    return joined | {"choices": [answer.choice()]}


def _events(text: str) -> Iterator[str]:
    """Yield the data of each event that has any; lines end in any way, comments are left out."""
    lines: list[str] = []
    for line in _LINE_END.split(text):
        name, _, value = line.partition(":")
        if name == "data":
            lines.append(value.removeprefix(" "))
        elif not line:
            if data := "\n".join(lines).strip():
                yield data
            lines = []
    if data := "\n".join(lines).strip():
        yield data


@dataclass
class _Call:
    """A call, as far as its parts were added."""

    identity: Any
    names: list[Any]
    texts: list[str] = field(default_factory=list)
    value: Any = None
    """Arguments that are no text."""

    def add(self, name: Any, arguments: Any) -> None:
        """Add a part: of the name, unless it is the whole name again, and of the arguments."""
        if name and self.names != [name]:
            self.names.append(name)
        if isinstance(arguments, str) and self.value is None:
            self.texts.append(arguments)
        elif arguments:
            self.value = arguments

    def document(self) -> dict[str, Any]:
        """Return the call as a document has it."""
        name = self.names[0] if len(self.names) == 1 else "".join(map(str, self.names))
        return {"function": {"name": name, "arguments": "".join(self.texts) if self.value is None else self.value}}


class _Answer:
    """The first choice of a stream, as far as its chunks were added."""

    def __init__(self) -> None:
        self.finish_reason: Any = None
        self.is_empty = True
        self._index: Any = None
        self._whole: dict[str, Any] = {}
        self._texts: dict[str, list[str]] = {}
        self._content: list[Any] = []
        self._error: Any = None
        self._calls: list[_Call] = []
        self._last: dict[str, _Call] = {}
        """The last call of each place."""

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
        self._add_text("text", choice.get("text"))
        whole = choice.get("message")
        if isinstance(whole, Mapping) and not choice.get("delta"):  # some servers end with the whole message
            self._whole, self._content, self._calls, self._last = dict(whole), [], [], {}
            self._texts = {name: texts for name, texts in self._texts.items() if name == "text"}
            return
        delta = choice.get("delta")
        if not isinstance(delta, Mapping):
            return
        content = delta.get("content")
        self._content += content if isinstance(content, list) else [content] if content else []
        for name in (*_THOUGHTS, "refusal"):
            self._add_text(name, delta.get(name))
        calls = delta.get("tool_calls")
        for call in calls if isinstance(calls, list) else ():
            self._add_call(call)
        if isinstance(function := delta.get("function_call"), Mapping):
            self._add_call({"index": 0, "function": function})

    def _add_text(self, name: str, part: Any) -> None:
        if isinstance(part, str):
            self._texts.setdefault(name, []).append(part)

    def _add_call(self, call: Any) -> None:
        """Add a part of a call, to the call with its place: the index, unless another id begins another call."""
        if not isinstance(call, Mapping) or not isinstance(function := call.get("function"), Mapping):
            raise UnreadableReply("a stream with a part of a call that has no function")
        index, identity, name = call.get("index"), call.get("id"), function.get("name")
        place = json.dumps(index)
        found = self._last.get(place)
        is_next = bool(name) and (bool(identity) or index is None)
        if found is None or (is_next and (index is None or found.identity not in (None, "", identity))):
            found = self._last[place] = _Call(identity, [])
            self._calls.append(found)
        found.add(name, function.get("arguments"))

    def choice(self) -> dict[str, Any]:
        """Return the choice as a document has it."""
        texts = {name: "".join(parts) for name, parts in self._texts.items()}
        found: dict[str, Any] = {"finish_reason": self.finish_reason, "error": self._error}
        found |= {"text": texts.pop("text")} if "text" in texts else {}
        message = {"content": None} | self._whole | texts
        if self._content:
            texts_only = all(isinstance(part, str) for part in self._content)
            message["content"] = "".join(self._content) if texts_only else self._content
        if self._calls:
            message["tool_calls"] = [call.document() for call in self._calls]
        return found | {"message": message}
