"""Tasks of sums, and runs of a model behind an endpoint on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bitagent_crds.evaluation import RunSpec
from bitagent_crds.task_forms import Expects
from bitagent_crds.task_set import Task
from bitagent_evaluator.engines.openai import Address
from bitagent_evaluator.evaluation.remote import RemoteEvaluation, evaluate_endpoint
from bitagent_evaluator.support.progress import LogProgress

DIGEST = "sha256:" + "1" * 64


def task(number: int, name: str = "add", **more: Any) -> Task:
    parameters = {"type": "dict", "properties": {"a": {"type": "integer", "description": ""}}, "required": ["a"]}
    made: dict[str, Any] = {"id": f"t{number}", "source": "test", "category": "sums"}
    made |= {"messages": [{"role": "user", "content": f"Add {number}."}], "ground_truth": [{name: {"a": [number]}}]}
    made["functions"] = [{"name": name, "description": "Adds.", "parameters": parameters}]
    return Task.model_validate(made | more)


CONVERSATION = {"turns": [[]], "ground_truth": [[]], "classes": ["GorillaFileSystem"], "initial_state": {}}

STATE = {"expects": Expects.STATE, "ground_truth": None, "conversation": CONVERSATION}

TASKS = [task(i) for i in range(6)]


def number_in(request: Any) -> int:
    return int(request.question.rpartition("Add ")[2].partition(".")[0])


def evaluation(url: str, out: Path, tasks: list[Task] = TASKS, **more: Any) -> RemoteEvaluation:
    chosen = {name: more.pop(name) for name in list(more) if name in RunSpec.model_fields}
    run = RunSpec(repo="org/m", task_set_digest=DIGEST, max_tokens=32, **chosen)
    return RemoteEvaluation(run=run, address=Address(url, "org/m"), tasks=tasks, out_dir=out, **more)


def run(url: str, out: Path, tasks: list[Task] = TASKS, **more: Any) -> Any:
    return evaluate_endpoint(evaluation(url, out, tasks, **more), LogProgress())
