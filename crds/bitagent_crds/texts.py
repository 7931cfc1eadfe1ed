"""Digests, scores and losses as the contract writes them; `bitagent_crds.fields` has the types of these texts."""

from __future__ import annotations

import hashlib

DIGEST_PREFIX = "sha256:"


def digest_of(content: bytes) -> str:
    """Return the SHA-256 of `content` as a `Digest`."""
    return DIGEST_PREFIX + hashlib.sha256(content).hexdigest()


def score_text(passed: float, total: float) -> str:
    """Return `passed / total` as a `Score`; 0 of 0 is 0. Raises ValueError outside 0..1."""
    value = passed / total if total else 0.0
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"score {value} is outside 0..1")
    return f"{value:.6f}"


def loss_text(value: float) -> str:
    """Return `value` as a `Loss`; NaN and values from 10**12 become `inf`. Raises ValueError below 0."""
    if value < 0:
        raise ValueError(f"loss {value} is below 0")
    return f"{value:.6f}" if value < 10**12 else "inf"
