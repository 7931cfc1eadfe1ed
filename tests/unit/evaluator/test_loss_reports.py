"""Losses in `compare` and `report`."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitagent_crds.evaluation import Scorer
from bitagent_crds.results import Expects, Response, Task, Verdict
from bitagent_evaluator.cli import compare as compare_verb
from bitagent_evaluator.cli import report as report_verb
from bitagent_evaluator.reports.comparison import Finding
from bitagent_evaluator.reports.loss_comparison import LossComparison, compare_losses
from bitagent_evaluator.reports.loss_plot import loss_histogram
from bitagent_evaluator.reports.page import render
from bitagent_evaluator.reports.reading import ResultsError, read_results
from bitagent_evaluator.reports.view import page
from bitagent_evaluator.scoring import score

INF = math.inf


def task(index: int) -> Task:
    return Task(
        id=f"t{index:02}",
        source="stream",
        category="odd" if index % 2 else "even",
        messages=[{"role": "user", "content": f"<b>Question {index}"}],
        functions=[],
        expects=Expects.TEXT,
        reference=f"<i>Reference {index}",
    )


def response(index: int, loss: float) -> Response:
    return Response(
        id=f"t{index:02}",
        text="",
        finish_reason="measured",
        prompt_tokens=9,
        completion_tokens=0,
        loss=loss,
        loss_tokens=7,
    )


def write(results_directory: Any, name: str, losses: Sequence[float], scorer: Scorer = Scorer.LOSS) -> Path:
    responses = [response(i, loss) for i, loss in enumerate(losses)]
    verdicts: list[Verdict] = score([task(i) for i in range(len(losses))], responses, scorer=scorer)
    path: Path = results_directory(name, verdicts, responses, scorer=scorer)
    return path


def compared(results_directory: Any, a: Sequence[float], b: Sequence[float]) -> LossComparison:
    first, second = write(results_directory, "a", a), write(results_directory, "b", b)
    return compare_losses(read_results(first), read_results(second))


BASE = [0.5 + 0.1 * (i % 7) for i in range(40)]


@pytest.mark.parametrize(
    ("a", "b", "finding"),
    [
        pytest.param(BASE, [loss + 0.01 for loss in BASE], Finding.A_BETTER, id="a little lower everywhere"),
        pytest.param([loss + 0.01 for loss in BASE], BASE, Finding.B_BETTER, id="a little higher everywhere"),
        pytest.param(BASE, BASE, Finding.NO_DIFFERENCE, id="equal"),
        pytest.param(BASE, BASE[1:] + BASE[:1], Finding.NO_DIFFERENCE, id="up and down"),
        pytest.param(BASE[:5], [loss + 1 for loss in BASE[:5]], Finding.NO_DIFFERENCE, id="too few samples"),
        pytest.param([*BASE, INF], [*BASE, 9.0], Finding.B_BETTER, id="one failed on a sample"),
        pytest.param([*BASE, INF], [INF, *BASE], Finding.NO_DIFFERENCE, id="both failed"),
    ],
)
def test_finding(results_directory: Any, a: list[float], b: list[float], finding: Finding) -> None:
    assert compared(results_directory, a, b).finding is finding


def test_numbers_of_a_comparison(results_directory: Any) -> None:
    found = compared(results_directory, [1.0, 2.0, 3.0, 4.0], [1.5, 2.0, 2.0, 6.0])
    overall = found.overall
    assert (overall.total, overall.a_loss, overall.b_loss, overall.difference) == (4, 2.5, 2.875, -0.375)
    assert (overall.lower_a, overall.lower_b) == (2, 1)
    assert overall.interval is not None and overall.interval[0] < -0.375 < overall.interval[1]
    assert {name: contrast.difference for name, contrast in found.categories.items()} == {"even": 0.25, "odd": -1.0}
    assert (found.batches_a, found.batches_b) == (2, 1)
    assert [pair.id for pair in found.differing] == ["t03", "t02", "t00"]


def test_infinite_losses_have_no_interval(results_directory: Any) -> None:
    overall = compared(results_directory, [*BASE, INF], [*BASE, 1.0]).overall
    assert (overall.a_loss, overall.difference, overall.interval) == (INF, INF, None)


def test_the_verb_compares_losses(results_directory: Any, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = write(results_directory, "a", [*BASE, INF]), write(results_directory, "b", [*BASE, 1.0])
    assert compare_verb.main([str(a), str(b)]) == 0
    shown = capsys.readouterr().out
    assert "B is better" in shown and "batches with the lower mean loss: A 0, B 1" in shown and "t40" in shown
    assert compare_verb.main([str(a), str(b), "--json"]) == 0
    document = json.loads(capsys.readouterr().out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert (document["finding"], document["overall"]["a_loss"]) == ("B is better", "inf")


def test_losses_up_to_other_lengths_are_not_compared(
    results_directory: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = write(results_directory, "a", BASE), write(results_directory, "b", BASE)
    manifest = b / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"sequence_length": 2048', '"sequence_length": 64'))
    assert compare_verb.main([str(a), str(b)]) == 2
    assert "up to --sequence-length 2048" in capsys.readouterr().err
    assert report_verb.main([str(a), str(b), "--out", str(tmp_path / "page.html")]) == 2
    assert "measured losses up to --sequence-length 64" in capsys.readouterr().err


@pytest.mark.parametrize("member", ["loss", "batch_losses"])
def test_losses_that_do_not_follow_from_the_verdicts_are_refused(results_directory: Any, member: str) -> None:
    directory = write(results_directory, "a", BASE)
    content = json.loads((directory / "manifest.json").read_text())
    content[member] = "0.100000" if member == "loss" else ["0.100000", *content[member][1:]]
    (directory / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(ResultsError, match=f"{member} is"):
        read_results(directory)


def test_losses_are_not_compared_with_scores(results_directory: Any, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = write(results_directory, "a", BASE), write(results_directory, "b", BASE, Scorer.BFCL)
    assert compare_verb.main([str(a), str(b)]) == 2
    assert "judge both by one scorer" in capsys.readouterr().err
    with pytest.raises(ResultsError, match="one scorer"):
        compare_losses(read_results(a), read_results(b))


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_report_of_a_loss_run(results_directory: Any) -> None:
    directory = write(results_directory, "a", [0.5, 1.5, INF])
    tasks = {t.id: t for t in map(task, range(3))}
    html = render(page([(read_results(directory), tasks)], failures=2))
    text = text_of(html)
    assert "inf mean loss, nats per token" in text and "2 of 3 samples measured" in text
    assert "odd 1.500000" in text and "even inf" in text
    assert "Samples by loss" in text and "Mean losses of the batches 0.500000, 1.500000, inf" in text
    samples = re.findall(r"<summary><code>(t\d\d)</code><span>([^<]+)</span>", html)
    assert samples == [("t02", "inf"), ("t01", "1.500000")]
    assert "&lt;b&gt;Question 1" in html and "&lt;i&gt;Reference 1" in html
    assert "Errors" not in text and "Failed tasks" not in text


def test_report_orders_by_loss_where_scores_are_equal(results_directory: Any) -> None:
    several = [
        (read_results(write(results_directory, name, losses)), None)
        for name, losses in (("worse", [20.5] * 8), ("better", [20.4] * 8), ("same", [20.4] * 8))
    ]
    made = page(several, failures=0)
    assert made.leaderboard is not None
    assert [(p.rank, p.row.name.split("@")[0], p.loss) for p in made.leaderboard.places] == [
        (1, "acme/better", "20.400000"),
        (1, "acme/same", "20.400000"),
        (3, "acme/worse", "20.500000"),
    ]
    assert [p.behind for p in made.leaderboard.places] == [
        "",
        "loss +0.000 (+0.000 to +0.000), no difference shown",
        "loss +0.100 (+0.100 to +0.100)",
    ]
    assert "loss 20.400000" in text_of(render(made))


@given(st.lists(st.floats(0, 1e6), max_size=60))
def test_histogram_holds_every_loss(losses: list[float]) -> None:
    figure = loss_histogram(losses)
    if figure is None:
        assert not losses
        return
    assert sum(int(bar.title.rpartition(": ")[2]) for bar in figure.bars) == len(losses)
    assert all(figure.left <= bar.x <= figure.right and figure.top <= bar.y <= figure.bottom for bar in figure.bars)
    assert all(figure.left <= tick.at <= figure.right for tick in figure.x_ticks) and len(figure.x_ticks) <= 8
    assert all(figure.top <= tick.at <= figure.bottom for tick in figure.y_ticks)


def test_histogram_by_example() -> None:
    figure = loss_histogram([0.0, 0.05, 0.12, 2.95])
    assert figure is not None
    assert [bar.title for bar in figure.bars] == ["0 to 0.1: 2", "0.1 to 0.2: 1", "2.9 to 3: 1"]
