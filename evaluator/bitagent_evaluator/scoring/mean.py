"""How the verdicts on several tasks become one score."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

from bitagent_evaluator.scoring.bootstrap import interval

_Item = TypeVar("_Item")


@dataclass(frozen=True)
class Mean:
    """The mean of one value per task, and what score it is. Every task weighs the same."""

    values: Sequence[float]
    to_score: Callable[[float], float] = float
    """A monotonic map of a mean to a score from 0 to 1; plain scores are their own."""

    @property
    def value(self) -> float:
        """The mean; infinite as soon as one value is, 0 without values."""
        return math.fsum(self.values) / len(self.values) if self.values else 0.0

    @property
    def score(self) -> float:
        """The score; 0 without values."""
        return self.to_score(self.value) if self.values else 0.0

    def interval(self, seed: str) -> tuple[float, float] | None:
        """The 95 % bootstrap interval of the score; None without values, and where an infinite one leaves nothing to resample."""
        if not self.values or not all(map(math.isfinite, self.values)):
            return None
        low, high = sorted(map(self.to_score, interval(self.values, seed=seed)))
        return low, high


def parts(items: Sequence[_Item], count: int) -> list[Sequence[_Item]]:
    """The items, in order, in at most `count` parts of nearly equal size, none of them empty; the first ones are the larger ones."""
    count = min(count, len(items))
    size, larger = divmod(len(items), count) if count else (0, 0)
    starts = [part * size + min(part, larger) for part in range(count + 1)]
    return [items[start:end] for start, end in pairwise(starts)]
