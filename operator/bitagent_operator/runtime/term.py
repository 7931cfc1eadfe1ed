"""The operator between two losses of its Lease: the queue, its workers, and the Events that they report.

The cache and its watches live as long as the process. What a term remembers besides, such as refusals, ends with it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable

from bitagent_crds.names import MODEL_LABEL, ROUND_LABEL, VALIDATOR_LABEL
from bitagent_kube import logging as kube_logging
from bitagent_kube.client import Client
from bitagent_kube.errors import ApiError
from bitagent_kube.events import EventRecorder
from bitagent_kube.health import Health
from bitagent_kube.parts import end
from bitagent_operator.config import Config
from bitagent_operator.metrics.counters import Metrics
from bitagent_operator.observed.cache import Cache, Key, Kind
from bitagent_operator.reconcilers.context import Context
from bitagent_operator.reconcilers.progress import ProgressReader
from bitagent_operator.reconcilers.reconcile import PlanNotConverged, reconcile
from bitagent_operator.runtime.late_events import late_events
from bitagent_operator.runtime.queue import WorkQueue
from bitagent_operator.tracing.exporter import TraceExporter
from bitagent_operator.tracing.otlp import Endpoint
from bitagent_operator.watches.queues import QueueWatch
from bitagent_operator.watches.watch import Watcher

DRAIN_SECONDS = 2.0
"""How long the end of a term waits for its last Events."""

_RANK = {Kind.ROUND: 0, Kind.VALIDATOR: 1, Kind.MODEL: 2}
"""Rounds come first: at start thousands of models may be due at once."""
_FIELD = {Kind.ROUND: ROUND_LABEL, Kind.MODEL: MODEL_LABEL, Kind.VALIDATOR: VALIDATOR_LABEL}

log = logging.getLogger("bitagent_operator")


class Operator:
    """Everything but the Lease and the ports.

    `instance` is the name of this process; `traces`: where those of finished rounds are sent, None: nowhere.
    """

    def __init__(
        self,
        config: Config,
        client: Client,
        metrics: Metrics,
        health: Health,
        *,
        instance: str,
        traces: Endpoint | None = None,
    ) -> None:
        self._traces = traces
        self._config, self._client, self._metrics, self._health = config, client, metrics, health
        self._instance = instance
        self._queue: WorkQueue[Key] | None = None
        self.cache = Cache()
        every = config.relist_seconds
        self.watcher = Watcher(client, self.cache, self._enqueue, every=every, health=health, metrics=metrics)
        self.queues = QueueWatch(client, self.cache, self._enqueue, every=every)

    def _enqueue(self, keys: Iterable[Key]) -> None:
        if self._queue is not None:  # else this process stands by, and begins with all keys
            for key in keys:
                self._queue.add(key)

    async def in_sync(self) -> None:
        """Return when each kind was listed once, as far as that is possible."""
        await self.watcher.tried.wait()
        self._health.ready = True
        cache = self.cache
        log.info("in sync: %d models, %d rounds, %d Jobs", len(cache.models), len(cache.rounds), len(cache.jobs))

    async def term(self) -> None:
        """Reconcile all objects until cancelled, then post the last Events."""
        client, metrics = self._client, self._metrics
        events = EventRecorder(client, instance=self._instance, dropped=metrics.events_dropped.inc)
        progress = ProgressReader(
            pods=lambda: self.cache.pods,
            now=client.clock.now,
            enqueue=self._enqueue,
            count=lambda outcome: metrics.progress.labels(outcome).inc(),
            generated=metrics.count_generated,
        )
        context = Context(
            config=self._config,
            cache=self.cache,
            client=client,
            events=events,
            metrics=metrics,
            enqueue=self._enqueue,
            progress=progress,
            need_queues=self.queues.need,
        )

        async def work(key: Key) -> float | None:
            outcome, began = "error", time.monotonic()
            try:
                with kube_logging.fields(kind=key.kind, name=key.name, **{_field(key.kind): key.name}):
                    requeue_after = await reconcile(context, key)
                outcome = "ok"
                return requeue_after
            finally:
                metrics.reconciles.labels(key.kind, outcome).inc()
                metrics.reconcile_seconds.labels(key.kind).observe(time.monotonic() - began)

        expected = (ApiError, PlanNotConverged, OSError)
        queue: WorkQueue[Key] = WorkQueue(work, rank=lambda key: _RANK[key.kind], expected=expected)
        metrics.follow_queue(
            length=lambda: len(queue), oldest_seconds=queue.oldest_seconds, backing_off=lambda: queue.backing_off
        )
        metrics.follow_events(lambda: len(events))
        self._queue = queue
        self._enqueue(self.watcher.keys())

        async def post() -> None:
            await asyncio.gather(events.run(), late_events(context))

        working, posting = asyncio.create_task(queue.run()), asyncio.create_task(post())
        following, asking = asyncio.create_task(self.queues.run()), asyncio.create_task(progress.run())
        tracing = asyncio.create_task(self._send_traces())
        try:
            await asyncio.wait((working, posting, following, asking), return_when=asyncio.FIRST_COMPLETED)
            for ended in (working, posting, following, asking):
                if ended.done():
                    ended.result()
        finally:
            self._queue = None
            await end(tracing)
            await end(asking)
            await end(following)
            await end(working)
            await end(posting)
            await events.drain(seconds=DRAIN_SECONDS)
            metrics.follow_nothing()

    async def _send_traces(self) -> None:
        """Send the traces of what ends, if they are sent anywhere."""
        if self._traces is None:
            return
        exporter = TraceExporter(
            self._traces,
            self.cache,
            namespace=self._config.namespace,
            now=self._client.clock.now,
            count=lambda outcome, spans: self._metrics.trace_spans.labels(outcome).inc(spans),
        )
        await exporter.run()


def _field(kind: Kind) -> str:
    return _FIELD[kind].rpartition("/")[2]
