"""Request rewordings from an endpoint, through the cache, until each passage has a result."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from bitagent_crds.alterations import Rewrite
from bitagent_crds.conditions import Reason
from bitagent_crds.rewriter import SERVED_MODEL
from bitagent_evaluator.alterations.base import AlterationContext
from bitagent_evaluator.alterations.rewrite.acceptance import Accepted, Bounds, OriginalText, Rejection
from bitagent_evaluator.alterations.rewrite.passages import Passage, extract_rewording, rewrite_prompt
from bitagent_evaluator.alterations.rewrite_cache import CachedResponse
from bitagent_evaluator.engines.openai import Address, CircuitBreaker, Endpoint, for_each_concurrently
from bitagent_evaluator.engines.openai_errors import EndpointUnavailable, RequestFailed, RequestFailure
from bitagent_evaluator.support.faults import InfrastructureFault

_log = logging.getLogger(__name__)

REQUEST_ATTEMPTS = 3
"""Requests for one response, fewer than usual: a passage without a response keeps its text, and others are waiting."""

_OWN_REWRITER = (
    "the rewrite names no url: it is the work of a Validator's rewriter, which answers only its rounds; give its "
    "responses, the rewrites.jsonl beside the task set, or a url and a model"
)


def reword(
    passages: Sequence[Passage],
    parameters: Rewrite,
    bounds: Bounds,
    *,
    seed: str,
    index: int,
    context: AlterationContext,
) -> None:
    """Set the result of every passage; `index` is the alteration's place in the spec.

    Raises InfrastructureFault if the endpoint cannot be reached, or returns no response at all.
    """
    address = _address(parameters, context, index)
    try:
        asyncio.run(_Rewriter(parameters, bounds, seed, context).run(passages, address))
    except EndpointUnavailable as error:
        raise InfrastructureFault(
            Reason.INFRASTRUCTURE_FAULT, f"the rewriter's endpoint cannot be used: {error}"
        ) from error


def _address(parameters: Rewrite, context: AlterationContext, index: int) -> Address | None:
    """Return where the model answers: at the url, or as the Validator's rewriter; None if only responses are known."""
    if parameters.url is not None and parameters.model is not None:
        return Address(parameters.url, parameters.model, context.api_keys.get(index))
    own = context.rewriter
    return Address(own.url, own.model) if own is not None else None


@dataclass
class _Rewriter:
    """Requests in flight and what is needed for them."""

    parameters: Rewrite
    bounds: Bounds
    seed: str
    context: AlterationContext
    _done: int = 0
    _breaker: CircuitBreaker = field(default_factory=CircuitBreaker)
    _in_flight: dict[str, asyncio.Lock] = field(default_factory=dict)
    _executor: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(max_workers=1))

    async def run(self, passages: Sequence[Passage], address: Address | None) -> None:
        """Set the result of every passage. Raises EndpointUnavailable if the endpoint cannot be used."""
        progress = self.context.progress
        progress.start_phase(f"rewording {len(passages)} texts")
        with self._executor:
            async with self._endpoint(address) as endpoint:

                async def settle(passage: Passage) -> None:
                    await self._reword(passage, endpoint)
                    self._done += 1
                    progress.update(self._done, len(passages))

                await for_each_concurrently(passages, settle, concurrency=self.parameters.concurrency)
        self._breaker.check()

    def _endpoint(self, address: Address | None) -> AbstractAsyncContextManager[Endpoint | None]:
        if address is None:
            return nullcontext()
        timeout = self.parameters.timeout_seconds
        return Endpoint(address, timeout_seconds=timeout, attempts=REQUEST_ATTEMPTS)

    async def _reword(self, passage: Passage, endpoint: Endpoint | None) -> None:
        """Try until a rewording is accepted or `tries` are used up; check each in a thread, beside the event loop."""
        loop = asyncio.get_running_loop()
        for number in range(1, self.parameters.tries + 1):
            response = await self._response(passage, number, endpoint)
            passage.tries = number
            passage.result = await loop.run_in_executor(self._executor, self._check, passage.original, response)
            if isinstance(passage.result, Accepted) or response.failure == RequestFailure.REFUSED:
                return

    def _check(self, original: OriginalText, response: CachedResponse) -> Accepted | Rejection:
        if response.text is None:
            return Rejection.REQUEST_FAILED
        if response.cut_off:
            return Rejection.TOO_LONG
        return original.check(extract_rewording(response.text, original.text), self.bounds)

    async def _response(self, passage: Passage, number: int, endpoint: Endpoint | None) -> CachedResponse:
        """Return the response to a passage, from the cache if it has one.

        Tasks with the same passage share one request: with two different responses to one key a rebuild would differ.
        """
        key = self._key(passage, number)
        async with self._in_flight.setdefault(key, asyncio.Lock()):
            cached = self.context.rewrites.get(key)
            if cached is not None:
                if cached.text is not None:
                    self._breaker.record_success()
                return cached
            if endpoint is None:
                raise EndpointUnavailable(_OWN_REWRITER)
            response = await self._request(passage, key, endpoint)
            self.context.rewrites.add(key, response)
            return response

    async def _request(self, passage: Passage, key: str, endpoint: Endpoint) -> CachedResponse:
        try:
            reply = await endpoint.chat(
                rewrite_prompt(passage.original.text, passage.kind),
                max_tokens=self.parameters.max_tokens,
                temperature=float(self.parameters.temperature),
                seed=int(key[:8], 16) >> 1,
            )
        except RequestFailed as error:
            _log.info("a text is not reworded: %s", error)
            self._breaker.record_failure(error)
            return CachedResponse(None, failure=error.failure.value)
        self._breaker.record_success()
        return CachedResponse(reply.text, cut_off=reply.cut_off)

    def _key(self, passage: Passage, number: int) -> str:
        """Return the cache key: a digest of all that a response depends on, but not of the server's address.

        A Validator's rewriter has one name whatever its model is, so that a rebuild needs nothing but the responses.
        """
        chosen, model = self.parameters, self.parameters.model or SERVED_MODEL
        request: list[Any] = [passage.kind.version, model, chosen.temperature, chosen.max_tokens, self.seed]
        return hashlib.sha256(json.dumps([*request, passage.original.text, number]).encode()).hexdigest()
