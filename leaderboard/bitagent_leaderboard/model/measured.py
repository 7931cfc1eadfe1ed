"""Manifests of results: the interval of a score, and the categories. Pure.

A manifest is written by the pod that runs a miner's model, so its size is bounded, and it counts only if its digest is
that of the round's status.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import ValidationError

from bitagent_crds.results import CategoryScore, ResultsManifest
from bitagent_crds.texts import digest_of
from bitagent_leaderboard.model.objects import Interval
from bitagent_leaderboard.model.text import shown

LONGEST = 4 << 20
"""Bytes of a manifest at most."""
COLUMNS = 40
"""Categories of one result at most."""


@dataclass(frozen=True, slots=True)
class Part:
    """Score of a category, a kind of tasks or a column of the BFCL leaderboard."""

    score: str
    passed: int | None = None
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """What a manifest has beyond the status."""

    interval: Interval | None
    """95 % confidence interval of the score."""
    categories: Mapping[str, Part] = field(default_factory=dict)
    kinds: Mapping[str, Part] = field(default_factory=dict)
    """Empty unless kinds of tasks weigh equally."""
    columns: Mapping[str, Part] = field(default_factory=dict)
    """Columns of the BFCL leaderboard."""


class ManifestError(ValueError):
    """Raised for a manifest that is not the one that the status names, or cannot be read."""


def measured(content: bytes, *, digest: str) -> Measured:
    """Return what a manifest says. Raises ManifestError."""
    if digest_of(content) != digest:
        raise ManifestError("its digest is not that of the round's status")
    try:
        manifest = ResultsManifest.model_validate_json(content)
    except ValidationError as error:
        raise ManifestError(f"{error.error_count()} of its fields cannot be read") from error
    low_high = manifest.interval
    return Measured(
        interval=(float(low_high[0]), float(low_high[1])) if low_high is not None else None,
        categories=_parts(manifest.categories),
        kinds=_parts(manifest.kinds),
        columns={shown(name, 64): Part(score) for name, score in sorted(manifest.leaderboard.items())[:COLUMNS]},
    )


def _parts(of: Mapping[str, CategoryScore]) -> Mapping[str, Part]:
    return {shown(name, 64): Part(each.score, each.passed, each.total) for name, each in sorted(of.items())[:COLUMNS]}
