"""A program for tests: real engines answer prompts, in a process of their own, because vLLM changes the process that it is in.

    python engine_answers.py REQUEST      REQUEST is JSON: {"dtype", "prompts": [[TOKEN...]...], "steps": [STEP...]}

Each step names a `model` and may ask for a `fresh` engine, an `order` of the prompts, how many of them are asked at a time (`batch`), or that
the weights are exchanged although nothing fits (`forced`). Prints one JSON object: the `answers` of each step in the order of the prompts, which `engine` gave them (a count), and what was `logged`.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch

from bitagent_crds.minermodel import Engine as EngineChoices
from bitagent_evaluator.engine import vllm_engine
from bitagent_evaluator.engine.interface import Prompt
from bitagent_evaluator.engine.plan import plan_engine
from bitagent_evaluator.engine.vllm_engine import VllmBackend
from bitagent_evaluator.runs.evaluate import checked_config

MAX_TOKENS = 48
STOP = 2


class Logged(logging.Handler):
    """Keeps messages."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def answer(backend: VllmBackend, request: dict[str, Any], step: dict[str, Any]) -> tuple[list[list[int]], int]:
    """The step's answers, and the identity of the engine."""
    model = Path(step["model"])
    prompts = [Prompt(str(number), ids, MAX_TOKENS) for number, ids in enumerate(request["prompts"])]
    backend.prepare(model)
    plan = plan_engine(
        checked_config(model),
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


def main() -> None:
    """Do all steps."""
    request = json.loads(sys.argv[1])
    logged = Logged()
    logging.getLogger("bitagent_evaluator").addHandler(logged)
    logging.getLogger("bitagent_evaluator").setLevel(logging.INFO)
    backend = VllmBackend()
    answers, engines = [], []
    for step in request["steps"]:
        if step.get("fresh"):
            backend._let_go()
        real = vllm_engine.obstacle
        with patch.object(vllm_engine, "obstacle", (lambda *_: "") if step.get("forced") else real):
            given, engine = answer(backend, request, step)
        answers.append(given)
        engines.append(engine)
    sys.stdout.write(json.dumps({"answers": answers, "engines": engines, "logged": logged.messages}))
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
