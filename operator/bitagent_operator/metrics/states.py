"""Prometheus metrics of the objects' states, counted from the cache when they are scraped."""

from __future__ import annotations

from collections import Counter as Count
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from bitagent_crds.conditions import ConditionStatus, ConditionType, Reason
from bitagent_crds.evalround import RoundPhase
from bitagent_crds.model_result import FINAL_STATES, ResultState
from bitagent_crds.status import Condition
from bitagent_kube.conditions import find
from bitagent_operator.metrics.rounds import durations, gpu_time, running
from bitagent_operator.metrics.waiting import waiting
from bitagent_operator.observed.cache import Cache, Kind
from bitagent_operator.observed.objects import ModelObject, RoundObject
from bitagent_operator.plan.models.fetch import fetch_result


class StateCollector(Collector):
    """Numbers of objects by state. Every state is present, so that a dashboard shows zeros."""

    def __init__(self, cache: Cache, *, now: Callable[[], datetime]) -> None:
        self._cache, self._now = cache, now

    def collect(self) -> Iterator[Metric]:
        """Yield all families."""
        yield from self._rounds()
        yield self._models()
        yield self._deleted()
        yield from self._bad_objects()
        deployed = GaugeMetricFamily(
            "bitagent_validator_deployed",
            "Whether the pod of the Validator, by name, is ready (1) or not (0); of those that are not suspended.",
            labels=["validator"],
        )
        for validator in self._cache.validators:
            if validator.spec.suspend:
                continue
            c = find(validator.conditions, ConditionType.DEPLOYED)
            deployed.add_metric([validator.meta.name], float(c is not None and c.status == ConditionStatus.TRUE))
        yield deployed
        yield from waiting(self._cache.models, self._cache.rounds, self._cache.validators)

    def _rounds(self) -> Iterator[GaugeMetricFamily]:
        rounds = sorted(self._cache.rounds, key=lambda r: r.meta.name)
        unfinished = [r for r in rounds if r.status.finished_at is None]
        by_phase = GaugeMetricFamily("bitagent_rounds", "EvalRounds by phase.", labels=["phase"])
        phases = Count(r.status.phase for r in rounds)
        for phase in RoundPhase:
            by_phase.add_metric([phase], phases[phase])
        yield by_phase
        yield _results(
            "bitagent_round_results", "Results of unfinished rounds by state.", unfinished, tuple(ResultState)
        )
        finished = [r for r in rounds if r.status.finished_at is not None]
        text = "Results of finished rounds by state."
        yield _results("bitagent_finished_round_results", text, finished, sorted(FINAL_STATES))
        phase_of = GaugeMetricFamily(
            "bitagent_round_phase", "1 for the present phase of each EvalRound, by name.", labels=["round", "phase"]
        )
        started = GaugeMetricFamily(
            "bitagent_round_start_timestamp_seconds",
            "When each EvalRound started, by name, in Unix time.",
            labels=["round"],
        )
        for each in rounds:
            phase_of.add_metric([each.meta.name, each.status.phase], 1)
            if each.status.started_at is not None:
                started.add_metric([each.meta.name], each.status.started_at.timestamp())
        yield phase_of
        yield started
        yield from gpu_time(rounds)
        yield from durations(rounds)
        yield from running(rounds)
        oldest = GaugeMetricFamily(
            "bitagent_oldest_unfinished_round_age_seconds",
            "Time since the oldest EvalRound was created that has not ended; 0 if all have.",
        )
        ages = [(self._now() - r.meta.created).total_seconds() for r in unfinished]
        oldest.add_metric([], max(ages, default=0.0))
        yield oldest

    def _models(self) -> GaugeMetricFamily:
        models = GaugeMetricFamily("bitagent_models", "MinerModels by state of their files.", labels=["state"])
        fetched = Count(_files_state(m) for m in self._cache.models)
        for name in ("Fetched", "Rejected", "Failed", "Fetching"):
            models.add_metric([name], fetched[name])
        return models

    def _deleted(self) -> CounterMetricFamily:
        deleted = CounterMetricFamily(
            "bitagent_operator_objects_deleted",
            "Objects that were deleted while this process watched them, by kind.",
            labels=["kind"],
        )
        for kind, number in self._cache.deleted.items():
            deleted.add_metric([kind], number)
        return deleted

    def _bad_objects(self) -> Iterator[GaugeMetricFamily]:
        unreadable = GaugeMetricFamily(
            "bitagent_operator_unreadable_objects",
            "Objects that exist and that this version cannot read, by kind.",
            labels=["kind"],
        )
        for kind, bad in self._cache.all_unreadable().items():
            unreadable.add_metric([kind], len(bad))
        yield unreadable
        invalid = GaugeMetricFamily(
            "bitagent_operator_invalid_objects",
            "Objects that cannot be read or planned, by kind; their condition Stalled says why.",
            labels=["kind"],
        )
        for kind, number in self._invalid().items():
            invalid.add_metric([kind], number)
        yield invalid

    def _invalid(self) -> dict[Kind, int]:
        """Return the numbers of objects that cannot be read or planned."""
        cache, unreadable = self._cache, self._cache.all_unreadable()
        conditions: dict[Kind, list[Sequence[Condition]]] = {
            Kind.MODEL: [m.status.conditions for m in cache.models],
            Kind.ROUND: [r.status.conditions for r in cache.rounds],
            Kind.VALIDATOR: [v.conditions for v in cache.validators],
        }
        return {kind: len(unreadable[kind]) + sum(map(_invalid, conditions[kind])) for kind in Kind}


def _invalid(conditions: Sequence[Condition]) -> bool:
    """Whether the object cannot be planned."""
    stalled = find(conditions, ConditionType.STALLED)
    return stalled is not None and stalled.reason is Reason.INVALID


def _results(name: str, text: str, rounds: Sequence[RoundObject], states: Sequence[ResultState]) -> GaugeMetricFamily:
    """Return the family of the numbers of the results of rounds."""
    family = GaugeMetricFamily(name, text, labels=["state"])
    found = Count(result.state for r in rounds for result in r.status.results)
    for state in states:
        family.add_metric([state], found[state])
    return family


def _files_state(model: ModelObject) -> str:
    result = fetch_result(model.status, generation=model.meta.generation)
    if result is None:
        return "Fetching"
    return "Fetched" if result.fetched else "Failed" if result.infrastructure else "Rejected"
