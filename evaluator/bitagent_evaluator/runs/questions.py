"""A task as an endpoint is asked it, and the endpoint's reply as a response.

Calls that the endpoint has parsed already are written back as text in OpenAI's syntax, so that they are read and judged as any other answer.
The API takes function names of letters, digits, `_` and `-` only; others are sent in that alphabet, and put right in the calls that come back.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from bitagent_crds.results import Response, Task
from bitagent_evaluator.endpoint import Endpoint, Reply
from bitagent_evaluator.formats import Chat, RawPrompt

_NOT_ALLOWED = re.compile(r"[^A-Za-z0-9_-]")
_LONGEST_NAME = 64


class ToolChoice(StrEnum):
    """What an endpoint is told about tools."""

    AUTO = "auto"
    """It may call them, and says so in `tool_calls`; a server needs a parser for the model's way of writing calls."""
    NONE = "none"
    """They are only shown: calls come as the text that the model wrote, and are read here."""


@dataclass(frozen=True)
class Question:
    """One task ready to be asked."""

    id: str
    prompt: Chat | RawPrompt
    names: Mapping[str, str]
    """The task's function names by those that were sent in their place."""

    def content(self) -> bytes:
        """What the answer depends on."""
        asked = self.prompt.text if isinstance(self.prompt, RawPrompt) else [self.prompt.messages, self.prompt.tools]
        return json.dumps(asked, ensure_ascii=False).encode("utf-8", "surrogatepass")

    async def ask(self, endpoint: Endpoint, *, max_tokens: int, tool_choice: ToolChoice) -> Response:
        """The answer, greedily decoded. Raises EndpointUnavailable, RequestFailed."""
        if isinstance(self.prompt, RawPrompt):
            reply = await endpoint.complete(self.prompt.text, max_tokens=max_tokens, temperature=0.0)
        else:
            reply = await endpoint.chat(
                self.prompt.messages,
                max_tokens=max_tokens,
                temperature=0.0,
                tools=self.prompt.tools,
                tool_choice=tool_choice,
            )
        return Response(
            id=self.id,
            text=_text(reply, self.names),
            finish_reason="length" if reply.cut_off else "stop",
            prompt_tokens=reply.prompt_tokens,
            completion_tokens=reply.completion_tokens,
        )


def question(task: Task, prompt: Chat | RawPrompt, *, tool_choice: ToolChoice) -> Question:
    """The task asked by this prompt. Names are changed only where calls come back parsed: in text there would be no telling them apart."""
    if isinstance(prompt, RawPrompt) or not prompt.tools or tool_choice is ToolChoice.NONE:
        return Question(task.id, prompt, {})
    sent = allowed_names(tool["function"]["name"] for tool in prompt.tools)
    tools = [
        {**tool, "function": {**tool["function"], "name": sent[tool["function"]["name"]]}} for tool in prompt.tools
    ]
    return Question(task.id, Chat(prompt.messages, tools), {allowed: name for name, allowed in sent.items()})


def allowed_names(names: Iterable[str]) -> dict[str, str]:
    """A name that the API allows for each name, no two the same; names that it allows stay."""
    given = list(dict.fromkeys(names))
    sent = {name: name for name in given if _is_allowed(name)}
    for name in given:
        if name not in sent:
            short = _NOT_ALLOWED.sub("_", name)[:_LONGEST_NAME] or "_"
            candidates = (short if n == 1 else f"{short[: _LONGEST_NAME - 4]}_{n}" for n in range(1, len(given) + 2))
            sent[name] = next(candidate for candidate in candidates if candidate not in sent.values())
    return sent


def _is_allowed(name: str) -> bool:
    return 0 < len(name) <= _LONGEST_NAME and not _NOT_ALLOWED.search(name)


def _text(reply: Reply, names: Mapping[str, str]) -> str:
    if not reply.tool_calls:
        return reply.text
    calls: list[dict[str, Any]] = [
        {"type": "function", "function": {"name": names.get(call.name, call.name), "arguments": call.arguments}}
        for call in reply.tool_calls
    ]
    return json.dumps({"tool_calls": calls}, ensure_ascii=False)
