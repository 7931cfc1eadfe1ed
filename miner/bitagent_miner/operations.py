"""Probes and metrics on one port: /healthz, /readyz and /metrics."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest


@dataclass
class Health:
    """What the probes report. The process is alive as long as it answers."""

    problems: dict[str, str] = field(default_factory=dict)
    """Why the miner is not ready, by what it concerns."""


async def listen(site: web.BaseSite, *, option: str) -> None:
    """Open a port. Raises OSError that names the option, if it cannot be opened."""
    try:
        await site.start()
    except OSError as error:
        raise OSError(f"{option}: {error.strerror}: choose another one") from error


@asynccontextmanager
async def serve(health: Health, registry: CollectorRegistry, *, port: int) -> AsyncIterator[int]:
    """Serve while the context is open, and give the port. Raises OSError if the port is taken."""

    async def healthz(_request: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def readyz(_request: web.Request) -> web.Response:
        if health.problems:
            return web.Response(status=503, text="; ".join(health.problems.values()))
        return web.Response(text="ok")

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", metrics)])
    runner = web.AppRunner(app, access_log=None)
    try:
        await runner.setup()
        await listen(web.TCPSite(runner, port=port), option="--operations-port")
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()
