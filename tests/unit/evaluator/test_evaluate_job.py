"""EvaluateJob: what is checked before a model is asked, what the document's choices become, and how each outcome leaves the pod."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.conditions import Reason
from bitagent_crds.evalround import PhaseSeconds
from bitagent_crds.evaluation import LossParameters, Scorer
from bitagent_crds.fields import PromptFormat
from bitagent_crds.jobs import EXIT_INFRASTRUCTURE, EXIT_MODEL_FAULT, EXIT_OK, EvaluateJob, EvaluateSummary
from bitagent_crds.minermodel import ModelFacts
from bitagent_crds.tasks import Tasks
from bitagent_evaluator.faults import InfrastructureFault, ModelFault
from bitagent_evaluator.hub.cache import RECORD, CacheRecord
from bitagent_evaluator.jobs import evaluate as module
from bitagent_evaluator.runs.evaluate import Evaluated, Evaluation
from bitagent_evaluator.scoring import Aggregate
from bitagent_evaluator.tasks import build_task_set

WEIGHTS, OTHER = "sha256:" + "1" * 64, "sha256:" + "2" * 64
DONE = Evaluated(
    aggregate=Aggregate(
        passed=3, total=4, score="0.750000", categories={}, loss="0.287682", batch_losses=("0.100000", "0.475364")
    ),
    result_digest="sha256:" + "9" * 64,
    prompt_format=PromptFormat.BFCL,
    device="a processor",
    resumed=2,
    too_long=0,
    refused={},
    seconds=PhaseSeconds(load="1.000", generate="2.000", score="3.000"),
)


@pytest.fixture
def job(tmp_path: Path, models: Path) -> EvaluateJob:
    spec = {"sources": [{"jsonl": {"configMap": {"name": "x", "key": "k"}}}], "count": 4, "seed": "1"}
    manifest = build_task_set(Tasks.model_validate(spec), files={0: models / "tasks.jsonl"}, out=tmp_path / "tasks")
    (tmp_path / "model").mkdir()
    (tmp_path / "out").mkdir()
    return EvaluateJob.model_validate(
        {
            "modelDir": str(tmp_path / "model"),
            "taskSetDir": str(tmp_path / "tasks"),
            "taskSetDigest": manifest.digest,
            "outDir": str(tmp_path / "out"),
            "repo": "acme/x",
            "commit": "a" * 40,
            "weightsDigest": WEIGHTS,
            "promptFormat": "Hammer",
            "maxTokens": 17,
            "scorer": "Loss",
            "loss": {"batches": 3},
            "engine": {"maxModelLength": 512},
        }
    )


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Evaluation]]:
    """Makes evaluating end with a result or a fault; returns what it was asked for."""

    def make(end: Evaluated | Exception) -> list[Evaluation]:
        asked: list[Evaluation] = []

        def evaluate(evaluation: Evaluation, *_: object) -> Evaluated:
            asked.append(evaluation)
            if isinstance(end, Exception):
                raise end
            return end

        monkeypatch.setattr(module, "evaluate", evaluate)
        return asked

    return make


def record(job: EvaluateJob, weights_digest: str) -> None:
    facts = ModelFacts(commit="a" * 40, size_bytes=1, parameters=1, architecture="X", weights_digest=weights_digest)
    (Path(job.model_dir) / RECORD).write_text(CacheRecord(facts=facts, files={}).model_dump_json())


def written(job: EvaluateJob) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((Path(job.out_dir) / "summary.json").read_text())
    return content


def test_a_score(job: EvaluateJob, ends: Callable[..., list[Evaluation]]) -> None:
    ends(DONE)
    record(job, WEIGHTS)
    outcome = module.handle(job)
    assert outcome.exit_code == EXIT_OK and isinstance(outcome.summary, EvaluateSummary)
    summary = outcome.summary
    assert (summary.score, summary.passed, summary.total, summary.resumed) == ("0.750000", 3, 4, 2)
    assert (summary.result_digest, summary.task_set_digest) == (DONE.result_digest, job.task_set_digest)
    assert (summary.loss, summary.batch_losses) == ("0.287682", ["0.100000", "0.475364"])
    assert (summary.seconds, summary.device) == (DONE.seconds, "a processor")
    assert written(job) == summary.to_wire()


def test_the_documents_choices_reach_the_evaluation(job: EvaluateJob, ends: Callable[..., list[Evaluation]]) -> None:
    calls = ends(DONE)
    module.handle(job)
    (asked,) = calls
    assert [str(asked.model_dir), str(asked.out_dir)] == [job.model_dir, job.out_dir]
    assert (asked.repo, asked.commit, asked.weights_digest) == ("acme/x", "a" * 40, WEIGHTS)
    assert (asked.prompt_format, asked.max_tokens, asked.engine) == (PromptFormat.HAMMER, 17, job.engine)
    assert (asked.scorer, asked.loss) == (Scorer.LOSS, LossParameters(batches=3))
    assert len(asked.tasks) == 4
    assert asked.task_set_digest == job.task_set_digest
    assert asked.task_set is not None and asked.task_set.digest == job.task_set_digest
    assert not asked.fresh, "an earlier attempt's answers are taken over"


def test_a_models_fault_scores_zero(job: EvaluateJob, ends: Callable[..., list[Evaluation]]) -> None:
    ends(ModelFault(Reason.NON_FINITE_WEIGHTS, "NaN in layer 3"))
    outcome = module.handle(job)
    assert outcome.exit_code == EXIT_MODEL_FAULT
    content = written(job)
    assert (content["reason"], content["score"], content["message"]) == (
        "NonFiniteWeights",
        "0.000000",
        "NaN in layer 3",
    )
    assert content["taskSetDigest"] == job.task_set_digest


def test_a_fault_of_the_infrastructure_has_no_score(job: EvaluateJob, ends: Callable[..., list[Evaluation]]) -> None:
    ends(InfrastructureFault(Reason.OUT_OF_MEMORY, "no room"))
    outcome = module.handle(job)
    assert (outcome.exit_code, outcome.summary.reason) == (EXIT_INFRASTRUCTURE, Reason.OUT_OF_MEMORY)
    assert written(job)["message"] == "no room" and "score" not in written(job)


def test_other_weights_than_the_rounds_are_never_asked(job: EvaluateJob, ends: Callable[..., list[Evaluation]]) -> None:
    """By the cache's own record: or one model would be paid for another's answers."""
    asked = ends(DONE)
    record(job, OTHER)
    outcome = module.handle(job)
    assert (outcome.exit_code, asked) == (EXIT_INFRASTRUCTURE, [])
    assert OTHER in outcome.summary.message and WEIGHTS in outcome.summary.message


def test_other_tasks_than_the_rounds_are_never_asked(job: EvaluateJob, ends: Callable[..., list[Evaluation]]) -> None:
    asked = ends(DONE)
    outcome = module.handle(job.model_copy(update={"task_set_digest": OTHER}))
    assert (outcome.exit_code, asked) == (EXIT_INFRASTRUCTURE, [])


def test_a_summary_that_cannot_be_written_beside_the_results_still_leaves_the_pod(
    job: EvaluateJob, ends: Callable[..., list[Evaluation]]
) -> None:
    ends(DONE)
    outcome = module.handle(job.model_copy(update={"out_dir": str(Path(job.out_dir) / "gone" / "out")}))
    assert outcome.exit_code == EXIT_OK and isinstance(outcome.summary, EvaluateSummary)
    assert outcome.summary.score == "0.750000"
