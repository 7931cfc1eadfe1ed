"""A program for tests: vLLM answers prompts in this process, because it changes the process that it runs in.

    python engine_answers.py      reads requests, one a line: {"dtype", "prompts": [[TOKEN...]...], "steps": [STEP...]}

A process answers many requests, because importing vLLM takes longer than anything else; each begins without an engine.
Each step names a `model` and may ask for a `fresh` engine, an `order` of the prompts, how many of them are asked at a
time (`batch`), or that the weights are exchanged although nothing fits (`forced`). Prints one line for a request: the
`answers` of each step in the order of the prompts, which `engine` gave them (a count), and what was `logged`.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import sys
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

from bitagent_crds.minermodel import EngineChoices
from bitagent_evaluator.engines import vllm as vllm_engine
from bitagent_evaluator.engines.base import CompletionRequest
from bitagent_evaluator.engines.plan import plan_engine
from bitagent_evaluator.engines.vllm import VllmBackend
from bitagent_evaluator.evaluation.prepared import checked_model

MAX_TOKENS = 48
STOP = 2


class Logged(logging.Handler):
    """Keeps messages."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


@cache
def configuration(model: Path) -> dict[str, Any]:
    """A model's configuration as it was checked."""
    return dict(checked_model(model).config or {})


def answer(backend: VllmBackend, request: dict[str, Any], step: dict[str, Any]) -> tuple[list[list[int]], int]:
    """The step's answers, and the identity of the engine."""
    model = Path(step["model"])
    prompts = [CompletionRequest(str(number), ids, MAX_TOKENS) for number, ids in enumerate(request["prompts"])]
    backend.prepare(model)
    plan = plan_engine(
        configuration(model),
        EngineChoices.model_validate({"dtype": request["dtype"]}),
        backend.hardware(),
        lengths=[len(prompt.token_ids) for prompt in prompts],
        max_tokens=MAX_TOKENS,
    )
    ordered = [prompts[number] for number in step.get("order", range(len(prompts)))]
    size = step.get("batch", len(prompts))
    found: dict[str, list[int]] = {}
    with backend.start(model, plan) as engine:
        for start in range(0, len(ordered), size):
            for finished in engine.generate(ordered[start : start + size], [STOP]):
                found |= {given.key: given.token_ids for given in finished}
    return [found[prompt.key] for prompt in prompts], id(engine)


def close(backend: VllmBackend) -> None:
    """End the engine. What is left was imported, and collections of the next engine took most of the time."""
    backend._close_engine()
    gc.freeze()


def answer_all(request: dict[str, Any], logged: Logged) -> dict[str, Any]:
    """Do all steps of a request."""
    logged.messages.clear()
    backend = VllmBackend()
    answers, engines = [], []
    for step in request["steps"]:
        if step.get("fresh"):
            close(backend)
        real = vllm_engine.incompatibility
        with patch.object(vllm_engine, "incompatibility", (lambda *_: "") if step.get("forced") else real):
            given, engine = answer(backend, request, step)
        answers.append(given)
        engines.append(engine)
    close(backend)
    return {"answers": answers, "engines": engines, "logged": logged.messages}


def main() -> None:
    """Answer requests until the input ends."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # What libraries print is not an answer.
    logged = Logged()
    logging.getLogger("bitagent_evaluator").addHandler(logged)
    logging.getLogger("bitagent_evaluator").setLevel(logging.INFO)
    for line in sys.stdin:
        print(json.dumps(answer_all(json.loads(line), logged)), file=replies, flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
