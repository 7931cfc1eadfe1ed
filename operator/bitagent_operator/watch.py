"""Watching by kopf, and full lists of our own.

Of kopf only `on.event` is used: it writes nothing to users' objects, no annotations and no finalizers, so that nothing is left behind
when the operator goes. Its index (start-up cubic in the number of objects) and its per-object handlers are not used. kopf reconnects
and lists again by itself, but never reports what was deleted while its watch was lost: hence the full lists, at start as the barrier
before any decision, then every few minutes.
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

from bitagent_operator.api import DEPLOYMENTS, JOBS, MODELS, PODS, ROUNDS, VALIDATORS, Api, ApiError, Endpoint
from bitagent_operator.health import Health
from bitagent_operator.metrics import Metrics
from bitagent_operator.naming import MANAGED_BY, MANAGED_SELECTOR, MANAGER
from bitagent_operator.observed import Obj
from bitagent_operator.store import Key, Store

WATCHED: tuple[tuple[Endpoint, bool], ...] = (
    (ROUNDS, False),
    (MODELS, False),
    (VALIDATORS, False),
    (JOBS, True),
    (PODS, True),
    (DEPLOYMENTS, True),
)
"""What is watched, and whether only what carries the operator's label. Rounds come first: models concern them."""

Enqueue = Callable[[Iterable[Key]], None]

log = logging.getLogger(__name__)


async def relist(api: Api, store: Store, enqueue: Enqueue) -> None:
    """Make the store equal to full lists of all kinds, and have everything looked at anew. Raises ApiError."""

    async def one(endpoint: Endpoint, labelled: bool) -> None:
        known = store.uids(endpoint.kind)
        objects = await api.list(endpoint, labels=MANAGED_SELECTOR if labelled else "")
        enqueue(store.replace(endpoint.kind, objects, known=known))

    await asyncio.gather(*(one(endpoint, labelled) for endpoint, labelled in WATCHED))
    enqueue(store.keys())


async def relist_for_ever(
    api: Api, store: Store, enqueue: Enqueue, *, every: float, health: Health, metrics: Metrics
) -> None:
    """Full lists every `every` seconds; a list that fails is logged and tried again sooner."""
    while True:
        try:
            await relist(api, store, enqueue)
        except ApiError as error:
            log.warning("full list failed, again in %.0f s: %s", min(every, 10), error)
            await asyncio.sleep(min(every, 10))
            continue
        health.synced()
        metrics.last_sync.set(time.time())
        await asyncio.sleep(every)


def registry(store: Store, enqueue: Enqueue) -> kopf.OperatorRegistry:
    """Kopf's handlers: every event goes to the store, and what it concerns to the queue."""
    handlers = kopf.OperatorRegistry()

    def watch(endpoint: Endpoint, labelled: bool) -> None:
        labels = {MANAGED_BY: MANAGER} if labelled else None

        @kopf.on.event(
            endpoint.group,
            endpoint.version,
            endpoint.plural,
            labels=cast(Any, labels),
            id=f"see-{endpoint.plural}",
            registry=handlers,
        )
        async def see(event: kopf.RawEvent, **_: Any) -> None:
            obj = cast(Obj, event["object"])
            if event["type"] == "DELETED":
                enqueue(store.drop(endpoint.kind, obj["metadata"]["uid"]))
            else:
                enqueue(store.put(endpoint.kind, obj))

    for endpoint, labelled in WATCHED:
        watch(endpoint, labelled)
    kopf.on.login(registry=handlers)(_login)
    return handlers


def settings() -> kopf.OperatorSettings:
    """Kopf as a mere watcher of one namespace."""
    out = kopf.OperatorSettings()
    out.posting.enabled = False
    out.scanning.disabled = True
    out.peering.standalone = True
    out.watching.chunk_size = 500
    for endpoint, labelled in WATCHED:
        if labelled:
            out.watching.label_selectors[endpoint.group, endpoint.version, endpoint.plural] = MANAGED_SELECTOR
    out.queueing.idle_timeout = 1
    out.networking.connect_timeout = 10
    out.networking.request_timeout = 60
    return out


def _login(settings: kopf.OperatorSettings, logger: Any, **_: Any) -> kopf.ConnectionInfo | None:
    """Credentials for kopf: the pod's service account, at the address in its environment (no DNS needed), else the kubeconfig."""
    info = kopf.login_with_service_account(settings=settings, logger=logger)
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT")
    if info is not None and host and port:
        address = f"[{host}]" if ":" in host else host
        return dataclasses.replace(info, server=f"https://{address}:{port}")
    return info or kopf.login_with_kubeconfig(settings=settings, logger=logger)
