"""The operator's process: `bitagent-operator`, configured by the file named in BITAGENT_CONFIG."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Iterable

import kopf

from bitagent_kube import health
from bitagent_kube import logging as kube_logging
from bitagent_kube.client import Client, connect
from bitagent_kube.errors import ApiError
from bitagent_kube.events import EventRecorder
from bitagent_operator import config, watch
from bitagent_operator.cache import Cache, Key
from bitagent_operator.context import Context
from bitagent_operator.metrics import Metrics, StateCollector
from bitagent_operator.naming import MANAGER
from bitagent_operator.queue import WorkQueue
from bitagent_operator.reconcile import PlanNotConverged, reconcile

LOG_LEVELS = dict.fromkeys(("kopf.objects", "kopf.activities", "aiohttp.access", "kubernetes"), logging.WARNING)
"""Loggers that write one line per event or request."""

log = logging.getLogger("bitagent_operator")


async def run(settings: config.Config) -> None:
    """Run until a signal, or until kopf ends because the API server stays away.

    Raises OSError and ApiError at start.
    """
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("run() needs a task")
    # kopf handles signals once it runs. Until then a process that is PID 1 would ignore them, and its pod wait out
    # the whole grace period.
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, task.cancel)
    metrics = Metrics()
    try:
        async with connect(namespace=settings.namespace, field_manager=MANAGER, observe=metrics.request) as client:
            await _run(settings, client, metrics)
    except asyncio.CancelledError:
        log.info("stopped during start-up")


async def _run(settings: config.Config, client: Client, metrics: Metrics) -> None:
    cache = Cache()
    metrics.registry.register(StateCollector(cache))
    state = watch.list_health(settings.relist_seconds)
    events = EventRecorder(client, instance=os.environ.get("POD_NAME", socket.gethostname()))

    def enqueue(keys: Iterable[Key]) -> None:
        for key in keys:
            queue.add(key)

    context = Context(config=settings, cache=cache, client=client, events=events, metrics=metrics, enqueue=enqueue)

    async def work(key: Key) -> float | None:
        outcome, began = "error", time.monotonic()
        try:
            requeue_after = await reconcile(context, key)
            outcome = "ok"
            return requeue_after
        finally:
            metrics.reconciles.labels(key.kind, outcome).inc()
            metrics.reconcile_seconds.labels(key.kind).observe(time.monotonic() - began)

    queue: WorkQueue[Key] = WorkQueue(work, expected=(ApiError, PlanNotConverged, OSError))
    metrics.queue_depth.set_function(lambda: float(len(queue)))

    ports = {"health_port": settings.health_port, "metrics_port": settings.metrics_port}
    async with health.serve(state, metrics.registry, **ports):
        await watch.relist(client, cache, enqueue)
        state.ready = True
        state.beat()
        metrics.last_sync.set_to_current_time()
        log.info("in sync: %d models, %d rounds, %d Jobs", len(cache.models), len(cache.rounds), len(cache.jobs))
        every = settings.relist_seconds
        lists = watch.relist_periodically(client, cache, enqueue, every=every, health=state, metrics=metrics)
        tasks = [asyncio.create_task(queue.run()), asyncio.create_task(lists)]
        watching = asyncio.create_task(
            kopf.operator(
                registry=watch.registry(cache, enqueue),
                settings=watch.settings(),
                standalone=True,
                namespaces=[settings.namespace],
            )
        )
        done, _ = await asyncio.wait([watching, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in (watching, *tasks):
            task.cancel()
        await asyncio.gather(watching, *tasks, return_exceptions=True)
        for task in done:
            task.result()  # the task that ended first has the cause


def main(argv: list[str] | None = None) -> int:
    """Run the operator; return the exit code: 0 after a signal, 1 after a failure."""
    parser = argparse.ArgumentParser(
        prog="bitagent-operator", description="Launches the Jobs and validators of one namespace."
    )
    parser.epilog = (
        f"Configured by the YAML file that {config.CONFIG_VARIABLE} names; without it by {config.DEFAULT_PATH}."
    )
    parser.parse_args(argv)
    level = logging.DEBUG if os.environ.get("BITAGENT_DEBUG") else logging.INFO
    kube_logging.configure(json_lines=not kube_logging.on_terminal(), level=level, levels=LOG_LEVELS)
    try:
        asyncio.run(run(config.load()))
    except (config.ConfigError, ApiError, OSError) as error:
        log.error("the operator stops: %s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
