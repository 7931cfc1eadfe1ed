"""Two models' losses on the same samples, compared sample by sample. Pure.

As with scores, the difference per sample is what varies, not how hard the samples are. The difference of the mean losses decides; beside it
stands how many batches each model won, which is what policies that pair models count.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bitagent_evaluator.reports.comparison import MIN_DIFFERING, Finding, check_comparable
from bitagent_evaluator.reports.reading import Results, ResultsError
from bitagent_evaluator.scoring.bootstrap import interval
from bitagent_evaluator.scoring.loss import loss_of


@dataclass(frozen=True)
class LossPair:
    """One sample that both models were measured on."""

    id: str
    category: str
    a_loss: float
    b_loss: float


@dataclass(frozen=True)
class LossContrast:
    """A and B over some samples."""

    total: int
    a_loss: float
    b_loss: float
    difference: float
    """`a_loss - b_loss`: below 0 where A is better; 0 where both are infinite."""
    interval: tuple[float, float] | None
    """95 % confidence interval of the difference, by bootstrap over the samples, paired; None where a loss is infinite."""
    lower_a: int
    """Samples on which A's loss is the lower one."""
    lower_b: int


@dataclass(frozen=True)
class LossComparison:
    """Outcome of a comparison."""

    finding: Finding
    overall: LossContrast
    categories: dict[str, LossContrast]
    """By category, sorted by name."""
    batches_a: int
    """Batches whose mean loss is lower for A."""
    batches_b: int
    differing: list[LossPair]
    """Samples whose losses differ, the largest difference first."""


def compare_losses(a: Results, b: Results) -> LossComparison:
    """Compare two results of scorer Loss. Raises ResultsError when they are not about the same samples."""
    seed = check_comparable(a, b)
    _check_measured_alike(a, b)
    of_b = {verdict.id: loss_of(verdict) for verdict in b.verdicts}
    pairs = [LossPair(verdict.id, verdict.category, loss_of(verdict), of_b[verdict.id]) for verdict in a.verdicts]
    overall = _contrast(pairs, seed)
    names = sorted({pair.category for pair in pairs})
    batches = [
        (float(one), float(other)) for one, other in zip(a.manifest.batch_losses, b.manifest.batch_losses, strict=False)
    ]
    differing = [pair for pair in pairs if pair.a_loss != pair.b_loss]
    return LossComparison(
        finding=_finding(overall),
        overall=overall,
        categories={name: _contrast([pair for pair in pairs if pair.category == name], seed) for name in names},
        batches_a=sum(one < other for one, other in batches),
        batches_b=sum(other < one for one, other in batches),
        differing=sorted(differing, key=lambda pair: abs(pair.a_loss - pair.b_loss), reverse=True),
    )


def _check_measured_alike(a: Results, b: Results) -> None:
    """Losses up to another length are of other texts. Raises ResultsError."""
    one, other = a.manifest.loss_parameters, b.manifest.loss_parameters
    if one is not None and other is not None and one.sequence_length != other.sequence_length:
        raise ResultsError(
            f"{a.directory} measured losses up to --sequence-length {one.sequence_length}, {b.directory} up to "
            f"{other.sequence_length}; measure both alike"
        )


def _contrast(pairs: Sequence[LossPair], seed: str) -> LossContrast:
    total = max(1, len(pairs))
    a_loss = math.fsum(pair.a_loss for pair in pairs) / total
    b_loss = math.fsum(pair.b_loss for pair in pairs) / total
    finite = pairs and math.isfinite(a_loss) and math.isfinite(b_loss)
    return LossContrast(
        total=len(pairs),
        a_loss=a_loss,
        b_loss=b_loss,
        difference=0.0 if a_loss == b_loss else a_loss - b_loss,
        interval=interval([pair.a_loss - pair.b_loss for pair in pairs], seed=seed) if finite else None,
        lower_a=sum(pair.a_loss < pair.b_loss for pair in pairs),
        lower_b=sum(pair.b_loss < pair.a_loss for pair in pairs),
    )


def _finding(overall: LossContrast) -> Finding:
    low, high = overall.interval or (overall.difference, overall.difference)
    if low <= 0.0 <= high or (overall.interval and overall.lower_a + overall.lower_b < MIN_DIFFERING):
        return Finding.NO_DIFFERENCE
    return Finding.A_BETTER if high < 0.0 else Finding.B_BETTER
