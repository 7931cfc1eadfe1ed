"""Options that belong to scorer Loss."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.task_forms import Expects
from bitagent_crds.task_set import Task
from bitagent_evaluator.cli import run as run_verb
from bitagent_evaluator.cli import score as score_verb
from bitagent_evaluator.tasks.files import encode_tasks

MODEL = "tiny-fc-1200"


def task(index: int, reference: str | None = "add(a=1, b=2)", question: str = "Add 1 and 2.") -> Task:
    return Task(
        id=f"t{index}",
        source="stream",
        category="even" if index % 2 == 0 else "odd",
        messages=[{"role": "user", "content": question}],
        functions=[],
        expects=Expects.NO_CALL if reference is None else Expects.TEXT,
        reference=reference,
    )


@pytest.mark.parametrize(
    ("verb", "arguments", "message"),
    [
        (run_verb, ["--batches", "4"], "--batches belongs to --scorer Loss"),
        (run_verb, ["--scorer", "Loss", "--batches", "40"], "--batches 40: Input should be less than or equal to 32"),
        (
            run_verb,
            ["--scorer", "Loss", "--normalization", "Token", "--sequence-length", "8"],
            "--sequence-length 8: Input should be greater than or equal to 16",
        ),
        (
            run_verb,
            ["--scorer", "Loss", "--sequence-length", "64"],
            "--sequence-length belongs to --normalization Token",
        ),
        (
            run_verb,
            ["--scorer", "Loss", "--normalization", "Token", "--reference-bytes", "64"],
            "--reference-bytes belongs to --normalization Byte",
        ),
        (run_verb, ["--scorer", "Loss", "--thinking", "On"], "--thinking does not apply to --scorer Loss"),
        (
            run_verb,
            ["--scorer", "Loss", "--max-thought-tokens", "9"],
            "--max-thought-tokens does not apply to --scorer Loss",
        ),
        (score_verb, ["--batches", "4"], "--batches belongs to --scorer Loss"),
    ],
    ids=[
        *("another scorer", "too many batches", "too short", "tokens without Token", "bytes with Token"),
        *("thinking", "thoughts", "score"),
    ],
)
def test_options_out_of_place_are_wrong_usage(
    verb: Any,
    arguments: list[str],
    message: str,
    models: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "tasks.jsonl").write_bytes(encode_tasks([task(0)]))
    of_verb = {
        run_verb: ["--model", str(models / MODEL)],
        score_verb: ["--responses", str(tmp_path / "none"), "--out", str(tmp_path / "v")],
    }
    code = verb.main(["--tasks", str(tmp_path / "tasks.jsonl"), *of_verb[verb], *arguments])
    assert code == 2 and message in capsys.readouterr().err
