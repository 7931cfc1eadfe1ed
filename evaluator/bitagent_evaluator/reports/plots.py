"""Charts of a report, as geometry: numbers in, rectangles and paths in SVG units out; the template only draws. Pure.

A histogram of tokens or losses, the cumulative share of answers by length, and the answers over the time of a run.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bitagent_crds.model_result import PhaseSeconds
from bitagent_evaluator.evaluation.timeline import Timeline
from bitagent_evaluator.reports.results import Results
from bitagent_evaluator.scoring.metric import Metric

WIDTH, HEIGHT = 460, 200
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 12, 10, 34
_BINS = 40
"""Number of bins of a histogram, at most and about."""
_SMALLEST = 1e-3
"""Smallest step between fractional numbers."""


@dataclass(frozen=True)
class Tick:
    """A labelled position on an axis."""

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
    """Class of its colour: `passed`, `failed`, `plain` or `band`."""
    title: str


@dataclass(frozen=True)
class Figure:
    """Axes, bars and a line. Coordinates grow to the right and downwards, as in SVG."""

    x_label: str
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    bars: list[Bar]
    path: str = ""
    """Commands of an SVG path; empty if there is none."""
    left: int = _LEFT
    right: int = WIDTH - _RIGHT
    top: int = _TOP
    bottom: int = HEIGHT - _BOTTOM
    width: int = WIDTH
    height: int = HEIGHT


@dataclass(frozen=True)
class _Scale:
    """A linear map of values to SVG units."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the position of a value."""
        return round(self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start), 2)

    def ticks(self, about: int, *, whole: bool = True) -> list[Tick]:
        """Return ticks at about this many round values, which are whole numbers or not."""
        step = _round_step((self.high - self.low) / about, whole=whole)
        values = [place * step for place in range(math.ceil(self.low / step), math.floor(self.high / step) + 1)]
        return [Tick(self(value), _label(value, whole=whole)) for value in values]


def _x_scale(high: float) -> _Scale:
    return _Scale(0, high, _LEFT, WIDTH - _RIGHT)


def _y_scale(high: float) -> _Scale:
    return _Scale(0, high, HEIGHT - _BOTTOM, _TOP)


def _round_step(value: float, *, whole: bool) -> float:
    """Return the next of 1, 2, 2.5, 5, 10 and so on of any power of ten at or above a value, or a whole number."""
    value = max(value, 1 if whole else _SMALLEST)
    power = 10.0 ** math.floor(math.log10(value))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= value)
    return math.ceil(step) if whole else step


def _label(value: float, *, whole: bool) -> str:
    return f"{value:,}" if whole else f"{value:.4g}"


