"""Prometheus metrics of the page."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.process_collector import ProcessCollector


class Metrics:
    """All metrics, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "bitagent_leaderboard_requests",
            "Answers by kind of document and status code",
            ["document", "code"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "bitagent_leaderboard_request_seconds",
            "Time until a document was answered, streams of events aside",
            buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0),
            registry=self.registry,
        )
        self.changes = Counter(
            "bitagent_leaderboard_changes", "Changes of the cluster that were taken in", registry=self.registry
        )
        self.manifests = Counter(
            "bitagent_leaderboard_manifests",
            "Manifests of results by outcome: read, missing, refused",
            ["outcome"],
            registry=self.registry,
        )
        self.last_change = Gauge(
            "bitagent_leaderboard_last_change_timestamp_seconds",
            "Unix time of the last change that was taken in; 0 before the first",
            registry=self.registry,
        )
        self.restarts = Counter(
            "bitagent_leaderboard_restarts",
            "Times that the work in a namespace ended unexpectedly and was begun again while others continued",
            registry=self.registry,
        )
        self._readers = Gauge("bitagent_leaderboard_readers", "Open streams of events", registry=self.registry)
        self._unread = Gauge(
            "bitagent_leaderboard_unread_namespaces",
            "Namespaces whose objects were not listed since the start",
            registry=self.registry,
        )

    def count_readers(self, count: Callable[[], int]) -> None:
        """Report the number of open streams."""
        self._readers.set_function(count)

    def count_unread(self, count: Callable[[], int]) -> None:
        """Report the number of namespaces that were not read yet."""
        self._unread.set_function(count)
