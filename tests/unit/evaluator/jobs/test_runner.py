"""The frame around Jobs: documents, handlers, failures, summaries, and what a Job may not import."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from bitagent_crds.conditions import Reason
from bitagent_crds.jobs import (
    EXIT_INFRASTRUCTURE,
    EXIT_OK,
    EXIT_STOPPED,
    TERMINATION_MESSAGE_BYTES,
    EvaluateSummary,
    FetchSummary,
    JobKind,
    TaskSetSummary,
    exit_code,
)
from bitagent_evaluator.jobs import runner


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


def test_every_kind_of_job_has_a_handler_and_a_summary() -> None:
    assert set(runner.HANDLERS) == set(runner.SUMMARIES) == set(JobKind)


@pytest.mark.parametrize("kind", JobKind)
def test_a_handler_takes_the_job_and_returns_the_summary_of_its_kind(kind: JobKind) -> None:
    annotations = get_type_hints(runner.handler(kind))
    assert annotations["return"] is runner.SUMMARIES[kind]
    assert annotations["job"].model_fields["kind"].default is kind


BROKEN = {
    "no JSON": (b"{", FetchSummary, "not valid"),
    "endlessly nested": (b"[" * 100_000, FetchSummary, "not valid"),
    "unknown kind": (document(kind="Dance"), FetchSummary, "Dance"),
    "missing member": (document(kind="Evaluate"), EvaluateSummary, "modelDir"),
    "surplus member": (document(kind="TaskSet", outDir="/x", tasks={}, speed=1), TaskSetSummary, "not valid"),
}


@pytest.mark.parametrize(("content", "kind", "words"), BROKEN.values(), ids=BROKEN.keys())
def test_broken_document_is_infrastructure(content: bytes, kind: type, words: str) -> None:
    summary = runner.run(content)
    assert exit_code(summary.reason) == EXIT_INFRASTRUCTURE
    assert isinstance(summary, kind) and words in summary.message


def replace_handler(monkeypatch: pytest.MonkeyPatch, behaviour: Callable[[], Any]) -> None:
    monkeypatch.setattr(runner, "handler", lambda kind: lambda job: behaviour())


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        pytest.param(LookupError("a thing is gone"), Reason.CRASHED, id="by the work, or by this program"),
        pytest.param(MemoryError("a thing is gone"), Reason.OUT_OF_MEMORY, id="memory"),
        pytest.param(OSError(5, "a thing is gone"), Reason.INFRASTRUCTURE_FAULT, id="a volume"),
        pytest.param(OSError("a thing is gone"), Reason.CRASHED, id="a library that cannot use a file"),
    ],
)
def test_exception_becomes_a_summary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, reason: Reason
) -> None:
    def fail() -> FetchSummary:
        raise error

    replace_handler(monkeypatch, fail)
    summary = runner.run(fetch_job(tmp_path, repo="a/b"))
    assert exit_code(summary.reason) == EXIT_INFRASTRUCTURE
    assert summary.reason is reason
    assert summary.message == f"{type(error).__name__}: {error}"


def test_sigterm_becomes_a_summary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop() -> FetchSummary:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            signal.pause()
        except Exception:  # noqa: BLE001 - as libraries do
            pass
        raise AssertionError("SIGTERM was swallowed")

    before = signal.getsignal(signal.SIGTERM)
    replace_handler(monkeypatch, stop)
    summary = runner.run(fetch_job(tmp_path, repo="a/b"))
    assert (exit_code(summary.reason), summary.reason) == (EXIT_STOPPED, Reason.STOPPED), "it costs no attempt"
    assert "SIGTERM" in summary.message
    assert signal.getsignal(signal.SIGTERM) is before


def test_summary_fits_the_termination_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    summary = EvaluateSummary(reason=Reason.MODEL_LOAD_FAILED, message='ü\n"' * 5000, score="0.000000")
    runner.report(summary, tmp_path / "log")
    written = (tmp_path / "log").read_bytes()
    assert len(written) <= TERMINATION_MESSAGE_BYTES
    assert EvaluateSummary.model_validate_json(written).score == "0.000000"
    assert capsys.readouterr().out.encode() == written + b"\n"


def test_missing_termination_log_is_no_failure(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    runner.report(FetchSummary(reason=Reason.FETCHED), tmp_path / "none" / "log")
    assert "could not be written" in caplog.text


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
