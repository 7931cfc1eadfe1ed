"""How many connections one address may have, and all together, below HTTP: each costs memory before its first request.

Who is behind an address is not known before a request is verified, so that connections are counted, and not hotkeys.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
from collections import Counter
from collections.abc import Callable

from aiohttp import web

from bitagent_wire.server import Rejection

REFUSAL_SECONDS = 1.0
"""How long a refused connection may take to send its request: it is answered then, and may be lost before."""
REFUSALS_MAX = 64
"""Refused connections that may wait for their request at once; further ones are closed without an answer."""
_PREFIX = 64
"""Bits of an IPv6 address that one host or site has: it may use any address below."""


def group(host: str) -> str:
    """Return what connections are counted by: an IPv4 address, or the network of an IPv6 address."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, _PREFIX), strict=False))
    return str(address)


class ConnectionLimit:
    """Counts open connections, by address and all together."""

    def __init__(
        self,
        maximum: int,
        *,
        total: int = 0,
        changed: Callable[[int], None] = lambda _: None,
        refused: Callable[[], None] = lambda: None,
    ) -> None:
        """`maximum`: of one address, `total`: of all, 0 for any number; `changed` gets the number that is open."""
        self._maximum, self._total_maximum, self._changed, self._refused = maximum, total, changed, refused
        self._open: Counter[str] = Counter()
        self._total = 0
        self.waiting = 0
        """Refused connections that are not closed yet."""

    @property
    def full(self) -> bool:
        """Whether there are as many connections as there may be, whatever their addresses."""
        return 0 < self._total_maximum <= self._total

    def take(self, host: str) -> bool:
        """Count a connection and return whether it is within the limits; one that is not is not counted."""
        key = group(host)
        if self.full or (self._maximum and self._open.get(key, 0) >= self._maximum):
            self._refused()
            return False
        self._open[key] += 1
        self._total += 1
        self._changed(self._total)
        return True

    def give_back(self, host: str) -> None:
        """Count the end of a connection that was within the limit."""
        key = group(host)
        self._open[key] -= 1
        if not self._open[key]:
            del self._open[key]
        self._total -= 1
        self._changed(self._total)


class LimitedSite(web.BaseSite):
    """A port with a limited number of connections."""

    def __init__(self, runner: web.AppRunner, host: str, port: int, limit: ConnectionLimit) -> None:
        super().__init__(runner)
        self._application, self._at, self._limit = runner, (host, port), limit
        self._listener: asyncio.Server | None = None

    @property
    def name(self) -> str:
        """The address of the port."""
        return f"http://{self._at[0]}:{self._at[1]}"

    async def start(self) -> None:
        """Listen. Raises OSError if the port cannot be opened."""
        await super().start()
        server = self._application.server
        if server is None:
            raise RuntimeError("the runner is not set up")
        host, port = self._at
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(lambda: _Connection(server(), self._limit), host, port)

    async def stop(self) -> None:
        """Take no further connections."""
        if self._listener is not None:
            self._listener.close()
        await super().stop()


class _Connection(asyncio.Protocol):
    """A connection of the application, or one that is refused."""

    def __init__(self, application: asyncio.Protocol, limit: ConnectionLimit) -> None:
        self._application, self._limit = application, limit
        self._host = ""
        self._transport: asyncio.Transport | None = None
        """Of a connection that is refused."""
        self._refusal = b""
        """What it is answered."""
        self._end: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._host = str((transport.get_extra_info("peername") or ("",))[0])
        if self._limit.take(self._host):
            self._application.connection_made(transport)
            return
        if not isinstance(transport, asyncio.Transport):
            raise RuntimeError("a connection is not a stream")
        self._transport = transport
        self._refusal = _refusal(full=self._limit.full)
        self._limit.waiting += 1
        if self._limit.waiting > REFUSALS_MAX:
            transport.abort()
        else:
            # A connection that is closed with unread bytes is reset, and its answer may be lost.
            self._end = asyncio.get_running_loop().call_later(REFUSAL_SECONDS, transport.abort)

    def data_received(self, data: bytes) -> None:
        if self._transport is None:
            self._application.data_received(data)
        elif not self._transport.is_closing():
            self._transport.write(self._refusal)
            self._transport.close()

    def eof_received(self) -> bool | None:
        return self._application.eof_received() if self._transport is None else None

    def pause_writing(self) -> None:
        if self._transport is None:
            self._application.pause_writing()

    def resume_writing(self) -> None:
        if self._transport is None:
            self._application.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is None:
            self._limit.give_back(self._host)
            self._application.connection_lost(exc)
            return
        self._limit.waiting -= 1
        if self._end is not None:
            self._end.cancel()


def _refusal(*, full: bool) -> bytes:
    reason, status = Rejection.RATE_LIMITED, "429 Too Many Requests"
    words = "this address has too many connections: end those that are not needed"
    if full:
        reason, status = Rejection.BUSY, "503 Service Unavailable"
        words = "there are too many connections, of all addresses together: try again"
    body = json.dumps({"error": {"reason": reason, "message": words}}).encode()
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nRetry-After: 5\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body
