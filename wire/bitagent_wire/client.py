"""Ask one miner one message. Whatever the miner does becomes an outcome; nothing of it is raised.

Time and size are bounded in all, redirects are not followed, and what is compressed is decompressed up to the bound
only. Each request has its own nonce and uuid.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
import zlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import aiohttp
from yarl import URL

from bitagent_wire import axon, btauth
from bitagent_wire.addresses import AddressRefused, AddressRule, allowed
from bitagent_wire.auth import AuthError, AuthFault
from bitagent_wire.keys import Signer
from bitagent_wire.messages import Message, Misread, answered, write
from bitagent_wire.outcomes import Answer, MinerAddress, Outcome, Preference, Protocol, words

MAXIMUM_BYTES = 4 * 1024 * 1024
CONNECTIONS = 64
SMALL_BYTES = 256 * 1024
"""Bytes of an answer above which it needs one of the places for large ones."""
LARGE_BYTES = 16 * 1024 * 1024
"""Bytes of all large answers that are read at once: miners that act together must not fill the memory."""
_CHUNK = 65_536
_WORDS_BYTES = 65_536
"""Bytes of an answer with another status than 200 that are searched for its words."""
_STATUSES: Mapping[int, Outcome] = {
    401: Outcome.UNAUTHORISED,
    403: Outcome.REFUSED,
    404: Outcome.UNSUPPORTED,
    405: Outcome.UNSUPPORTED,
    408: Outcome.BUSY,
    429: Outcome.RATE_LIMITED,
    503: Outcome.BUSY,
}
_FAULTS: Mapping[AuthFault, Outcome] = {
    AuthFault.REPLAYED: Outcome.REPLAYED,
    AuthFault.UNSUITED_KEY: Outcome.UNSUITED_KEY,
}

M = TypeVar("M", bound=Message)
Clock = Callable[[], int]
"""Returns the time in nanoseconds."""


@asynccontextmanager
async def open_session(*, connections: int = CONNECTIONS) -> AsyncIterator[aiohttp.ClientSession]:
    """Open a session for `ask`: no cookies, no proxy of the environment, a connection for each request.

    A connection that is kept may have been closed by the miner meanwhile, and a signed request is not sent twice.
    """
    connector = aiohttp.TCPConnector(limit=connections, force_close=True)
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield session


def places(maximum_bytes: int) -> asyncio.Semaphore:
    """Return the places for large answers of at most so many bytes each, for all calls that share a memory."""
    return asyncio.Semaphore(max(1, LARGE_BYTES // maximum_bytes))


async def ask(
    session: aiohttp.ClientSession,
    *,
    signer: Signer,
    miner: MinerAddress,
    message: M,
    timeout_seconds: float,
    maximum_bytes: int = MAXIMUM_BYTES,
    rule: AddressRule = AddressRule.PUBLIC,
    large: asyncio.Semaphore | None = None,
    clock: Clock = time.time_ns,
) -> Answer[M]:
    """Ask a miner one message and return what came of it, after `timeout_seconds` at the latest.

    `large` are the places for large answers (`places`): one that finds none is not read on, and its time runs. Raises
    only what the signer raises, and CancelledError.
    """
    started = time.monotonic()
    call = _Call(session, signer, miner, message, timeout_seconds, maximum_bytes, clock, large)
    try:
        async with asyncio.timeout(timeout_seconds):
            try:
                message_, signed = await call.run(rule)
            finally:
                call.leave()
    except TimeoutError:
        trouble = _Trouble(Outcome.TIMEOUT, f"no whole answer within {timeout_seconds:g} s")
    except _Trouble as error:
        trouble = error
    else:
        return Answer(
            Outcome.ANSWERED,
            time.monotonic() - started,
            call.protocol,
            cast(M, message_),
            signed=signed,
            bytes_read=call.bytes_read,
        )
    seconds = time.monotonic() - started
    return Answer(trouble.outcome, seconds, call.protocol, detail=words(trouble.detail), bytes_read=call.bytes_read)


class _Trouble(Exception):
    """The end of a call without an answer."""

    def __init__(self, outcome: Outcome, detail: str) -> None:
        super().__init__(detail)
        self.outcome, self.detail = outcome, detail


@dataclass(frozen=True)
class _Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def of_axon(self) -> bool:
        return axon.STATUS_CODE in self.headers


@dataclass
class _Call:
    session: aiohttp.ClientSession
    signer: Signer
    miner: MinerAddress
    message: Message
    timeout_seconds: float
    maximum_bytes: int
    clock: Clock
    large: asyncio.Semaphore | None = None
    protocol: Protocol | None = None
    bytes_read: int = 0
    _placed: bool = False

    def leave(self) -> None:
        """Give the place of a large answer back, if it has one."""
        if self._placed and self.large is not None:
            self.large.release()
        self._placed = False

    async def _place(self) -> None:
        """Wait for a place of a large answer, unless it has one."""
        if not self._placed and self.large is not None:
            await self.large.acquire()
            self._placed = True

    async def run(self, rule: AddressRule) -> tuple[Message, bool]:
        """Return the answer, and whether it is signed. Raises _Trouble."""
        started = time.monotonic()
        try:
            host = await allowed(self.miner.host, self.miner.port, rule=rule)
        except AddressRefused as error:
            raise _Trouble(Outcome.ADDRESS_REFUSED, f"{self.miner.shown} is not asked: {error}") from None
        except OSError as error:
            raise _Trouble(Outcome.UNREACHABLE, f"{self.miner.shown}: {error.strerror or error}") from None
        if self.miner.preference is not Preference.AXON:
            answer = await self._by_btauth(host)
            if answer is not None:
                return answer
        return await self._by_axon(host, self.timeout_seconds - (time.monotonic() - started))

    async def _by_btauth(self, host: str) -> tuple[Message, bool] | None:
        """Return the answer; None if the server is an Axon, and may be asked as such."""
        self.protocol = Protocol.BTAUTH
        body, nonce, target = write(self.message), self.clock(), f"/{self.message.kind()}"
        headers = btauth.headers(
            self.signer, method="POST", target=target, body=body, receiver=self.miner.hotkey, nonce=nonce
        )
        reply = await self._send(host, headers, body)
        if reply.of_axon and self.miner.preference is Preference.AUTO:
            return None
        try:
            signed = btauth.verify_answer(
                reply.headers,
                status=reply.status,
                body=reply.body,
                nonce=nonce,
                caller=self.signer.ss58_address,
                sender=self.miner.hotkey,
            )
        except AuthError as error:
            raise _Trouble(_FAULTS.get(error.fault, Outcome.BAD_SIGNATURE), str(error)) from None
        return self._read(reply), signed

    async def _by_axon(self, host: str, seconds: float) -> tuple[Message, bool]:
        nonce, own = self.clock(), str(uuid.uuid4())
        try:
            headers, body = axon.request(
                self.signer,
                name=self.message.kind(),
                fields=self.message.fields(),
                required=self.message.REQUIRED,
                receiver=self.miner.hotkey,
                host=host,
                port=self.miner.port,
                timeout_seconds=max(0.001, round(seconds, 3)),
                nonce=nonce,
                uuid=own,
            )
        except AuthError as error:
            raise _Trouble(Outcome.UNSUITED_KEY, str(error)) from None
        self.protocol = Protocol.AXON
        reply = await self._send(host, headers, body)
        try:
            axon.verify_answer(reply.headers, nonce=nonce, uuid=own)
        except AuthError as error:
            raise _Trouble(Outcome.REPLAYED, str(error)) from None
        return self._read(reply), False

    async def _send(self, host: str, headers: Mapping[str, str], body: bytes) -> _Reply:
        url = URL.build(scheme="http", host=host, port=self.miner.port, path=f"/{self.message.kind()}")
        try:
            async with self.session.post(
                url,
                data=body,
                headers={**headers, "Content-Type": "application/json", "Accept-Encoding": "identity"},
                allow_redirects=False,
                # The time limit is around the whole call: a timer of aiohttp begins again with each piece.
                timeout=aiohttp.ClientTimeout(total=None),
                auto_decompress=False,
            ) as response:
                limit = self.maximum_bytes if response.status == 200 else min(_WORDS_BYTES, self.maximum_bytes)
                return _Reply(response.status, response.headers, await self._body(response, limit))
        except (aiohttp.ClientConnectorError, ConnectionError) as error:
            raise _Trouble(Outcome.UNREACHABLE, f"{self.miner.shown}: {_reason(error)}") from None
        except (aiohttp.ClientPayloadError, aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
            raise _Trouble(Outcome.UNREACHABLE, f"the connection ended before the answer did: {error}") from None
        except (aiohttp.ClientError, ValueError) as error:
            raise _Trouble(Outcome.BROKEN, f"what {self.miner.shown} sends is not HTTP: {error}") from None
        except OSError as error:
            raise _Trouble(Outcome.UNREACHABLE, f"{self.miner.shown}: {_reason(error)}") from None

    async def _body(self, response: aiohttp.ClientResponse, limit: int) -> bytes:
        """Return the body up to `limit` bytes; beyond it, raise _Trouble for a good answer, and cut a bad one off."""
        encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
        if encoding not in ("identity", "", "gzip", "deflate"):
            raise _Trouble(Outcome.WRONG_TYPE, f"the answer is encoded as {encoding}, which was not asked for")
        unpack = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32) if encoding in ("gzip", "deflate") else None
        content, received = bytearray(), 0
        async for piece in response.content.iter_chunked(_CHUNK):
            self.bytes_read += len(piece)
            received += len(piece)
            if unpack is not None and (received > limit or unpack.eof):
                # Data that becomes no content, or follows its end, would be read and kept without a bound.
                response.close()
                if response.status == 200:
                    raise _Trouble(Outcome.TOO_LARGE, f"more than {limit} bytes, or more than the answer, were sent")
                return bytes(content)
            try:
                content += piece if unpack is None else unpack.decompress(piece, limit + 1 - len(content))
            except zlib.error:
                raise _Trouble(Outcome.WRONG_TYPE, f"the answer is not what it says, {encoding}") from None
            if len(content) > SMALL_BYTES:
                await self._place()
            if len(content) > limit:
                response.close()
                if response.status == 200:
                    raise _Trouble(Outcome.TOO_LARGE, f"the answer has more than {limit} bytes")
                return bytes(content[:limit])
        return bytes(content)

    def _read(self, reply: _Reply) -> Message:
        if reply.status != 200:
            outcome = Outcome.REDIRECTED if 300 <= reply.status < 400 else _STATUSES.get(reply.status, Outcome.FAILED)
            said = _words_of(reply.body)
            raise _Trouble(outcome, f"status {reply.status}: {said}" if said else f"status {reply.status}")
        try:
            return answered(self.message, reply.body)
        except Misread as error:
            raise _Trouble(Outcome.TOO_LARGE if error.too_long else Outcome.WRONG_TYPE, str(error)) from None


def _words_of(body: bytes) -> str:
    """Return the words in the body of an error: its `message`, or that of its `error`."""
    try:
        content: Any = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    for key in ("error", "message"):
        if isinstance(content, dict):
            content = content.get(key, content)
    return words(content) if isinstance(content, str) else ""


def _reason(error: BaseException) -> str:
    os_error = getattr(error, "os_error", error)
    return str(getattr(os_error, "strerror", "") or error or type(error).__name__)
