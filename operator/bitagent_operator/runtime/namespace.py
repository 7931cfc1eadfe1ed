"""The operator in one namespace: its clients, its caches, its Lease, and what it does while it holds that.

A release may watch several namespaces. Each has all of this for itself, so that what goes wrong in one, such as a
missing right or a namespace that is gone, concerns no other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from functools import partial
from typing import Any

from bitagent_kube import logging as kube_logging
from bitagent_kube.client import connect
from bitagent_kube.clock import ServerClock
from bitagent_kube.health import Health
from bitagent_kube.parts import end, raise_first
from bitagent_operator.config import Config
from bitagent_operator.metrics.counters import Metrics
from bitagent_operator.metrics.states import StateCollector
from bitagent_operator.naming import MANAGER
from bitagent_operator.runtime import leadership
from bitagent_operator.runtime.leadership import Standby, release_name
from bitagent_operator.runtime.term import Operator
from bitagent_operator.tracing.otlp import Endpoint


async def operate(
    config: Config,
    *,
    home: str,
    pod: str,
    metrics: Metrics,
    health: Health,
    clock: ServerClock,
    traces: Endpoint | None = None,
) -> None:
    """Work in the configuration's namespace until cancelled; `home` is the namespace of the release.

    It may be called again with the same `metrics` and `health` after its end. `clock` is that of all namespaces;
    `traces`: where those of finished rounds are sent, None: nowhere. Raises ApiError if there is no API server to talk
    to.
    """
    namespace, deployment = config.namespace, config.deployment
    connected = partial(connect, namespace=namespace, field_manager=MANAGER, observe=metrics.request, clock=clock)
    # Two clients: the connections of a busy one must not keep the Lease from being renewed.
    with kube_logging.fields(namespace=namespace):
        async with connected() as lease_client:
            lease = leadership.lease_of(lease_client, deployment=deployment, home=home, pod=pod)
            async with connected(may_write=lambda: lease.held) as client:
                operator = Operator(config, client, metrics, health, instance=pod, traces=traces)
                states = StateCollector(operator.cache, now=clock.now)
                release = release_name(deployment=deployment, home=home, namespace=namespace)
                waiting = Standby(namespace=namespace, release=release, health=health)

                async def act() -> None:
                    await operator.in_sync()
                    await leadership.lead(lease, operator.term, waiting=waiting, metrics=metrics)

                metrics.registry.register(states)
                try:
                    await until_one_ends(act(), operator.watcher.run())
                finally:
                    metrics.registry.unregister(states)


async def until_one_ends(*works: Coroutine[Any, Any, None]) -> None:
    """Run all until one ends or this is cancelled, then end the others, in this order; raise what one has raised."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:  # the first one first: it gives up the Lease, and then another may act
            await end(task)
    raise_first(tasks)
