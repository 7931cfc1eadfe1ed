"""Confidence intervals of a mean by resampling.

A task set is a sample of the tasks that could have been asked; resampling it with replacement shows how much the mean owes to the draw. How
often each distinct value is drawn in a resample follows a multinomial distribution: where values repeat, as scores do, drawing these counts
instead of the tasks gives the same distribution in a fraction of the time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2_000
PERCENTILES = (2.5, 97.5)

_BLOCK = 250
"""Resamples drawn at once where tasks are drawn: bounds memory."""
_REPETITION = 16
"""Tasks per distinct value above which drawing counts is faster."""


def interval(values: Sequence[float], *, seed: str) -> tuple[float, float]:
    """Bounds of the 95 % percentile interval of the mean of at least one value. Depends on the values, not on their order, and on the seed."""
    distinct, counts = np.unique(np.asarray(values, dtype=np.float64), return_counts=True)
    generator = np.random.default_rng(int.from_bytes(hashlib.sha256(seed.encode()).digest()))
    if len(values) >= _REPETITION * distinct.size:
        means = generator.multinomial(len(values), counts / len(values), size=RESAMPLES) @ distinct / len(values)
    else:
        means = _means_of_draws(np.repeat(distinct, counts), generator)
    low, high = np.percentile(means, PERCENTILES)
    return float(low), float(high)


def _means_of_draws(values: NDArray[np.float64], generator: np.random.Generator) -> NDArray[np.float64]:
    blocks = [
        values[generator.integers(values.size, size=(_BLOCK, values.size), dtype=np.uint32)].mean(axis=1)
        for _ in range(RESAMPLES // _BLOCK)
    ]
    return np.concatenate(blocks)
