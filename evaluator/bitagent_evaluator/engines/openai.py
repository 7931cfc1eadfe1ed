"""Client of a model behind an OpenAI-compatible HTTP endpoint, such as `vllm serve` or a vendor.

`Endpoint` sends requests and repeats those that may succeed later, `CircuitBreaker` stops after repeated failures, and
`for_each_concurrently` bounds the requests in flight. Replies are parsed by `openai_replies`, errors by
`openai_errors`; how a server differs from the API without changing what is asked is in `openai_dialects`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar
from urllib.parse import parse_qsl, urlsplit, urlunsplit

import openai

from bitagent_evaluator.engines.openai_dialects import OPENAI, Dialect, adapted, is_other_model
from bitagent_evaluator.engines.openai_errors import (
    EndpointUnavailable,
    Redirected,
    RequestFailed,
    RequestFailure,
    TooLong,
    classify_error,
    moved,
)
from bitagent_evaluator.engines.openai_replies import Reply, parse_chat, parse_completion, parse_document
from bitagent_evaluator.support.http import ATTEMPTS, Backoff

_log = logging.getLogger(__name__)

MAX_CONSECUTIVE_FAILURES = 16
MAX_REPLY_BYTES = 64 << 20
"""Bytes of a reply after which it is left: several times those of the longest answer, streamed token by token."""

T = TypeVar("T")


class CircuitBreaker:
    """Aborts after repeated failures of an endpoint.

    A refused request counts only if no request ever succeeds: it says something about the request, not the endpoint.
    """

    def __init__(self) -> None:
        self._successes = 0
        self._consecutive_failures = 0
        self._last: RequestFailed | None = None

    def record_success(self) -> None:
        """Count a request that was answered, now or in an earlier attempt."""
        self._successes += 1
        self._consecutive_failures = 0

    def record_failure(self, error: RequestFailed) -> None:
        """Count a request that failed. Raises EndpointUnavailable after MAX_CONSECUTIVE_FAILURES."""
        self._last = error
        self._consecutive_failures += error.failure is not RequestFailure.REFUSED
        if self._consecutive_failures >= MAX_CONSECUTIVE_FAILURES:
            message = f"{MAX_CONSECUTIVE_FAILURES} requests failed one after the other; {error}"
            raise EndpointUnavailable(message) from error

    def check(self) -> None:
        """Raise EndpointUnavailable if requests failed and none succeeded. Called after the last request."""
        if self._last is not None and not self._successes:
            raise EndpointUnavailable(f"no request was answered; {self._last}")


async def for_each_concurrently(items: Iterable[T], do: Callable[[T], Awaitable[None]], *, concurrency: int) -> None:
    """Await `do(item)` for every item, started in order, with at most `concurrency` at a time.

    The first exception cancels the others and is raised as it is, not in a group: callers tell faults apart by type.
    """
    remaining = iter(items)

    async def work() -> None:
        for item in remaining:
            await do(item)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(work())
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None


@dataclass(frozen=True)
class Address:
    """A model at an endpoint."""

    url: str
    """Base URL, up to and with `/v1`."""
    model: str
    """The endpoint's name for the model."""
    api_key: str | None = field(default=None, repr=False)
    """API key; None sends none."""

    @property
    def shown(self) -> str:
        """The URL without user name, password and query, for logs, manifests and errors."""
        parts = urlsplit(self.url)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


