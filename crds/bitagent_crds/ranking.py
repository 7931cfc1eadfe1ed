"""Ranking of the models that were evaluated together: the one rule behind an EvalRound's status, the CLI and the
report.

Anything with a `score` and a `loss` in the contract's form can be ranked: a ModelResult, an EvaluateSummary, a
ResultsManifest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

MODEL_FAULT_SCORE = "0.000000"
"""Score of a model that could not be evaluated by its own fault; it is ranked with the models that got everything
wrong."""


class Scored(Protocol):
    """A result that can be ranked."""

    @property
    def score(self) -> str | None:
        """Score from 0 to 1; None if there is no result, as after an infrastructure fault."""
        ...

    @property
    def loss(self) -> str | None:
        """Mean loss, in nats per byte or per token alike in all results, `inf` included; None if none was measured."""
        ...


def ranks(results: Sequence[Scored | None]) -> list[int | None]:
    """Return the rank of each result, in the order given; None for one without a score, or that is None itself.

    Rank 1 is the best. Equal results share a rank, and the next rank skips: 1, 1, 3. The highest score is first. If
    any result has a loss, losses decide instead and the lowest is first, because scores exp(-loss) round to equal
    values sooner than losses; a result without a loss (a model at fault) then ranks last, together with infinite
    losses.
    """
    scored = [result for result in results if result is not None and result.score is not None]
    by_loss = any(result.loss is not None for result in scored)
    keys = sorted(_key(result, by_loss=by_loss) for result in scored)
    first_place: dict[float, int] = {}
    for place, key in enumerate(keys, start=1):
        first_place.setdefault(key, place)
    return [
        None if result is None or result.score is None else first_place[_key(result, by_loss=by_loss)]
        for result in results
    ]


def _key(result: Scored, *, by_loss: bool) -> float:
    """Return the number by which a result with a score is ranked, the smallest first."""
    if by_loss:
        return float("inf") if result.loss is None else float(result.loss)
    return -float(result.score or 0)
