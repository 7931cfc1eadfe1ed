"""Figures: every value is drawn, and nothing outside the axes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitagent_crds.model_result import PhaseSeconds
from bitagent_evaluator.evaluation.timeline import Timeline
from bitagent_evaluator.reports.plots import answers_over_time, cumulative, histogram, rate

PHASES = PhaseSeconds(load="6.000", generate="4.000", score="2.000")

RUN = Timeline(seconds=[6.0, 7.0, 10.0], answers=[2, 3, 6], tokens=[0, 10, 40])


@given(st.lists(st.integers(0, 100_000), min_size=1, max_size=60), st.lists(st.integers(0, 100_000), max_size=60))
def test_histogram_stays_inside_and_counts_everything(passed: list[int], failed: list[int]) -> None:
    figure = histogram([("passed", passed), ("failed", failed)], x_label="tokens of the answer", unit="tokens")
    assert figure is not None
    counted = sum(int(bar.title.split(": ")[1].split()[0]) for bar in figure.bars)
    assert counted == len(passed) + len(failed)
    assert all(figure.left <= bar.x and bar.x + bar.width <= figure.right + 1 for bar in figure.bars)
    assert all(figure.top - 0.1 <= bar.y and bar.y + bar.height <= figure.bottom + 0.1 for bar in figure.bars)
    assert len(figure.x_ticks) <= 8 and len(figure.y_ticks) <= 6


@given(st.lists(st.floats(0, 1e6), max_size=60))
def test_histogram_of_fractional_numbers_holds_every_one(losses: list[float]) -> None:
    figure = histogram([("plain", losses)], x_label="loss", whole=False)
    if figure is None:
        assert not losses
        return
    assert sum(int(bar.title.rpartition(": ")[2]) for bar in figure.bars) == len(losses)
    assert all(figure.left <= bar.x <= figure.right and figure.top <= bar.y <= figure.bottom for bar in figure.bars)
    assert all(figure.left <= tick.at <= figure.right for tick in figure.x_ticks) and len(figure.x_ticks) <= 8
    assert all(figure.top <= tick.at <= figure.bottom for tick in figure.y_ticks)


@pytest.mark.parametrize(
    ("groups", "whole", "titles"),
    [
        ([("plain", [0.0, 0.05, 0.12, 2.95])], False, ["0 to 0.1: 2", "0.1 to 0.2: 1", "2.9 to 3: 1"]),
        (
            [("passed", [1, 1]), ("failed", [1, 3])],
            True,
            ["1 tokens: 2 passed", "1 tokens: 1 failed", "3 tokens: 1 failed"],
        ),
        ([("plain", [0, 99])], True, ["0 to 2 tokens: 1", "99 to 101 tokens: 1"]),
    ],
    ids=["fractional", "groups", "wide bins"],
)
def test_histogram_by_example(groups: list[tuple[str, list[float]]], whole: bool, titles: list[str]) -> None:
    figure = histogram(groups, x_label="x", unit="tokens" if whole else "", whole=whole)
    assert figure is not None
    assert [bar.title for bar in figure.bars] == titles


def test_cumulative_is_a_staircase_to_the_top() -> None:
    figure = cumulative([1, 1, 3, 4], x_label="tokens")
    assert figure is not None
    heights = [float(part.split("V")[1]) for part in figure.path.split("H")[1:]]
    middle = (figure.top + figure.bottom) / 2
    assert heights == [middle, pytest.approx((figure.top + middle) / 2), figure.top]


def test_figures_of_nothing() -> None:
    assert histogram([("passed", [])], x_label="tokens") is None
    assert cumulative([], x_label="tokens") is None


def test_answers_over_time() -> None:
    figure = answers_over_time(RUN, PHASES)
    assert figure is not None
    width = figure.right - figure.left
    assert [(bar.title, bar.x, bar.width) for bar in figure.bars] == [
        ("ready after 6.0 s", figure.left, width / 2),
        ("scored in 2.0 s", pytest.approx(figure.left + width * 10 / 12, abs=0.01), pytest.approx(width / 6, abs=0.01)),
    ]
    assert figure.path.startswith(f"M{figure.left + width / 2:.1f} ") and figure.path.endswith(f"V{figure.top:.1f}")
    assert rate(RUN) == (1.0, 10.0)


@pytest.mark.parametrize(
    "timeline",
    [None, Timeline(seconds=[], answers=[], tokens=[]), Timeline(seconds=[3.0], answers=[0], tokens=[0]),
     Timeline(seconds=[1.0, float("inf")], answers=[0, 1], tokens=[0, 1])],
    ids=["none", "empty", "no answers", "endless"],
)  # fmt: skip
def test_no_answers_over_time(timeline: Timeline | None) -> None:
    assert answers_over_time(timeline, PHASES) is None


def test_all_answers_at_once_have_a_figure_and_no_rate() -> None:
    timeline = Timeline(seconds=[0.0, 0.0], answers=[0, 5], tokens=[0, 5])
    assert answers_over_time(timeline, None) is not None and rate(timeline) is None
