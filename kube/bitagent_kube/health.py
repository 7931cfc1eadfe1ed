"""Probes and metrics over HTTP: /healthz and /readyz on one port, /metrics on another."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Probes(Protocol):
    """What the probes ask for."""

    @property
    def alive(self) -> bool:
        """Whether the process works, so that it need not be restarted."""

    @property
    def stalled(self) -> str:
        """What /healthz says of a process that does not."""

    @property
    def unreadiness(self) -> str:
        """Why the process is not ready; empty if it is."""


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

    @property
    def unreadiness(self) -> str:
        """Why the process is not ready; empty if it is."""
        if self.ready and not self.problems:
            return ""
        return "; ".join(self.problems.values()) or self.unready


@dataclass(frozen=True)
class Parts:
    """What the probes report of parts that fail apart: alive while one of them is, ready when all are."""

    parts: Mapping[str, Health]
    """Each by a name that precedes what it reports, if there are several."""

    @property
    def alive(self) -> bool:
        """Whether one part is: a restart would interrupt it."""
        return any(part.alive for part in self.parts.values())

    @property
    def stalled(self) -> str:
        """What /healthz says when none is."""
        return self._joined({name: part.stalled for name, part in self.parts.items()})

    @property
    def unreadiness(self) -> str:
        """What makes parts unready; empty if all are ready."""
        return self._joined({name: part.unreadiness for name, part in self.parts.items()})

    def _joined(self, texts: Mapping[str, str]) -> str:
        said = {name: text for name, text in texts.items() if text}
        return "; ".join(f"{name}: {text}" if len(self.parts) > 1 else text for name, text in said.items())


@asynccontextmanager
async def serve(
    health: Probes, registry: CollectorRegistry, *, health_port: int, metrics_port: int
) -> AsyncIterator[None]:
    """Serve both ports while the context is open. Raises OSError if a port is taken."""

    async def healthz(_request: web.Request) -> web.Response:
        return _answer(health.alive, health.stalled)

    async def readyz(_request: web.Request) -> web.Response:
        problem = health.unreadiness
        return _answer(not problem, problem)

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
