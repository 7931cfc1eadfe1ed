"""Reports in the archive: a page for each evaluation that can be read, and none that stops the archive."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bitagent_crds.conditions import Reason
from bitagent_crds.jobs import EvaluateSummary
from bitagent_evaluator.archive.reports import reports
from bitagent_evaluator.evaluation.results import write_summary

KEY = "0123456789ab"
RESULTS = Path(__file__).parents[1] / "data/results-schema-1"


def test_a_page_of_an_evaluation_with_its_tasks(tmp_path: Path) -> None:
    shutil.copytree(RESULTS, tmp_path / "results" / KEY, ignore=shutil.ignore_patterns("tasks"))
    shutil.copytree(RESULTS / "tasks", tmp_path / "tasks")
    ((path, page),) = reports(tmp_path, [KEY])
    assert path == f"reports/{KEY}.html"
    assert b"<html" in page
    assert b"expected" in page.lower()


def test_a_page_of_a_fault(tmp_path: Path) -> None:
    folder = tmp_path / "results" / KEY
    folder.mkdir(parents=True)
    write_summary(folder, EvaluateSummary(reason=Reason.NON_FINITE_WEIGHTS, message="layer 7", score="0.000000"))
    ((_, page),) = reports(tmp_path, [KEY])
    assert b"layer 7" in page


def test_an_evaluation_that_cannot_be_read_has_none(tmp_path: Path) -> None:
    (tmp_path / "results" / KEY).mkdir(parents=True)
    assert list(reports(tmp_path, [KEY])) == []


@pytest.mark.parametrize("name", ["manifest.json", "verdicts.jsonl", "responses.jsonl", "summary.json"])
def test_a_link_is_not_followed(tmp_path: Path, name: str) -> None:
    """An evaluation pod may replace a file of its own after the listing."""
    shutil.copytree(RESULTS, tmp_path / "results" / KEY, ignore=shutil.ignore_patterns("tasks"))
    shutil.copytree(RESULTS / "tasks", tmp_path / "tasks")
    file = tmp_path / "results" / KEY / name
    elsewhere = tmp_path / "elsewhere"
    shutil.move(file, elsewhere)
    file.symlink_to(elsewhere)
    assert list(reports(tmp_path, [KEY])) == []


def test_files_larger_than_memory_have_no_report(tmp_path: Path) -> None:
    for key in (KEY, "small"):
        shutil.copytree(RESULTS, tmp_path / "results" / key, ignore=shutil.ignore_patterns("tasks"))
    shutil.copytree(RESULTS / "tasks", tmp_path / "tasks")
    with (tmp_path / "results" / KEY / "responses.jsonl").open("ab") as file:
        file.truncate(1 << 30)  # sparse
    found = [path for path, _ in reports(tmp_path, [KEY, "small"], most_bytes=1 << 20)]
    assert found == ["reports/small.html"]
