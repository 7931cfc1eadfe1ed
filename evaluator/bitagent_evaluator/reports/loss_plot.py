"""Geometry of the histogram of losses."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bitagent_evaluator.reports.plots import HEIGHT, WIDTH, Bar, Figure, Tick

_BINS = 30
_X_TICKS, _Y_TICKS = 6, 4
_X_LABEL = "loss, nats per token"


def loss_histogram(losses: Sequence[float]) -> Figure | None:
    """Counts of finite losses in bins of a round width from zero on; None without losses."""
    if not losses:
        return None
    width = _round_up(max(losses) / _BINS)
    places = [int(loss / width) for loss in losses]
    counts = [places.count(place) for place in range(max(places) + 1)]
    frame = Figure(_X_LABEL, [], [], [])
    across = (frame.right - frame.left) / len(counts)
    up = (frame.bottom - frame.top) / max(counts)
    bars = [
        Bar(
            x=round(frame.left + place * across, 2),
            y=round(frame.bottom - count * up, 2),
            width=max(1.0, across - 1),
            height=count * up,
            kind="plain",
            title=f"{place * width:.4g} to {(place + 1) * width:.4g}: {count}",
        )
        for place, count in enumerate(counts)
        if count
    ]
    step, high = max(1, math.ceil(len(counts) / _X_TICKS)), max(1, math.ceil(_round_up(max(counts) / _Y_TICKS)))
    x_ticks = [
        Tick(round(frame.left + place * across, 2), f"{place * width:.4g}") for place in range(0, len(counts) + 1, step)
    ]
    y_ticks = [Tick(round(frame.bottom - count * up, 2), f"{count:,}") for count in range(0, max(counts) + 1, high)]
    return Figure(_X_LABEL, x_ticks, y_ticks, bars, width=WIDTH, height=HEIGHT)


def _round_up(value: float) -> float:
    """The next of 1, 2, 5, 10, ..., of whatever power of ten, at or above a value; 0.001 for less than that."""
    value = max(value, 1e-3)
    power = 10.0 ** math.floor(math.log10(value))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= value)
