"""kopf as a watcher, and full lists of our own.

Of kopf only `on.event` is used: it writes nothing to users' objects, no annotations and no finalizers, so that
nothing is left behind when the operator is removed. Its index (start-up cubic in the number of objects) and its
handlers per object are not used. kopf reconnects and lists again by itself, but never reports what was deleted while
its watch was interrupted: hence the full lists, at start as the barrier before any decision, then every few minutes.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import os
import time
from collections.abc import Callable, Iterable
from typing import Any, cast

import kopf

from bitagent_crds.names import MANAGED_BY_LABEL
from bitagent_kube.client import Client
from bitagent_kube.errors import ApiError
from bitagent_kube.health import Health
from bitagent_kube.objects import Obj
from bitagent_kube.resources import DEPLOYMENTS, JOBS, MODELS, PODS, ROUNDS, VALIDATORS, ApiResource
from bitagent_operator.cache import Cache, Key
from bitagent_operator.metrics import Metrics
from bitagent_operator.naming import MANAGED_SELECTOR, MANAGER

WATCHED: tuple[tuple[ApiResource, bool], ...] = (
    (ROUNDS, False),
    (MODELS, False),
    (VALIDATORS, False),
    (JOBS, True),
    (PODS, True),
    (DEPLOYMENTS, True),
)
"""What is watched, and whether only objects with the operator's label. Rounds come first: models concern them."""
MISSED_LISTS = 5
"""Full lists that may fail in a row before the process counts as dead."""
LIST_RETRY_SECONDS = 10.0

Enqueue = Callable[[Iterable[Key]], None]

log = logging.getLogger(__name__)


def list_health(relist_seconds: float) -> Health:
    """Return the probes' state: alive while full lists succeed, ready after the first one."""
    return Health(
        limit_seconds=MISSED_LISTS * relist_seconds + 60,
        stalled="the full lists have been failing for too long",
        unready="the first full list is not complete",
    )


async def relist(client: Client, cache: Cache, enqueue: Enqueue) -> None:
    """Make the cache equal to full lists of all kinds, and enqueue every object. Raises ApiError."""

    async def one(resource: ApiResource, labelled: bool) -> None:
        known = cache.begin_list(resource.kind)
        objects = await client.list(resource, labels=MANAGED_SELECTOR if labelled else "")
        enqueue(cache.replace(resource.kind, objects, known=known))

    lists = [asyncio.create_task(one(resource, labelled)) for resource, labelled in WATCHED]
    try:
        await asyncio.gather(*lists)
    finally:
        # After one failed, the answer of another must not replace what a later list has found.
        for each in lists:
            each.cancel()
    enqueue(cache.keys())


async def relist_periodically(
    client: Client, cache: Cache, enqueue: Enqueue, *, every: float, health: Health, metrics: Metrics
) -> None:
    """Make full lists every `every` seconds until cancelled; one that fails is logged and repeated sooner."""
    while True:
        try:
            await relist(client, cache, enqueue)
        except ApiError as error:
            delay = min(every, LIST_RETRY_SECONDS)
            log.warning("full list failed, next attempt in %.0f s: %s", delay, error)
            await asyncio.sleep(delay)
            continue
        health.beat()
        metrics.last_sync.set(time.time())
        await asyncio.sleep(every)


def registry(cache: Cache, enqueue: Enqueue) -> kopf.OperatorRegistry:
    """Return kopf's handlers: every event goes to the cache, and the keys that it concerns to the queue."""
    handlers = kopf.OperatorRegistry()

    def watch(resource: ApiResource, labelled: bool) -> None:
        labels = {MANAGED_BY_LABEL: MANAGER} if labelled else None

        @kopf.on.event(
            resource.group,
            resource.version,
            resource.plural,
            labels=cast(Any, labels),
            id=f"observe-{resource.plural}",
            registry=handlers,
        )
        async def observe(event: kopf.RawEvent, **_: Any) -> None:
            obj = cast(Obj, event["object"])
            if event["type"] == "DELETED":
                enqueue(cache.drop(resource.kind, obj["metadata"]["uid"]))
            else:
                enqueue(cache.put(resource.kind, obj))

    for resource, labelled in WATCHED:
        watch(resource, labelled)
    kopf.on.login(registry=handlers)(_login)
    return handlers


def settings() -> kopf.OperatorSettings:
    """Return kopf's settings as a mere watcher of one namespace."""
    out = kopf.OperatorSettings()
    out.posting.enabled = False
    out.scanning.disabled = True
    out.peering.standalone = True
    out.watching.chunk_size = 500
    for resource, labelled in WATCHED:
        if labelled:
            out.watching.label_selectors[resource.group, resource.version, resource.plural] = MANAGED_SELECTOR
    out.queueing.idle_timeout = 1
    out.networking.connect_timeout = 10
    out.networking.request_timeout = 60
    return out


def _login(settings: kopf.OperatorSettings, logger: Any, **_: Any) -> kopf.ConnectionInfo | None:
    """Return kopf's credentials: the pod's service account, at the address in its environment (no DNS needed),
    else the kubeconfig.
    """
    info = kopf.login_with_service_account(settings=settings, logger=logger)
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT")
    if info is not None and host and port:
        address = f"[{host}]" if ":" in host else host
        return dataclasses.replace(info, server=f"https://{address}:{port}")
    return info or kopf.login_with_kubeconfig(settings=settings, logger=logger)
