"""When answers came: noted by a run, drawn by its report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitagent_crds.conditions import Reason
from bitagent_crds.evalround import PhaseSeconds
from bitagent_crds.jobs import EvaluateSummary
from bitagent_crds.results import Response, Verdict
from bitagent_evaluator.reports.page import render
from bitagent_evaluator.reports.reading import read_results
from bitagent_evaluator.reports.time_plot import answers_over_time, rate
from bitagent_evaluator.reports.view import page
from bitagent_evaluator.runs import timeline as module
from bitagent_evaluator.runs.results import write_summary
from bitagent_evaluator.runs.timeline import TIMELINE, Clock, Timeline, read_timeline

PHASES = PhaseSeconds(load="6.000", generate="4.000", score="2.000")
RUN = Timeline(seconds=[6.0, 7.0, 10.0], answers=[2, 3, 6], tokens=[0, 10, 40])


def response(number: int, tokens: int = 5) -> Response:
    return Response(id=f"t{number}", text="", finish_reason="stop", prompt_tokens=1, completion_tokens=tokens)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The clock, as a list of one."""
    moment = [100.0]
    monkeypatch.setattr(module, "seconds_since", lambda began: moment[0] - began)
    return moment


def test_moments_and_tokens(now: list[float], tmp_path: Path) -> None:
    clock = Clock(answers=4, began=94.0)
    now[0] = 101.5
    clock.came([response(4), response(5, tokens=7)])
    clock.write(tmp_path)
    assert read_timeline(tmp_path) == Timeline(seconds=[6.0, 7.5], answers=[4, 6], tokens=[0, 12])


@given(st.integers(0, 3000))
def test_a_long_run_stays_small_and_keeps_both_ends(count: int) -> None:
    clock = Clock(answers=0, began=0.0)
    for number in range(count):
        clock.came([response(number)])
    noted = clock.timeline()
    assert len(noted.seconds) <= 514
    assert (noted.answers[0], noted.answers[-1], noted.tokens[-1]) == (0, count, 5 * count)
    assert noted.seconds == sorted(noted.seconds) and noted.answers == sorted(set(noted.answers))


@pytest.mark.parametrize(
    "content", ["", "[]", '{"seconds": [1], "answers": [], "tokens": []}', '{"seconds": [-1], "answers": [1], "tokens": [1]}'],
    ids=["empty", "no object", "of different lengths", "negative"],
)  # fmt: skip
def test_a_broken_timeline_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / TIMELINE).write_text(content)
    assert read_timeline(tmp_path) is None


def test_the_figure() -> None:
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
def test_no_figure(timeline: Timeline | None) -> None:
    assert answers_over_time(timeline, PHASES) is None


def test_all_answers_at_once_have_a_figure_and_no_rate() -> None:
    timeline = Timeline(seconds=[0.0, 0.0], answers=[0, 5], tokens=[0, 5])
    assert answers_over_time(timeline, None) is not None and rate(timeline) is None


def test_the_page_shows_it(results_directory: Any) -> None:
    directory = results_directory("one", [Verdict(id="t1", category="sums", passed=True, score=1.0)], [response(1)])
    write_summary(directory, EvaluateSummary(reason=Reason.EVALUATED, seconds=PHASES))
    before = render(page([(read_results(directory), None)], failures=1))
    (directory / TIMELINE).write_text(json.dumps(RUN.model_dump()))
    after = render(page([(read_results(directory), None)], failures=1))
    told = (
        "Answers over time",
        "1.0 answers and 10 tokens a second",
        "ready after 6.0 s",
        "seconds since the run began",
    )
    assert all(text in after for text in told)
    assert not any(text in before for text in told)
