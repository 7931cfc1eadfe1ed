"""Which rows are not shown to differ: compared with the definition, for any intervals."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitagent_leaderboard.model.measured import Measured, Part
from bitagent_leaderboard.model.reading import RoundReader
from bitagent_leaderboard.model.standing import not_different, standings
from tests import leaderboard_objects as objects


@pytest.mark.parametrize(
    ("intervals", "expected"),
    [
        ([], {}),
        ([(0.7, 0.9)], {}),
        ([(0.7, 0.9), (0.5, 0.6)], {}),
        ([(0.7, 0.9), (0.6, 0.7)], {0: (1, 2), 1: (1, 2)}),
        ([(0.7, 0.9), (0.6, 0.75), (0.5, 0.65)], {0: (1, 2), 1: (1, 3), 2: (2, 3)}),
        ([(0.79, 0.81), (0.3, 0.8), (0.5, 0.6)], {0: (1, 2), 1: (1, 3), 2: (2, 3)}),
    ],
    ids=["none", "one", "apart", "touching", "chain", "a wide one"],
)
def test_not_different(intervals: list[tuple[float, float]], expected: dict[int, tuple[int, int]]) -> None:
    assert not_different([(place, each) for place, each in enumerate(intervals, 1)]) == expected


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 6), st.integers(0, 6)), max_size=12))
def test_ranks_are_those_of_the_overlaps(rows: list[tuple[int, int, int]]) -> None:
    rows.sort(reverse=True)
    intervals = [(float(score - below), float(score + above)) for score, below, above in rows]
    ranks = [1 + sum(other[0] > score for other in rows) for score, _, _ in rows]
    found = not_different(list(zip(ranks, intervals, strict=True)))
    for place, (low, high) in enumerate(intervals):
        alike = [ranks[j] for j, (a, b) in enumerate(intervals) if a <= high and b >= low]
        assert found.get(place) == ((min(alike), max(alike)) if len(alike) > 1 else None)


def test_rows_have_what_the_manifests_say() -> None:
    results = [objects.scored(1, 0.8, 1), objects.scored(2, 0.79, 2), objects.refused(3)]
    results.append({**objects.refused(4, "ModelFault", "ModelLoadFailed"), "score": "0.000000", "rank": 3})
    round_ = RoundReader()(objects.round_("x", results))
    measures = {
        objects.key(1): Measured((0.7, 0.9), {"simple": Part("0.8", 8, 10)}),
        objects.key(2): Measured((0.69, 0.89), {"other": Part("0.7", 7, 10)}, columns={"Overall": Part("0.7")}),
    }
    found = standings(round_, measures)
    assert [(row.result.model, row.alike) for row in found.rows] == [
        ("model-1", (1, 2)),
        ("model-2", (1, 2)),
        ("model-4", None),
        ("model-3", None),
    ]
    assert (found.categories, found.columns) == (("other", "simple"), ("Overall",))
    assert [row.interval for row in found.rows] == [(0.7, 0.9), (0.69, 0.89), None, None]
    assert [row.result.rank for row in found.ranked] == [1, 2, 3]


def test_intervals_of_the_status_need_no_manifest() -> None:
    results = [
        objects.scored(1, 0.8, 1, interval=["0.750000", "0.850000"]),
        objects.scored(2, 0.79, 2, interval=["0.740000", "0.840000"]),
        objects.scored(3, 0.5, 3),
    ]
    found = standings(RoundReader()(objects.round_("x", results)), {})
    assert [(row.interval, row.alike) for row in found.rows] == [
        ((0.75, 0.85), (1, 2)),
        ((0.74, 0.84), (1, 2)),
        (None, None),
    ]
