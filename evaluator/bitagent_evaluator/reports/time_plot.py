"""Geometry of the figure that shows where a run's time went: answers over seconds, between loading and scoring."""

from __future__ import annotations

import math

from bitagent_crds.evalround import PhaseSeconds
from bitagent_evaluator.reports.plots import Bar, Figure, Scale
from bitagent_evaluator.runs.timeline import Timeline

_X_LABEL = "seconds since the run began"


def answers_over_time(timeline: Timeline | None, phases: PhaseSeconds | None) -> Figure | None:
    """Answers as a staircase over seconds, loading and scoring shaded; None where no moment is known.

    A flat stretch of the line is a stall, or one long answer.
    """
    if timeline is None or not timeline.seconds or not timeline.answers[-1]:
        return None
    first, last = timeline.seconds[0], timeline.seconds[-1]
    score = float(phases.score) if phases else 0.0
    if not all(math.isfinite(second) for second in (*timeline.seconds, score)):
        return None
    frame = Figure(_X_LABEL, [], [], [])
    across = Scale(0, max(last + score, 1e-3), frame.left, frame.right)
    up = Scale(0, max(timeline.answers), frame.bottom, frame.top)
    bands = [(0.0, first, f"ready after {first:.1f} s"), (last, last + score, f"scored in {score:.1f} s")]
    bars = [
        Bar(across(begin), frame.top, across(end) - across(begin), frame.bottom - frame.top, "band", title)
        for begin, end, title in bands
        if end > begin
    ]
    commands = [f"M{across(first):.1f} {up(timeline.answers[0]):.1f}"]
    for second, count in zip(timeline.seconds[1:], timeline.answers[1:], strict=True):
        commands.append(f"H{across(second):.1f}V{up(count):.1f}")
    return Figure(_X_LABEL, across.ticks(6), up.ticks(4), bars, "".join(commands))


def rate(timeline: Timeline | None) -> tuple[float, float] | None:
    """Answers and tokens a second while answers were generated; None where nothing was."""
    if timeline is None or len(timeline.seconds) < 2:
        return None
    seconds = timeline.seconds[-1] - timeline.seconds[0]
    answers = timeline.answers[-1] - timeline.answers[0]
    return (answers / seconds, timeline.tokens[-1] / seconds) if seconds > 0 else None
