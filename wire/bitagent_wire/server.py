"""Answer messages on either wire: a part of an aiohttp application.

For each request, in the reference's order: the message's name, whether the caller is admitted at all (by the hotkey
that it claims, which costs nothing), its signature, whether the nonce is new, the body. An answer goes out on the wire
on which the request came; those to btauth/1 are signed.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from aiohttp import web

from bitagent_wire import axon, btauth
from bitagent_wire.auth import AuthError, AuthFault
from bitagent_wire.client import Clock
from bitagent_wire.keys import Signer
from bitagent_wire.messages import MESSAGES, Message, Misread, read, write_answer
from bitagent_wire.outcomes import Protocol
from bitagent_wire.replays import ReplayMemory, Use

log = logging.getLogger(__name__)

MAXIMUM_BYTES = 4 * 1024 * 1024
BODY_SECONDS = 10.0
"""Time for a request's body to arrive."""
SMALL_BYTES = 64 * 1024
"""Bytes of each body that need no room among those of others: most requests have fewer."""
BUFFERED_BYTES = 64 * 1024 * 1024
"""Further bytes of bodies that are not verified yet, of all requests together: anyone may send them."""


class Rejection(StrEnum):
    """Why a request is not answered."""

    UNKNOWN_MESSAGE = "UnknownMessage"
    BLACKLISTED = "Blacklisted"
    UNAUTHORISED = "Unauthorised"
    WRONG_TYPE = "WrongType"
    TOO_LARGE = "TooLarge"
    ENCODED = "Encoded"
    SLOW = "Slow"
    RATE_LIMITED = "RateLimited"
    BUSY = "Busy"
    TIMEOUT = "Timeout"
    FAILED = "Failed"


_STATUSES: Mapping[Rejection, int] = {
    Rejection.UNKNOWN_MESSAGE: 404,
    Rejection.BLACKLISTED: 403,
    Rejection.UNAUTHORISED: 401,
    Rejection.WRONG_TYPE: 422,
    Rejection.TOO_LARGE: 413,
    Rejection.ENCODED: 415,
    Rejection.SLOW: 408,
    Rejection.RATE_LIMITED: 429,
    Rejection.BUSY: 503,
    Rejection.TIMEOUT: 408,
    Rejection.FAILED: 500,
}


class Rejected(Exception):
    """A request is not answered; the words go to the caller."""

    def __init__(self, rejection: Rejection, words: str) -> None:
        super().__init__(words)
        self.rejection, self.words = rejection, words


@dataclass(frozen=True)
class Call:
    """A verified request."""

    message: Message
    hotkey: str
    protocol: Protocol
    timeout_seconds: float | None
    """The caller's time limit; None if it names none, as by btauth/1."""


@dataclass(frozen=True)
class Served:
    """What came of one request, for metrics and logs."""

    message: str
    """The message's name; empty if there is none of this name."""
    protocol: Protocol | None
    """None if the request is on neither wire."""
    hotkey: str
    """The caller by its own words, until verified."""
    rejection: Rejection | None
    seconds: float
    detail: str = ""


Handler = Callable[[Call], Awaitable[Message]]
"""Returns the message with its answer. Raises Rejected."""
Admit = Callable[[str, str], None]
"""Raises Rejected for a hotkey that may not send a message of this name."""
Observe = Callable[[Served], None]


def _everyone(_hotkey: str, _name: str) -> None:
    return None


def _unobserved(_served: Served) -> None:
    return None


