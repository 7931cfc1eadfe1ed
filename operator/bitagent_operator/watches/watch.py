"""What happens in the namespace: full lists of our own and kopf's watches, kind by kind, into the cache.

Each kind is listed at start, soon after each list of kopf's, and every few minutes. kopf lists a kind when its watch
begins, and again when that was interrupted for long, but never reports what was deleted before such a list: our own
list that begins later does. No object is reconciled before all kinds that its plan depends on were listed.

A kind that the API server does not serve, because its definition is missing, has no objects. It and one whose list
fails concern only what depends on them; they are looked for again, until they are there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping

from bitagent_kube.client import Client
from bitagent_kube.errors import ApiError
from bitagent_kube.health import Health
from bitagent_kube.objects import Obj, version_of
from bitagent_kube.resources import DEPLOYMENTS, JOBS, MODELS, PODS, ROUNDS, VALIDATORS, ApiResource
from bitagent_kube.retry import Backoff
from bitagent_operator.metrics.counters import Metrics
from bitagent_operator.naming import MANAGED_SELECTOR
from bitagent_operator.observed.cache import Cache, Key, Kind
from bitagent_operator.watches import kopf_watch

WATCHED: Mapping[ApiResource, bool] = {
    ROUNDS: False,
    MODELS: False,
    VALIDATORS: False,
    JOBS: True,
    PODS: True,
    DEPLOYMENTS: True,
}
"""What is watched, and whether only objects with the operator's label."""
_COMPETITION = frozenset({ROUNDS.kind, MODELS.kind, JOBS.kind, PODS.kind})
NEEDED: Mapping[Kind, frozenset[str]] = {
    Kind.MODEL: _COMPETITION,
    Kind.ROUND: _COMPETITION,
    Kind.VALIDATOR: frozenset({VALIDATORS.kind, PODS.kind, DEPLOYMENTS.kind}),
}
"""The kinds that a plan depends on."""
MISSED_LISTS = 5
"""Full lists of all kinds that may fail in a row before the process counts as dead."""
LIST_RETRY_SECONDS = 10.0
"""Between a list that failed and the next."""
QUIET_SECONDS = 1.0
"""Once kopf has delivered nothing of a list for so long, it is complete: then the list of our own follows."""
BEGINS_SECONDS = 5.0
"""After which a list follows the begin of a watch in any case: of a list without objects kopf delivers nothing."""
_AT_ONCE = 50
"""Objects of a list that are parsed before other tasks run, among them the request for the next page."""
STEADY_SECONDS = 30.0
"""A watch that ends after this time is not one more failure in a row."""

Enqueue = Callable[[Iterable[Key]], None]

log = logging.getLogger(__name__)


def list_health(relist_seconds: float) -> Health:
    """Return the probes' state: alive while full lists succeed, ready after those at start."""
    return Health(
        limit_seconds=MISSED_LISTS * relist_seconds + 60,
        stalled="the full lists have been failing for too long",
        unready="the first full lists are not complete",
    )


