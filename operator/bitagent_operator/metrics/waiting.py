"""What waits, by the reason that its condition or its result names: read from the cache when it is scraped.

Only reasons that are there have series, so that an alert can name one.
"""

from __future__ import annotations

from collections import Counter as Count
from collections.abc import Iterable, Iterator

from prometheus_client.core import GaugeMetricFamily

from bitagent_crds.conditions import ConditionStatus, ConditionType, Fault, Reason
from bitagent_crds.model_result import ResultState
from bitagent_kube.conditions import find
from bitagent_operator.observed.objects import ModelObject, RoundObject, ValidatorObject


def waiting(
    models: Iterable[ModelObject], rounds: Iterable[RoundObject], validators: Iterable[ValidatorObject]
) -> Iterator[GaugeMetricFamily]:
    """Yield the numbers of models, results and files that wait, by reason, and the rewriters that are needed."""
    rounds = list(rounds)
    fetches = Count(
        str(c.reason)
        for m in models
        if (c := find(m.status.conditions, ConditionType.FETCHED)) and c.status == ConditionStatus.UNKNOWN
    )
    yield _by_reason("bitagent_models_waiting", "MinerModels whose fetch has not ended, by reason.", fetches)
    results = Count(
        str(result.reason)
        for r in rounds
        if r.status.finished_at is None and not r.spec.suspend
        for result in r.status.results
        if result.state is ResultState.PENDING
    )
    text = "Pending results of unfinished rounds that are not suspended, by reason."
    yield _by_reason("bitagent_round_results_waiting", text, results)
    files = Count(
        str(c.reason)
        for r in rounds
        for kind in (ConditionType.ARCHIVED, ConditionType.FILES_KEPT)
        if (c := find(r.status.conditions, kind)) and c.reason.fault is Fault.INFRASTRUCTURE
    )
    text = (
        "Finished rounds whose files are not archived, or not removed, by a trouble of the infrastructure, by reason."
    )
    yield _by_reason("bitagent_round_files_waiting", text, files)
    rewriters = GaugeMetricFamily(
        "bitagent_rewriter_ready",
        "Whether the rewriter of the Validator, by name, answers (1) or not (0), while a round needs it.",
        labels=["validator"],
    )
    for each in validators:
        ready = find(each.conditions, ConditionType.REWRITER_READY)
        if ready is not None and ready.reason is not Reason.REWRITER_IDLE:
            rewriters.add_metric([each.meta.name], float(ready.status == ConditionStatus.TRUE))
    yield rewriters


def _by_reason(name: str, text: str, found: Count[str]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=["reason"])
    for reason, number in sorted(found.items()):
        family.add_metric([reason], number)
    return family
