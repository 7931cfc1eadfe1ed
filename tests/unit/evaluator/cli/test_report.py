"""`bitagent-eval report`: the page is written, or the exit code says why not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.conditions import Reason
from bitagent_crds.results import Verdict
from bitagent_crds.task_set import Task
from bitagent_crds.texts import digest_of
from bitagent_evaluator.cli.report import main
from bitagent_evaluator.evaluation.results import fault_summary, write_summary
from bitagent_evaluator.models.digests import weights_digest
from bitagent_evaluator.support.faults import ModelFault
from bitagent_evaluator.tasks.files import TASKS, encode_tasks


def task(i: int) -> Task:
    messages = [{"role": "user", "content": f"Add {i} and one"}]
    return Task(id=f"t{i}", source="jsonl", category="sums", messages=messages, functions=[], ground_truth=[])


def verdict(i: int, passed: bool) -> Verdict:
    return Verdict(id=f"t{i}", category="sums", passed=passed, score=float(passed))


@pytest.fixture
def task_set(tmp_path: Path) -> tuple[Path, str]:
    """A tasks.jsonl of two tasks, and its digest."""
    content = encode_tasks([task(0), task(1)])
    path = tmp_path / TASKS
    path.write_bytes(content)
    return path, digest_of(content)


def test_page_with_tasks(results_directory: Any, task_set: tuple[Path, str], tmp_path: Path) -> None:
    tasks, digest = task_set
    directory = results_directory("one", [verdict(0, True), verdict(1, False)], task_set_digest=digest)
    out = tmp_path / "report.html"
    assert main([str(directory), "--tasks", str(tasks), "--out", str(out)]) == 0
    html = out.read_text()
    assert "acme/one" in html and "Add 1 and one" in html and "Leaderboard" not in html
    assert main([str(directory), "--tasks", str(tasks), "--failures", "0", "--out", str(out)]) == 0
    assert "Add 1 and one" not in out.read_text()


def test_several_models_and_one_at_fault_make_a_leaderboard(results_directory: Any, tmp_path: Path) -> None:
    models = [results_directory(f"m{n}", [verdict(0, n > 0)]) for n in range(2)]
    why = ModelFault(Reason.TEMPLATE_REFUSED, "roles must alternate")
    write_summary(tmp_path / "faulty", fault_summary(why, task_set_digest="sha256:" + "1" * 64))
    out = tmp_path / "report.html"
    assert main([str(tmp_path / "faulty"), *map(str, models), "--out", str(out)]) == 0
    html = out.read_text()
    assert "Leaderboard" in html and "TemplateRefused: roles must alternate" in html and "acme/m0" in html


@pytest.mark.parametrize(("wrong", "code"), [("other tasks", 2), ("no tasks", 2), ("no results", 2), ("no folder", 1)])
def test_nothing_is_written(
    results_directory: Any, task_set: tuple[Path, str], tmp_path: Path, wrong: str, code: int
) -> None:
    tasks, digest = task_set
    other = "sha256:" + "7" * 64
    directory = results_directory(
        "one", [verdict(0, True)], task_set_digest=other if wrong == "other tasks" else digest
    )
    out = tmp_path / ("none/report.html" if wrong == "no folder" else "report.html")
    tasks = tmp_path / "none" if wrong == "no tasks" else tasks
    directory = tmp_path if wrong == "no results" else directory
    without_tasks = [] if wrong == "no folder" else ["--tasks", str(tasks)]
    assert main([str(directory), *without_tasks, "--out", str(out)]) == code
    assert not out.exists()


def results_of(results_directory: Any, task_set: tuple[Path, str], weights: str) -> Path:
    _, digest = task_set
    directory: Path = results_directory("one", [verdict(0, True), verdict(1, False)], task_set_digest=digest)
    changes = {"weights_digest": weights, "prompt_format": "ChatTemplate"}
    manifest = directory / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | changes))
    return directory


def test_prompts_are_rendered_with_the_model_of_the_results(
    results_directory: Any, task_set: tuple[Path, str], models: Path, tmp_path: Path
) -> None:
    directory = results_of(results_directory, task_set, weights_digest(models / "tiny-fc-250"))
    out = tmp_path / "report.html"
    options = ["--tasks", str(task_set[0]), "--model", str(models / "tiny-fc-250"), "--out", str(out)]
    assert main([str(directory), *options]) == 0
    html = out.read_text()
    assert "prompt as the model got it" in html and "&lt;|im_start|&gt;user\nAdd 1 and one" in html


@pytest.mark.parametrize("wrong", ["other weights", "no tasks", "two results", "no model"])
def test_prompts_need_one_model_and_its_tasks(
    results_directory: Any, task_set: tuple[Path, str], models: Path, tmp_path: Path, wrong: str
) -> None:
    directory = results_of(results_directory, task_set, "sha256:" + "5" * 64)
    given = [str(directory)] * (2 if wrong == "two results" else 1)
    tasks = [] if wrong == "no tasks" else ["--tasks", str(task_set[0])]
    model = tmp_path if wrong == "no model" else models / "tiny-fc-250"
    assert main([*given, *tasks, "--model", str(model), "--out", str(tmp_path / "report.html")]) == 2
