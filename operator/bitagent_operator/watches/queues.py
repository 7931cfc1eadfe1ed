"""Kueue's queues, followed only while something waits in one: without that, nothing is asked.

Kueue need not be installed, and the operator need not have the right to read it: both are part of the state, with the
server's words, and looked at again until nothing waits any longer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from http import HTTPStatus

from bitagent_kube.client import Client
from bitagent_kube.errors import ApiError
from bitagent_kube.informer import Informer
from bitagent_kube.resources import LOCAL_QUEUES, WORKLOADS, ApiResource
from bitagent_kube.retry import Backoff
from bitagent_operator.observed.cache import Cache, Key
from bitagent_operator.observed.queues import LocalQueue, QueueState, Workload

UNUSED_LISTS = 3.0
"""Once nothing has waited in a queue in so many periods of full lists, the queues are no longer followed."""
CHANGES_SECONDS = 1.0
"""Between two states that are passed on: Kueue writes what it has looked at in vain again and again."""
SERVED_SECONDS = 60.0
"""After which, without any change, it is asked whether the kinds are still served."""

log = logging.getLogger(__name__)


class QueueWatch:
    """Keeps `cache.queues` current while it is needed; `enqueue` receives the keys that a change concerns.

    `every`: seconds between full lists of the other kinds.
    """

    def __init__(self, client: Client, cache: Cache, enqueue: Callable[[Iterable[Key]], None], *, every: float) -> None:
        self._client, self._cache, self._enqueue = client, cache, enqueue
        self._unused_seconds = UNUSED_LISTS * every
        self._needed = asyncio.Event()

    def need(self) -> None:
        """Say that something waits in a queue."""
        self._needed.set()

    async def run(self) -> None:
        """Follow the queues whenever they are needed, until cancelled."""
        while True:
            await self._needed.wait()
            async with asyncio.TaskGroup() as group:
                following = group.create_task(self._follow())
                await self._unused()
                following.cancel()
            self._cache.replace_queues(QueueState())

    async def _unused(self) -> None:
        """Return once nothing has needed the queues for long."""
        while True:
            self._needed.clear()
            try:
                async with asyncio.timeout(self._unused_seconds):
                    await self._needed.wait()
            except TimeoutError:
                return
            await asyncio.sleep(CHANGES_SECONDS)

    async def _follow(self) -> None:
        backoff = Backoff(first=2.0, longest=15.0)
        while True:
            try:
                served = await served_version(self._client)
                if served is not None:
                    await self._client.list(served[0])  # an informer only logs why it cannot
            except ApiError as error:
                # What is known lasts longer than a trouble of the server, but not than the right to read it.
                if not self._cache.queues.read or error.code == HTTPStatus.FORBIDDEN:
                    self._publish(QueueState(problem=f"the queues cannot be read: {error}"))
            else:
                if served is not None:
                    await self._inform(*served)
                self._publish(QueueState(read=True, installed=False))
            await asyncio.sleep(backoff.next())

    async def _inform(self, queues: ApiResource, workloads: ApiResource) -> None:
        """Pass on each state until the kinds are no longer served."""
        changed = asyncio.Event()
        of_queues = Informer(self._client, queues, parse=LocalQueue.parse, changed=changed.set)
        of_workloads = Informer(self._client, workloads, parse=Workload.parse, changed=changed.set)
        async with asyncio.TaskGroup() as group:
            informing = [group.create_task(each.run()) for each in (of_queues, of_workloads)]
            while await self._changed(changed, queues):
                if of_queues.synced and of_workloads.synced:
                    self._publish(state_of(of_queues.objects.values(), of_workloads.objects.values()))
                    await asyncio.sleep(CHANGES_SECONDS)
            for each in informing:
                each.cancel()

    async def _changed(self, changed: asyncio.Event, queues: ApiResource) -> bool:
        """Wait for a change; return False if the kind is no longer served."""
        while True:
            try:
                async with asyncio.timeout(SERVED_SECONDS):
                    await changed.wait()
            except TimeoutError:
                with suppress(ApiError):
                    if not await self._client.served(queues):
                        return False
            else:
                changed.clear()
                return True

    def _publish(self, state: QueueState) -> None:
        before = self._cache.queues
        if (state.problem, state.read, state.installed) != (before.problem, before.read, before.installed):
            found = "the queues of Kueue are followed" if state.installed else "Kueue is not installed"
            log.info("something waits in a queue: %s", state.problem or found)
        self._enqueue(self._cache.replace_queues(state))


def state_of(queues: Iterable[LocalQueue], workloads: Iterable[Workload]) -> QueueState:
    """Return the state that follows from all objects."""
    return QueueState(
        read=True,
        queues={each.name: each for each in queues},
        workloads={each.job: each for each in workloads if each.job},
    )


async def served_version(client: Client) -> tuple[ApiResource, ApiResource] | None:
    """Return queues and Workloads of the version of Kueue's API that is served; None if none is. Raises ApiError."""
    for queues, workloads in zip(LOCAL_QUEUES, WORKLOADS, strict=True):
        if await client.served(queues) and await client.served(workloads):
            return queues, workloads
    return None


async def read_queues(client: Client) -> QueueState:
    """Return the state as it is now, by lists. What cannot be read is part of it."""
    try:
        served = await served_version(client)
        if served is None:
            return QueueState(read=True, installed=False)
        queues, workloads = [await client.list(each) for each in served]
    except ApiError as error:
        return QueueState(problem=f"the queues cannot be read: {error}")
    return state_of(map(LocalQueue.parse, queues), map(Workload.parse, workloads))
