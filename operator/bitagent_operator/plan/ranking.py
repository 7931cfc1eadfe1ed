"""Ranks, and the digest that names a leaderboard."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from bitagent_crds.evalround import ModelResult, ResultState

SCORED = frozenset({ResultState.SUCCEEDED, ResultState.MODEL_FAULT})
"""States that have a score; a model's own fault scores 0."""


def rank(results: Sequence[ModelResult]) -> list[ModelResult]:
    """The results, in their order, with ranks: 1 is the highest score, equal scores share a rank, the next one skips."""
    scores = sorted((r.score for r in results if r.state in SCORED and r.score is not None), reverse=True)
    place: dict[str, int] = {}
    for index, score in enumerate(scores, start=1):
        place.setdefault(score, index)
    return [r.model_copy(update={"rank": place.get(r.score or "") if r.state in SCORED else None}) for r in results]


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
    """The leading model and its score, for people; empty while there is none."""
    scored = [(r.score, r.model) for r in results if r.state in SCORED and r.score is not None]
    if not scored:
        return ""
    score, model = min(scored, key=lambda s: (-float(s[0]), s[1]))
    return f"{model} {score}"
