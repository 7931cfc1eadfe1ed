"""An API server of canned answers on loopback, and a client of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web
from kubernetes.aio.client.configuration import Configuration

from bitagent_kube.client import Client

Answer = Callable[[web.Request], web.StreamResponse]


class Server:
    """Gives its answers in order, and the last one ever after."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.requests: list[tuple[str, str, Any]] = []
        """Method, path and body of each."""
        self.queries: list[dict[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.content_types: list[str] = []
        self.slept: list[float] = []
        """Pauses of the client, none of which takes time."""
        self.observed: list[tuple[str, int]] = []
        self._arrived = asyncio.Event()
        self.configuration: Configuration
        self.client: Client

    async def asked(self, times: int) -> None:
        """Wait until so many requests have arrived."""
        async with asyncio.timeout(60):
            while len(self.requests) < times:
                self._arrived.clear()
                await self._arrived.wait()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.text()
        self.requests.append((request.method, request.path, json.loads(body) if body else None))
        self.queries.append(dict(request.query))
        self._arrived.set()
        self.headers.append(dict(request.headers))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return answer(request)

    @property
    def methods(self) -> list[str]:
        return [method for method, _, _ in self.requests]

    @staticmethod
    def say(status: int, body: Any = None, **headers: str) -> Answer:
        """Answer with JSON."""
        return lambda _request: web.json_response(body if body is not None else {}, status=status, headers=headers)

    @staticmethod
    def text(status: int, text: str) -> Answer:
        """Answer with something that is not a Status."""
        return lambda _request: web.Response(status=status, text=text)

    @staticmethod
    def refuse(status: int, reason: str = "", **headers: str) -> Answer:
        """Answer with a Status."""
        return Server.say(status, {"reason": reason, "message": "no"}, **headers)

    @staticmethod
    def watch(*lines: dict[str, Any] | str) -> Answer:
        """Answer with watch events, one a line."""
        text = "".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines)
        return lambda _request: web.Response(text=text)

    @staticmethod
    def hang_up(request: web.Request) -> web.StreamResponse:
        """Close the connection without an answer."""
        if request.transport is not None:
            request.transport.close()
        return web.Response()

    @staticmethod
    def cut_short(request: web.Request) -> web.StreamResponse:
        """An API server that dies while it answers: fewer bytes come than were announced."""
        if request.transport is not None:
            request.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
            request.transport.close()
        return web.Response()


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    made = Server()

    async def at_once(seconds: float) -> None:
        made.slept.append(seconds)

    monkeypatch.setattr("bitagent_kube.client.asyncio.sleep", at_once)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.configuration = Configuration(host=f"http://127.0.0.1:{runner.addresses[0][1]}")
    made.client = Client(
        made.configuration,
        namespace="ns",
        field_manager="some-controller",
        observe=lambda *seen: made.observed.append(seen),
    )
    yield made
    await made.client.close()
    await runner.cleanup()
