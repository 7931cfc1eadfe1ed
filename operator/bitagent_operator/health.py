"""HTTP for probes and scrapes: /healthz and /readyz on one port, /metrics on another.

Alive: the event loop answers, and a full list has succeeded recently enough. Ready: the first full list is in the store.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

MISSED_LISTS = 5
"""Full lists that may fail in a row before the process counts as dead."""


@dataclass
class Health:
    """What the probes report."""

    relist_seconds: float
    synced_at: float | None = None
    """Monotonic time of the last full list."""

    @property
    def ready(self) -> bool:
        """Whether the store has been filled once."""
        return self.synced_at is not None

    @property
    def alive(self) -> bool:
        """Whether the lists keep succeeding; before the first one the start-up decides."""
        return self.synced_at is None or time.monotonic() - self.synced_at < MISSED_LISTS * self.relist_seconds + 60

    def synced(self) -> None:
        """A full list of all kinds succeeded."""
        self.synced_at = time.monotonic()


@asynccontextmanager
async def serve(
    health: Health, registry: CollectorRegistry, *, health_port: int, metrics_port: int
) -> AsyncIterator[None]:
    """Serve both ports while the context is open. Raises OSError when a port is taken."""

    async def healthz(_request: web.Request) -> web.Response:
        return _answer(health.alive, "the full lists have been failing for too long")

    async def readyz(_request: web.Request) -> web.Response:
        return _answer(health.ready, "the first full list is not complete")

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    probes, scrapes = web.Application(), web.Application()
    probes.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz)])
    scrapes.add_routes([web.get("/metrics", metrics)])
    runners = [web.AppRunner(app, access_log=None) for app in (probes, scrapes)]
    try:
        for runner, port in zip(runners, (health_port, metrics_port), strict=True):
            await runner.setup()
            await web.TCPSite(runner, None, port).start()
        yield
    finally:
        for runner in runners:
            await runner.cleanup()


def _answer(good: bool, problem: str) -> web.Response:
    return web.Response(text="ok\n") if good else web.Response(status=503, text=f"{problem}\n")
