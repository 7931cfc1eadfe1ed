"""Prometheus metrics of one namespace that are updated as things happen. Names carry their units.

docs/metrics.md lists all families; `make metrics` writes it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from bitagent_operator.metrics.rounds import PHASES, phase_seconds
from bitagent_operator.observed.cache import Kind
from bitagent_operator.plan.outcomes import EndedWork

_BUCKETS = (0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0)
_PHASE_BUCKETS = (1.0, 5.0, 15.0, 60.0, 180.0, 600.0, 1800.0, 7200.0, 28800.0)


class Metrics:
    """Registry of the operator in one namespace, with the metrics that are updated as events happen."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.reconciles = self._counter(
            "reconciles", "Passes over an object, by kind and outcome (ok, error).", "kind outcome"
        )
        self.reconcile_seconds = Histogram(
            "bitagent_operator_reconcile_duration_seconds",
            "Duration of one pass over an object, by kind.",
            ["kind"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.requests = self._counter(
            "api_requests", "Requests to the API server, by method and status code; code 0: no answer.", "method code"
        )
        self.jobs = self._counter("jobs_created", "Jobs that this process created, by component.", "component")
        self.refused = self._counter(
            "jobs_refused",
            "Jobs that the API server did not accept, each try, by component and reason.",
            "component reason",
        )
        self.ended = self._counter(
            "work_ended", "Fetches, task sets and evaluations that ended, by component and reason.", "component reason"
        )
        self.phases = Histogram(
            "bitagent_operator_evaluation_phase_seconds",
            "Duration of the phases of evaluations that ended, all attempts together, by phase.",
            ["phase"],
            buckets=_PHASE_BUCKETS,
            registry=self.registry,
        )
        for phase in PHASES:
            self.phases.labels(phase)
        self.progress = self._counter(
            "progress_requests",
            "Requests for the progress of evaluations, by outcome (answered, mute, unreachable, invalid).",
            "outcome",
        )
        self.generated_tokens = self._counter(
            "generated_tokens",
            "Tokens of finished answers of each EvalRound that exists, by name, as its evaluations say every ten "
            "seconds: those of the last seconds of an evaluation are missing.",
            "round",
        )
        self.volumes_deleted = self._counter(
            "model_volumes_deleted",
            "Claims of single models' volumes that were deleted: to make room, or with their volume gone.",
        )
        self.evictions = self._counter(
            "cache_evictions",
            "Models removed from the shared model cache to make room, as fetches say that ended with a result.",
        )
        self.evicted_bytes = self._counter(
            "cache_evicted_bytes", "Bytes of the models that bitagent_operator_cache_evictions_total counts."
        )
        self.events_dropped = self._counter("events_dropped", "Kubernetes Events that could not be posted.")
        self.trace_spans = self._counter(
            "trace_spans", "Spans for the collector of traces, by outcome (sent, unsent, refused).", "outcome"
        )
        self.restarts = self._counter(
            "restarts",
            "Times that the work in the namespace ended unexpectedly and was begun again while others continued.",
        )
        self.leader = self._gauge("leader", "Whether this process holds the Lease and acts (1), or stands by (0).")
        self.kind_served = self._gauge(
            "kind_served",
            "Whether the API server serves the kind and it could be listed last time (1) or not (0).",
            "kind",
        )
        self.watching = self._gauge("watching", "Whether the kind is watched (1) or not (0).", "kind")
        self.last_event = self._gauge(
            "watch_last_event_timestamp_seconds",
            "When the watch of the kind last brought a change, in Unix time.",
            "kind",
        )
        self.last_list = self._gauge(
            "last_list_timestamp_seconds", "When the last full list of the kind succeeded, in Unix time.", "kind"
        )
        self.queue_length = self._gauge("queue_length", "Objects that wait for a pass or are in one.")
        self.queue_oldest = self._gauge(
            "queue_oldest_seconds", "How long the object has waited that has been due for a pass the longest."
        )
        self.queue_backing_off = self._gauge(
            "queue_backing_off", "Objects whose last pass failed and that wait for the next."
        )
        self.events_waiting = self._gauge("events_waiting", "Kubernetes Events that wait to be posted.")
        for kind in Kind:
            for outcome in ("ok", "error"):
                self.reconciles.labels(kind, outcome)

    def _counter(self, name: str, documentation: str, labels: str = "") -> Counter:
        return Counter(f"bitagent_operator_{name}_total", documentation, labels.split(), registry=self.registry)

    def _gauge(self, name: str, documentation: str, labels: str = "") -> Gauge:
        return Gauge(f"bitagent_operator_{name}", documentation, labels.split(), registry=self.registry)

    def request(self, method: str, code: int) -> None:
        """Count one request."""
        self.requests.labels(method, str(code)).inc()

    def count_generated(self, round_: str, tokens: int) -> None:
        """Count tokens that the evaluations of a round have generated."""
        self.generated_tokens.labels(round_).inc(tokens)

    def forget_round(self, name: str) -> None:
        """Drop the series of a round that does not exist any more."""
        with contextlib.suppress(KeyError):
            self.generated_tokens.remove(name)

    def count_ended(self, ended: Iterable[EndedWork]) -> None:
        """Count work whose end was just recorded."""
        for each in ended:
            self.ended.labels(each.component, each.reason).inc()
            for phase, seconds in phase_seconds(each.seconds).items() if each.seconds is not None else ():
                self.phases.labels(phase).observe(seconds)

    def count_evicted(self, models: int, size: int) -> None:
        """Count what a fetch has removed from the shared cache."""
        self.evictions.inc(models)
        self.evicted_bytes.inc(size)

    def follow_queue(
        self, *, length: Callable[[], int], oldest_seconds: Callable[[], float], backing_off: Callable[[], int]
    ) -> None:
        """Show the state of the queue of the present term."""
        self.queue_length.set_function(lambda: float(length()))
        self.queue_oldest.set_function(oldest_seconds)
        self.queue_backing_off.set_function(lambda: float(backing_off()))

    def follow_events(self, waiting: Callable[[], int]) -> None:
        """Show how many Events wait to be posted."""
        self.events_waiting.set_function(lambda: float(waiting()))

    def follow_nothing(self) -> None:
        """Show that nothing waits: the term is over, and what was left is another process's."""
        for gauge in (self.queue_length, self.queue_oldest, self.queue_backing_off, self.events_waiting):
            gauge.set_function(lambda: 0.0)
