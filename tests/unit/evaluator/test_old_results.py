"""Results and task sets of the first release: still read, scored alike, and built to the same bytes.

`data/results-schema-1` has eight tasks of three categories with two alterations, answered by tiny-fc-1200.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bitagent_crds.results import ResultsManifest
from bitagent_crds.task_set import TaskSetManifest
from bitagent_crds.tasks import Tasks
from bitagent_evaluator.cli.app import main
from bitagent_evaluator.evaluation.results import VERDICTS
from bitagent_evaluator.prompts import prompt_format
from bitagent_evaluator.reports.comparison import ComparisonFinding, compare
from bitagent_evaluator.reports.results import read_results, read_tasks_of
from bitagent_evaluator.scoring.scorers import score
from bitagent_evaluator.tasks.build import build_task_set
from bitagent_evaluator.tasks.files import read_task_set

OLD = Path(__file__).parent / "data/results-schema-1"
SPEC = {
    "sources": [
        {"bfcl": {"categories": ["simple_python", "irrelevance"]}},
        {"jsonl": {"volume": {"claimName": "c", "path": "p"}}},
    ],
    "alterations": [{"toolShuffle": {}}, {"functionMask": {"percent": 50}}],
    "count": 8,
    "seed": "old",
}  # fmt: skip


def test_they_are_read_with_what_they_lack_left_empty() -> None:
    results = read_results(OLD)
    assert results.manifest.schema_version == 1
    assert (results.manifest.passed, results.manifest.total) == (2, 8)
    assert (results.manifest.task_set, results.manifest.choices, results.manifest.loss) == (None, {}, None)
    assert len(read_tasks_of(OLD / "tasks", results)) == 8
    assert results.summary is not None


def test_todays_scorer_gives_the_verdicts_that_were_given() -> None:
    results = read_results(OLD)
    tasks = list(read_tasks_of(OLD / "tasks", results).values())
    syntaxes = prompt_format(results.manifest.prompt_format).syntaxes
    again = score(tasks, results.responses.values(), syntaxes=syntaxes)
    assert b"".join(v.model_dump_json().encode() + b"\n" for v in again) == (OLD / VERDICTS).read_bytes()


def test_the_same_spec_still_gives_the_same_task_set(models: Path, tmp_path: Path) -> None:
    manifest = build_task_set(Tasks.model_validate(SPEC), files={1: models / "tasks.jsonl"}, out=tmp_path)
    assert (tmp_path / "tasks.jsonl").read_bytes() == (OLD / "tasks/tasks.jsonl").read_bytes()
    assert manifest.digest == read_task_set(OLD / "tasks")[0].digest


def test_what_is_written_unchanged_keeps_its_bytes() -> None:
    results = read_results(OLD)
    lines = [response.model_dump_json() for response in results.responses.values()]
    assert "".join(line + "\n" for line in lines) == (OLD / "responses.jsonl").read_text()
    for kind, path in ((ResultsManifest, OLD / "manifest.json"), (TaskSetManifest, OLD / "tasks/manifest.json")):
        assert kind.model_validate_json(path.read_bytes()).model_dump_json(indent=2) + "\n" == path.read_text()


def test_they_can_be_compared_and_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = read_results(OLD)
    assert compare(results, results).finding is ComparisonFinding.NO_DIFFERENCE
    copy = shutil.copytree(OLD, tmp_path / "old")
    assert main(["report", str(copy), "--tasks", str(copy / "tasks"), "--out", str(tmp_path / "page.html")]) == 0
    assert "tiny-fc-simple" in (tmp_path / "page.html").read_text()
    capsys.readouterr()
    assert main(["reproduce", str(copy)]) == 2
    assert "does not say how its tasks were made: give them with --tasks" in capsys.readouterr().err
