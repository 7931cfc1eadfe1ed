"""An OpenAI-compatible endpoint: one request for an answer, bounded in time, tokens and size."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any, Protocol

import aiohttp

from bitagent_miner.prompting import ToolMode, calls, chat, function
from bitagent_wire.messages import QueryTask
from bitagent_wire.outcomes import words

MAXIMUM_BYTES = 4 * 1024 * 1024
_CHUNK = 65_536


class ModelFailed(Exception):
    """The endpoint gave no answer; the message is for the miner's own log."""


@dataclass(frozen=True)
class Completion:
    """An answer."""

    text: str
    prompt_tokens: int = 0
    answer_tokens: int = 0


class Model(Protocol):
    """What answers tasks."""

    async def answer(self, task: QueryTask) -> Completion:
        """Return an answer. Raises ModelFailed."""
        ...


@dataclass(frozen=True)
class EndpointSettings:
    """An endpoint and the bounds of a request."""

    url: str
    """With the version, such as http://127.0.0.1:8000/v1."""
    model: str
    key: str | None = None
    max_tokens: int = 256
    temperature: float = 0.0
    mode: ToolMode = ToolMode.PROMPT


class Endpoint:
    """Asks an endpoint. How long it may take is up to the caller, who cancels."""

    def __init__(self, session: aiohttp.ClientSession, settings: EndpointSettings) -> None:
        self._session, self._settings = session, settings

    async def answer(self, task: QueryTask) -> Completion:
        """Return the answer to a task. Raises ModelFailed."""
        settings = self._settings
        body: dict[str, Any] = {
            "model": settings.model,
            "messages": chat(task, settings.mode),
            "max_tokens": settings.max_tokens,
            "temperature": settings.temperature,
            "stream": False,
        }
        if task.tools and settings.mode is ToolMode.NATIVE:
            body["tools"] = [{"type": "function", "function": function(tool)} for tool in task.tools]
        headers = {"Authorization": f"Bearer {settings.key}"} if settings.key else {}
        try:
            async with self._session.post(
                f"{settings.url.rstrip('/')}/chat/completions",
                json=body,
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=None),
                allow_redirects=False,
            ) as response:
                content = await _bounded(response)
                if response.status != 200:
                    raise ModelFailed(
                        f"the endpoint answers {response.status}: {words(content.decode(errors='replace'))}"
                    )
        except (aiohttp.ClientError, OSError, asyncio.IncompleteReadError) as error:
            raise ModelFailed(f"the endpoint does not answer: {words(str(error) or type(error).__name__)}") from error
        return parse(content)


def parse(content: bytes) -> Completion:
    """Return the completion in an endpoint's answer; calls of tools come before text. Raises ModelFailed."""
    try:
        found = json.loads(content)
        message = found["choices"][0]["message"]
        called = [(str(c["function"]["name"]), _arguments(c["function"])) for c in message.get("tool_calls") or ()]
        text = calls(called) if called else _text(message.get("content") or "")
        usage = found.get("usage") or {}
        # Lone surrogates, which JSON can escape, are no text that can be sent.
        text = text.encode(errors="replace").decode()
        return Completion(text, _tokens(usage.get("prompt_tokens")), _tokens(usage.get("completion_tokens")))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise ModelFailed(f"the endpoint's answer is not a chat completion: {type(error).__name__}") from error


def _arguments(called: dict[str, Any]) -> str:
    """Return the arguments of a call as JSON; some servers send the object itself, or none where there are none."""
    arguments = called.get("arguments")
    return arguments if isinstance(arguments, str) else json.dumps(arguments or {})


def _text(content: Any) -> str:
    """Return the text of a message, also one in parts."""
    parts = content if isinstance(content, list) else [content]
    return "".join(part if isinstance(part, str) else str(part.get("text") or "") for part in parts)


def _tokens(count: Any) -> int:
    """Return a count for a metric, which cannot be lowered."""
    return max(0, int(count or 0))


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    content = bytearray()
    async for piece in response.content.iter_chunked(_CHUNK):
        content += piece
        if len(content) > MAXIMUM_BYTES:
            raise ModelFailed(f"the endpoint's answer has more than {MAXIMUM_BYTES} bytes")
    return bytes(content)
