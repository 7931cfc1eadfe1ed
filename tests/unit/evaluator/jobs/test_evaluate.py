"""EvaluateJob: checks before a model is asked, the evaluation that a document describes, and each outcome's summary."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from bitagent_crds.conditions import Fault, Reason
from bitagent_crds.evaluation import BuiltinScorer, LossParameters, RunSpec
from bitagent_crds.jobs import (
    EXIT_INFRASTRUCTURE,
    EXIT_LATER,
    EXIT_MODEL_FAULT,
    EXIT_OK,
    EvaluateJob,
    EvaluateSummary,
    HardwareFacts,
    MemoryLimits,
    exit_code,
)
from bitagent_crds.minermodel import EngineChoices, ModelFacts
from bitagent_crds.model_result import PhaseSeconds
from bitagent_crds.progress import PROGRESS_PATH, ProgressDocument
from bitagent_crds.task_forms import BuiltinPromptFormat
from bitagent_crds.tasks import Tasks
from bitagent_evaluator.evaluation.prepared import Evaluation
from bitagent_evaluator.evaluation.results import Evaluated
from bitagent_evaluator.evaluation.shards import Shard
from bitagent_evaluator.jobs import evaluate as module
from bitagent_evaluator.jobs.progress_server import serving
from bitagent_evaluator.models.cache import RECORD, CacheRecord
from bitagent_evaluator.models.digests import directory_model_digest
from bitagent_evaluator.scoring.aggregate import Aggregate
from bitagent_evaluator.support.faults import InfrastructureFault, ModelFault
from bitagent_evaluator.support.progress import ProgressBoard
from bitagent_evaluator.tasks.build import build_task_set

WEIGHTS, OTHER = "sha256:" + "1" * 64, "sha256:" + "2" * 64
DONE = Evaluated(
    run=RunSpec(repo="acme/x", task_set_digest=OTHER, prompt_format=BuiltinPromptFormat.BFCL, max_tokens=17),
    aggregate=Aggregate(
        passed=3,
        total=4,
        score="0.750000",
        categories={},
        interval=("0.300000", "0.950000"),
        loss="0.287682",
        batch_losses=("0.100000", "0.475364"),
    ),
    result_digest="sha256:" + "9" * 64,
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
    (tmp_path / "model" / "config.json").write_text("{}")
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
            "meanAnswerTokens": 3,
            "generateSeconds": 60,
            "memoryLimits": {"maxMemoryBytes": 9},
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


def record(job: EvaluateJob, weights_digest: str, *, files: dict[str, int] = {}, **more: str) -> None:  # noqa: B006
    facts = ModelFacts(
        commit="a" * 40, size_bytes=1, parameters=1, architecture="X", weights_digest=weights_digest, **more
    )
    (Path(job.model_dir) / RECORD).write_text(CacheRecord(facts=facts, files=files).model_dump_json())


def written(job: EvaluateJob) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((Path(job.out_dir) / "summary.json").read_text())
    return content


def test_a_score(job: EvaluateJob, ends: Callable[..., list[Evaluation]]) -> None:
    ends(DONE)
    record(job, WEIGHTS)
    summary = module.handle(job)
    assert exit_code(summary.reason) == EXIT_OK
    assert (summary.score, summary.passed, summary.total, summary.resumed) == ("0.750000", 3, 4, 2)
    assert (summary.result_digest, summary.task_set_digest) == (DONE.result_digest, DONE.run.task_set_digest)
    assert (summary.loss, summary.batch_losses) == ("0.287682", ["0.100000", "0.475364"])
    assert summary.interval == ["0.300000", "0.950000"]
    assert (summary.seconds, summary.device) == (DONE.seconds, "a processor")
    assert written(job) == summary.to_wire()


def test_the_documents_choices_reach_the_evaluation(job: EvaluateJob, ends: Callable[..., list[Evaluation]]) -> None:
    calls = ends(DONE)
    module.handle(job)
    (asked,) = calls
    assert [str(asked.model_dir), str(asked.out_dir)] == [job.model_dir, job.out_dir]
    assert asked.run == RunSpec(
        repo="acme/x",
        commit="a" * 40,
        weights_digest=WEIGHTS,
        task_set_digest=job.run.task_set_digest,
        prompt_format=BuiltinPromptFormat.HAMMER,
        max_tokens=17,
        engine=EngineChoices(max_model_length=512),
        scorer=BuiltinScorer.LOSS,
        loss=LossParameters(batches=3),
        mean_answer_tokens=3,
        generate_seconds=60,
    )
    assert asked.memory_limits == MemoryLimits(max_memory_bytes=9)
    assert len(asked.tasks) == 4
    assert asked.task_set is not None and asked.task_set.digest == job.run.task_set_digest
    assert not asked.fresh, "an earlier attempt's answers are kept"


def test_a_models_fault_scores_zero(job: EvaluateJob, ends: Callable[..., list[Evaluation]]) -> None:
    ends(ModelFault(Reason.NON_FINITE_WEIGHTS, "NaN in layer 3"))
    summary = module.handle(job)
    assert exit_code(summary.reason) == EXIT_MODEL_FAULT
    content = written(job)
    assert (content["reason"], content["score"], content["message"]) == (
        "NonFiniteWeights",
        "0.000000",
        "NaN in layer 3",
    )
    assert content["taskSetDigest"] == job.run.task_set_digest


def test_a_model_whose_files_the_cache_has_damaged_is_not_at_fault(
    job: EvaluateJob, ends: Callable[..., list[Evaluation]]
) -> None:
    """With other bytes of the same size, which looking at sizes does not notice."""
    ends(ModelFault(Reason.NON_FINITE_WEIGHTS, "NaN in layer 3"))
    config = Path(job.model_dir) / "config.json"
    record(job, WEIGHTS, files={"config.json": 2}, model_digest=directory_model_digest(Path(job.model_dir)))
    assert module.handle(job).reason is Reason.NON_FINITE_WEIGHTS
    config.write_text("[]")
    summary = module.handle(job)
    assert (exit_code(summary.reason), summary.reason) == (EXIT_LATER, Reason.MODEL_FILES_MISSING)
    assert "NaN in layer 3" in summary.message and "score" not in written(job)


def test_a_fault_of_the_infrastructure_has_no_score(job: EvaluateJob, ends: Callable[..., list[Evaluation]]) -> None:
    ends(InfrastructureFault(Reason.OUT_OF_MEMORY, "no room"))
    summary = module.handle(job)
    assert (exit_code(summary.reason), summary.reason) == (EXIT_INFRASTRUCTURE, Reason.OUT_OF_MEMORY)
    assert written(job)["message"] == "no room" and "score" not in written(job)


def test_other_weights_than_the_rounds_are_never_asked(job: EvaluateJob, ends: Callable[..., list[Evaluation]]) -> None:
    """By the cache's own record: or one model would be paid for another's answers."""
    asked = ends(DONE)
    record(job, OTHER)
    summary = module.handle(job)
    assert (exit_code(summary.reason), asked) == (EXIT_INFRASTRUCTURE, [])
    assert OTHER in summary.message and WEIGHTS in summary.message


def test_without_the_task_set_nothing_is_asked(job: EvaluateJob, ends: Callable[..., list[Evaluation]]) -> None:
    asked = ends(DONE)
    summary = module.handle(job.model_copy(update={"task_set_dir": str(Path(job.task_set_dir) / "gone")}))
    assert (exit_code(summary.reason), asked) == (EXIT_INFRASTRUCTURE, [])
    assert written(job)["reason"] == "InfrastructureFault" and "score" not in written(job)


def test_other_tasks_than_the_rounds_are_never_asked(job: EvaluateJob, ends: Callable[..., list[Evaluation]]) -> None:
    asked = ends(DONE)
    summary = module.handle(job.model_copy(update={"run": job.run.model_copy(update={"task_set_digest": OTHER})}))
    assert (exit_code(summary.reason), asked) == (EXIT_INFRASTRUCTURE, [])


def test_another_model_in_the_cache_is_never_asked(job: EvaluateJob, ends: Callable[..., list[Evaluation]]) -> None:
    asked = ends(DONE)
    named = job.model_copy(update={"run": job.run.model_copy(update={"model_digest": OTHER})})
    record(job, WEIGHTS, model_digest="sha256:" + "8" * 64)
    assert (exit_code(module.handle(named).reason), asked) == (EXIT_INFRASTRUCTURE, [])
    record(job, WEIGHTS, model_digest=OTHER)
    assert exit_code(module.handle(named).reason) == EXIT_OK


@pytest.mark.parametrize(
    ("files", "missing"),
    [
        pytest.param(None, True, id="an empty directory"),
        pytest.param({"config.json": 2}, False, id="all are there"),
        pytest.param({"config.json": 2, "model.safetensors": 7}, True, id="one lacks"),
        pytest.param({"config.json": 3}, True, id="one has another size"),
    ],
)
def test_files_that_the_cache_has_lost_are_named_before_an_engine_starts(
    job: EvaluateJob, ends: Callable[..., list[Evaluation]], files: dict[str, int] | None, *, missing: bool
) -> None:
    asked = ends(DONE)
    if files is None:
        (Path(job.model_dir) / "config.json").unlink()
    else:
        record(job, WEIGHTS, files=files)
    summary = module.handle(job)
    assert (exit_code(summary.reason), len(asked)) == ((EXIT_LATER, 0) if missing else (EXIT_OK, 1))
    assert (summary.reason is Reason.MODEL_FILES_MISSING) == missing


def test_a_summary_that_cannot_be_written_beside_the_results_still_leaves_the_pod(
    job: EvaluateJob, ends: Callable[..., list[Evaluation]]
) -> None:
    ends(DONE)
    summary = module.handle(job.model_copy(update={"out_dir": str(Path(job.out_dir) / "gone" / "out")}))
    assert exit_code(summary.reason) == EXIT_OK
    assert summary.score == "0.750000"


FACTS = HardwareFacts(name="Example", gpus=1, memory_bytes=7, driver="570.86.15", engine="vllm 1")


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(DONE, id="a score"),
        pytest.param(ModelFault(Reason.NON_FINITE_WEIGHTS, "NaN"), id="a model's fault"),
        pytest.param(InfrastructureFault(Reason.OUT_OF_MEMORY, "no room"), id="a fault of the infrastructure"),
    ],
)
def test_every_summary_names_the_hardware(
    job: EvaluateJob,
    ends: Callable[..., list[Evaluation]],
    monkeypatch: pytest.MonkeyPatch,
    end: Evaluated | Exception,
) -> None:
    ends(end)
    monkeypatch.setattr(module.VllmBackend, "hardware_facts", lambda _: FACTS)
    assert module.handle(job).hardware == FACTS
    assert written(job)["hardware"]["driver"] == "570.86.15"


def test_an_engine_that_hangs_ends_the_process_with_a_summary(
    job: EvaluateJob,
    ends: Callable[..., list[Evaluation]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    codes: list[int] = []
    log = tmp_path / "termination-log"
    log.touch()
    asked = ends(DONE)
    monkeypatch.setattr(module.VllmBackend, "hardware_facts", lambda _: FACTS)
    monkeypatch.setattr(module, "TERMINATION_LOG", str(log))
    monkeypatch.setattr(module.os, "_exit", codes.append)
    module.handle(job)
    assert asked[0].on_stall is not None
    asked[0].on_stall("no step has ended")
    summary = EvaluateSummary.model_validate_json(log.read_text())
    assert (codes, summary.reason, summary.hardware) == ([EXIT_INFRASTRUCTURE], Reason.ENGINE_STALLED, FACTS)
    assert summary.score is None


def test_its_progress_is_served_while_it_evaluates(job: EvaluateJob, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[bytes] = []
    ports: list[int | None] = []

    def evaluate(evaluation: Evaluation, backend: object, progress: ProgressBoard) -> Evaluated:
        progress.update(3, 7)
        with urlopen(f"http://127.0.0.1:{ports[0]}{PROGRESS_PATH}", timeout=60) as answer:
            said.append(answer.read())
        return DONE

    @contextmanager
    def on_a_free_port(board: ProgressBoard) -> Iterator[None]:
        with serving(board, port=0) as port:
            ports.append(port)
            yield

    monkeypatch.setattr(module, "evaluate", evaluate)
    monkeypatch.setattr(module, "serving", on_a_free_port)
    module.handle(job)
    assert ProgressDocument.model_validate_json(said[0]).done == 3


@pytest.mark.parametrize(
    ("index", "end", "reason"),
    [
        pytest.param("1", 7, Reason.SHARD_EVALUATED, id="others have not ended"),
        pytest.param("0", DONE, Reason.EVALUATED, id="the last one"),
        pytest.param("", DONE, Reason.INFRASTRUCTURE_FAULT, id="no index"),
        pytest.param("2", DONE, Reason.INFRASTRUCTURE_FAULT, id="an index beyond the shards"),
    ],
)
def test_shards(
    job: EvaluateJob, monkeypatch: pytest.MonkeyPatch, index: str, end: Evaluated | int, reason: Reason
) -> None:
    """Only the last one writes a summary beside the results."""
    asked: list[Shard] = []

    def evaluate_shard(_: Evaluation, shard: Shard, *__: object) -> Evaluated | int:
        asked.append(shard)
        return end

    monkeypatch.setattr(module, "evaluate_shard", evaluate_shard)
    monkeypatch.setenv(module.SHARD_INDEX, index)
    summary = module.handle(job.model_copy(update={"shards": 2}))
    assert summary.reason is reason
    if reason.fault is Fault.NONE:
        assert (asked, exit_code(summary.reason)) == ([Shard(int(index), 2)], EXIT_OK)
    assert (Path(job.out_dir) / "summary.json").exists() is (reason is not Reason.SHARD_EVALUATED)
    assert (summary.total, summary.score is None) == (7 if end == 7 else summary.total, end == 7 or not asked)
