"""What the evaluations of rounds generate, and how often they lost their pods: read from their results when scraped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prometheus_client.core import GaugeMetricFamily

from bitagent_operator.observed.objects import RoundObject


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
