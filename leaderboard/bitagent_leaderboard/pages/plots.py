"""A model's history as geometry: numbers in, paths in SVG units out; the template only draws. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 640, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 16, 14, 40
_LABELS = 8
"""Labels below the axis at most."""
_SMALLEST = 1e-3


@dataclass(frozen=True, slots=True)
class Value:
    """A measurement of one round."""

    label: str
    title: str
    """What a tooltip says."""
    value: float
    interval: tuple[float, float] | None = None
    baseline: float | None = None
    """Value of the best constant answer to the same tasks."""


@dataclass(frozen=True, slots=True)
class Dot:
    """One point; `low` and `high` are the ends of its interval."""

    x: float
    y: float
    title: str
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Tick:
    """A labelled position on an axis."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Plot:
    """Axes, a line with points, and the baseline. Coordinates grow to the right and downwards, as in SVG."""

    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    dots: tuple[Dot, ...]
    line: str
    baseline: str
    """Path of the baseline; empty if there is none."""
    left: int = _LEFT
    right: int = WIDTH - _RIGHT
    top: int = _TOP
    bottom: int = HEIGHT - _BOTTOM
    width: int = WIDTH
    height: int = HEIGHT


def plot(values: Sequence[Value], *, scores: bool) -> Plot | None:
    """Return the plot of values in the order of time, None without any finite one; scores have the axis from 0 to 1."""
    shown = [each for each in values if math.isfinite(each.value)]
    if not shown:
        return None
    low, high = (0.0, 1.0) if scores else _range(shown)
    step = (WIDTH - _LEFT - _RIGHT) / max(1, len(shown))

    def x(place: int) -> float:
        return round(_LEFT + (place + 0.5) * step, 1)

    def y(value: float) -> float:
        inside = min(high, max(low, value))
        return round(HEIGHT - _BOTTOM - (inside - low) / (high - low) * (HEIGHT - _BOTTOM - _TOP), 1)

    dots = tuple(
        Dot(x(place), y(each.value), each.title, *(map(y, each.interval) if each.interval is not None else ()))
        for place, each in enumerate(shown)
    )
    every = math.ceil(len(shown) / _LABELS)
    last = len(shown) - 1
    return Plot(
        x_ticks=tuple(Tick(x(place), each.label) for place, each in enumerate(shown) if (last - place) % every == 0),
        y_ticks=tuple(Tick(y(value), _label(value, scores=scores)) for value in _steps(low, high)),
        dots=dots,
        line="M" + "L".join(f"{dot.x} {dot.y}" for dot in dots),
        baseline=_baseline(shown, x, y, step / 2),
    )


def _label(value: float, *, scores: bool) -> str:
    return f"{100 * value:.4g} %" if scores else f"{value:.4g}"


def _range(values: Sequence[Value]) -> tuple[float, float]:
    numbers = [each.value for each in values] + [each.baseline for each in values if each.baseline is not None]
    low, high = min(numbers), max(numbers)
    margin = max((high - low) * 0.1, abs(high) * 0.02, _SMALLEST)
    return max(0.0, low - margin), high + margin


def _steps(low: float, high: float) -> list[float]:
    about = (high - low) / 4
    power = 10.0 ** math.floor(math.log10(about))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= about * 0.999)
    return [place * step for place in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def _baseline(values: Sequence[Value], x: Callable[[int], float], y: Callable[[float], float], half: float) -> str:
    """Return a short level stroke for each round that has a baseline."""
    strokes = [
        f"M{round(x(place) - half, 1)} {y(each.baseline)}H{round(x(place) + half, 1)}"
        for place, each in enumerate(values)
        if each.baseline is not None
    ]
    return "".join(strokes)
