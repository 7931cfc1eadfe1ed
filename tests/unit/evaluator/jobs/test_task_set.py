"""TaskSetJob: a task set of a round, and specs that cannot be met."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.conditions import Reason
from bitagent_crds.evaluation import Aggregation, BuiltinScorer, Evaluation
from bitagent_crds.jobs import (
    EXIT_INFRASTRUCTURE,
    EXIT_MODEL_FAULT,
    EXIT_OK,
    OPERATOR_KEYS,
    RewriterAddress,
    TaskSetJob,
    alteration_key,
    exit_code,
    source_key,
)
from bitagent_crds.task_forms import Expects
from bitagent_evaluator.jobs.task_set import handle
from bitagent_evaluator.scoring.kinds import task_kind
from bitagent_evaluator.tasks.files import read_task_set, read_tasks


def job(models: Path, out: Path, **tasks: Any) -> TaskSetJob:
    sources = [{"jsonl": {"configMap": {"name": "x", "key": "tasks.jsonl"}}}]
    spec = {"sources": sources, "count": 5, "seed": "1", **tasks}
    files = {"0": str(models / "tasks.jsonl")}
    return TaskSetJob.model_validate({"tasks": spec, "files": files, "outDir": str(out)})


def test_the_task_set_is_built_and_described(tmp_path: Path, models: Path) -> None:
    summary = handle(job(models, tmp_path, alterations=[{"toolShuffle": {}}]))
    assert (exit_code(summary.reason), summary.reason, summary.count) == (EXIT_OK, Reason.TASKS_READY, 5)
    assert summary.message.startswith("5 tasks from 1 source; ToolShuffle changed ")
    assert json.loads((tmp_path / "manifest.json").read_text())["digest"] == summary.digest


def test_the_best_constant_answer_is_scored_by_the_rounds_rule(tmp_path: Path, models: Path) -> None:
    """A set of which a half expects no call: saying nothing passes it, and counts as one of two or three kinds."""
    build = job(models, tmp_path, count=40, alterations=[{"distractorTools": {}}, {"irrelevance": {"percent": 50}}])
    of_half = handle(build)
    silent = sum(task.expects is Expects.NO_CALL for task in read_tasks(tmp_path))
    assert of_half.baseline == f"{silent / 40:.6f}"
    by_kind = handle(build.model_copy(update={"evaluation": Evaluation(aggregate=Aggregation.KINDS)}))
    kinds = {task_kind(task) for task in read_tasks(tmp_path)}
    assert by_kind.baseline == f"{1 / len(kinds):.6f}"
    recorded = read_task_set(tmp_path)[0].baseline
    assert recorded is not None
    assert (recorded.score, recorded.scorer, recorded.aggregate) == (by_kind.baseline, "Bfcl", Aggregation.KINDS)
    assert of_half.digest == by_kind.digest


def test_tasks_that_the_scorer_cannot_judge_are_refused(tmp_path: Path, models: Path) -> None:
    build = job(models, tmp_path).model_copy(update={"evaluation": Evaluation(scorer=BuiltinScorer.LOSS)})
    summary = handle(build)
    assert (exit_code(summary.reason), summary.reason) == (EXIT_MODEL_FAULT, Reason.UNJUDGEABLE_TASKS)
    assert "spec.evaluation.scorer" in summary.message


def test_a_spec_that_cannot_be_met_is_final(tmp_path: Path, models: Path) -> None:
    summary = handle(job(models, tmp_path, count=20_000))
    assert (exit_code(summary.reason), summary.reason) == (EXIT_MODEL_FAULT, Reason.TASKS_FAILED)


def test_a_rewriter_gets_the_key_from_the_environment(
    fake_endpoint: Any, tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(alteration_key(0), "secret")
    rewrite = {"rewrite": {"url": fake_endpoint.url, "model": "m"}}
    summary = handle(job(models, tmp_path, alterations=[rewrite]))
    assert (exit_code(summary.reason), summary.reason) == (EXIT_OK, Reason.TASKS_READY)
    assert {request.headers["authorization"] for request in fake_endpoint.requests} == {"Bearer secret"}
    assert "secret" not in "".join(path.read_text() for path in tmp_path.iterdir())


def test_the_validators_rewriter_is_asked_and_recorded(fake_endpoint: Any, tmp_path: Path, models: Path) -> None:
    own = {"url": fake_endpoint.url, "model": "rewriter@abc", "repo": "org/r", "commit": "c" * 40, "image": "e:1"}
    build = job(models, tmp_path, alterations=[{"rewrite": {}}])
    address = RewriterAddress.model_validate(own | {"engine": {"maxModelLength": 4096}})
    summary = handle(build.model_copy(update={"rewriter": address}))
    assert (exit_code(summary.reason), summary.reason) == (EXIT_OK, Reason.TASKS_READY)
    assert {request.body["model"] for request in fake_endpoint.requests} == {"rewriter@abc"}
    recorded = read_task_set(tmp_path)[0].rewriter
    assert recorded is not None
    assert (recorded.repo, recorded.commit, recorded.image) == ("org/r", "c" * 40, "e:1")
    assert recorded.choices == {"maxModelLength": 4096}


def test_a_rewriter_that_cannot_be_reached_is_an_infrastructure_fault(tmp_path: Path, models: Path) -> None:
    rewrite = {"rewrite": {"url": "http://127.0.0.1:9/v1", "model": "m"}}
    summary = handle(job(models, tmp_path, alterations=[rewrite]))
    assert (exit_code(summary.reason), summary.reason) == (EXIT_INFRASTRUCTURE, Reason.INFRASTRUCTURE_FAULT)
    assert "http://127.0.0.1:9/v1 cannot be reached" in summary.message


@pytest.mark.parametrize(
    ("keys", "known", "reason"),
    [
        pytest.param("0", False, Reason.HUB_TOKEN_REJECTED, id="the operator's, unknown"),
        pytest.param("0", True, Reason.TASKS_FAILED, id="the operator's, good"),
        pytest.param("", False, Reason.TASKS_FAILED, id="the round's, unknown"),
    ],
)
def test_a_broken_token_of_the_operator_is_not_the_rounds_fault(
    tmp_path: Path, website: Any, monkeypatch: pytest.MonkeyPatch, keys: str, known: bool, reason: Reason
) -> None:
    whoami = "/api/whoami-v2"
    for name, value in {"HF_ENDPOINT": website.url, OPERATOR_KEYS: keys, source_key(0): "hf_secret"}.items():
        monkeypatch.setenv(name, value)
    website.refuses = {"/api/datasets/": 401} | ({} if known else {whoami: 401})
    website.files[whoami] = b'{"name": "validator", "auth": {}}'
    tasks = {"sources": [{"huggingFace": {"repo": "acme/tasks"}}], "count": 1, "seed": "1"}
    summary = handle(TaskSetJob.model_validate({"tasks": tasks, "outDir": str(tmp_path)}))
    assert summary.reason is reason
