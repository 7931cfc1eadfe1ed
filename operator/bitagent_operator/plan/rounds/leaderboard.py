"""Ranks of a round's results, the leader, and the digest of the final ranking."""

from __future__ import annotations

import json
from collections.abc import Sequence

from bitagent_crds.model_result import ModelResult, ResultState
from bitagent_crds.ranking import ranks
from bitagent_crds.texts import digest_of
from bitagent_operator.observed.objects import changed

SCORED = frozenset({ResultState.SUCCEEDED, ResultState.MODEL_FAULT})
"""States with a score; a model's own fault scores 0."""


def _ranks(results: Sequence[ModelResult]) -> list[int | None]:
    return ranks([r if r.state in SCORED else None for r in results])


def with_ranks(results: Sequence[ModelResult]) -> list[ModelResult]:
    """Return the results, in their order, with their ranks; only SCORED states have one."""
    return [changed(r, rank=rank) for r, rank in zip(results, _ranks(results), strict=True)]


def leaderboard_digest(results: Sequence[ModelResult]) -> str:
    """Return the SHA-256 of the ranking, best first, as JSON.

    The rows are `[rank, model, score, commit, weightsDigest, resultDigest]`.
    """
    rows = [
        [r.rank, r.model, r.score, r.commit, r.weights_digest, r.result_digest]
        for r in sorted(results, key=lambda r: (r.rank or 0, r.model))
        if r.rank is not None
    ]
    text = json.dumps(rows, separators=(",", ":"), ensure_ascii=True)
    return digest_of(text.encode())


def best(results: Sequence[ModelResult]) -> str:
    """Return the leading model and its score, or its loss if losses were measured; empty while none was evaluated.

    A model that is itself at fault leads nothing, though it has a rank.
    """
    ranked = zip(results, _ranks(results), strict=True)
    leading = [r for r, rank in ranked if rank == 1 and r.state is ResultState.SUCCEEDED]
    if not leading:
        return ""
    first = min(leading, key=lambda r: r.model)
    return f"{first.model} {first.score}" if first.loss is None else f"{first.model} loss {first.loss}"
