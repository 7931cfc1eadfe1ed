"""Connections of one address: how many it may have, and what the others get."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from aiohttp import web

from bitagent_wire import connections
from bitagent_wire.connections import ConnectionLimit, LimitedSite, group
from bitagent_wire.server import runner

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
REQUEST = b"GET / HTTP/1.1\r\nHost: m\r\n\r\n"


@pytest.mark.parametrize(
    ("host", "counted_by"),
    [
        pytest.param("203.0.113.7", "203.0.113.7", id="IPv4"),
        pytest.param("::ffff:203.0.113.7", "203.0.113.7", id="IPv4 on an IPv6 port"),
        pytest.param("2001:db8:1:2:a::1", "2001:db8:1:2::/64", id="a host may use any address of its network"),
        pytest.param("fe80::1%eth0", "fe80::/64", id="with a zone"),
        pytest.param("", "", id="no address"),
    ],
)
def test_what_is_counted_as_one_address(host: str, counted_by: str) -> None:
    assert group(host) == counted_by


def test_each_address_has_its_own_limit() -> None:
    totals, refused = list[int](), list[int]()
    limit = ConnectionLimit(2, changed=totals.append, refused=lambda: refused.append(1))
    assert [limit.take(host) for host in ("a", "a", "a", "b")] == [True, True, False, True]
    limit.give_back("a")
    assert limit.take("a")
    assert (totals, len(refused)) == ([1, 2, 3, 2, 3], 1)


@pytest.mark.parametrize(
    ("limits", "hosts", "taken", "full"),
    [
        pytest.param((2, 3), "aabb", [True, True, True, False], True, id="all together"),
        pytest.param((2, 3), "aaab", [True, True, False, True], True, id="the address's own limit comes first"),
        pytest.param((0, 2), "aab", [True, True, False], True, id="without one for an address"),
        pytest.param((2, 0), "aabbcc", [True] * 6, False, id="without one for all"),
    ],
)
def test_all_addresses_together_have_a_limit(
    limits: tuple[int, int], hosts: str, taken: list[bool], full: bool
) -> None:
    limit = ConnectionLimit(limits[0], total=limits[1])
    assert [limit.take(host) for host in hosts] == taken
    assert limit.full is full
    limit.give_back("a")
    assert limit.take("d")


def test_no_limit() -> None:
    assert all(ConnectionLimit(0).take("a") for _ in range(1000))


@asynccontextmanager
async def served(limit: ConnectionLimit, unused_port: int) -> AsyncIterator[None]:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(text="answered")

    app = web.Application()
    app.add_routes([web.get("/", answer)])
    serving = runner(app, drain_seconds=0.1)
    await serving.setup()
    await LimitedSite(serving, "127.0.0.1", unused_port, limit).start()
    try:
        yield
    finally:
        await serving.cleanup()


async def asked(streams: Streams) -> tuple[int, bytes]:
    """Send a request on an open connection, and return status and body of the answer."""
    reader, writer = streams
    writer.write(REQUEST)
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(int(line[15:]) for line in head.splitlines() if line.lower().startswith(b"content-length:"))
    return int(head.split()[1]), await reader.readexactly(length)


async def test_connections_beyond_the_limit_are_refused_until_another_ends(unused_tcp_port: int) -> None:
    """Those within it are answered all the while, also several times."""
    closed = asyncio.Event()
    limit = ConnectionLimit(2, changed=lambda total: closed.set() if total == 1 else None)
    async with asyncio.timeout(30), served(limit, unused_tcp_port):
        held = [await asyncio.open_connection("127.0.0.1", unused_tcp_port) for _ in range(2)]
        assert [await asked(each) for each in held] == [(200, b"answered")] * 2
        further = await asyncio.open_connection("127.0.0.1", unused_tcp_port)
        status, body = await asked(further)
        assert (status, json.loads(body)["error"]["reason"]) == (429, "RateLimited")
        assert await further[0].read() == b"", "it is closed"
        assert (await asked(held[0]))[0] == 200
        closed.clear()
        held[1][1].close()
        await closed.wait()
        assert (await asked(await asyncio.open_connection("127.0.0.1", unused_tcp_port)))[0] == 200


async def test_connections_beyond_the_limit_of_all_are_answered_503(unused_tcp_port: int) -> None:
    async with asyncio.timeout(30), served(ConnectionLimit(9, total=1), unused_tcp_port):
        held = await asyncio.open_connection("127.0.0.1", unused_tcp_port)
        assert (await asked(held))[0] == 200
        further = await asyncio.open_connection("127.0.0.1", unused_tcp_port)
        status, body = await asked(further)
        assert (status, json.loads(body)["error"]["reason"]) == (503, "Busy")
        assert await further[0].read() == b"", "it is closed"
        assert (await asked(held))[0] == 200


@pytest.mark.parametrize(
    "waiting",
    [
        pytest.param(connections.REFUSALS_MAX, id="after a moment"),
        pytest.param(0, id="at once if many such connections wait"),
    ],
)
async def test_a_refused_connection_that_sends_nothing_is_closed(
    monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int, waiting: int
) -> None:
    monkeypatch.setattr(connections, "REFUSALS_MAX", waiting)
    monkeypatch.setattr(connections, "REFUSAL_SECONDS", 0.2 if waiting else 3600)
    limit = ConnectionLimit(1)
    async with asyncio.timeout(30), served(limit, unused_tcp_port):
        held = await asyncio.open_connection("127.0.0.1", unused_tcp_port)
        assert (await asked(held))[0] == 200
        reader, _ = await asyncio.open_connection("127.0.0.1", unused_tcp_port)
        with suppress(ConnectionResetError):
            assert await reader.read() == b""
        assert (await asked(held))[0] == 200
    assert limit.waiting == 0
