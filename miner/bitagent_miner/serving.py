"""The process that serves: requests, the chain in the background, probes; until SIGTERM, and then those under way."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable

import aiohttp
from aiohttp import web

from bitagent_miner import admission, operations
from bitagent_miner.endpoint import Endpoint
from bitagent_miner.following import Follower
from bitagent_miner.handlers import Handlers
from bitagent_miner.metrics import Metrics
from bitagent_miner.rates import RateLimit
from bitagent_miner.settings import Settings
from bitagent_miner.turns import Turns
from bitagent_miner.wallet import load_hotkey
from bitagent_wire.connections import ConnectionLimit, LimitedSite
from bitagent_wire.keys import CryptoType
from bitagent_wire.server import MessageServer, Rejection, Served, runner

log = logging.getLogger(__name__)

STOPPING = "stopping"


async def run(settings: Settings, *, stop: asyncio.Event | None = None, show: Callable[[str], None] = print) -> None:
    """Serve until SIGTERM or SIGINT, or until `stop` is set. Raises HotkeyFileError, and OSError if a port is taken."""
    key = load_hotkey(settings.hotkey_file)
    stop = asyncio.Event() if stop is None else stop
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    metrics, health = Metrics(), operations.Health()
    follower = Follower(
        key,
        netuid=settings.netuid,
        endpoints=settings.endpoints,
        address=settings.address,
        refresh_seconds=settings.refresh_seconds,
        metrics=metrics,
        health=health,
    )
    if key.crypto_type != CryptoType.SR25519:
        log.warning("the hotkey is not sr25519: the old wire cannot name it, so that only btauth/1 reaches this miner")
    async with (
        operations.serve(health, metrics.registry, port=settings.operations_port),
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=settings.parallel)) as session,
    ):
        handlers = Handlers(
            Endpoint(session, settings.model),
            settings.names,
            turns=Turns(parallel=settings.parallel, waiting=settings.queue),
            rate=RateLimit(per_minute=settings.rate_per_minute, burst=max(1, round(settings.rate_per_minute / 4))),
            timeout_seconds=settings.timeout_seconds,
            metrics=metrics,
            subnet=lambda: follower.subnet,
            show=show,
        )

        def admit(hotkey: str, _message: str) -> None:
            if (refused := admission.refusal(hotkey, settings.rules, follower.subnet)) is not None:
                raise refused

        server = MessageServer(key, handlers.by_message(), admit=admit, observe=_observer(metrics))
        app = web.Application()
        app.add_routes(server.routes())
        # Requests under way are answered after SIGTERM, and no new ones are taken.
        serving = runner(app, drain_seconds=settings.drain_seconds)
        await serving.setup()
        following = asyncio.create_task(follower.run())
        try:
            limit = ConnectionLimit(
                settings.connections,
                total=settings.total_connections,
                changed=metrics.connections.set,
                refused=metrics.refused_connections.inc,
            )
            await operations.listen(LimitedSite(serving, settings.host, settings.port, limit), option="--listen-port")
            log.info("serving %s on port %d", key.ss58_address, settings.port)
            waiting = asyncio.create_task(stop.wait())
            await asyncio.wait({waiting, following}, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            if following.done():
                following.result()
            health.problems[STOPPING] = "the miner is ending"
        finally:
            following.cancel()
            await asyncio.wait({following})
            await serving.cleanup()
    log.info("ended")


def _observer(metrics: Metrics) -> Callable[[Served], None]:
    def observe(served: Served) -> None:
        result = served.rejection or "Answered"
        metrics.requests.labels(served.message or "other", served.protocol or "none", result).inc()
        if served.rejection is None:
            metrics.request_seconds.labels(served.message).observe(served.seconds)
            log.info("%s of %s answered in %.2f s", served.message, served.hotkey, served.seconds)
        elif served.rejection in (Rejection.FAILED, Rejection.TIMEOUT, Rejection.BUSY):
            log.warning("%s of %s: %s", served.message, served.hotkey, served.detail)
        else:
            log.debug("%s of %s: %s: %s", served.message, served.hotkey, served.rejection, served.detail)

    return observe
