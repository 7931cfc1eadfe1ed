"""Results that the version before the restructuring wrote are read by every verb that reads results."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
from recordings.program import MODELS, digest, evaluate, evaluate_apart, refusal
from recordings.results import FILES, JUDGED, RESULTS

TINY = MODELS / "tiny-fc-1200"


def manifest(name: str) -> dict[str, object]:
    content: dict[str, object] = json.loads((RESULTS / name / "manifest.json").read_bytes())
    return content


@pytest.mark.parametrize("name", JUDGED)
def test_todays_scorers_give_the_bytes_that_were_written(name: str, tmp_path: Path) -> None:
    tasks, *arguments = JUDGED[name]
    out = tmp_path / "verdicts.jsonl"
    responses = RESULTS / name / "responses.jsonl"
    evaluate("score", "--tasks", RESULTS / tasks, "--responses", responses, *arguments, "--out", out)
    assert out.read_bytes() == (RESULTS / name / "verdicts.jsonl").read_bytes()
    assert digest(out.read_bytes()) == manifest(name)["verdicts_digest"]


@pytest.mark.parametrize("name", FILES)
def test_task_sets_are_built_again_from_their_manifests(name: str, tmp_path: Path) -> None:
    (tmp_path / "spec.json").write_text(json.dumps(manifest(name)["spec"]))
    evaluate("tasks", "build", "--spec", tmp_path / "spec.json", *FILES[name], "--out", tmp_path / "set", "--quiet")
    assert (tmp_path / "set" / "tasks.jsonl").read_bytes() == (RESULTS / name / "tasks.jsonl").read_bytes()
    shown = json.loads(evaluate("tasks", "show", RESULTS / name, "--json"))
    assert shown["manifest"]["digest"] == json.loads((tmp_path / "set" / "manifest.json").read_bytes())["digest"]


@pytest.mark.parametrize(
    ("tasks", "names"),
    [
        ("calls", ["calls-tiny-fc-1200", "calls-tiny-fc-400", "calls-broken"]),
        ("texts", ["texts-tiny-fc-1200", "texts-tiny-fc-400"]),
        ("single", ["single-endpoint"]),
    ],
)
def test_they_are_reported(tasks: str, names: list[str], tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    evaluate("report", *(RESULTS / name for name in names), "--tasks", RESULTS / tasks, "--out", page)
    text = "".join(page.read_text().split())
    for name in names:
        summary = json.loads((RESULTS / name / "summary.json").read_bytes())
        shown = [
            repo_of(name),
            f"{100 * float(summary['score']):.1f}%",
            *([summary["reason"]] if is_fault(name) else []),
        ]
        assert [part for part in shown if part not in text] == []


def is_fault(name: str) -> bool:
    return not (RESULTS / name / "manifest.json").exists()


def repo_of(name: str) -> str:
    """The model's name as a report shows it; a model that was refused is shown by its directory."""
    return name if is_fault(name) else str(manifest(name)["repo"]).rpartition("/")[2]


def test_a_report_shows_failed_tasks(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    name = "calls-tiny-fc-1200"
    evaluate("report", RESULTS / name, "--tasks", RESULTS / "calls", "--out", page)
    verdicts = [json.loads(line) for line in (RESULTS / name / "verdicts.jsonl").read_text().splitlines()]
    failed = [verdict["id"] for verdict in verdicts if not verdict["passed"]]
    assert failed
    assert [task for task in failed if task not in page.read_text()] == []


def test_reproduce_reads_them_and_says_what_is_missing(tmp_path: Path) -> None:
    """Without an engine: the manifest is read, and the task set built again, before the model is looked for."""
    files, nothing = FILES["calls"], tmp_path / "nothing"
    nothing.mkdir()
    copy = shutil.copytree(RESULTS / "calls-tiny-fc-1200", tmp_path / "results")
    for arguments, missing in (
        (("--model", TINY), "--rewrites"),
        (("--model", TINY, *files[2:]), "--file"),
        ((*files, "--model", nothing), str(nothing)),
        ((*files, "--model", MODELS / "tiny-fc-400"), str(manifest("calls-tiny-fc-1200")["weights_digest"])),
        (("--tasks", RESULTS / "single", "--model", TINY), str(manifest("calls-tiny-fc-1200")["task_set_digest"])),
    ):
        assert missing in refusal("reproduce", copy, *arguments)
    for name, why in (("calls-broken", "UnsupportedArchitecture"), ("single-endpoint", "--endpoint")):
        copy = shutil.copytree(RESULTS / name, tmp_path / name)
        tasks = ("--tasks", RESULTS / name.partition("-")[0])
        assert why in refusal("reproduce", copy, *tasks)


@pytest.mark.engine
def test_reproduce_gives_every_verdict_again(tmp_path: Path) -> None:
    copy = shutil.copytree(RESULTS / "calls-tiny-fc-1200", tmp_path / "results")
    outcome = json.loads(evaluate_apart("reproduce", copy, *FILES["calls"], "--model", TINY, "--json", "--quiet"))
    assert (outcome["reproduced"], outcome["total"], outcome["same_verdicts"]) == (True, 24, 24)
    assert outcome["before_score"] == outcome["after_score"] == manifest("calls-tiny-fc-1200")["score"]


def test_no_stored_file_names_a_place_of_the_machine() -> None:
    parts = ("/tmp", "/root", "/home", "/work", "/opt", sys.prefix)
    texts = {path: path.read_text() for path in RESULTS.rglob("*") if path.is_file()}
    assert [
        (path, part) for path, text in texts.items() for part in parts if f'"{part}/' in text or f" {part}/" in text
    ] == []
