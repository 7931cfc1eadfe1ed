"""One model behind an endpoint: requests with a time limit, tried again where that helps."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self
from urllib.parse import urlsplit, urlunsplit

import openai

from bitagent_evaluator.endpoint.errors import diagnose
from bitagent_evaluator.endpoint.reply import Reply, chat_reply, completion_reply
from bitagent_evaluator.endpoint.waiting import seconds_before

TRIES = 5
"""Requests made for one answer, if all but the last fail in a way that may pass: some seven seconds of waiting, or as told."""


@dataclass(frozen=True)
class Address:
    """A model at an endpoint."""

    url: str
    """Base URL, up to and with `/v1`."""
    model: str
    """The name by which the endpoint knows the model."""
    api_key: str | None = field(default=None, repr=False)
    """None: no key is sent."""

    @property
    def shown(self) -> str:
        """The URL without user name, password and query: what logs, manifests and errors may hold."""
        parts = urlsplit(self.url)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


class Endpoint:
    """Sends requests to one address. An async context manager; requests may be made concurrently.

    Every request may raise EndpointUnavailable or RequestFailed. A key goes to the address that it was given with and nowhere else: the
    client's own variable OPENAI_API_KEY is not looked at.
    """

    def __init__(self, address: Address, *, timeout_seconds: float, tries: int = TRIES) -> None:
        """`timeout_seconds` bounds each try, from connecting to the last byte."""
        self.address = address
        self._timeout, self._tries = timeout_seconds, tries
        self._client = openai.AsyncOpenAI(
            base_url=address.url,
            api_key=address.api_key or "",
            timeout=timeout_seconds,
            max_retries=0,
            _enforce_credentials=False,
        )
        self._headers = None if address.api_key else {"Authorization": openai.omit}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()

    async def chat(
        self,
        messages: Sequence[dict[str, Any]],
        *,
        max_tokens: int,
        temperature: float,
        seed: int | None = None,
        tools: Sequence[dict[str, Any]] | None = None,
        tool_choice: str = "auto",
    ) -> Reply:
        """An answer to a conversation."""
        arguments: dict[str, Any] = {"messages": list(messages), "max_tokens": max_tokens, "temperature": temperature}
        arguments |= {"seed": seed} if seed is not None else {}
        arguments |= {"tools": list(tools), "tool_choice": tool_choice} if tools else {}
        api = self._client.chat.completions.with_raw_response
        return await self._ask(
            lambda: api.create(model=self.address.model, extra_headers=self._headers, **arguments), chat_reply
        )

    async def complete(self, prompt: str, *, max_tokens: int, temperature: float) -> Reply:
        """The continuation of a text."""
        arguments: dict[str, Any] = {"prompt": prompt, "max_tokens": max_tokens, "temperature": temperature}
        api = self._client.completions.with_raw_response
        return await self._ask(
            lambda: api.create(model=self.address.model, extra_headers=self._headers, **arguments), completion_reply
        )

    async def _ask(self, send: Callable[[], Awaitable[Any]], read: Callable[[Any], Reply]) -> Reply:
        for attempt in range(1, self._tries + 1):
            try:
                async with asyncio.timeout(self._timeout):
                    response = await send()
                return read(response.http_response.json())
            except (openai.OpenAIError, TimeoutError, ValueError, RecursionError) as error:
                found = diagnose(error, self.address.shown)
            if not found.try_again or attempt == self._tries:
                break
            await asyncio.sleep(
                seconds_before(attempt, told=found.wait, spread=random.random(), now=datetime.now(tz=UTC))
            )
        raise found.error
