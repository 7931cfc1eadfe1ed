"""The leaderboard of a report: order, differences, models at fault."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from tests.unit.evaluator.reports.report_pages import (
    DIGEST,
    losses,
    page_of,
    read,
    response,
    text_of,
    three_tasks,
    verdict,
)

from bitagent_crds.conditions import Reason
from bitagent_crds.results import Response
from bitagent_evaluator.evaluation.results import fault_summary
from bitagent_evaluator.reports.page import build_page, render
from bitagent_evaluator.reports.results import FaultResult, ResultsError, read_results
from bitagent_evaluator.support.faults import ModelFault


def test_several_models_make_a_leaderboard(results_directory: Any) -> None:
    models = [three_tasks(results_directory, name, passed=n) for name, n in (("worse", 1), ("same", 3), ("best", 3))]
    made = page_of(*models, failures=0)
    board = made.leaderboard
    assert board is not None and board.one_task_set
    assert [(place.rank, place.row.name.split("@")[0]) for place in board.places] == [
        (1, "acme/best"), (1, "acme/same"), (3, "acme/worse"),
    ]  # fmt: skip
    assert board.places[0].remark == ""
    assert re.fullmatch(r"-66\.7 \(-9\d\.\d to .*\), no difference shown", board.places[2].remark)
    reader = read(render(made))
    anchors = {attributes["href"] for tag, attributes in reader.tags if tag == "a"}
    assert anchors == {f"#{attributes['id']}" for tag, attributes in reader.tags if tag == "section"}


def test_leaderboard_over_different_tasks_says_so(results_directory: Any) -> None:
    others = three_tasks(results_directory, "b", task_set_digest="sha256:" + "7" * 64)
    text = text_of(page_of(three_tasks(results_directory, "a"), others))
    assert "different task sets" in text and "777777777777" in text


def fault(directory: Path) -> FaultResult:
    why = ModelFault(Reason.TEMPLATE_REFUSED, "<b>roles</b> must alternate")
    return FaultResult(directory, fault_summary(why, task_set_digest=DIGEST))


@pytest.mark.parametrize(
    ("passed", "ranks"),
    [([], []), ([0], [1, 1]), ([0, 2], [1, 2, 2])],
    ids=["alone", "beside an honest 0", "beside several"],
)
def test_a_model_at_fault_shares_the_rank_of_an_honest_score_of_0(
    results_directory: Any, tmp_path: Path, passed: list[int], ranks: list[int]
) -> None:
    models = [(read_results(three_tasks(results_directory, f"m{n}", passed=n)), None) for n in passed]
    made = build_page(models, [fault(tmp_path / "faulty")], failures=1)
    html = render(made)
    assert "TemplateRefused: &lt;b&gt;roles" in html and "<b>roles" not in html
    assert "different task sets" not in html
    if made.leaderboard is None:
        assert passed == [] and made.title == "faulty"
        return
    assert [place.rank for place in made.leaderboard.places] == ranks
    last = made.leaderboard.places[-1]
    assert (last.row.name, last.anchor, last.row.total) == ("faulty", made.faults[0].anchor, 0)


def test_models_are_ordered_by_loss_where_scores_are_equal(results_directory: Any) -> None:
    models = (("worse", 20.5), ("better", 20.4), ("same", 20.4))
    made = page_of(*(losses(results_directory, name, [loss] * 8) for name, loss in models), failures=0)
    assert made.leaderboard is not None
    assert [(p.rank, p.row.name.split("@")[0], p.loss, p.remark) for p in made.leaderboard.places] == [
        (1, "acme/better", "20.400000", ""),
        (1, "acme/same", "20.400000", "loss +0.000 (+0.000 to +0.000), no difference shown"),
        (3, "acme/worse", "20.500000", "loss +0.100 (+0.100 to +0.100)"),
    ]
    assert "loss 20.400000" in text_of(made)


def test_results_of_one_task_set_that_cannot_be_compared_are_refused(results_directory: Any) -> None:
    few = results_directory("few", [verdict(0, True)])
    with pytest.raises(ResultsError, match="different tasks"):
        page_of(three_tasks(results_directory, "three"), few)


def test_the_diagnosis_is_on_top_and_on_the_leaderboard(results_directory: Any) -> None:
    cut = Response(id="t0", text="", finish_reason="length", prompt_tokens=1, completion_tokens=256)
    bad = results_directory("bad", [verdict(0, False, error="ast_decoder:decoder_failed")], [cut])
    good = results_directory("good", [verdict(0, True)], [response(0)])
    made = page_of(good, bad)
    assert made.leaderboard is not None
    assert [bool(place.diagnosis) for place in made.leaderboard.places] == [False, True]
    first, second = made.sections
    assert not first.findings
    (finding,) = second.findings
    assert finding.examples == ["t0"] and finding.share == 1.0 and finding.cause and finding.remedy
    text = text_of(made)
    assert text.index("Nothing was noticed") < text.index(finding.cause) < text.rindex("Score by category")
