"""kopf as the watcher of one kind, in a thread of its own.

Of kopf only `on.event` is used: it writes nothing to users' objects, no annotations and no finalizers, so that
nothing is left behind when the operator is removed. Its index (start-up cubic in the number of objects) and its
handlers per object are not used.

When one of its watches fails for good, as that of a kind whose definition was deleted, kopf ends altogether, and with
it every task of its event loop. So each kind has a kopf of its own, whose end concerns no other kind and none of the
operator's requests.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

import kopf

from bitagent_crds.names import MANAGED_BY_LABEL
from bitagent_kube.objects import Obj
from bitagent_kube.resources import ApiResource
from bitagent_operator.naming import MANAGED_SELECTOR, MANAGER

STOP_SECONDS = 5.0
"""Longest wait for kopf to end. Its thread ends with the process in any case."""

SILENT_SECONDS = 70.0
"""After which a watch that brings nothing is begun again: the API server sends a bookmark every minute."""

LISTED = "None"
"""Type of the event with which kopf delivers each object of a list."""
Deliver = Callable[[str, Obj], None]
"""Called with the type of an event (DELETED, LISTED or any other) and the object."""


class WatchEnded(Exception):
    """Raised when kopf ends by itself; the message says why."""


async def watch(resource: ApiResource, *, namespace: str, labelled: bool, deliver: Deliver) -> None:
    """Watch a kind until cancelled; `labelled`: only objects with the operator's label.

    `deliver` is called in the present event loop. kopf lists the kind first, reconnects and lists again by itself, but
    never reports what was deleted before a list. Raises WatchEnded.
    """
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[str] = loop.create_future()
    handlers = registry(resource, labelled=labelled, deliver=_into(loop, deliver))
    watching = _Thread(handlers, settings(resource, labelled=labelled), namespace)

    def end(why: str) -> None:
        if not ended.done():
            ended.set_result(why)

    watching.start(_into(loop, end))
    try:
        raise WatchEnded(await asyncio.shield(ended))
    finally:
        watching.stop()
        await asyncio.wait([ended], timeout=STOP_SECONDS)


def _into(loop: asyncio.AbstractEventLoop, call: Callable[..., None]) -> Callable[..., None]:
    """Return a function that has `call` called in that event loop, as long as there is one."""

    def forward(*arguments: Any) -> None:
        with suppress(RuntimeError):  # closed
            loop.call_soon_threadsafe(call, *arguments)

    return forward


class _Thread:
    """A thread with kopf in an event loop of its own."""

    def __init__(self, handlers: kopf.OperatorRegistry, settings: kopf.OperatorSettings, namespace: str) -> None:
        self._handlers, self._settings, self._namespace = handlers, settings, namespace
        self._stopped = threading.Event()
        self._task: tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]] | None = None

    def start(self, ended: Callable[[str], None]) -> None:
        """Start it; `ended` is called with the reason of its end."""
        threading.Thread(target=self._run, args=(ended,), name="kopf", daemon=True).start()

    def stop(self) -> None:
        """End kopf; return at once."""
        self._stopped.set()
        if self._task is not None:
            loop, task = self._task
            with suppress(RuntimeError):  # it has ended
                loop.call_soon_threadsafe(task.cancel)

    def _run(self, ended: Callable[[str], None]) -> None:
        why = "kopf ended"
        try:
            asyncio.run(self._operate())
        except asyncio.CancelledError:
            why = "stopped"
        except Exception as error:  # noqa: BLE001 - whatever it is, the watch is made again
            why = f"{type(error).__name__}: {error}"
        finally:
            ended(why)

    async def _operate(self) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("kopf needs a task")
        self._task = asyncio.get_running_loop(), task
        if not self._stopped.is_set():
            await kopf.operator(
                registry=self._handlers, settings=self._settings, standalone=True, namespaces=[self._namespace]
            )


def registry(resource: ApiResource, *, labelled: bool, deliver: Deliver) -> kopf.OperatorRegistry:
    """Return kopf's handlers: every event of the kind is delivered."""
    handlers = kopf.OperatorRegistry()
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
        deliver(str(event["type"]), cast(Obj, event["object"]))

    kopf.on.login(registry=handlers)(_login)
    return handlers


def settings(resource: ApiResource, *, labelled: bool) -> kopf.OperatorSettings:
    """Return kopf's settings as a mere watcher of one kind in one namespace."""
    out = kopf.OperatorSettings()
    out.posting.enabled = False
    out.scanning.disabled = True
    out.peering.standalone = True
    out.process.ultimate_exiting_timeout = None
    out.watching.chunk_size = 100
    out.watching.inactivity_timeout = SILENT_SECONDS
    if labelled:
        out.watching.label_selectors[resource.group, resource.version, resource.plural] = MANAGED_SELECTOR
    out.queueing.idle_timeout = 0.05  # a worker for each object of a list, and the object, are kept for so long
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