def histogram(
    groups: Sequence[tuple[str, Sequence[float]]], *, x_label: str, unit: str = "", whole: bool = True
) -> Figure | None:
    """Return stacked counts of non-negative numbers, one group on the other; None without values.

    Groups are given by the class of their colour. `whole` is for whole numbers, which get no fractional bins.
    """
    largest = max((max(values) for _, values in groups if values), default=None)
    if largest is None:
        return None
    step = _round_step(largest / _BINS, whole=whole)
    bins = int(largest // step) + 1
    counts = [(kind, _count(values, step, bins)) for kind, values in groups]
    x, y = _x_scale(bins * step), _y_scale(max(sum(of[i] for _, of in counts) for i in range(bins)))
    bars: list[Bar] = []
    for i in range(bins):
        below = 0
        span = _span(i, step, whole=whole) + (f" {unit}" if unit else "")
        for kind, of in counts:
            if of[i]:
                left, top = x(i * step), y(below + of[i])
                title = f"{span}: {of[i]}" + (f" {kind}" if len(groups) > 1 else "")
                bars.append(Bar(left, top, max(1.0, x((i + 1) * step) - left - 1), y(below) - top, kind, title))
            below += of[i]
    return Figure(x_label, x.ticks(6, whole=whole), y.ticks(4), bars)


def _count(values: Sequence[float], step: float, bins: int) -> list[int]:
    counts = [0] * bins
    for value in values:
        counts[int(value // step)] += 1
    return counts


def _span(index: int, step: float, *, whole: bool) -> str:
    """Return the numbers of a bin, in words."""
    if not whole:
        return f"{_label(index * step, whole=False)} to {_label((index + 1) * step, whole=False)}"
    low, high = index * step, (index + 1) * step - 1
    return f"{low} to {high}" if high > low else str(low)


def cumulative(values: Sequence[int], *, x_label: str) -> Figure | None:
    """Return the share of values that are at most x, as a staircase; None without values."""
    if not values:
        return None
    ordered = sorted(values)
    x, y = _x_scale(max(1, ordered[-1])), _y_scale(1)
    commands = [f"M{x(0):.1f} {y(0):.1f}"]
    for index, value in enumerate(ordered):
        if index + 1 == len(ordered) or ordered[index + 1] != value:
            commands.append(f"H{x(value):.1f}V{y((index + 1) / len(ordered)):.1f}")
    percent = [Tick(y(share), f"{share:.0%}") for share in (0, 0.25, 0.5, 0.75, 1)]
    return Figure(x_label, x.ticks(6), percent, [], "".join(commands))


def answers_over_time(timeline: Timeline | None, phases: PhaseSeconds | None) -> Figure | None:
    """Return the answers as a staircase over seconds, loading and scoring shaded; None without a timeline.

    A flat stretch of the line is a stall, or one long answer.
    """
    if timeline is None or not timeline.seconds or not timeline.answers[-1]:
        return None
    first, last = timeline.seconds[0], timeline.seconds[-1]
    score = float(phases.score) if phases else 0.0
    if not all(math.isfinite(second) for second in (*timeline.seconds, score)):
        return None
    x, y = _x_scale(max(last + score, 1e-3)), _y_scale(max(timeline.answers))
    bands = [(0.0, first, f"ready after {first:.1f} s"), (last, last + score, f"scored in {score:.1f} s")]
    bars = [
        Bar(x(begin), y.end, x(end) - x(begin), y.start - y.end, "band", title)
        for begin, end, title in bands
        if end > begin
    ]
    commands = [f"M{x(first):.1f} {y(timeline.answers[0]):.1f}"]
    for second, count in zip(timeline.seconds[1:], timeline.answers[1:], strict=True):
        commands.append(f"H{x(second):.1f}V{y(count):.1f}")
    return Figure("seconds since the run began", x.ticks(6), y.ticks(4), bars, "".join(commands))


def rate(timeline: Timeline | None) -> tuple[float, float] | None:
    """Return the answers and tokens per second while answers were generated; None if none were."""
    if timeline is None or len(timeline.seconds) < 2:
        return None
    seconds = timeline.seconds[-1] - timeline.seconds[0]
    answers = timeline.answers[-1] - timeline.answers[0]
    return (answers / seconds, timeline.tokens[-1] / seconds) if seconds > 0 else None


@dataclass(frozen=True)
class Chart:
    """A figure with its title."""

    title: str
    figure: Figure
    remark: str = ""
    """Numbers beside the title."""
    has_groups: bool = False
    """Whether the bars have the colours of passed and failed tasks."""


def charts_of(results: Results, metric: Metric) -> list[Chart]:
    """Return the charts for which there is something to draw."""
    charts = _loss_charts(results, metric) if metric.is_loss else _length_charts(results)
    figure = answers_over_time(results.timeline, results.seconds)
    if figure is not None:
        title = "Samples over time" if metric.is_loss else "Answers over time"
        charts.append(Chart(title, figure, remark=_rates(results)))
    return charts


def _loss_charts(results: Results, metric: Metric) -> list[Chart]:
    losses = [loss for verdict in results.verdicts if math.isfinite(loss := metric.value_of(verdict))]
    figure = histogram([("plain", losses)], x_label=f"loss, {metric.unit}", whole=False)
    return [] if figure is None else [Chart("Samples by loss", figure)]


def _length_charts(results: Results) -> list[Chart]:
    answered = [
        (verdict.passed, results.responses[verdict.id])
        for verdict in results.verdicts
        if verdict.id in results.responses
    ]
    lengths = [
        (kind, [response.completion_tokens for passed, response in answered if passed is (kind == "passed")])
        for kind in ("passed", "failed")
    ]
    all_lengths = [response.completion_tokens for _, response in answered]
    prompts = [("plain", [response.prompt_tokens for _, response in answered])]
    by_length = histogram(lengths, x_label="tokens of the answer", unit="tokens")
    shares = cumulative(all_lengths, x_label="tokens of the answer")
    by_prompt = histogram(prompts, x_label="tokens of the prompt", unit="tokens")
    if by_length is None or shares is None or by_prompt is None:
        return []
    return [
        Chart("Answers by length", by_length, has_groups=True),
        Chart("Share of answers up to a length", shares),
        Chart("Prompts by length", by_prompt),
    ]


def _rates(results: Results) -> str:
    rates = rate(results.timeline)
    if rates is None:
        return ""
    answers, tokens = (f"{number:,.0f}" if number >= 10 else f"{number:,.1f}" for number in rates)
    resumed = results.timeline is not None and results.timeline.answers[0]
    return f"{answers} answers and {tokens} tokens a second{' in the last attempt' if resumed else ''}"
