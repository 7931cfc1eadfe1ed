"""Losses by vLLM: equal to a plain forward pass, and infinite if a model's numbers overflow."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.jobs import EXIT_OK, EvaluateSummary
from bitagent_crds.minermodel import DType, EngineChoices
from bitagent_crds.results import Response
from bitagent_crds.task_forms import Expects
from bitagent_crds.task_set import Task
from bitagent_crds.texts import digest_of
from bitagent_evaluator.engines.losses import STEP_TOKENS, plan_for_losses
from bitagent_evaluator.engines.plan import Hardware, plan_engine
from bitagent_evaluator.tasks.files import encode_tasks

if TYPE_CHECKING:
    from tests.conftest import Evaluator

SAMPLES = 60
LENGTH = 2048
PER_TOKEN = {"normalization": "Token", "sequenceLength": LENGTH, "batches": 4}
PER_BYTE = {"batches": 4}


def samples(models: Path) -> list[Task]:
    """Return held-out questions with their calls as text; one reference is longer than the sequence length."""
    lines = (models / "tasks.jsonl").read_text().splitlines()[:SAMPLES]
    known = [Task.model_validate_json(line) for line in lines]
    references = [json.dumps(task.ground_truth) for task in known]
    references[7] *= 400
    return [
        Task(
            id=task.id,
            source="stream",
            category=task.category,
            messages=task.messages,
            functions=[],
            expects=Expects.TEXT,
            reference=reference,
        )
        for task, reference in zip(known, references, strict=True)
    ]


def evaluate(
    evaluator: Evaluator, folder: Path, model: Path, tasks: list[Task], loss: dict[str, Any] = PER_BYTE
) -> tuple[EvaluateSummary, dict[str, Response]]:
    """Run a Job of scorer Loss; its summary and responses."""
    content = encode_tasks(tasks)
    folder.mkdir()
    (folder / "tasks.jsonl").write_bytes(content)
    manifest = {
        "digest": digest_of(content),
        "count": len(tasks),
        "seed": "1",
        "sources": [],
        "categories": {},
        "builder": "test",
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    job = {
        "kind": "Evaluate",
        "modelDir": str(model),
        "taskSetDir": str(folder),
        "taskSetDigest": digest_of(content),
        "outDir": str(folder / "out"),
        "repo": "acme/tiny",
        "commit": "a" * 40,
        "weightsDigest": "sha256:" + "0" * 64,
        "promptFormat": "Auto",
        "maxTokens": 64,
        "scorer": "Loss",
        "loss": loss,
        "engine": {"dtype": "BFloat16"},
    }
    (folder / "job.json").write_text(json.dumps(job))
    arguments = ["job", "--file", str(folder / "job.json"), "--termination-log", str(folder / "termination-log")]
    done = evaluator.run(arguments)
    assert done.returncode == EXIT_OK, done.stderr[-3000:]
    lines = (folder / "out" / "responses.jsonl").read_text().splitlines()
    responses = [Response.model_validate_json(line) for line in lines]
    summary = EvaluateSummary.model_validate_json((folder / "termination-log").read_bytes())
    return summary, {response.id: response for response in responses}


def plain_losses(model: Path, tasks: list[Task], *, end: bool) -> dict[str, tuple[float, int]]:
    """Return the mean loss and the token count of each reference, or of it and its end, by a plain forward pass."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(model)
    network = transformers.AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).eval()
    found = {}
    with torch.inference_mode():
        for task in tasks:
            text = tokenizer.apply_chat_template(task.messages, tokenize=False, add_generation_prompt=True)
            prompt = tokenizer(text, add_special_tokens=False)["input_ids"]
            reference = tokenizer(task.reference, add_special_tokens=False)["input_ids"]
            reference += [tokenizer.eos_token_id] if end else []
            ids = torch.tensor([(prompt + reference)[:LENGTH]])
            labels = ids.clone()
            labels[:, : len(prompt)] = -100
            found[task.id] = (network(ids, labels=labels).loss.item(), ids.shape[1] - len(prompt))
    return found


@pytest.mark.engine
def test_loss_is_that_of_a_plain_forward_pass(evaluator: Evaluator, tmp_path: Path, models: Path) -> None:
    model, tasks = models / "tiny-fc-400", samples(models)
    summary, responses = evaluate(evaluator, tmp_path / "run", model, tasks, PER_TOKEN)
    expected = plain_losses(model, tasks, end=True)
    assert responses.keys() == expected.keys()
    differences = {task_id: abs((responses[task_id].loss or 0.0) - loss) for task_id, (loss, _) in expected.items()}
    assert max(differences.values()) < 1e-3, differences
    assert {task_id: response.loss_tokens for task_id, response in responses.items()} == {
        task_id: tokens for task_id, (_, tokens) in expected.items()
    }
    long = responses[tasks[7].id]
    assert long.prompt_tokens + (long.loss_tokens or 0) == LENGTH
    mean = math.fsum(loss for loss, _ in expected.values()) / SAMPLES
    assert summary.loss is not None and float(summary.loss) == pytest.approx(mean, abs=1e-3)
    assert summary.score is not None and float(summary.score) == pytest.approx(math.exp(-mean), abs=1e-3)
    in_order = [expected[task.id][0] for task in tasks]
    batches = [math.fsum(in_order[start : start + 15]) / 15 for start in range(0, SAMPLES, 15)]
    assert list(map(float, summary.batch_losses)) == pytest.approx(batches, abs=1e-3)


@pytest.mark.engine
def test_loss_per_byte_is_that_of_a_plain_forward_pass(evaluator: Evaluator, tmp_path: Path, models: Path) -> None:
    model, tasks = models / "tiny-fc-400", samples(models)[:7]
    _, responses = evaluate(evaluator, tmp_path / "run", model, tasks)
    expected = plain_losses(model, tasks, end=False)
    for task in tasks:
        response, (mean, tokens) = responses[task.id], expected[task.id]
        assert (response.loss_tokens, response.loss_bytes) == (tokens, len((task.reference or "").encode()))
        assert response.loss == pytest.approx(mean * tokens / (response.loss_bytes or 1), abs=1e-3)


@pytest.mark.engine
def test_weights_that_overflow_lose_and_break_nothing(
    evaluator: Evaluator, tmp_path: Path, checkpoint: Any, models: Path
) -> None:
    """Finite weights whose logits are not: the largest bfloat16 in the last norm."""

    def change(header: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
        start, end = header["model.norm.weight"]["data_offsets"]
        return header, data[:start] + b"\x7f\x7f" * ((end - start) // 2) + data[end:]

    checkpoint.header(change)
    summary, responses = evaluate(evaluator, tmp_path / "run", checkpoint.path, samples(models)[:3])
    assert [response.loss for response in responses.values()] == [math.inf] * 3
    assert (summary.loss, summary.score, summary.batch_losses) == ("inf", "0.000000", ["inf"] * 3)


def test_steps_are_small_enough_for_all_logits() -> None:
    config = {
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": 96,
        "num_hidden_layers": 3,
        "num_attention_heads": 3,
        "num_key_value_heads": 3,
        "max_position_embeddings": 2048,
        "intermediate_size": 288,
        "vocab_size": 640,
    }
    plan = plan_engine(config, EngineChoices(dtype=DType.FLOAT32), Hardware(1, "GPU"), lengths=[2048], max_tokens=0)
    limited = plan_for_losses(plan)
    assert limited.arguments["max_num_batched_tokens"] == STEP_TOKENS >= limited.arguments["max_num_seqs"]
    assert plan.arguments.items() < limited.arguments.items() and limited.config == plan.config
