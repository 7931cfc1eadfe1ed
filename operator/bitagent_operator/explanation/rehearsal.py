"""One pass over an object that writes nothing: what it would write is recorded instead."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from bitagent_kube.client import Client
from bitagent_kube.clock import ServerClock
from bitagent_kube.errors import ApiError
from bitagent_kube.events import EventRecorder
from bitagent_kube.objects import EventMessage, Obj, ObjectReference
from bitagent_kube.resources import ApiResource, resource_of
from bitagent_operator.config import Config
from bitagent_operator.metrics.counters import Metrics
from bitagent_operator.naming import MANAGED_SELECTOR
from bitagent_operator.observed.cache import Cache, Key
from bitagent_operator.reconcilers.context import Context
from bitagent_operator.reconcilers.fetch_queue import Arrivals, Fetches
from bitagent_operator.reconcilers.reconcile import PlanNotConverged, reconcile
from bitagent_operator.watches.queues import read_queues
from bitagent_operator.watches.watch import WATCHED


@dataclass
class Recorded:
    """What a pass would do."""

    requests: list[str] = field(default_factory=list)
    """Writes but those of its status, in order: `create Job x`."""
    status: Obj | None = None
    """The status that it would write; None: it stays."""
    events: list[EventMessage] = field(default_factory=list)
    next_look: float | None = None
    """Seconds until the pass after it; None: when something changes."""
    error: str = ""
    """Why the pass would fail."""


class ReadingClient(Client):
    """Reads as `client` does; records writes, and answers them as if they had been carried out."""

    def __init__(self, client: Client, recorded: Recorded) -> None:
        self.namespace, self.field_manager, self.clock = client.namespace, client.field_manager, client.clock
        self._reads, self._recorded = client, recorded

    async def list(self, resource: ApiResource, *, labels: str = "", fields: str = "") -> list[Obj]:
        """See `Client.list`."""
        return await self._reads.list(resource, labels=labels, fields=fields)

    async def get(self, resource: ApiResource, name: str) -> Obj | None:
        """See `Client.get`."""
        return await self._reads.get(resource, name)

    async def served(self, resource: ApiResource) -> bool:
        """See `Client.served`."""
        return await self._reads.served(resource)

    async def create_or_get(self, obj: Obj) -> tuple[Obj, bool]:
        """See `Client.create_or_get`."""
        found = await self.get(resource_of(obj["apiVersion"], obj["kind"]), obj["metadata"]["name"])
        if found is not None:
            return found, False
        self._recorded.requests.append(f"create {_named(obj)}")
        return _as_stored(obj, self.clock), True

    async def apply(self, obj: Obj, *, subresource: str = "") -> Obj:
        """See `Client.apply`."""
        found = await self.get(resource_of(obj["apiVersion"], obj["kind"]), obj["metadata"]["name"])
        self._recorded.requests.append(f"{'create' if found is None else 'compare and correct'} {_named(obj)}")
        return found or _as_stored(obj, self.clock)

    async def write_status(
        self, resource: ApiResource, name: str, status: Obj, *, version: int | None = None
    ) -> Obj | None:
        """See `Client.write_status`."""
        self._recorded.status = status
        return await self.get(resource, name)

    async def merge(self, resource: ApiResource, name: str, change: Obj) -> Obj | None:
        """See `Client.merge`."""
        suspend = change.get("spec", {}).get("suspend")
        what = "change" if suspend is None else "suspend" if suspend else "resume"
        self._recorded.requests.append(f"{what} {resource.kind} {name}")
        return await self.get(resource, name)

    async def delete(self, resource: ApiResource, name: str, *, uid: str) -> None:
        """See `Client.delete`."""
        self._recorded.requests.append(f"delete {resource.kind} {name}")


class _Events(EventRecorder):
    def __init__(self, client: Client, recorded: Recorded) -> None:
        super().__init__(client, instance="rehearsal")
        self._recorded = recorded

    def submit(self, regarding: ObjectReference, messages: Iterable[EventMessage], *, occasion: str = "") -> None:
        self._recorded.events += messages


async def read_all(client: Client) -> Cache:
    """Return a cache with all objects; a kind that is not served has none. Raises ApiError."""
    cache = Cache()
    for resource, labelled in WATCHED.items():
        try:
            objects = await client.list(resource, labels=MANAGED_SELECTOR if labelled else "")
        except ApiError as error:
            if not error.not_found:
                raise
            objects = []
        cache.replace(resource.kind, objects, known=frozenset())
    if any(job.queue and job.suspended for job in cache.jobs):
        cache.replace_queues(await read_queues(client))
    return cache


def rehearsing_context(config: Config, client: Client, cache: Cache, recorded: Recorded) -> Context:
    """Return the context of a pass that writes nothing."""
    reading = ReadingClient(client, recorded)
    events = _Events(reading, recorded)
    return Context(
        config=config,
        cache=cache,
        client=reading,
        events=events,
        metrics=Metrics(),
        enqueue=lambda _keys: None,
        fetches=Fetches(arrivals=Arrivals(at_start=False)),
    )


async def rehearse(context: Context, key: Key, recorded: Recorded) -> None:
    """Make a pass of a context of `rehearsing_context`, and record what it would do."""
    try:
        recorded.next_look = await reconcile(context, key)
    except (ApiError, PlanNotConverged) as error:
        recorded.error = str(error)


def _named(obj: Obj) -> str:
    return f"{obj['kind']} {obj['metadata']['name']}"


def _as_stored(obj: Obj, clock: ServerClock) -> Obj:
    """Return an object as the API server would answer its creation."""
    now = clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    made = {"uid": "not created", "resourceVersion": "0", "creationTimestamp": now}
    return obj | {"metadata": obj["metadata"] | made}