class Watcher:
    """Keeps the cache current; `enqueue` receives the keys of what can be reconciled and has changed."""

    def __init__(
        self, client: Client, cache: Cache, enqueue: Enqueue, *, every: float, health: Health, metrics: Metrics
    ) -> None:
        self._client, self._cache, self._enqueue = client, cache, enqueue
        self._every, self._health, self._metrics = every, health, metrics
        self._tried: set[str] = set()
        self._listed: set[str] = set()
        self.tried = asyncio.Event()
        """Set once each kind was listed, or was found missing or failing."""

    async def run(self) -> None:
        """Follow all kinds until cancelled."""
        async with asyncio.TaskGroup() as group:
            for resource in WATCHED:
                group.create_task(self._follow(resource))

    def known(self, kind: Kind) -> bool:
        """Whether everything that plans for this kind depends on was listed."""
        return NEEDED[kind] <= self._listed

    def keys(self) -> list[Key]:
        """Return the keys of all objects that can be reconciled."""
        return self._ready(self._cache.keys())

    def _ready(self, keys: Iterable[Key]) -> list[Key]:
        return [key for key in keys if self.known(key.kind)]

    async def _follow(self, resource: ApiResource) -> None:
        """List and watch one kind for ever; after a failure, the list comes first again."""
        backoff, clock = Backoff(first=0.5, longest=15.0), asyncio.get_running_loop().time
        while True:
            began = clock()
            if await self.relist(resource):
                try:
                    await self._watch(resource)
                except* kopf_watch.WatchEnded as errors:
                    log.warning("the watch of %s ended: %s", resource.plural, errors.exceptions[0])
            if clock() - began >= STEADY_SECONDS:
                backoff.reset()
            await asyncio.sleep(backoff.next())

    async def _watch(self, resource: ApiResource) -> None:
        self._metrics.watching.labels(resource.kind).set(1)
        try:
            async with asyncio.TaskGroup() as group:
                listed = asyncio.Event()
                deliver = self._deliver(resource.kind, listed)
                namespace, labelled = self._client.namespace, WATCHED[resource]
                watch = kopf_watch.watch(resource, namespace=namespace, labelled=labelled, deliver=deliver)
                group.create_task(watch)
                group.create_task(self._list_again(resource, listed))
        finally:
            self._metrics.watching.labels(resource.kind).set(0)

    def _deliver(self, kind: str, listed: asyncio.Event) -> kopf_watch.Deliver:
        def deliver(event: str, obj: Obj) -> None:
            if event == kopf_watch.LISTED:
                listed.set()
            self._metrics.last_event.labels(kind).set_to_current_time()
            if event == "DELETED":
                keys = self._cache.drop(kind, obj["metadata"]["uid"], version=version_of(obj))
            else:
                keys = self._cache.put(kind, obj)
            self._enqueue(self._ready(keys))

        return deliver

    async def _list_again(self, resource: ApiResource, listed: asyncio.Event) -> None:
        """Make full lists: after each of kopf's, which sets `listed`, and periodically."""
        clock = asyncio.get_running_loop().time
        due, soon = clock() + self._every, clock() + min(self._every, BEGINS_SECONDS)
        while True:
            follows = await _complete(listed, by=min(due, soon))
            periodic = not follows and due <= soon
            soon = float("inf")
            if not await self.relist(resource, everything=periodic):
                due = clock() + min(self._every, LIST_RETRY_SECONDS)
            elif periodic:
                due = clock() + self._every

    async def relist(self, resource: ApiResource, *, everything: bool = True) -> bool:
        """Make the cache of one kind equal to a full list; return whether the kind is served and could be listed.

        `everything`: enqueue all its objects, not only what changed.
        """
        served, changed = True, list[Key]()
        known = self._cache.begin_list(resource.kind)
        try:
            served = await self._read(resource, known, changed)
        except ApiError as error:
            self._enqueue(self._ready(changed))
            self._report(resource, f"{resource.plural} cannot be listed, so nothing is done about them: {error}")
            return False
        else:
            self._listed_all(resource, changed, everything=everything)
            if served:
                self._metrics.last_list.labels(resource.kind).set_to_current_time()
                self._report(resource, "")
            else:
                text = f"{resource.plural}.{resource.group} are not served: install their definition (CRD)"
                self._report(resource, text)
            return served
        finally:
            self._tried.add(resource.kind)
            if len(self._tried) == len(WATCHED):
                self.tried.set()

    async def _read(self, resource: ApiResource, known: frozenset[str], changed: list[Key]) -> bool:
        """Read a full list into the cache; return whether the kind is served. Raises ApiError.

        `changed` receives the keys that the changes concern, also those before an error. Each page is taken in as it
        comes: the objects as the API server sends them are twice as large as what the cache keeps of them.
        """
        kind, listed, version = resource.kind, set[str](), ""
        try:
            async for page in self._client.pages(resource, labels=MANAGED_SELECTOR if WATCHED[resource] else ""):
                if not version:
                    version = page.version
                    self._cache.listed_at(kind, version)
                for number, obj in enumerate(page.items):
                    listed.add(obj["metadata"]["uid"])
                    changed += self._cache.put(kind, obj)
                    if number % _AT_ONCE == 0:
                        await asyncio.sleep(0)
        except ApiError as error:
            # An API server that starts may not know a kind yet. kopf trusts what is said about the kinds, so this does.
            if not error.not_found or await self._client.served(resource):
                raise
            changed += self._cache.replace(kind, (), known=known)
            return False
        served = await self._client.served(resource)
        changed += self._cache.replace(kind, (), known=known - listed)
        return served

    def _listed_all(self, resource: ApiResource, changed: list[Key], *, everything: bool) -> None:
        """Enqueue what a full list has changed, and what waited for it, or all objects of this kind, too."""
        before = {kind for kind in Kind if self.known(kind)}
        self._listed.add(resource.kind)
        self._health.beat()
        fresh = {kind for kind in Kind if self.known(kind)} - before
        again = [] if not everything and not fresh else self._cache.keys()
        again = [key for key in again if key.kind in fresh or (everything and key.kind == resource.kind)]
        self._enqueue(self._ready([*changed, *again]))

    def _report(self, resource: ApiResource, problem: str) -> None:
        """Log a change of what is wrong with a kind, if anything, and show it at /readyz and as a metric."""
        problems = self._health.problems
        before = problems.pop(resource.kind, "")
        if problem:
            problems[resource.kind] = problem
        self._metrics.kind_served.labels(resource.kind).set(not problem)
        if problem and problem != before:
            log.error("%s", problem)
        elif before and not problem:
            log.info("%s are served", resource.plural)


async def _complete(listed: asyncio.Event, *, by: float) -> bool:
    """Return at the time `by`, or sooner once kopf has delivered a list; return whether it has."""
    try:
        async with asyncio.timeout_at(by):
            await listed.wait()
            while listed.is_set():
                listed.clear()
                await asyncio.sleep(QUIET_SECONDS)
    except TimeoutError:
        return False
    return True
