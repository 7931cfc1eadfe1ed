"""The namespaces of a page, each followed apart: what fails in one of them stops no other.

A namespace whose work ends unexpectedly is served as it was read last, until its work has begun again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any

from bitagent_kube.health import Health, Parts
from bitagent_kube.parts import Part, end, together
from bitagent_leaderboard.serving.app import Serving
from bitagent_leaderboard.source.watch import Callbacks

HEARTBEAT_SECONDS = 120.0
READY_SECONDS = 30.0
"""A namespace that cannot be listed holds the others back for this time after the first of them."""

Work = Callable[[Callbacks], Coroutine[Any, Any, None]]
"""Follows one namespace until cancelled; may be called again after its end."""


def page_health() -> Health:
    """Return what the probes report of one namespace, before anything has happened."""
    return Health(limit_seconds=HEARTBEAT_SECONDS, stalled="the watch has stopped", unready="nothing is listed yet")


class Following:
    """Follows the namespaces and serves their boards; it is what the probes ask.

    The page is ready once all namespaces are listed, or some for a while. It stays so when the work in one of them
    ends: the others are served, and that one as it was.
    """

    def __init__(self, works: Mapping[str, Work], serving: Serving) -> None:
        self._works, self._serving = works, serving
        self._states = {namespace: page_health() for namespace in works}
        self._listed = {namespace: asyncio.Event() for namespace in works}
        self._parts, self._ready = Parts(self._states), False

    @property
    def alive(self) -> bool:
        """Whether the work in one namespace proceeds."""
        return self._parts.alive

    @property
    def stalled(self) -> str:
        """What /healthz says when it proceeds in none."""
        return self._parts.stalled

    @property
    def unreadiness(self) -> str:
        """Why the page is not ready; empty if it is."""
        return "" if self._ready else self._parts.unreadiness

    async def run(self) -> None:
        """Follow all until cancelled. Raises what has ended the last of them when none works."""
        becoming_ready = asyncio.create_task(self._become_ready())
        try:
            await together([self._part(namespace, work) for namespace, work in self._works.items()])
        finally:
            await end(becoming_ready)

    def _part(self, namespace: str, work: Work) -> Part:
        state = self._states[namespace]

        def ready() -> None:
            state.ready = True
            self._listed[namespace].set()

        show = partial(self._serving.show, namespace=namespace)
        callbacks = Callbacks(show=show, ready=ready, beat=state.beat, manifests=self._count)
        return Part(namespace, partial(work, callbacks), state, self._serving.metrics.restarts.inc)

    def _count(self, manifests: dict[str, int]) -> None:
        for outcome, number in manifests.items():
            self._serving.metrics.manifests.labels(outcome).inc(number)

    async def _become_ready(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            waiting = {tasks.create_task(event.wait()) for event in self._listed.values()}
            _, rest = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if rest:
                await asyncio.wait(rest, timeout=READY_SECONDS)
            self._ready = True