class MessageServer:
    """Verifies requests and has a handler answer them. One for each hotkey."""

    def __init__(
        self,
        signer: Signer,
        handlers: Mapping[type[Message], Handler],
        *,
        admit: Admit = _everyone,
        observe: Observe = _unobserved,
        replays: ReplayMemory | None = None,
        clock: Clock = time.time_ns,
        maximum_bytes: int = MAXIMUM_BYTES,
        body_seconds: float = BODY_SECONDS,
        small_bytes: int = SMALL_BYTES,
        buffered_bytes: int = BUFFERED_BYTES,
    ) -> None:
        self._signer = signer
        self._handlers = {kind.kind(): handler for kind, handler in handlers.items()}
        self._admit, self._observe = admit, observe
        self._replays = ReplayMemory() if replays is None else replays
        self._clock = clock
        self._maximum, self._body_seconds = maximum_bytes, body_seconds
        self._small, self._room = small_bytes, buffered_bytes

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of an application."""
        return [web.post("/{name}", self.handle)]

    async def handle(self, request: web.Request) -> web.Response:
        """Answer one request."""
        started = time.monotonic()
        name = request.match_info["name"]
        known = name if name in self._handlers else ""
        wire = _wire_of(request.headers)
        if wire is None:
            rejected = Rejected(Rejection.UNAUTHORISED, "the request is signed neither by btauth/1 nor as a Dendrite's")
            self._observe(Served(known, None, "", rejected.rejection, time.monotonic() - started, rejected.words))
            return _unsigned(rejected)
        exchange = _BY_WIRE[wire](self._signer, request.headers)
        try:
            message = await self._answered(exchange, request, name)
        except Rejected as error:
            seconds = time.monotonic() - started
            self._observe(Served(known, wire, exchange.hotkey, error.rejection, seconds, error.words))
            return exchange.rejection(name, error, seconds)
        seconds = time.monotonic() - started
        self._observe(Served(known, wire, exchange.hotkey, None, seconds))
        return exchange.answer(name, message, seconds)

    async def _answered(self, exchange: _Exchange, request: web.Request, name: str) -> Message:
        try:
            exchange.parse()
            if name not in self._handlers:
                raise Rejected(Rejection.UNKNOWN_MESSAGE, f"this miner answers {', '.join(self._handlers)}")
            self._admit(exchange.hotkey, name)
            body = await self._body(request)
            now = self._clock()
            exchange.verify(method=request.method, target=request.raw_path, body=body, now=now)
        except AuthError as error:
            raise Rejected(Rejection.UNAUTHORISED, f"{error.fault}: {error}") from None
        match self._replays.use(exchange.hotkey, exchange.nonce, until=exchange.recent_until, now=now):
            case Use.REPEATED:
                raise Rejected(Rejection.UNAUTHORISED, f"{AuthFault.REPLAYED}: this request was answered before")
            case Use.FULL:
                raise Rejected(Rejection.RATE_LIMITED, "too many requests of a few seconds")
            case Use.FIRST:
                pass
        try:
            message = read(MESSAGES[name], body)
        except Misread as error:
            raise Rejected(Rejection.TOO_LARGE if error.too_long else Rejection.WRONG_TYPE, str(error)) from None
        try:
            return await self._handlers[name](
                Call(message, exchange.hotkey, exchange.protocol, exchange.timeout_seconds)
            )
        except Rejected:
            raise
        except Exception:
            log.exception("%s of %s failed", name, exchange.hotkey)
            raise Rejected(Rejection.FAILED, "the miner failed") from None

    async def _body(self, request: web.Request) -> bytes:
        if request.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise Rejected(Rejection.ENCODED, "bodies are read as they are, without an encoding")
        content, taken = bytearray(), 0
        try:
            async with asyncio.timeout(self._body_seconds):
                async for piece in request.content.iter_chunked(65_536):
                    content += piece
                    more = max(0, len(content) - self._small) - taken
                    taken += more
                    self._room -= more
                    if len(content) > self._maximum:
                        raise Rejected(Rejection.TOO_LARGE, f"the body has more than {self._maximum} bytes")
                    if self._room < 0:
                        raise Rejected(Rejection.BUSY, "too many bodies arrive at once")
        except TimeoutError:
            raise Rejected(Rejection.SLOW, f"the body did not arrive within {self._body_seconds:g} s") from None
        except (web.PayloadAccessError, ConnectionError, ValueError):
            raise Rejected(Rejection.WRONG_TYPE, "the body ended early") from None
        finally:
            self._room += taken
        return bytes(content)


def runner(app: web.Application, *, drain_seconds: float = 5.0, idle_seconds: float = 15.0) -> web.AppRunner:
    """Return a runner with the limits of a server that anyone may reach.

    A connection without a whole head of a request is closed after `idle_seconds`; bodies are not decompressed; a
    handler whose caller has left is cancelled; at the end, requests under way have `drain_seconds` to end.
    """
    return web.AppRunner(
        app,
        access_log=None,
        auto_decompress=False,
        lingering_time=1.0,
        keepalive_timeout=idle_seconds,
        handler_cancellation=True,
        shutdown_timeout=drain_seconds,
    )


class _Exchange:
    """A request and its answer on one wire."""

    protocol: Protocol

    def __init__(self, signer: Signer, headers: Mapping[str, str]) -> None:
        self._signer, self._headers = signer, headers
        self.hotkey = ""
        self.nonce = ""
        self.recent_until = 0
        self.timeout_seconds: float | None = None

    def parse(self) -> None:
        raise NotImplementedError

    def verify(self, *, method: str, target: str, body: bytes, now: int) -> None:
        raise NotImplementedError

    def answer(self, name: str, message: Message, seconds: float) -> web.Response:
        raise NotImplementedError

    def rejection(self, name: str, error: Rejected, seconds: float) -> web.Response:
        raise NotImplementedError


class _BtauthExchange(_Exchange):
    protocol = Protocol.BTAUTH
    _claim: btauth.BtauthClaim | None = None

    def parse(self) -> None:
        claim = btauth.parse(self._headers)
        self._claim, self.hotkey, self.nonce = claim, claim.hotkey, str(claim.nonce)
        self.recent_until = claim.nonce + btauth.MAX_AGE_NS

    def verify(self, *, method: str, target: str, body: bytes, now: int) -> None:
        if self._claim is None:
            raise RuntimeError("parse() comes first")
        own = self._signer.ss58_address
        btauth.verify(self._claim, method=method, target=target, body=body, own_hotkey=own, now=now)

    def answer(self, name: str, message: Message, seconds: float) -> web.Response:
        return self._signed(200, write_answer(message))

    def rejection(self, name: str, error: Rejected, seconds: float) -> web.Response:
        content = {"error": {"reason": error.rejection, "message": error.words}}
        return self._signed(_STATUSES[error.rejection], json.dumps(content).encode())

    def _signed(self, status: int, body: bytes) -> web.Response:
        headers = {btauth.VERSION: "1"}
        if self._claim is not None:
            headers |= btauth.answer_headers(
                self._signer, status=status, body=body, nonce=self._claim.nonce, caller=self._claim.hotkey
            )
        return web.Response(status=status, body=body, headers=headers, content_type="application/json")


class _AxonExchange(_Exchange):
    protocol = Protocol.AXON
    _claim: axon.AxonClaim | None = None

    def parse(self) -> None:
        claim = axon.parse(self._headers)
        self._claim, self.hotkey, self.nonce = claim, claim.hotkey, f"{claim.uuid} {claim.nonce}"
        self.recent_until = claim.nonce + axon.MEMORY_NS
        self.timeout_seconds = claim.timeout_seconds

    def verify(self, *, method: str, target: str, body: bytes, now: int) -> None:
        if self._claim is None:
            raise RuntimeError("parse() comes first")
        axon.verify(self._claim, own_hotkey=self._signer.ss58_address, now=now)

    def answer(self, name: str, message: Message, seconds: float) -> web.Response:
        return self._response(name, message.fields(), 200, "Success", seconds)

    def rejection(self, name: str, error: Rejected, seconds: float) -> web.Response:
        return self._response(name, {}, _STATUSES[error.rejection], error.words, seconds)

    def _response(self, name: str, fields: Mapping[str, Any], status: int, said: str, seconds: float) -> web.Response:
        name = name if name in MESSAGES else "Synapse"
        headers, body = axon.answer(
            name=name,
            fields=fields,
            claim=self._claim,
            own_hotkey=self._signer.ss58_address,
            status=status,
            words=said,
            seconds=seconds,
        )
        return web.Response(status=status, body=body, headers=headers, content_type="application/json")


_BY_WIRE: Mapping[Protocol, type[_Exchange]] = {Protocol.BTAUTH: _BtauthExchange, Protocol.AXON: _AxonExchange}


def _wire_of(headers: Mapping[str, str]) -> Protocol | None:
    if btauth.VERSION in headers:
        return Protocol.BTAUTH
    return Protocol.AXON if f"{axon.DENDRITE}hotkey" in headers else None


def _unsigned(error: Rejected) -> web.Response:
    content = {"error": {"reason": error.rejection, "message": error.words}}
    return web.json_response(content, status=_STATUSES[error.rejection])
