"""Runs the operator: `bitagent-operator`, configured by the file named in BITAGENT_CONFIG."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Iterable

import kopf
from kubernetes.aio.config import ConfigException

from bitagent_operator import config, health, logs, watch
from bitagent_operator.api import Api, ApiError, cluster_configuration
from bitagent_operator.events import Events
from bitagent_operator.metrics import Metrics, StateCollector
from bitagent_operator.queue import WorkQueue
from bitagent_operator.reconcile import evalround, minermodel, validator
from bitagent_operator.reconcile.context import Context, Undecided
from bitagent_operator.store import Key, Kind, Store

log = logging.getLogger("bitagent_operator")

Reconciler = Callable[[Context, Key], Awaitable[float | None]]
RECONCILERS: dict[Kind, Reconciler] = {
    Kind.MODEL: minermodel.reconcile,
    Kind.ROUND: evalround.reconcile,
    Kind.VALIDATOR: validator.reconcile,
}


async def run(settings: config.Config) -> None:
    """Run until a signal, or until kopf ends (an API server that stays away).

    Raises OSError, ApiError and kubernetes' ConfigException at start.
    """
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("run() needs a task")
    # kopf handles signals once it runs. Until then a process that is PID 1 would ignore them, and its pod wait out the whole grace period.
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, task.cancel)
    try:
        await _run(settings)
    except asyncio.CancelledError:
        log.info("stopped at the start")


async def _run(settings: config.Config) -> None:
    store, metrics = Store(), Metrics()
    metrics.registry.register(StateCollector(store))
    state = health.Health(settings.relist_seconds)
    api = Api(await cluster_configuration(), namespace=settings.namespace, observe=metrics.request)
    events = Events(api, instance=os.environ.get("POD_NAME", socket.gethostname()))

    def enqueue(keys: Iterable[Key]) -> None:
        for key in keys:
            queue.add(key)

    context = Context(config=settings, store=store, api=api, events=events, metrics=metrics, enqueue=enqueue)

    async def work(key: Key) -> float | None:
        outcome, began = "error", time.monotonic()
        try:
            again = await RECONCILERS[key.kind](context, key)
            outcome = "ok"
            return again
        finally:
            metrics.reconciles.labels(key.kind, outcome).inc()
            metrics.reconcile_seconds.labels(key.kind).observe(time.monotonic() - began)

    queue: WorkQueue[Key] = WorkQueue(work, expected=(ApiError, Undecided, OSError))
    metrics.queue_depth.set_function(lambda: float(len(queue)))

    ports = {"health_port": settings.health_port, "metrics_port": settings.metrics_port}
    try:
        async with health.serve(state, metrics.registry, **ports):
            await watch.relist(api, store, enqueue)
            state.synced()
            metrics.last_sync.set_to_current_time()
            log.info("in sync: %d models, %d rounds, %d Jobs", len(store.models), len(store.rounds), len(store.jobs))
            every = settings.relist_seconds
            lists = watch.relist_for_ever(api, store, enqueue, every=every, health=state, metrics=metrics)
            tasks = [asyncio.create_task(queue.run()), asyncio.create_task(lists)]
            watching = asyncio.create_task(
                kopf.operator(
                    registry=watch.registry(store, enqueue),
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
                task.result()  # what ended first tells why
    finally:
        await api.close()


def main(argv: list[str] | None = None) -> int:
    """Entry point; the exit code is 0 after a signal, 1 after a failure."""
    parser = argparse.ArgumentParser(
        prog="bitagent-operator", description="Launches the Jobs and validators of one namespace."
    )
    parser.epilog = (
        f"Configured by the YAML file that {config.CONFIG_VARIABLE} names; without it by {config.DEFAULT_PATH}."
    )
    parser.parse_args(argv)
    logs.setup(level=logging.DEBUG if os.environ.get("BITAGENT_DEBUG") else logging.INFO)
    try:
        asyncio.run(run(config.load()))
    except (config.ConfigError, ConfigException, ApiError, OSError) as error:
        log.error("the operator stops: %s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
