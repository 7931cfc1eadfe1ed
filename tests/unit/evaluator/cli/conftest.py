"""A task set of sums, for the tests of verbs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bitagent_evaluator.cli import tasks


def sum_line(i: int) -> str:
    """Line of a file of tasks: call `add` with the number."""
    parameters = {"type": "dict", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    task = {
        "id": f"sum-{i}",
        "messages": [{"role": "user", "content": f"Question {i}"}],
        "functions": [{"name": "add", "parameters": parameters}],
        "ground_truth": [{"add": {"a": [i]}}],
    }
    return json.dumps(task) + "\n"


@pytest.fixture
def sums(tmp_path: Path) -> Path:
    """A file of six tasks."""
    path = tmp_path / "sums.jsonl"
    path.write_text("".join(sum_line(i) for i in range(6)))
    return path


@pytest.fixture
def built(tmp_path: Path, sums: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A task set of four of them."""
    out = tmp_path / "set"
    assert tasks.main(["build", "--jsonl", str(sums), "--count", "4", "--seed", "s", "--out", str(out)]) == 0
    capsys.readouterr()
    return out
