"""Traces of what ended lately, sent to a collector while this process acts.

It looks at the cache from time to time: a round that has ended and was not sent yet is sent, and so are the weights
that a Validator's status reports. What could not be sent stays due for `RECENT`; a process that follows another one
sends what ended within that time once more, with the same ids. No reconciler waits for it, and nothing depends on it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from http import HTTPStatus
from importlib.metadata import version

import aiohttp
from pydantic import ValidationError

from bitagent_crds.validator import LastWeights
from bitagent_kube.objects import Obj
from bitagent_operator.naming import MANAGER
from bitagent_operator.observed.cache import Cache, Key, Kind
from bitagent_operator.tracing.otlp import Endpoint, request
from bitagent_operator.tracing.spans import Span, round_spans, span_id, weights_span

RECENT = timedelta(minutes=10)
"""How long ago something may have ended that is still sent."""
LOOK_SECONDS = 5.0
"""Between two looks at the cache."""
RETRY_SECONDS = 30.0
"""Between a request that failed and the next."""
REQUEST_SECONDS = 10.0
"""Time limit of one request."""
SPANS_OF_A_REQUEST = 500
QUOTED_BYTES = 500
"""How much of an answer is read, and only of one that is quoted."""

_TAKEN = range(HTTPStatus.OK, HTTPStatus.MULTIPLE_CHOICES)
_LATER = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE)
_REPEATED = frozenset({*_LATER, HTTPStatus.GATEWAY_TIMEOUT})
"""Answers after which the protocol says to send the same again; every other one is final."""

log = logging.getLogger(__name__)


class NotSent(Exception):
    """Raised for spans that the collector has not taken and may take later."""


class TraceExporter:
    """Sends the traces of one namespace."""

    def __init__(
        self,
        endpoint: Endpoint,
        cache: Cache,
        *,
        namespace: str,
        now: Callable[[], datetime],
        count: Callable[[str, int], None] = lambda _outcome, _spans: None,
    ) -> None:
        self._endpoint, self._cache, self._now, self._count = endpoint, cache, now, count
        self._resource = {
            "service.name": MANAGER,
            "service.version": version("bitagent"),
            "k8s.namespace.name": namespace,
        }
        self._sent: dict[str, datetime] = {}
        """What was sent, by its key, and when it had ended."""

    async def run(self) -> None:
        """Send what ends until cancelled."""
        timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout, headers=dict(self._endpoint.headers)) as session:
            failing = False
            while True:
                try:
                    await self._send_due(session)
                except NotSent as error:
                    if not failing:
                        log.warning(
                            "traces cannot be sent to %s, which stops nothing else: %s", self._endpoint.shown, error
                        )
                    failing = True
                except Exception:  # a bug in what is only watched must not stop the operator
                    log.exception("traces could not be made")
                    failing = True
                else:
                    failing = False
                await asyncio.sleep(RETRY_SECONDS if failing else LOOK_SECONDS)

    def due(self) -> Iterator[tuple[datetime, Sequence[Span]]]:
        """Yield what ended lately and was not sent, with the time of its end."""
        since = self._now() - RECENT
        self._sent = {key: at for key, at in self._sent.items() if at >= since}
        for observed in list(self._cache.rounds):
            end = observed.status.finished_at
            if end is not None and end >= since and _key(span_id(observed.meta.uid), end) not in self._sent:
                models = (self._cache.model(result.model) for result in observed.status.results)
                yield end, round_spans(observed, {m.meta.name: m for m in models if m is not None})
        for validator in list(self._cache.validators):
            weights = _weights(validator.last_weights)
            if weights is None or weights.at < since:
                continue
            for name in weights.rounds:
                of_round = self._cache.rounds.get(Key(Kind.ROUND, name))
                if of_round is not None and of_round.status.finished_at is not None:
                    span = weights_span(of_round, validator.meta.name, weights)
                    if _key(span.span_id, weights.at) not in self._sent:
                        yield weights.at, [span]

    async def _send_due(self, session: aiohttp.ClientSession) -> None:
        """Send all that is due. Raises NotSent."""
        for end, spans in self.due():
            for first in range(0, len(spans), SPANS_OF_A_REQUEST):
                await self._send(session, spans[first : first + SPANS_OF_A_REQUEST])
            self._sent[_key(spans[0].span_id, end)] = end

    async def _send(self, session: aiohttp.ClientSession, spans: Sequence[Span]) -> None:
        document = request(spans, resource=self._resource, scope=MANAGER, version=version("bitagent"))
        try:
            async with session.post(self._endpoint.url, json=document, allow_redirects=False) as answer:
                status, text = answer.status, ""
                if status not in _TAKEN:  # what follows 2xx may come slowly, and the spans were taken
                    text = (await answer.content.read(QUOTED_BYTES)).decode(errors="replace")
        except (aiohttp.ClientError, OSError) as error:  # OSError includes a request that took too long
            self._count("unsent", len(spans))
            raise NotSent(str(error) or type(error).__name__) from error
        if status in _REPEATED:
            self._count("unsent", len(spans))
            raise NotSent(f"it answers {status}: {text}")
        if status not in _TAKEN:
            self._count("refused", len(spans))
            log.error("%s refuses %d spans, which are dropped: %d %s", self._endpoint.shown, len(spans), status, text)
            return
        self._count("sent", len(spans))


def _key(first: str, end: datetime) -> str:
    """Return the key of what was sent: a round that is retried ends once more."""
    return f"{first} {end.isoformat()}"


def _weights(written: Obj | None) -> LastWeights | None:
    """Return what a validator wrote; None if it wrote nothing, or what this version cannot read."""
    try:
        return LastWeights.model_validate(written) if written else None
    except ValidationError:
        return None
