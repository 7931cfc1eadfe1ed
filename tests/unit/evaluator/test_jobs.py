"""The frame around Jobs: documents, outcomes, exit codes, summaries, and what a Job may not import."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.conditions import Reason
from bitagent_crds.jobs import (
    EXIT_INFRASTRUCTURE,
    EXIT_MODEL_FAULT,
    EXIT_OK,
    TERMINATION_MESSAGE_BYTES,
    EvaluateSummary,
    FetchSummary,
    JobKind,
    TaskSetSummary,
)
from bitagent_evaluator.jobs import runner
from bitagent_evaluator.jobs.logs import JsonFormatter
from bitagent_evaluator.jobs.outcome import Outcome
from bitagent_evaluator.jobs.registry import KINDS, Kind

DIGEST = "sha256:" + "0" * 64


def document(**content: Any) -> bytes:
    return json.dumps(content).encode()


def task_set_job(tmp_path: Path, **tasks: Any) -> bytes:
    tmp_path.mkdir(exist_ok=True)
    sources = [{"jsonl": {"configMap": {"name": "x", "key": "tasks.jsonl"}}}]
    spec = {"sources": sources, "count": 5, "seed": "1", **tasks}
    return document(
        kind="TaskSet", tasks=spec, files={"0": str(tmp_path / "tasks.jsonl")}, outDir=str(tmp_path / "out")
    )


def fetch_job(tmp_path: Path, **changes: Any) -> bytes:
    base = {"kind": "Fetch", "cacheDir": str(tmp_path / "cache"), "maxBytes": 1 << 30, "cacheMaxBytes": 0}
    return document(**base, **changes)


def evaluate_job(tmp_path: Path, model: Path, **changes: Any) -> bytes:
    base = {
        "kind": "Evaluate", "modelDir": str(model), "taskSetDir": str(tmp_path / "tasks"), "taskSetDigest": DIGEST,
        "outDir": str(tmp_path / "out"), "repo": "acme/x", "commit": "a" * 40, "weightsDigest": DIGEST,
        "promptFormat": "Auto", "maxTokens": 16,
    }  # fmt: skip
    return document(**{**base, **changes})


def test_every_kind_has_a_handler_and_a_summary() -> None:
    assert set(KINDS) == set(JobKind)
    for kind in KINDS.values():
        assert kind.summary(Reason.INFRASTRUCTURE_FAULT, "why").message == "why"


def test_task_set_job(tmp_path: Path, models: Path) -> None:
    job = task_set_job(tmp_path)
    (tmp_path / "tasks.jsonl").write_bytes((models / "tasks.jsonl").read_bytes())
    outcome = runner.run(job)
    assert outcome.exit_code == EXIT_OK and isinstance(outcome.summary, TaskSetSummary)
    assert outcome.summary.count == 5
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["digest"] == outcome.summary.digest


def test_task_set_that_cannot_be_met_is_final(tmp_path: Path, models: Path) -> None:
    job = task_set_job(tmp_path, count=20_000)
    (tmp_path / "tasks.jsonl").write_bytes((models / "tasks.jsonl").read_bytes())
    outcome = runner.run(job)
    assert outcome.exit_code == EXIT_MODEL_FAULT and outcome.summary.reason is Reason.TASKS_FAILED


def test_fetch_job_from_a_volume(tmp_path: Path, checkpoint: Any) -> None:
    outcome = runner.run(fetch_job(tmp_path, repo="volume/claim", directory=str(checkpoint.path)))
    assert outcome.exit_code == EXIT_OK and isinstance(outcome.summary, FetchSummary)
    assert outcome.summary.facts is not None
    assert (tmp_path / "cache" / "volume" / "claim" / outcome.summary.facts.commit / "config.json").exists()


def test_fetch_job_of_an_unsafe_model_is_final(tmp_path: Path, checkpoint: Any) -> None:
    checkpoint.config(auto_map={})
    outcome = runner.run(fetch_job(tmp_path, repo="volume/claim", directory=str(checkpoint.path)))
    assert (outcome.exit_code, outcome.summary.reason) == (EXIT_MODEL_FAULT, Reason.CUSTOM_CODE)


def test_fetch_job_whose_cache_cannot_be_written_is_infrastructure(tmp_path: Path, checkpoint: Any) -> None:
    (tmp_path / "cache").write_text("in the way")
    outcome = runner.run(fetch_job(tmp_path, repo="volume/claim", directory=str(checkpoint.path)))
    assert (outcome.exit_code, outcome.summary.reason) == (EXIT_INFRASTRUCTURE, Reason.FETCH_FAILED)


def test_fetch_job_without_a_source_is_infrastructure(tmp_path: Path) -> None:
    outcome = runner.run(fetch_job(tmp_path))
    assert outcome.exit_code == EXIT_INFRASTRUCTURE and "repo or directory" in outcome.summary.message


def test_evaluate_job_without_its_task_set_is_infrastructure(tmp_path: Path, models: Path) -> None:
    outcome = runner.run(evaluate_job(tmp_path, models / "tiny-fc-1200"))
    assert outcome.exit_code == EXIT_INFRASTRUCTURE
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["reason"] == "InfrastructureFault" and "score" not in summary


def test_evaluate_job_with_another_task_set_is_infrastructure(tmp_path: Path, models: Path) -> None:
    (tmp_path / "tasks.jsonl").write_bytes((models / "tasks.jsonl").read_bytes())
    runner.run(task_set_job(tmp_path))
    outcome = runner.run(evaluate_job(tmp_path, models / "tiny-fc-1200", taskSetDir=str(tmp_path / "out")))
    assert outcome.exit_code == EXIT_INFRASTRUCTURE and "the Job names" in outcome.summary.message


BROKEN = {
    "no JSON": (b"{", FetchSummary, "not valid"),
    "endlessly nested": (b"[" * 100_000, FetchSummary, "not valid"),
    "unknown kind": (document(kind="Dance"), FetchSummary, "Dance"),
    "missing member": (document(kind="Evaluate"), EvaluateSummary, "modelDir"),
    "surplus member": (document(kind="TaskSet", outDir="/x", tasks={}, speed=1), TaskSetSummary, "not valid"),
}


@pytest.mark.parametrize(("content", "summary", "words"), BROKEN.values(), ids=BROKEN.keys())
def test_broken_document_is_infrastructure(content: bytes, summary: type, words: str) -> None:
    outcome = runner.run(content)
    assert outcome.exit_code == EXIT_INFRASTRUCTURE
    assert isinstance(outcome.summary, summary) and words in outcome.summary.message


def handler(monkeypatch: pytest.MonkeyPatch, behaviour: Any) -> None:
    monkeypatch.setattr(Kind, "handle", lambda self, job: behaviour())


def test_exception_becomes_a_summary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> Outcome:
        raise LookupError("a thing is gone")

    handler(monkeypatch, fail)
    outcome = runner.run(fetch_job(tmp_path, repo="a/b"))
    assert outcome.exit_code == EXIT_INFRASTRUCTURE
    assert outcome.summary.reason is Reason.INFRASTRUCTURE_FAULT
    assert outcome.summary.message == "LookupError: a thing is gone"


def test_sigterm_becomes_a_summary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop() -> Outcome:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            signal.pause()
        except Exception:  # noqa: BLE001 - as libraries do
            pass
        raise AssertionError("SIGTERM was swallowed")

    before = signal.getsignal(signal.SIGTERM)
    handler(monkeypatch, stop)
    outcome = runner.run(fetch_job(tmp_path, repo="a/b"))
    assert outcome.exit_code == EXIT_INFRASTRUCTURE and "SIGTERM" in outcome.summary.message
    assert signal.getsignal(signal.SIGTERM) is before


def test_summary_fits_the_termination_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    summary = EvaluateSummary(reason=Reason.MODEL_LOAD_FAILED, message='ü\n"' * 5000, score="0.000000")
    runner.report(Outcome.final(summary), tmp_path / "log")
    written = (tmp_path / "log").read_bytes()
    assert len(written) <= TERMINATION_MESSAGE_BYTES
    assert EvaluateSummary.model_validate_json(written).score == "0.000000"
    assert capsys.readouterr().out.encode() == written + b"\n"


def test_missing_termination_log_is_no_failure(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    runner.report(Outcome.done(FetchSummary(reason=Reason.FETCHED)), tmp_path / "none" / "log")
    assert "could not be written" in caplog.text


def test_log_line_is_json() -> None:
    try:
        raise ValueError("bad\nvalue")
    except ValueError:
        record = logging.LogRecord("name", logging.ERROR, "f", 1, "it %s", ("broke",), sys.exc_info())
    line = JsonFormatter().format(record)
    assert "\n" not in line
    parsed = json.loads(line)
    assert (parsed["level"], parsed["message"]) == ("error", "it broke") and "ValueError" in parsed["traceback"]


COMMAND = [sys.executable, "-m", "bitagent_evaluator.cli.app", "job"]


@pytest.mark.parametrize("kind", ["fetch", "task_set"])
def test_job_without_a_gpu_imports_no_engine(tmp_path: Path, models: Path, checkpoint: Any, kind: str) -> None:
    if kind == "fetch":
        job = fetch_job(tmp_path, repo="volume/claim", directory=str(checkpoint.path))
    else:
        job = task_set_job(tmp_path)
        (tmp_path / "tasks.jsonl").write_bytes((models / "tasks.jsonl").read_bytes())
    (tmp_path / "job.json").write_bytes(job)
    command = [sys.executable, "-X", "importtime", *COMMAND[1:], "--file", str(tmp_path / "job.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == EXIT_OK, done.stderr[-2000:]
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "bitagent_evaluator.jobs.runner" in imported
    assert not {"torch", "vllm", "transformers", "rich", "tokenizers"} & imported


def test_job_file_that_is_not_there(tmp_path: Path) -> None:
    done = subprocess.run([*COMMAND, "--file", str(tmp_path / "none")], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "cannot be read" in done.stderr
