"""Ranks, and the digest that names a leaderboard."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from bitagent_crds.evalround import ModelResult, ResultState

SCORED = frozenset({ResultState.SUCCEEDED, ResultState.MODEL_FAULT})
"""States that have a score; a model's own fault scores 0."""


def rank(results: Sequence[ModelResult]) -> list[ModelResult]:
    """The results, in their order, with ranks: 1 is the highest score, equal scores share a rank, the next one skips.

    Where losses were measured they decide, the lowest first: their scores exp(-loss) are equal sooner. A model without one is last.
    """
    standings = _standings(results)
    place: dict[float, int] = {}
    for index, standing in enumerate(sorted(standings.values()), start=1):
        place.setdefault(standing, index)
    return [r.model_copy(update={"rank": place[standings[r.model]] if r.model in standings else None}) for r in results]


def _standings(results: Sequence[ModelResult]) -> dict[str, float]:
    """A number by which each model with a score is ranked, the smallest first."""
    scored = {r.model: (r.score, r.loss) for r in results if r.state in SCORED and r.score is not None}
    if any(loss is not None for _, loss in scored.values()):
        return {model: float(loss or "inf") for model, (_, loss) in scored.items()}
    return {model: -float(score) for model, (score, _) in scored.items()}


def leaderboard_digest(results: Sequence[ModelResult]) -> str:
    """SHA-256 of the ranking as JSON: `[[rank, model, score, commit, weightsDigest, resultDigest], ...]`, best first."""
    rows = [
        [r.rank, r.model, r.score, r.commit, r.weights_digest, r.result_digest]
        for r in sorted(results, key=lambda r: (r.rank or 0, r.model))
        if r.rank is not None
    ]
    text = json.dumps(rows, separators=(",", ":"), ensure_ascii=True)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def best(results: Sequence[ModelResult]) -> str:
    """The leading model and its score, or its loss where losses were measured, for people; empty while there is none."""
    standings = _standings(results)
    if not standings:
        return ""
    first = min((r for r in results if r.model in standings), key=lambda r: (standings[r.model], r.model))
    return f"{first.model} {first.score}" if first.loss is None else f"{first.model} loss {first.loss}"
