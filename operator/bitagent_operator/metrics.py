"""Prometheus metrics: activity of the operator, and numbers of objects by state. Names carry their units."""

from __future__ import annotations

from collections import Counter as Count
from collections.abc import Iterator, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from bitagent_crds.conditions import Condition, ConditionStatus, ConditionType
from bitagent_crds.evalround import FINAL_STATES, ResultState, RoundPhase
from bitagent_kube.cache import Unreadable
from bitagent_kube.conditions import find, holds
from bitagent_operator.cache import Cache, Kind
from bitagent_operator.objects import ModelObject
from bitagent_operator.plan.fetch import fetch_result

_BUCKETS = (0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0)


class Metrics:
    """Registry of the operator, with the metrics that are updated as events happen."""

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
    """Numbers of objects by state, counted when they are scraped."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield all families; every state is present, so that a dashboard shows zeros."""
        rounds = GaugeMetricFamily("bitagent_rounds", "EvalRounds by phase.", labels=["phase"])
        phases = Count(r.status.phase for r in self._cache.rounds)
        for phase in RoundPhase:
            rounds.add_metric([phase], phases[phase])
        yield rounds
        results = GaugeMetricFamily(
            "bitagent_round_results", "Results of unfinished rounds by state.", labels=["state"]
        )
        unfinished = [r for r in self._cache.rounds if r.status.finished_at is None]
        states = Count(result.state for r in unfinished for result in r.status.results)
        for state in ResultState:
            results.add_metric([state], states[state])
        yield results
        ended = GaugeMetricFamily(
            "bitagent_finished_round_results", "Results of finished rounds by state.", labels=["state"]
        )
        finished = [r for r in self._cache.rounds if r.status.finished_at is not None]
        states = Count(result.state for r in finished for result in r.status.results)
        for state in sorted(FINAL_STATES):
            ended.add_metric([state], states[state])
        yield ended
        models = GaugeMetricFamily("bitagent_models", "MinerModels by state of their files.", labels=["state"])
        fetched = Count(_files_state(m) for m in self._cache.models)
        for name in ("Fetched", "Rejected", "Failed", "Fetching"):
            models.add_metric([name], fetched[name])
        yield models
        invalid = GaugeMetricFamily(
            "bitagent_operator_invalid_objects",
            "Objects that cannot be read or planned; their condition Stalled says why.",
            labels=["kind"],
        )
        for kind, number in _invalid(self._cache).items():
            invalid.add_metric([kind], number)
        yield invalid
        deployed = GaugeMetricFamily(
            "bitagent_validator_deployed", "Whether a Validator's pod is ready (1) or not (0).", labels=["validator"]
        )
        for validator in self._cache.validators:
            c = find(validator.conditions, ConditionType.DEPLOYED)
            deployed.add_metric([validator.meta.name], float(c is not None and c.status == ConditionStatus.TRUE))
        yield deployed


def _invalid(cache: Cache) -> dict[Kind, int]:
    """Return the numbers of objects that cannot be read or planned."""
    conditions: dict[Kind, list[Sequence[Condition]]] = {
        Kind.MODEL: [m.status.conditions for m in cache.models],
        Kind.ROUND: [r.status.conditions for r in cache.rounds],
        Kind.VALIDATOR: [v.conditions for v in cache.validators],
    }
    unreadable: dict[Kind, list[Unreadable]] = {
        Kind.MODEL: cache.models.unreadable(),
        Kind.ROUND: cache.rounds.unreadable(),
        Kind.VALIDATOR: cache.validators.unreadable(),
    }
    return {
        kind: len(unreadable[kind]) + sum(holds(each, ConditionType.STALLED) for each in conditions[kind])
        for kind in Kind
    }


def _files_state(model: ModelObject) -> str:
    result = fetch_result(model.status, generation=model.meta.generation)
    if result is None:
        return "Fetching"
    return "Fetched" if result.fetched else "Failed" if result.infrastructure else "Rejected"
