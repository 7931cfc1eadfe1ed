"""Jobs with vLLM on the tiny models: known scores, answers that survive a kill, faults as the contract says."""

from __future__ import annotations

import json
import os
import platform
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.jobs import EXIT_INFRASTRUCTURE, EXIT_MODEL_FAULT, EXIT_OK, EXIT_STOPPED, EvaluateSummary
from bitagent_crds.results import ResultsManifest

if TYPE_CHECKING:
    from tests.conftest import Evaluator

pytestmark = pytest.mark.engine

TASKS = 400


@pytest.fixture(scope="module")
def task_set(evaluator: Evaluator, tmp_path_factory: pytest.TempPathFactory, models: Path) -> Path:
    """All held-out questions that the tiny models were not trained on."""
    folder = tmp_path_factory.mktemp("tasks")
    sources = [{"jsonl": {"configMap": {"name": "heldout", "key": "tasks.jsonl"}}}]
    job = {
        "kind": "TaskSet", "tasks": {"sources": sources, "count": TASKS, "seed": "1"},
        "files": {"0": str(models / "tasks.jsonl")}, "outDir": str(folder / "set"),
    }  # fmt: skip
    (folder / "job.json").write_text(json.dumps(job))
    evaluator.run(["job", "--file", str(folder / "job.json")]).check_returncode()
    return folder / "set"


def evaluate_job(folder: Path, model: Path, task_set: Path) -> list[str]:
    """Arguments of a Job that writes to `folder / out`."""
    folder.mkdir(exist_ok=True)
    digest = json.loads((task_set / "manifest.json").read_text())["digest"]
    job = {
        "kind": "Evaluate", "modelDir": str(model), "taskSetDir": str(task_set), "taskSetDigest": digest,
        "outDir": str(folder / "out"), "repo": "acme/tiny", "commit": "a" * 40,
        "weightsDigest": "sha256:" + "0" * 64, "promptFormat": "Auto", "maxTokens": 64,
        "engine": {"dtype": "Float32"},
    }  # fmt: skip
    (folder / "job.json").write_text(json.dumps(job))
    return ["job", "--file", str(folder / "job.json"), "--termination-log", str(folder / "termination-log")]


def summary_of(folder: Path) -> EvaluateSummary:
    return EvaluateSummary.model_validate_json((folder / "termination-log").read_bytes())


def answers(folder: Path) -> int:
    path = folder / "out" / "responses.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def stop_in_the_middle(evaluator: Evaluator, job: list[str], folder: Path, number: signal.Signals) -> int:
    """Run until some more answers are on disk, then send the signal; the exit code."""
    before = answers(folder)

    def stop(pid: int) -> None:
        deadline = time.monotonic() + 200
        while answers(folder) < before + 20:
            assert time.monotonic() < deadline, "it ended, or never answered"
            time.sleep(0.002)
        os.kill(pid, number)

    return evaluator.run(job, running=stop).returncode


def test_skill_is_the_known_one_and_a_killed_job_ends_the_same(
    evaluator: Evaluator, tmp_path: Path, models: Path, task_set: Path
) -> None:
    model = models / "tiny-fc-1200"
    whole = tmp_path / "whole"
    done = evaluator.run(evaluate_job(whole, model, task_set))
    assert done.returncode == EXIT_OK, done.stderr[-3000:]
    summary = summary_of(whole)
    assert (summary.passed, summary.total, summary.resumed) == (398, TASKS, 0)
    assert summary.seconds is not None and float(summary.seconds.generate) > 0

    torn = tmp_path / "torn"
    job = evaluate_job(torn, model, task_set)
    assert stop_in_the_middle(evaluator, job, torn, signal.SIGKILL) == -signal.SIGKILL
    kept = answers(torn)
    with (torn / "out" / "responses.jsonl").open("ab") as file:
        file.write(b'{"id":"torn')
    assert stop_in_the_middle(evaluator, job, torn, signal.SIGTERM) in (EXIT_STOPPED, EXIT_OK)
    done = evaluator.run(job)
    assert done.returncode == EXIT_OK, done.stderr[-3000:]
    assert summary_of(torn).resumed >= kept
    for name in ("responses.jsonl", "verdicts.jsonl", "manifest.json"):
        assert (torn / "out" / name).read_bytes() == (whole / "out" / name).read_bytes(), name
    assert summary_of(torn).result_digest == summary.result_digest


def test_quantised_model_on_the_command_line(
    evaluator: Evaluator, tmp_path: Path, models: Path, task_set: Path
) -> None:
    out = tmp_path / "out"
    options = ["--tasks", str(task_set), "--out", str(out), "--limit", "50", "--max-tokens", "64", "--json"]
    done = evaluator.run(["run", "--model", str(models / "tiny-fc-gptq"), *options])
    if platform.machine() == "x86_64" and " avx512f " not in Path("/proc/cpuinfo").read_text():
        # vLLM has no kernels for quantised weights on this processor.
        assert done.returncode == EXIT_INFRASTRUCTURE and "AVX-512" in done.stderr
        return
    assert done.returncode == EXIT_OK, done.stderr[-3000:]
    outcome = json.loads(done.stdout)
    assert outcome["total"] == 50 and outcome["passed"] >= 45
    manifest = ResultsManifest.model_validate_json((out / "manifest.json").read_bytes())
    assert manifest.prompt_format == "ChatTemplate" and manifest.packages["vllm"]
    assert "answers" in done.stderr


def test_weights_that_are_no_numbers_are_the_models_fault(
    evaluator: Evaluator, tmp_path: Path, checkpoint: Any, task_set: Path
) -> None:
    checkpoint.header(lambda header, data: (header, b"\xc0\x7f" * (len(data) // 2)))
    done = evaluator.run(evaluate_job(tmp_path / "nan", checkpoint.path, task_set))
    assert done.returncode == EXIT_MODEL_FAULT, done.stderr[-3000:]
    summary = summary_of(tmp_path / "nan")
    assert (summary.reason, summary.score) == ("NonFiniteWeights", "0.000000")
    assert json.loads((tmp_path / "nan" / "out" / "summary.json").read_text())["reason"] == "NonFiniteWeights"


def test_answers_that_cannot_count_are_ended_while_they_are_generated(evaluator: Evaluator, models: Path) -> None:
    program = Path(__file__).parent / "engine_budget.py"
    done = evaluator.run([str(models / "tiny-fc-1200"), "80"], program=program)
    assert done.returncode == 0, done.stderr[-3000:]
    outcome = json.loads(done.stdout)
    assert {"t0", "t1"} <= set(outcome["answered"]) <= {"t0", "t1", "t2"}, "85 tokens of 80 are spent by two answers"
    assert outcome["open"][0] == 8, "all are asked at once"
    assert max(outcome["open"][33:]) <= 3, "after 32 steps 80 tokens are spent by the first three"
    assert (outcome["left"], outcome["left_after_close"]) == (0, 0)
    assert outcome["hardware"]["engine"].startswith("vllm ")
    assert len(outcome["shown"]) > 100 and all(outcome["shown"])
    early, cut = outcome["cut"]
    assert early == cut and {(tokens, reason) for _, tokens, reason in cut.values()} == {(20, "length")}
