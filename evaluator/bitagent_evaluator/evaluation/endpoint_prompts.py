"""Tasks as requests to an OpenAI-compatible endpoint, and its replies as responses.

Calls that the endpoint has parsed are written back as text in OpenAI's syntax, so that they are parsed and scored like
any other answer. A thought without an answer is written between its marks, so that it is neither taken for an empty
answer nor searched for calls. The API accepts function names of letters, digits, `_` and `-` only; other names are sent
in that alphabet, and restored in the calls that come back.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from bitagent_crds.results import Response
from bitagent_crds.task_set import Task
from bitagent_evaluator.engines.openai import Endpoint
from bitagent_evaluator.engines.openai_replies import Reply
from bitagent_evaluator.parsing.thinking import only_thought
from bitagent_evaluator.prompts import ChatPrompt, RawPrompt

_NOT_ALLOWED = re.compile(r"[^A-Za-z0-9_-]")
_MAX_NAME_LENGTH = 64


class ToolChoice(StrEnum):
    """Whether the endpoint parses calls."""

    AUTO = "auto"
    """The endpoint returns calls in `tool_calls`; its server needs a parser for the model's syntax of calls."""
    NONE = "none"
    """Tools are only shown: calls are in the text that the model wrote, and are parsed here."""


@dataclass(frozen=True)
class EndpointRequest:
    """One task, ready to be sent."""

    id: str
    """Id of the task."""
    prompt: ChatPrompt | RawPrompt
    original_names: Mapping[str, str]
    """The task's function names by the names that are sent instead."""

    def content(self) -> bytes:
        """Return what the answer depends on."""
        asked = self.prompt.text if isinstance(self.prompt, RawPrompt) else [self.prompt.messages, self.prompt.tools]
        return json.dumps(asked, ensure_ascii=False).encode("utf-8", "surrogatepass")

    async def send(
        self,
        endpoint: Endpoint,
        *,
        max_tokens: int,
        tool_choice: ToolChoice,
        template_variables: Mapping[str, bool] | None = None,
    ) -> Response:
        """Return the answer, greedily decoded. Raises EndpointUnavailable and RequestFailed.

        `template_variables` are for the endpoint's chat template; a finished text has none.
        """
        if isinstance(self.prompt, RawPrompt):
            reply = await endpoint.complete(self.prompt.text, max_tokens=max_tokens, temperature=0.0)
        else:
            reply = await endpoint.chat(
                self.prompt.messages,
                max_tokens=max_tokens,
                temperature=0.0,
                tools=self.prompt.tools,
                tool_choice=tool_choice,
                template_variables=template_variables,
            )
        return Response(
            id=self.id,
            text=reply_text(reply, self.original_names),
            finish_reason="length" if reply.cut_off else "stop",
            prompt_tokens=reply.prompt_tokens,
            completion_tokens=reply.completion_tokens,
        )


def endpoint_request(task: Task, prompt: ChatPrompt | RawPrompt, *, tool_choice: ToolChoice) -> EndpointRequest:
    """Return the request for a task with this prompt.

    Names are replaced only if calls come back parsed: in text, replaced and original names could not be distinguished.
    """
    if isinstance(prompt, RawPrompt) or not prompt.tools or tool_choice is ToolChoice.NONE:
        return EndpointRequest(task.id, prompt, {})
    sent = allowed_names(tool["function"]["name"] for tool in prompt.tools)
    tools = [
        {**tool, "function": {**tool["function"], "name": sent[tool["function"]["name"]]}} for tool in prompt.tools
    ]
    return EndpointRequest(
        task.id, ChatPrompt(prompt.messages, tools), {allowed: name for name, allowed in sent.items()}
    )


def allowed_names(names: Iterable[str]) -> dict[str, str]:
    """Return a different name that the API allows for each name; allowed names are unchanged."""
    given = list(dict.fromkeys(names))
    sent = {name: name for name in given if _is_allowed(name)}
    for name in given:
        if name not in sent:
            short = _NOT_ALLOWED.sub("_", name)[:_MAX_NAME_LENGTH] or "_"
            candidates = (short if n == 1 else f"{short[: _MAX_NAME_LENGTH - 4]}_{n}" for n in range(1, len(given) + 2))
            sent[name] = next(candidate for candidate in candidates if candidate not in sent.values())
    return sent


def _is_allowed(name: str) -> bool:
    return 0 < len(name) <= _MAX_NAME_LENGTH and not _NOT_ALLOWED.search(name)


def reply_text(reply: Reply, names: Mapping[str, str]) -> str:
    """Return a reply as the text of an answer. `names` are the functions' own by those that were sent."""
    if not reply.tool_calls:
        return only_thought(reply.thought) if reply.thought and not reply.text.strip() else reply.text
    calls: list[dict[str, Any]] = [
        {"type": "function", "function": {"name": names.get(call.name, call.name), "arguments": call.arguments}}
        for call in reply.tool_calls
    ]
    return json.dumps({"tool_calls": calls}, ensure_ascii=False)
