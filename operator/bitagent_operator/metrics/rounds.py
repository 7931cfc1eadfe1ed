"""What rounds took, generated and lost, by round, phase and model: read from their results when they are scraped."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from prometheus_client.core import GaugeMetricFamily

from bitagent_crds.model_result import ModelResult, PhaseSeconds
from bitagent_operator.observed.objects import RoundObject

PHASES = ("waiting", "pulling", "load", "generate", "score", "idle")
"""Phases of an evaluation, as `results[].seconds` names them."""

MODELS_OF_A_ROUND = 50
"""Models of a round that have series of their own, those first that took longest: a round has up to 1,000."""

FINISHED_ROUNDS = 4
"""Finished rounds whose models have series of their own, the latest; unfinished rounds have them in any case."""


def durations(rounds: Sequence[RoundObject]) -> Iterator[GaugeMetricFamily]:
    """Yield the time of evaluations by round and phase, and by round, model and phase."""
    by_phase = GaugeMetricFamily(
        "bitagent_round_evaluation_seconds",
        "Time of the evaluations of each EvalRound by phase, all its models together, by name.",
        labels=["round", "phase"],
    )
    by_model = GaugeMetricFamily(
        "bitagent_round_model_evaluation_seconds",
        f"Time of an evaluation by phase, by round and model: of unfinished rounds and the latest {FINISHED_ROUNDS}, "
        f"the {MODELS_OF_A_ROUND} models of each that took longest.",
        labels=["round", "model", "phase"],
    )
    detailed = {each.meta.uid for each in _detailed(rounds)}
    for each in rounds:
        name, timed = each.meta.name, list(_timed(each.status.results))
        total: defaultdict[str, float] = defaultdict(float)
        for _, phases in timed:
            for phase, seconds in phases.items():
                total[phase] += seconds
        for phase, seconds in total.items():
            by_phase.add_metric([name, phase], seconds)
        if each.meta.uid in detailed:
            longest = sorted(timed, key=lambda item: (-sum(item[1].values()), item[0]))[:MODELS_OF_A_ROUND]
            for model, phases in longest:
                for phase, seconds in phases.items():
                    by_model.add_metric([name, model, phase], seconds)
    yield from (by_phase, by_model)


def gpu_time(rounds: Sequence[RoundObject]) -> Iterator[GaugeMetricFamily]:
    """Yield the GPU time of each round that holds or held GPUs, and how far the evaluations of running ones are."""
    held = GaugeMetricFamily(
        "bitagent_round_gpu_held_seconds",
        "GPU time that the evaluations of each EvalRound have held, in seconds times GPUs, by name.",
        labels=["round"],
    )
    generating = GaugeMetricFamily(
        "bitagent_round_gpu_generating_seconds",
        "The part of that time in which an engine generated, by the results that have a score, by name.",
        labels=["round"],
    )
    done = GaugeMetricFamily(
        "bitagent_round_done_ratio",
        "Share of the evaluations of each running EvalRound that is done.",
        labels=["round"],
    )
    for each in rounds:
        name, status = each.meta.name, each.status
        if status.gpu_seconds is not None:
            held.add_metric([name], status.gpu_seconds.held)
            generating.add_metric([name], status.gpu_seconds.generating)
        if status.estimate is not None and status.finished_at is None:
            done.add_metric([name], status.estimate.percent / 100)
    yield from (held, generating, done)


def running(rounds: Sequence[RoundObject]) -> Iterator[GaugeMetricFamily]:
    """Yield the tokens per second of each unfinished round, and the disruptions of each round."""
    generated = GaugeMetricFamily(
        "bitagent_round_generated_tokens_per_second",
        "Tokens that the running evaluations of each unfinished EvalRound generate per second, together, by name: of "
        "each the mean rate of its attempt's finished answers. Evaluations that do not report it count as 0.",
        labels=["round"],
    )
    disruptions = GaugeMetricFamily(
        "bitagent_round_disruptions",
        "Times at which a pod of an EvalRound's evaluations was evicted, preempted or lost its node, by name; those "
        "before a Job that gave up are no longer counted.",
        labels=["round"],
    )
    for each in rounds:
        name, results = each.meta.name, each.status.results
        if each.status.finished_at is None:
            rates = (r.progress.tokens_per_second for r in results if r.progress is not None)
            generated.add_metric([name], sum(rates))
        disruptions.add_metric([name], sum(len(r.disruptions) for r in results if r.duplicate_of is None))
    yield from (generated, disruptions)


def _timed(results: Iterable[ModelResult]) -> Iterator[tuple[str, dict[str, float]]]:
    """Yield each model that was evaluated itself, with its seconds by phase; a duplicate repeats its owner's."""
    for result in results:
        if result.seconds is not None and result.duplicate_of is None:
            yield result.model, phase_seconds(result.seconds)


def phase_seconds(seconds: PhaseSeconds) -> dict[str, float]:
    """Return the duration of each phase that is known."""
    known = {phase: getattr(seconds, phase) for phase in PHASES}
    return {phase: float(value) for phase, value in known.items() if value is not None}


def _detailed(rounds: Sequence[RoundObject]) -> list[RoundObject]:
    def end(each: RoundObject) -> tuple[datetime, str]:
        assert each.status.finished_at is not None
        return each.status.finished_at, each.meta.name

    finished = sorted((r for r in rounds if r.status.finished_at is not None), key=end)
    return [r for r in rounds if r.status.finished_at is None] + finished[-FINISHED_ROUNDS:]
