"""`bitagent-eval score` on the answers of a run, and verbs that are stopped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.results import Response, Task
from bitagent_evaluator.cli import app, score
from bitagent_evaluator.scoring import answer
from bitagent_evaluator.scoring import score as judged
from bitagent_evaluator.tasks.files import encode_tasks

FUNCTION = {"name": "f", "description": "", "parameters": {"type": "dict", "properties": {"a": {"type": "integer"}}, "required": ["a"]}}  # fmt: skip
TASK = Task(
    id="t", source="jsonl", category="c", messages=[{"role": "user", "content": "?"}], functions=[FUNCTION],
    ground_truth=[{"f": {"a": [1]}}],
)  # fmt: skip
BLOCK = answer(TASK, '<tool_call>{"name": "f", "arguments": {"a": 1}}</tool_call>')


def passed(tmp_path: Path, responses: Path, capsys: pytest.CaptureFixture[str], *options: str) -> int:
    (tmp_path / "tasks.jsonl").write_bytes(encode_tasks([TASK]))
    arguments = ["--tasks", str(tmp_path / "tasks.jsonl"), "--responses", str(responses), "--json", *options]
    assert score.main([*arguments, "--out", str(tmp_path / "out.jsonl")]) == 0
    return int(json.loads(capsys.readouterr().out)["passed"])


@pytest.fixture
def results(results_directory: Any) -> Path:
    """Results of a run with the model's own chat template."""
    directory: Path = results_directory("run", judged([TASK], [BLOCK]), [BLOCK])
    text = (directory / "manifest.json").read_text()
    (directory / "manifest.json").write_text(text.replace('"prompt_format": "Bfcl"', '"prompt_format": "ChatTemplate"'))
    return directory


def test_answers_of_a_run_are_read_in_its_format(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert passed(tmp_path, results / "responses.jsonl", capsys) == 1
    assert passed(tmp_path, results / "responses.jsonl", capsys, "--prompt-format", "Bfcl") == 0


def test_a_manifest_says_nothing_of_other_answers(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    others = results / "others.jsonl"
    others.write_text(Response.model_copy(BLOCK, update={"prompt_tokens": 7}).model_dump_json())
    assert passed(tmp_path, others, capsys) == 0


def test_a_stopped_verb_says_so_and_no_more(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(argv: list[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(score, "main", stopped)
    assert app.main(["score"]) == 1
    assert capsys.readouterr() == ("", "bitagent-eval score: stopped\n")
