"""Charts of a model's results."""

from __future__ import annotations

import json
import math
from typing import Any

from bitagent_crds.evaluation import BuiltinScorer
from bitagent_crds.results import Response, Verdict
from bitagent_evaluator.evaluation.timeline import TIMELINE
from bitagent_evaluator.reports.plots import charts_of
from bitagent_evaluator.reports.results import read_results
from bitagent_evaluator.scoring.metric import LOSS, SCORE

TIMES = json.dumps({"seconds": [2.0, 4.0], "answers": [0, 3], "tokens": [0, 50]})


def verdict(i: int, passed: bool, **changes: Any) -> Verdict:
    return Verdict(id=f"t{i}", category="c", passed=passed, score=float(passed)).model_copy(update=changes)


def test_answers_by_length_and_over_time(results_directory: Any) -> None:
    responses = [
        Response(id=f"t{i}", text="", finish_reason="stop", prompt_tokens=40, completion_tokens=i) for i in range(3)
    ]
    verdicts = [verdict(0, True), verdict(1, False), verdict(2, False), verdict(3, False)]
    directory = results_directory("a", verdicts, responses)
    (directory / TIMELINE).write_text(TIMES)
    charts = {chart.title: chart for chart in charts_of(read_results(directory), SCORE)}
    assert list(charts) == [
        "Answers by length", "Share of answers up to a length", "Prompts by length", "Answers over time",
    ]  # fmt: skip
    assert [bar.title for bar in charts["Answers by length"].figure.bars] == [
        "0 tokens: 1 passed", "1 tokens: 1 failed", "2 tokens: 1 failed",
    ]  # fmt: skip
    assert [chart.has_groups for chart in charts.values()] == [True, False, False, False]
    assert charts["Answers over time"].remark == "1.5 answers and 25 tokens a second"


def test_samples_by_loss_and_over_time(results_directory: Any) -> None:
    verdicts = [verdict(0, True, score=math.exp(-0.5), loss=0.5), verdict(1, False, loss=math.inf)]
    directory = results_directory("a", verdicts, scorer=BuiltinScorer.LOSS)
    assert [chart.title for chart in charts_of(read_results(directory), LOSS)] == ["Samples by loss"]
    (directory / TIMELINE).write_text(TIMES)
    charts = charts_of(read_results(directory), LOSS)
    assert [chart.title for chart in charts] == ["Samples by loss", "Samples over time"]
    assert len(charts[0].figure.bars) == 1, "an infinite loss is not drawn"


def test_nothing_to_draw(results_directory: Any) -> None:
    assert charts_of(read_results(results_directory("a", [verdict(0, False)])), SCORE) == []
