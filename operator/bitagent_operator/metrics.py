"""Prometheus metrics: what the operator does, and how many objects are in which state. Names carry their units."""

from __future__ import annotations

from collections import Counter as Count
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from bitagent_crds.conditions import ConditionStatus, ConditionType
from bitagent_crds.evalround import ResultState, RoundPhase
from bitagent_operator.conditions import find
from bitagent_operator.observed import ModelObject
from bitagent_operator.plan.freshness import settled
from bitagent_operator.store import Kind, Store

_BUCKETS = (0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0)


class Metrics:
    """The operator's own registry and what is counted as it happens."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.reconciles = Counter(
            "bitagent_operator_reconciles_total",
            "Reconciles, by kind and outcome (ok, error).",
            ["kind", "outcome"],
            registry=self.registry,
        )
        self.reconcile_seconds = Histogram(
            "bitagent_operator_reconcile_duration_seconds",
            "Duration of one reconcile.",
            ["kind"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.requests = Counter(
            "bitagent_operator_api_requests_total",
            "Requests to the API server by method and status code; code 0: no answer.",
            ["method", "code"],
            registry=self.registry,
        )
        self.jobs = Counter(
            "bitagent_operator_jobs_created_total",
            "Jobs created, by component.",
            ["component"],
            registry=self.registry,
        )
        self.last_sync = Gauge(
            "bitagent_operator_last_sync_timestamp_seconds",
            "When the last full list of all kinds succeeded, in Unix time.",
            registry=self.registry,
        )
        self.queue_depth = Gauge(
            "bitagent_operator_queue_depth", "Keys that wait or are being worked on.", registry=self.registry
        )
        for kind in Kind:
            for outcome in ("ok", "error"):
                self.reconciles.labels(kind, outcome)

    def request(self, method: str, code: int) -> None:
        """Count one request."""
        self.requests.labels(method, str(code)).inc()


class StateCollector(Collector):
    """Numbers of objects by state, read from the store when they are scraped."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """All families, every state present, so that a dashboard shows zeros."""
        rounds = GaugeMetricFamily("bitagent_rounds", "EvalRounds by phase.", labels=["phase"])
        phases = Count(r.status.phase for r in self._store.rounds)
        for phase in RoundPhase:
            rounds.add_metric([phase], phases[phase])
        yield rounds
        results = GaugeMetricFamily(
            "bitagent_round_results", "Results of unfinished rounds by state.", labels=["state"]
        )
        unfinished = [r for r in self._store.rounds if r.status.finished_at is None]
        states = Count(result.state for r in unfinished for result in r.status.results)
        for state in ResultState:
            results.add_metric([state], states[state])
        yield results
        models = GaugeMetricFamily("bitagent_models", "MinerModels by state of their files.", labels=["state"])
        fetched = Count(_state(m) for m in self._store.models)
        for name in ("Fetched", "Rejected", "Failed", "Fetching"):
            models.add_metric([name], fetched[name])
        yield models
        deployed = GaugeMetricFamily(
            "bitagent_validator_deployed", "Whether a Validator's pod is ready (1) or not (0).", labels=["validator"]
        )
        for validator in self._store.validators:
            c = find(validator.conditions, ConditionType.DEPLOYED)
            deployed.add_metric([validator.meta.name], float(c is not None and c.status == ConditionStatus.TRUE))
        yield deployed


def _state(model: ModelObject) -> str:
    found = settled(model)
    if found is None:
        return "Fetching"
    return "Fetched" if found.fetched else "Failed" if found.infrastructure else "Rejected"