class Endpoint:
    """Sends requests to one address. An async context manager; requests may be concurrent.

    Every request raises EndpointUnavailable or RequestFailed if its last attempt fails. A key is sent to its own
    address only: the client's environment variable OPENAI_API_KEY is not read.
    """

    def __init__(self, address: Address, *, timeout_seconds: float, attempts: int = ATTEMPTS) -> None:
        """`timeout_seconds` limits each attempt, from connecting to the last byte."""
        self.address = address
        self._timeout, self._attempts = timeout_seconds, attempts
        self._dialect = OPENAI
        self._answers_as = address.model
        parts = urlsplit(address.url)
        self._client = openai.AsyncOpenAI(
            base_url=urlunsplit((parts.scheme, parts.netloc, parts.path, "", "")),
            default_query=dict(parse_qsl(parts.query, keep_blank_values=True)),
            api_key=address.api_key or "",
            timeout=timeout_seconds,
            max_retries=0,
            http_client=openai.DefaultAsyncHttpxClient(event_hooks={"response": [_bound]}),
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
        template_variables: Mapping[str, bool] | None = None,
    ) -> Reply:
        """Return the answer to a conversation (chat completions).

        `template_variables` are for the server's chat template, as `chat_template_kwargs`, a member beside OpenAI's API
        that vLLM and SGLang know. Other servers ignore it, or refuse the request.
        """
        arguments: dict[str, Any] = {"messages": list(messages), "max_tokens": max_tokens, "temperature": temperature}
        arguments |= {"seed": seed} if seed is not None else {}
        arguments |= {"tools": list(tools), "tool_choice": tool_choice} if tools else {}
        if template_variables:
            arguments["extra_body"] = {"chat_template_kwargs": dict(template_variables)}
        return await self._request(self._client.chat.completions.with_raw_response.create, arguments, parse_chat)

    async def complete(self, prompt: str, *, max_tokens: int, temperature: float) -> Reply:
        """Return the continuation of a text (completions)."""
        arguments: dict[str, Any] = {"prompt": prompt, "max_tokens": max_tokens, "temperature": temperature}
        return await self._request(self._client.completions.with_raw_response.create, arguments, parse_completion)

    async def _request(
        self, create: Callable[..., Awaitable[Any]], arguments: Mapping[str, Any], parse: Callable[[Any], Reply]
    ) -> Reply:
        backoff = Backoff(self._attempts)
        dialect = self._dialect
        while True:
            try:
                async with asyncio.timeout(self._timeout):
                    response = await create(
                        model=self.address.model, extra_headers=self._headers, **dialect.arguments(arguments)
                    )
                reply = _reply_of(response.http_response, parse)
                self._note_dialect(dialect)
                self._note_model(reply.model)
                return reply
            except (openai.OpenAIError, TimeoutError, ValueError, RecursionError) as error:
                failed = classify_error(error, self.address.shown)
            if (found := adapted(dialect, failed.words, arguments)) != dialect:
                dialect = found
                continue
            delay = backoff.next_delay(failed.retry_after) if failed.retryable else None
            if delay is None:
                raise failed.error
            await asyncio.sleep(delay)

    def _note_dialect(self, answered: Dialect) -> None:
        """Ask from now on as a request was that is answered: the words of a refusal may be of its question alone."""
        if answered not in (OPENAI, self._dialect):
            _log.warning("%s refused a request: from now on it is asked %s", self.address.shown, answered.shown)
            self._dialect = answered

    def _note_model(self, answered: str) -> None:
        """Say once that another model answers than the one that was asked."""
        if is_other_model(self._answers_as, answered):
            asked, self._answers_as = self.address.model, answered
            _log.warning(
                "%s was asked for %s and answers as %s: is it that model?", self.address.shown, asked, answered
            )


def _reply_of(response: Any, parse: Callable[[Any], Reply]) -> Reply:
    """Return the reply in a response of the client. Raises RequestFailed and UnreadableReply."""
    if advice := moved(response):
        raise Redirected(advice)
    return parse(parse_document(response.content, response.headers.get("content-type", "")))


async def _bound(response: Any) -> None:
    """Have the client's own reading of a response end with TooLong after MAX_REPLY_BYTES, counted uncompressed."""
    read = response.aiter_bytes

    async def bounded() -> AsyncIterator[bytes]:
        count = 0
        async for part in read():
            count += len(part)
            if count > MAX_REPLY_BYTES:
                raise TooLong(MAX_REPLY_BYTES)
            yield part

    response.aiter_bytes = bounded
