"""Geometry of the figures: numbers in, rectangles and paths in SVG units out. The template only draws them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

WIDTH, HEIGHT = 460, 200
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 12, 10, 34
_BINS = 40


@dataclass(frozen=True)
class Tick:
    """A labelled place on an axis."""

    at: float
    label: str


@dataclass(frozen=True)
class Bar:
    """A rectangle with a tooltip."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    """Class of its colour: `passed` or `failed`, or `plain`."""
    title: str


@dataclass(frozen=True)
class Figure:
    """What both kinds of figure share. Coordinates grow to the right and downwards, as in SVG."""

    x_label: str
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    bars: list[Bar]
    path: str = ""
    """Commands of an SVG path; empty when there is none."""
    left: int = _LEFT
    right: int = WIDTH - _RIGHT
    top: int = _TOP
    bottom: int = HEIGHT - _BOTTOM
    width: int = WIDTH
    height: int = HEIGHT


def histogram(groups: Sequence[tuple[str, Sequence[int]]], *, x_label: str) -> Figure | None:
    """Stacked counts of non-negative whole numbers, one group on the other; None without values."""
    largest = max((max(values) for _, values in groups if values), default=None)
    if largest is None:
        return None
    step = max(1, ceil(_nice(largest / _BINS)))
    bins = largest // step + 1
    counts = [(kind, _counted(values, step, bins)) for kind, values in groups]
    x_scale = Scale(0, bins * step, _LEFT, WIDTH - _RIGHT)
    y_scale = Scale(0, max(sum(of[i] for _, of in counts) for i in range(bins)), HEIGHT - _BOTTOM, _TOP)
    bars: list[Bar] = []
    for i in range(bins):
        below = 0
        low, high = i * step, (i + 1) * step - 1
        span = f"{low} to {high}" if high > low else str(low)
        for kind, of in counts:
            if of[i]:
                top = y_scale(below + of[i])
                x, end = x_scale(i * step), x_scale((i + 1) * step)
                title = f"{span} tokens: {of[i]} {kind}" if len(groups) > 1 else f"{span} tokens: {of[i]}"
                bars.append(Bar(x, top, max(1.0, end - x - 1), y_scale(below) - top, kind, title))
            below += of[i]
    return Figure(x_label, x_scale.ticks(6), y_scale.ticks(4), bars)


def cumulative(values: Sequence[int], *, x_label: str) -> Figure | None:
    """Share of values that are at most x, as a staircase; None without values."""
    if not values:
        return None
    ordered = sorted(values)
    x_scale = Scale(0, max(1, ordered[-1]), _LEFT, WIDTH - _RIGHT)
    y_scale = Scale(0, 1, HEIGHT - _BOTTOM, _TOP)
    commands = [f"M{x_scale(0):.1f} {y_scale(0):.1f}"]
    for index, value in enumerate(ordered):
        if index + 1 == len(ordered) or ordered[index + 1] != value:
            commands.append(f"H{x_scale(value):.1f}V{y_scale((index + 1) / len(ordered)):.1f}")
    percent = [Tick(y_scale(share), f"{share:.0%}") for share in (0, 0.25, 0.5, 0.75, 1)]
    return Figure(x_label, x_scale.ticks(6), percent, [], "".join(commands))


def _counted(values: Sequence[int], step: int, bins: int) -> list[int]:
    counts = [0] * bins
    for value in values:
        counts[value // step] += 1
    return counts


@dataclass(frozen=True)
class Scale:
    """A linear map of values to SVG units."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Where a value lies."""
        return round(self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start), 2)

    def ticks(self, about: int) -> list[Tick]:
        """Places at round whole numbers."""
        step = max(1, ceil(_nice((self.high - self.low) / about)))
        return [Tick(self(value), f"{value:,}") for value in range(ceil(self.low), floor(self.high) + 1, step)]


def _nice(value: float) -> float:
    """The next of 1, 2, 2.5, 5, 10, ... at or above a value."""
    if value <= 1:
        return 1.0
    power = 10.0 ** floor(log10(value))
    return next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= value)
