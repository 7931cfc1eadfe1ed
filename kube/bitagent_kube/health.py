"""Probes and metrics over HTTP: /healthz and /readyz on one port, /metrics on another."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Health:
    """What the probes report: liveness from a heartbeat, readiness from a flag."""

    limit_seconds: float
    """Without a heartbeat for this long the process counts as dead. Before the first one it counts as alive."""
    stalled: str
    """What /healthz says then."""
    unready: str
    """What /readyz says before the process is ready."""
    ready: bool = False
    problems: dict[str, str] = field(default_factory=dict)
    """What makes a process unready that was ready, by what it concerns."""
    clock: Callable[[], float] = time.monotonic
    _last_beat: float | None = field(default=None, init=False)

    def beat(self) -> None:
        """Report that the work proceeds."""
        self._last_beat = self.clock()

    @property
    def alive(self) -> bool:
        """Whether the last heartbeat is recent enough."""
        return self._last_beat is None or self.clock() - self._last_beat < self.limit_seconds


@asynccontextmanager
async def serve(
    health: Health, registry: CollectorRegistry, *, health_port: int, metrics_port: int
) -> AsyncIterator[None]:
    """Serve both ports while the context is open. Raises OSError if a port is taken."""

    async def healthz(_request: web.Request) -> web.Response:
        return _answer(health.alive, health.stalled)

    async def readyz(_request: web.Request) -> web.Response:
        problem = "; ".join(health.problems.values()) or health.unready
        return _answer(health.ready and not health.problems, problem)

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    servers: list[tuple[int, dict[str, _Handler]]] = [
        (health_port, {"/healthz": healthz, "/readyz": readyz}),
        (metrics_port, {"/metrics": metrics}),
    ]
    runners: list[web.AppRunner] = []
    try:
        for port, routes in servers:
            app = web.Application()
            app.add_routes([web.get(path, handler) for path, handler in routes.items()])
            runners.append(web.AppRunner(app, access_log=None))
            await runners[-1].setup()
            await web.TCPSite(runners[-1], port=port).start()
        yield
    finally:
        for runner in runners:
            await runner.cleanup()


def _answer(good: bool, problem: str) -> web.Response:
    return web.Response(text="ok") if good else web.Response(status=503, text=problem)
