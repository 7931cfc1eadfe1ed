"""Scorers and prompt formats that neither the evaluator nor a package has: what Jobs do when a spec names one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.conditions import Reason
from bitagent_crds.jobs import EXIT_INFRASTRUCTURE, EXIT_MODEL_FAULT, EXIT_OK, exit_code
from bitagent_evaluator.jobs import runner
from bitagent_evaluator.tasks.files import TASKS

SPEC = {"sources": [{"jsonl": {"configMap": {"name": "x", "key": "tasks.jsonl"}}}], "count": 5, "seed": "1"}


@pytest.fixture
def build(tmp_path: Path, models: Path) -> Any:
    """Run the task-set Job of a round with this evaluation."""

    def run(**evaluation: str) -> runner.Summary:
        files = {"0": str(models / "tasks.jsonl")}
        content = {"kind": "TaskSet", "tasks": SPEC, "files": files, "outDir": str(tmp_path / "tasks")}
        return runner.run(json.dumps(content | {"evaluation": evaluation}).encode())

    return run


@pytest.mark.parametrize(
    ("evaluation", "reason", "known"),
    [
        ({"scorer": "Vibes"}, Reason.UNKNOWN_SCORER, "Bfcl, BfclStrict, BitAgent202411, BitAgent202504"),
        ({"promptFormat": "Mistral"}, Reason.UNKNOWN_PROMPT_FORMAT, "Alpaca, Bfcl, BitAgent, ChatML, ChatTemplate"),
        ({"scorer": "CallNames"}, Reason.UNKNOWN_SCORER, "Bfcl, "),
    ],
    ids=["scorer", "prompt format", "of a package that is not installed"],
)
def test_the_task_set_job_refuses_them_with_the_known_ones(
    build: Any, tmp_path: Path, evaluation: dict[str, str], reason: Reason, known: str
) -> None:
    summary = build(**evaluation)
    assert (exit_code(summary.reason), summary.reason) == (EXIT_MODEL_FAULT, reason)
    ((member, name),) = evaluation.items()
    assert f"spec.evaluation.{member}" in summary.message and name in summary.message
    assert f"there are: {known}" in summary.message
    assert not (tmp_path / "tasks").exists()


@pytest.mark.usefixtures("example_plugin")
@pytest.mark.parametrize(
    "evaluation",
    [{"scorer": "CallNames"}, {"promptFormat": "MarkdownTools"}, {"promptFormat": "Auto"}],
    ids=["scorer", "prompt format", "Auto"],
)
def test_the_task_set_job_accepts_the_names_of_an_installed_package(build: Any, evaluation: dict[str, str]) -> None:
    assert exit_code(build(**evaluation).reason) == EXIT_OK


def test_a_document_of_an_earlier_operator_names_no_evaluation(build: Any) -> None:
    assert exit_code(build().reason) == EXIT_OK


@pytest.mark.parametrize("names", [{"scorer": "Vibes"}, {"promptFormat": "Mistral"}], ids=["scorer", "prompt format"])
def test_an_evaluate_job_whose_image_lacks_a_package_is_no_models_fault(
    build: Any, tmp_path: Path, models: Path, names: dict[str, str]
) -> None:
    """The task-set Job's image had it, so the round is right and this image is not."""
    digest = build().digest
    content = {
        "kind": "Evaluate",
        "modelDir": str(models / "tiny-fc-1200"),
        "taskSetDir": str(tmp_path / "tasks"),
        "taskSetDigest": digest,
        "outDir": str(tmp_path / "results"),
        "repo": "acme/x",
        "commit": "a" * 40,
        "weightsDigest": digest,
        "maxTokens": 16,
    }
    summary = runner.run(json.dumps(content | names).encode())
    assert (exit_code(summary.reason), summary.reason) == (EXIT_INFRASTRUCTURE, Reason.INFRASTRUCTURE_FAULT)
    assert "there are: " in summary.message
    assert (tmp_path / "tasks" / TASKS).exists() and not list((tmp_path / "results").glob("responses*"))
