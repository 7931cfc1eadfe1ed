"""Rows of a ranking, and which of them are not shown to differ. Pure.

Two rows are not shown to differ if their 95 % intervals have a score in common. That is a careful rule: models are
asked the same tasks, and `bitagent-eval compare`, which pairs their answers, shows more differences. Intervals are of
the statuses or the manifests; none is computed here.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from bitagent_leaderboard.model.measured import Measured, Part
from bitagent_leaderboard.model.objects import Interval, Result, Round


@dataclass(frozen=True, slots=True)
class Row:
    """One model of a round."""

    result: Result
    measured: Measured | None
    """None if its manifest is not here."""
    alike: tuple[int, int] | None = None
    """Best and worst rank from which it is not shown to differ; None without an interval, or if there is none."""

    @property
    def interval(self) -> Interval | None:
        """95 % confidence interval of the score; None if neither status nor manifest has it."""
        return interval_of(self.result, self.measured)


@dataclass(frozen=True, slots=True)
class Standings:
    """The ranking of a round."""

    rows: tuple[Row, ...]
    """The best first; models without a rank last."""
    categories: tuple[str, ...]
    kinds: tuple[str, ...]
    columns: tuple[str, ...]

    @property
    def ranked(self) -> tuple[Row, ...]:
        """Rows with a rank."""
        return tuple(row for row in self.rows if row.result.rank is not None)


def standings(round_: Round, measures: Mapping[str, Measured]) -> Standings:
    """Return the rows of a round; `measures` are by key."""
    found = [measures.get(result.key) if result.key is not None else None for result in round_.results]
    placed: dict[str, int] = {}
    ranked: list[tuple[int, Interval]] = []
    for result, each in zip(round_.results, found, strict=True):
        interval = interval_of(result, each)
        if result.rank is not None and interval is not None:
            placed[result.model] = len(ranked)
            ranked.append((result.rank, interval))
    alike = not_different(ranked)
    return Standings(
        rows=tuple(
            Row(result, each, alike.get(placed.get(result.model, -1)))
            for result, each in zip(round_.results, found, strict=True)
        ),
        categories=_names([each.categories for each in found if each is not None]),
        kinds=_names([each.kinds for each in found if each is not None]),
        columns=_names([each.columns for each in found if each is not None]),
    )


def interval_of(result: Result, measured: Measured | None) -> Interval | None:
    """Return the interval of a score, of its manifest or of the status; both have the same where both have one."""
    return measured.interval if measured is not None and measured.interval is not None else result.interval


def not_different(ranked: Sequence[tuple[int, Interval]]) -> dict[int, tuple[int, int]]:
    """Return best and worst rank from which each is not shown to differ, by its place; those with none are absent.

    Ranks ascend. A better one overlaps if its lower end is not above this one's upper end, and likewise below; the
    scores lie between the ends and descend, so that the other half of the condition holds.
    """
    lows = list(accumulate((interval[0] for _, interval in ranked), min))
    highs = list(accumulate((interval[1] for _, interval in reversed(ranked)), max))  # of each and all below it
    falling = [-low for low in lows]
    alike: dict[int, tuple[int, int]] = {}
    for place, (rank, (low, high)) in enumerate(ranked):
        first = min(place, bisect_left(falling, -high))
        last = max(place, len(ranked) - 1 - bisect_left(highs, low))
        best, worst = ranked[first][0], ranked[last][0]
        if first != last:
            alike[place] = (min(best, rank), max(worst, rank))
    return alike


def _names(several: Sequence[Mapping[str, Part]]) -> tuple[str, ...]:
    return tuple(sorted({name for each in several for name in each}))
