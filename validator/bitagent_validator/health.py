"""What the kubelet and Prometheus ask: /healthz and /readyz on one port, /metrics on another.

Liveness is about the loop alone: a chain or an API server that is away never gets the pod killed, since a restart would
not bring it back. Readiness is given once both were reached, and kept: nobody sends this pod requests.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

STOPPED_SECONDS = 300.0
"""Longer than any pass can take with all its calls running into their time limits."""


class Health:
    """The loop's pulse."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.ready = False
        self._clock = clock
        self._beat = clock()

    def beat(self) -> None:
        """The loop is alive."""
        self._beat = self._clock()

    @property
    def alive(self) -> bool:
        """Whether the loop was alive lately."""
        return self._clock() - self._beat < STOPPED_SECONDS


@asynccontextmanager
async def serve(
    health: Health, registry: CollectorRegistry, *, health_port: int, metrics_port: int
) -> AsyncIterator[None]:
    """Answer while the context lasts."""

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok") if health.alive else web.Response(text="the loop has stopped", status=503)

    async def readyz(_: web.Request) -> web.Response:
        return web.Response(text="ok") if health.ready else web.Response(text="not connected yet", status=503)

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    runners = [
        await _listen({"/healthz": healthz, "/readyz": readyz}, health_port),
        await _listen({"/metrics": metrics}, metrics_port),
    ]
    try:
        yield
    finally:
        for runner in runners:
            await runner.cleanup()


async def _listen(routes: dict[str, Handler], port: int) -> web.AppRunner:
    app = web.Application()
    app.add_routes([web.get(route, handler) for route, handler in routes.items()])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, port=port).start()
    return runner
