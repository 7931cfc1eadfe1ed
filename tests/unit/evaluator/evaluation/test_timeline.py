"""Progress of a run over time, as it is recorded."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitagent_crds.results import Response
from bitagent_evaluator.evaluation import timeline as module
from bitagent_evaluator.evaluation.timeline import TIMELINE, Timeline, TimelineRecorder, read_timeline


def response(number: int, tokens: int = 5) -> Response:
    return Response(id=f"t{number}", text="", finish_reason="stop", prompt_tokens=1, completion_tokens=tokens)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The recorder, as a list of one."""
    moment = [100.0]
    monkeypatch.setattr(module, "seconds_since", lambda began: moment[0] - began)
    return moment


def test_moments_and_tokens(now: list[float], tmp_path: Path) -> None:
    recorder = TimelineRecorder(answers=4, began=94.0)
    now[0] = 101.5
    recorder.record([response(4), response(5, tokens=7)])
    recorder.write(tmp_path)
    assert read_timeline(tmp_path) == Timeline(seconds=[6.0, 7.5], answers=[4, 6], tokens=[0, 12])


@given(st.integers(0, 3000))
def test_a_long_run_stays_small_and_keeps_both_ends(count: int) -> None:
    recorder = TimelineRecorder(answers=0, began=0.0)
    for number in range(count):
        recorder.record([response(number)])
    noted = recorder.timeline()
    assert len(noted.seconds) <= 514
    assert (noted.answers[0], noted.answers[-1], noted.tokens[-1]) == (0, count, 5 * count)
    assert noted.seconds == sorted(noted.seconds) and noted.answers == sorted(set(noted.answers))


@pytest.mark.parametrize(
    "content",
    ["", "[]", '{"seconds": [1], "answers": [], "tokens": []}', '{"seconds": [-1], "answers": [1], "tokens": [1]}'],
    ids=["empty", "no object", "of different lengths", "negative"],
)
def test_a_broken_timeline_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / TIMELINE).write_text(content)
    assert read_timeline(tmp_path) is None
