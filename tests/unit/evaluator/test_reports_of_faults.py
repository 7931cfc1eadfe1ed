"""A model that was at fault itself in `report` and `compare`: score 0 with its reason, beside models that answered."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.conditions import Reason
from bitagent_crds.evaluation import Scorer
from bitagent_crds.jobs import EvaluateSummary
from bitagent_crds.results import Verdict
from bitagent_evaluator.cli import compare, report
from bitagent_evaluator.faults import ModelFault
from bitagent_evaluator.reports.reading import Fault, Results, ResultsError, read_outcome, read_results
from bitagent_evaluator.runs.results import write_summary
from bitagent_evaluator.runs.summary import fault_summary

DIGEST = "sha256:" + "1" * 64
WHY = "TemplateRefused: the chat template: <b>roles</b> must alternate"


def verdicts(passed: int, *, loss: float | None = None) -> list[Verdict]:
    return [
        Verdict(id=f"t{i}", category="sums", passed=i < passed, score=float(i < passed), loss=loss) for i in range(8)
    ]


@pytest.fixture
def fault(tmp_path: Path) -> Callable[..., Path]:
    """Writes what a model's fault leaves."""

    def write(name: str, digest: str = DIGEST) -> Path:
        told = ModelFault(Reason.TEMPLATE_REFUSED, WHY.partition(": ")[2])
        write_summary(tmp_path / name, fault_summary(told, task_set_digest=digest))
        return tmp_path / name

    return write


def test_a_fault_takes_the_place_of_an_earlier_result(results_directory: Any, fault: Callable[..., Path]) -> None:
    directory = results_directory("a", verdicts(4))
    assert isinstance(read_outcome(directory), Results)
    fault("a")
    found = read_outcome(directory)
    assert isinstance(found, Fault) and (found.name, found.fault) == ("a", WHY)
    assert sorted(path.name for path in directory.iterdir()) == ["responses.jsonl", "summary.json"]
    with pytest.raises(ResultsError, match="holds no complete results"):
        read_results(directory)


def test_an_infrastructure_fault_is_no_score(results_directory: Any, tmp_path: Path) -> None:
    directory = results_directory("a", verdicts(4))
    write_summary(directory, EvaluateSummary(reason=Reason.OUT_OF_MEMORY, message="full"))
    assert isinstance(read_outcome(directory), Results), "an earlier result stays"
    write_summary(tmp_path / "b", EvaluateSummary(reason=Reason.OUT_OF_MEMORY, message="full"))
    with pytest.raises(ResultsError, match="holds no complete results"):
        read_outcome(tmp_path / "b")


def test_a_fault_fails_every_task_of_the_other_model(
    results_directory: Any, fault: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = fault("a"), results_directory("b", verdicts(8))
    assert compare.main([str(a), str(b), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["faults"] == {"a": WHY} and told["finding"] == "B is better"
    assert (told["overall"]["a_score"], told["overall"]["b_score"], told["overall"]["only_b"]) == (0.0, 1.0, 8)
    assert compare.main([str(b), str(a)]) == 0
    shown = capsys.readouterr().out
    assert "A is better" in shown and f"score 0: {WHY}" in shown


def test_a_fault_has_infinite_losses(
    results_directory: Any, fault: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    measured = results_directory("b", verdicts(8, loss=0.5), scorer=Scorer.LOSS)
    assert compare.main([str(measured), str(fault("a")), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["finding"], told["faults"]) == ("A is better", {"b": WHY})


def test_two_faults_are_equal(fault: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    pair = [str(fault("a")), str(fault("b"))]
    assert compare.main([*pair, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["finding"], told["faults"]) == ("no difference shown", {"a": WHY, "b": WHY})
    assert compare.main(pair) == 0
    assert capsys.readouterr().out.count(WHY) == 2


def test_a_fault_on_other_tasks_is_not_compared(
    results_directory: Any, fault: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    pair = [str(fault("a", "sha256:" + "9" * 64)), str(results_directory("b", verdicts(8)))]
    assert compare.main(pair) == 2
    assert "different task sets" in capsys.readouterr().err


@pytest.mark.parametrize("answered", [0, 1, 2])
def test_the_page_shows_a_fault_last_with_its_reason(
    results_directory: Any, fault: Callable[..., Path], tmp_path: Path, answered: int
) -> None:
    several = [fault("faulty"), *(results_directory(f"m{i}", verdicts(i)) for i in range(answered))]
    out = tmp_path / "report.html"
    assert report.main([*map(str, several), "--out", str(out)]) == 0
    html = out.read_text()
    assert "TemplateRefused: the chat template: &lt;b&gt;roles" in html and "<b>roles" not in html
    assert ("<h3>Leaderboard</h3>" in html) is (answered > 0)
    assert (f'<td class="number">{answered + 1}</td><td><a href="#model-{answered + 1}">faulty</a>' in html) is (
        answered > 0
    )
    assert "different task sets" not in html
