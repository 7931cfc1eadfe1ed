"""95 % confidence intervals of a mean over tasks: Wilson's for scores, bootstrap for losses.

A task set is a sample of the tasks that could have been asked, and an interval shows how far the mean depends on the
draw. Where kinds of tasks weigh equally, the mean is that of the kinds' means, and each kind is a sample of its own: a
stratum.

Scores lie between 0 and 1. A bootstrap says nothing there when all tasks end alike: every resample of 40 passed tasks
has 40 passed tasks. Wilson's score interval has a width in that case too: 40 of 40 is 91.2 % to 100 %. Losses have no
upper bound, so theirs is by bootstrap: resampling with replacement. How often each distinct value is drawn in a
resample follows a multinomial distribution: where values repeat, drawing these counts instead of the tasks gives the
same distribution in a fraction of the time.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RESAMPLES = 2_000
PERCENTILES = (2.5, 97.5)
Z = 1.959963984540054
"""The 97.5 % quantile of the normal distribution."""

_BLOCK = 250
"""Number of resamples drawn at once where tasks are drawn: bounds memory."""
_REPETITION = 16
"""Number of tasks per distinct value from which drawing counts is faster."""


def bounded_interval(
    strata: Sequence[Sequence[float]], *, lowest: float = 0.0, highest: float = 1.0
) -> tuple[float, float]:
    """Return the bounds of the 95 % interval of the mean of the means of at least one stratum, each with a value.

    Values are from `lowest` to `highest`. One stratum has Wilson's interval. The distances of its bounds from the mean
    are the root of the sum of squares of those of the strata, divided by their number (MOVER: Zou, Donner, Statistics
    in Medicine 27, 2008).
    """
    width = highest - lowest
    parts = [_wilson([(value - lowest) / width for value in values]) for values in strata]
    mean = math.fsum(middle for middle, _, _ in parts) / len(parts)
    down = math.hypot(*(middle - low for middle, low, _ in parts)) / len(parts)
    up = math.hypot(*(high - middle for middle, _, high in parts)) / len(parts)
    return lowest + width * max(0.0, mean - down), lowest + width * min(1.0, mean + up)


def _wilson(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the mean of values from 0 to 1, and the bounds of Wilson's score interval (Wilson, JASA 22, 1927).

    The interval is for shares, whose variance follows from their mean. Values between 0 and 1 vary less, so that n of
    them tell as much as more than n of passed or failed tasks. By what factor is estimated from the values with a 0 and
    a 1 added, so that equal values have a width as well; it is 1 for values that are all 0 or 1.
    """
    count = len(values)
    mean = math.fsum(values) / count
    centre = (math.fsum(values) + 1) / (count + 2)
    square = (math.fsum(value * value for value in values) + 1) / (count + 2)
    equivalent = count * max(1.0, centre * (1 - centre) / (square - centre * centre))
    shrink = Z * Z / equivalent
    middle = (mean + shrink / 2) / (1 + shrink)
    half = Z * math.sqrt(mean * (1 - mean) / equivalent + shrink / (4 * equivalent)) / (1 + shrink)
    return mean, min(mean, max(0.0, middle - half)), max(mean, min(1.0, middle + half))


def stratified_interval(strata: Sequence[Sequence[float]], *, seed: str) -> tuple[float, float]:
    """Return the bounds of the 95 % percentile interval of the mean of the means of at least one stratum.

    Each stratum has at least one value, and is resampled for itself. The bounds depend on the seed, and on the order of
    the strata, not on that of their values.
    """
    import numpy as np  # here and below: only losses need it, and its import takes longer than that of all of this

    generator = np.random.default_rng(int.from_bytes(hashlib.sha256(seed.encode()).digest()))
    means = sum(_resampled_means(values, generator) for values in strata) / len(strata)
    low, high = np.percentile(means, PERCENTILES)
    return float(low), float(high)


def _resampled_means(values: Sequence[float], generator: np.random.Generator) -> NDArray[np.float64]:
    """Return the mean of each resample of the values."""
    import numpy as np

    distinct, counts = np.unique(np.asarray(values, dtype=np.float64), return_counts=True)
    if len(values) < _REPETITION * distinct.size:
        return _means_of_draws(np.repeat(distinct, counts), generator)
    sums: NDArray[np.float64] = generator.multinomial(len(values), counts / len(values), size=RESAMPLES) @ distinct
    return sums / len(values)


def _means_of_draws(values: NDArray[np.float64], generator: np.random.Generator) -> NDArray[np.float64]:
    import numpy as np

    blocks = [
        values[generator.integers(values.size, size=(_BLOCK, values.size), dtype=np.uint32)].mean(axis=1)
        for _ in range(RESAMPLES // _BLOCK)
    ]
    return np.concatenate(blocks)
