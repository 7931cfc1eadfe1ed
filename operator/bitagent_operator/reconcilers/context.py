"""What all reconcilers share: configuration, cache, and the requests that they make."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any

from bitagent_crds.evalround import ModelSelection
from bitagent_crds.names import ATTEMPT_LABEL, COMPONENT_LABEL, MODEL_LABEL, ROUND_LABEL, VALIDATOR_LABEL
from bitagent_kube.cache import Unreadable
from bitagent_kube.client import Client
from bitagent_kube.errors import ApiError
from bitagent_kube.events import EventRecorder
from bitagent_kube.objects import EventMessage, Obj, ObjectMeta, ObjectReference, owner_uid
from bitagent_kube.resources import JOBS, MODELS, PODS, ROUNDS, VALIDATORS
from bitagent_operator.config import Config, Retention
from bitagent_operator.metrics.counters import Metrics
from bitagent_operator.naming import MANAGED_SELECTOR
from bitagent_operator.observed.applied import Memory
from bitagent_operator.observed.cache import Cache, Key, Kind
from bitagent_operator.observed.objects import ModelObject
from bitagent_operator.plan.inputs import NO_RESULTS, LiveReadResults, LiveReads, Pass, RetentionPolicy, Settings
from bitagent_operator.plan.interface import EventReason
from bitagent_operator.reconcilers.fetch_queue import Fetches
from bitagent_operator.reconcilers.object_events import LastEvents
from bitagent_operator.reconcilers.progress import ProgressReader
from bitagent_operator.reconcilers.refusals import Refusals
from bitagent_operator.reconcilers.shares import Shares
from bitagent_operator.reconcilers.volume_list import list_volumes

log = logging.getLogger(__name__)

REQUESTS_IN_FLIGHT = 16
"""Concurrent requests for one object."""
STALE_SECONDS = 0.5
"""Time for the watch to deliver the change that made a write stale."""

_RESOURCES = {Kind.MODEL: MODELS, Kind.ROUND: ROUNDS, Kind.VALIDATOR: VALIDATORS}
_LABELS = {Kind.MODEL: MODEL_LABEL, Kind.ROUND: ROUND_LABEL, Kind.VALIDATOR: VALIDATOR_LABEL}


@dataclass(frozen=True)
class Context:
    """Configuration, cache, and access to the API server, for all reconcilers. Methods raise ApiError."""

    config: Config
    cache: Cache
    client: Client
    events: EventRecorder
    metrics: Metrics
    enqueue: Callable[[Iterable[Key]], None]
    refusals: Refusals = field(default_factory=Refusals)
    memory: Memory = field(default_factory=Memory)
    object_events: LastEvents = field(default_factory=LastEvents)
    fetches: Fetches = field(default_factory=Fetches)
    progress: ProgressReader | None = None
    """What running evaluations say of themselves; None: they are not asked."""
    shares: Shares = field(default_factory=Shares)
    need_queues: Callable[[], None] = lambda: None
    """Called when something waits in a queue of Kueue."""

    def now(self) -> datetime:
        """Return the time by the API server's clock, to the second, as the API keeps it."""
        return self.client.clock.now().replace(microsecond=0)

    def new_pass(self, key: Key, meta: ObjectMeta, live: LiveReadResults = NO_RESULTS) -> Pass:
        """Return the inputs of a planning pass over an object that starts now."""
        unschedulable_after = timedelta(seconds=self.config.unschedulable_seconds)
        settings = Settings(
            self.config.artifacts.claim_name,
            unschedulable_after,
            models_per_hotkey=self.config.models_per_hotkey,
            cache_is_bounded=self.config.cache.max_bytes > 0 or self.config.cache.per_model,
            volume_per_model=self.config.cache.per_model,
            image=self.config.images.evaluator,
            archive_uri=self.config.archive_uri,
            retention=_retention(self.config.retention),
        )
        if any(job.queue and job.suspended and job.ended is None for job in self.cache.jobs.of(key)):
            self.need_queues()
        refusals = self.refusals.of(key, owner=meta.uid)
        return Pass(now=self.now(), settings=settings, live=live, refusals=refusals, queues=self.cache.queues)

    def observe(self, kind: str, obj: Obj) -> None:
        """Cache an object that was read or written here, and enqueue what it concerns: its watch event is too late."""
        self.enqueue(self.cache.put(kind, obj))

    async def read_live(self, key: Key, reads: LiveReads, known: LiveReadResults) -> LiveReadResults:
        """Make the reads; cache the objects that exist, and return the results together with those of earlier reads."""
        missing: set[str] = set()
        unreadable = dict(known.unreadable)
        if reads.pods_of_jobs:
            for pod in await self.client.list(PODS, labels=f"{MANAGED_SELECTOR},{_LABELS[key.kind]}={key.name}"):
                self.observe(PODS.kind, pod)
        slots = asyncio.Semaphore(REQUESTS_IN_FLIGHT)

        async def read(name: str) -> Obj | None:
            async with slots:
                return await self.client.get(MODELS, name)

        names = sorted(reads.models)
        found = await asyncio.gather(*map(read, names))
        # Asked after the reads: what vanishes with the definition of its kind was not deleted by anyone.
        served = None not in found or await self.client.served(MODELS)
        for name, model in zip(names, found, strict=True):
            if model is None and served:
                missing.add(name)
            elif model is None:
                unreadable[name] = f"{MODELS.plural}.{MODELS.group} are not served: install their definition (CRD)"
            else:
                self.observe(MODELS.kind, model)
                bad = self.cache.unreadable(Key(Kind.MODEL, name))
                if bad is not None and bad.meta.deleting:
                    missing.add(name)
                elif bad is not None:
                    unreadable[name] = bad.error
        candidates, suspended = known.candidates, known.suspended
        if reads.candidates is not None:
            candidates, bad_ones = await self._list_candidates(reads.candidates)
            suspended = frozenset(b.meta.name for b in bad_ones if _suspended(b.content))
            unreadable |= {b.meta.name: b.error for b in bad_ones if b.meta.name not in suspended}
        return LiveReadResults(
            known.jobs_with_listed_pods | reads.pods_of_jobs,
            known.missing_models | missing,
            candidates,
            unreadable,
            suspended,
            {**known.events, **await self.object_events.read(self.client, reads.events_of, now=self.now())},
            await list_volumes(self.client) if reads.volumes else known.volumes,
        )

    async def _list_candidates(self, selection: ModelSelection) -> tuple[tuple[ModelObject, ...], list[Unreadable]]:
        """List MinerModels; return those that can be read, and the others that are not being deleted.

        Watches are not ordered: models that were applied with a round may not be cached yet.
        """
        selector = ",".join(f"{k}={v}" for k, v in sorted((selection.match_labels or {}).items()))
        listed = await self.client.list(MODELS, labels=selector)
        for obj in listed:
            self.observe(MODELS.kind, obj)
        names = [obj["metadata"]["name"] for obj in listed]
        unreadable = self.cache.unreadable_models()
        bad = [unreadable[name] for name in names if name in unreadable]
        readable = tuple(m for m in map(self.cache.model, names) if m is not None)
        return readable, [each for each in bad if not each.meta.deleting]

    async def create_jobs(self, key: Key, jobs: Iterable[Obj]) -> list[EventMessage] | None:
        """Create Jobs concurrently; one that exists is left as it is.

        Refusals are kept for the next plan. Return None if there are none, else the Events of those that are news.
        Raises ApiError if one was not sent, because this process may not write at present.
        """
        slots = asyncio.Semaphore(REQUESTS_IN_FLIGHT)

        async def create(job: Obj) -> EventMessage | ApiError | None:
            name, labels = job["metadata"]["name"], job["metadata"]["labels"]
            try:
                async with slots:
                    made, created = await self.client.create_or_get(job)
                if owner_uid(made) != owner_uid(job):
                    text = f"a Job named {name} exists that was not made for this object; delete or rename it"
                    raise ApiError(code=HTTPStatus.CONFLICT, reason="AlreadyExists", message=text)
                if (labels.items() - (made["metadata"].get("labels") or {}).items()) and not created:
                    # Somebody has changed those by which the operator finds it.
                    made = await self.client.merge(JOBS, name, {"metadata": {"labels": labels}}) or made
            except ApiError as error:
                if error.not_sent:
                    return error
                new = self.refusals.record(key, name, error, owner=owner_uid(job), now=self.now())
                reason = self.refusals.of(key, owner=owner_uid(job))[name].reason
                self.metrics.refused.labels(labels[COMPONENT_LABEL], reason).inc()
                return EventMessage(EventReason.JOB_NOT_CREATED, f"{name}: {error}" if new else "", warning=True)
            self.observe(JOBS.kind, made)
            self.refusals.accepted(key, name)
            if created:
                self.metrics.jobs.labels(labels[COMPONENT_LABEL]).inc()
                fields = {"job": name, "component": labels[COMPONENT_LABEL], "attempt": labels.get(ATTEMPT_LABEL, "1")}
                log.info("Job %s created", name, extra={"fields": fields})
            return None

        refused = []
        for found in await asyncio.gather(*map(create, jobs)):
            if isinstance(found, ApiError):
                raise found
            if found is not None:
                refused.append(found)
        return [event for event in refused if event.message] if refused else None

    async def write_status(self, key: Key, meta: ObjectMeta, status: Obj) -> bool:
        """Write a status; False if the object has changed or disappeared meanwhile, so that the plan is void."""
        try:
            written = await self.client.write_status(_RESOURCES[key.kind], meta.name, status, version=meta.version)
        except ApiError as error:
            if error.lasting:
                text = "its status cannot be written (rights, policies, webhooks, definitions of another version): "
                text += error.message
                self.emit_events(key, meta, [EventMessage(EventReason.STATUS_NOT_WRITTEN, text, warning=True)])
            raise
        if written is not None:
            self.observe(key.kind, written)
        return written is not None

    async def in_parallel(self, requests: Iterable[Coroutine[Any, Any, None]]) -> None:
        """Make requests concurrently; raise the first error when all have ended."""
        slots = asyncio.Semaphore(REQUESTS_IN_FLIGHT)

        async def one(request: Coroutine[Any, Any, None]) -> None:
            async with slots:
                await request

        for error in await asyncio.gather(*map(one, requests), return_exceptions=True):
            if error is not None:
                raise error

    def emit_events(
        self, key: Key, meta: ObjectMeta, messages: Iterable[EventMessage], *, generation: int | None = None
    ) -> None:
        """Have Events about an object posted in the background, best effort; `generation`: if not its present one."""
        regarding = ObjectReference(
            _RESOURCES[key.kind].api_version, key.kind, self.client.namespace, meta.name, meta.uid
        )
        self.events.submit(regarding, messages, occasion=str(meta.generation if generation is None else generation))


def _retention(written: Retention | None) -> RetentionPolicy | None:
    if written is None:
        return None
    ttl = None if written.ttl_seconds is None else timedelta(seconds=written.ttl_seconds)
    return RetentionPolicy(ttl, written.rounds_per_validator, written.min_free_bytes)


def _suspended(content: Obj) -> bool:
    """Whether `spec.suspend` of an object that cannot be read is true."""
    spec = content.get("spec")
    return isinstance(spec, dict) and spec.get("suspend") is True
