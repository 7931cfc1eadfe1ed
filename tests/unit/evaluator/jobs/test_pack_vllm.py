"""A pack with vLLM: the files of each model's results are those of an evaluation alone, byte for byte."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.jobs import EXIT_MODEL_FAULT, EXIT_OK, EvaluateSummary
from bitagent_evaluator.jobs.pack_outcomes import wait_for_outcome

if TYPE_CHECKING:
    from tests.conftest import Evaluator

pytestmark = pytest.mark.engine

MODELS = ("tiny-fc-250", "tiny-fc-400")
COUNT = 60


def run(evaluator: Evaluator, folder: Path, name: str, content: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    """Run a Job's document."""
    file = folder / f"{name}.json"
    file.write_text(json.dumps(content))
    return evaluator.run(["job", "--termination-log", "/dev/null", "--file", str(file)])


def run_of(model: Path, tasks: Path, out: Path) -> dict[str, Any]:
    digest = json.loads((tasks / "manifest.json").read_text())["digest"]
    return {
        "modelDir": str(model), "taskSetDir": str(tasks), "taskSetDigest": digest, "outDir": str(out),
        "repo": f"acme/{model.name}", "commit": "a" * 40, "weightsDigest": "sha256:" + "0" * 64, "maxTokens": 32,
    }  # fmt: skip


def without_times(summary: EvaluateSummary) -> EvaluateSummary:
    return summary.model_copy(update={"seconds": None})


def test_results_are_those_of_an_evaluation_alone(evaluator: Evaluator, tmp_path: Path, models: Path) -> None:
    sources = [{"jsonl": {"configMap": {"name": "x", "key": "k"}}}]
    tasks = tmp_path / "tasks"
    task_set = {"kind": "TaskSet", "tasks": {"sources": sources, "count": COUNT, "seed": "1"}, "outDir": str(tasks)}
    built = run(evaluator, tmp_path, "tasks-job", task_set | {"files": {"0": str(models / "tasks.jsonl")}})
    assert built.returncode == 0, built.stderr
    broken = Path(shutil.copytree(models / MODELS[0], tmp_path / "broken"))
    (broken / "tokenizer.json").write_text("{}")
    packed = [models / MODELS[0], broken, models / MODELS[1]]
    outcomes = tmp_path / "outcomes"
    outcomes.mkdir()
    members = [
        {"key": f"k{n}", "job": run_of(model, tasks, tmp_path / "packed" / model.name)}
        for n, model in enumerate(packed)
    ]
    pack = {"kind": "Pack", "members": members, "outcomesDir": str(outcomes), "memberSeconds": 600}
    done = run(evaluator, tmp_path, "pack", pack)
    assert done.returncode == EXIT_OK, done.stderr[-3000:]
    assert done.stderr.count("loaded the model's weights into the running engine") == 1
    ends = [wait_for_outcome(outcomes, f"k{n}", lost=70, not_begun=71) for n in range(3)]
    assert [end.exit_code for end in ends] == [EXIT_OK, EXIT_MODEL_FAULT, EXIT_OK]
    for name, end in zip(MODELS, (ends[0], ends[2]), strict=True):
        alone, together = tmp_path / "alone" / name, tmp_path / "packed" / name
        single = run(evaluator, tmp_path, name, {"kind": "Evaluate"} | run_of(models / name, tasks, alone))
        assert single.returncode == EXIT_OK, single.stderr[-3000:]
        for file in ("responses.jsonl", "verdicts.jsonl", "manifest.json"):
            assert (together / file).read_bytes() == (alone / file).read_bytes(), file
        one, other = (
            EvaluateSummary.model_validate_json((folder / "summary.json").read_text()) for folder in (alone, together)
        )
        assert without_times(one) == without_times(other)
        message = EvaluateSummary.model_validate_json(end.message)
        assert (message.score, message.result_digest, message.answer_sketch) == (
            one.score,
            one.result_digest,
            one.answer_sketch,
        )
