"""A program for tests: vLLM answers without an end, within a budget, in a process of its own.

python engine_budget.py MODEL TOKENS      prints how many requests were open after each step, and what was answered

Then the same with limits of thoughts and answers, which end requests early, and without ending them.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Generator
from pathlib import Path

from bitagent_crds.minermodel import EngineChoices
from bitagent_evaluator.engines.base import CompletionRequest, StoppableEngine
from bitagent_evaluator.engines.plan import plan_engine
from bitagent_evaluator.engines.vllm import VllmBackend, VllmEngine
from bitagent_evaluator.evaluation.budget import Budget, Meter
from bitagent_evaluator.evaluation.metered import metered
from bitagent_evaluator.evaluation.prepared import checked_model
from bitagent_evaluator.evaluation.thinking_engine import ThinkingEngine, with_thought_limits
from bitagent_evaluator.evaluation.thoughts import ThoughtFinder, ThoughtLimits

REQUESTS, ANSWER_TOKENS, NO_STOP = 8, 64, 639


def _shown_tokens(engine: VllmEngine, requests: list[CompletionRequest]) -> list[bool]:
    """Whether the tokens that are shown on the way are the first ones of each completion."""
    shown: list[dict[str, list[int]]] = []
    completions: dict[str, list[int]] = {}
    for finished in engine.generate(requests, [NO_STOP]):
        shown.append(engine.tokens([request.key for request in requests[1:]]))
        completions |= {completion.key: completion.token_ids for completion in finished}
    return [completions[key][: len(ids)] == ids for step in shown for key, ids in step.items()]


def _with_limits(engine: VllmEngine) -> tuple[ThinkingEngine, ThinkingEngine]:
    """The engine with limits, in a model's words that never think: one ends requests, one cuts completions only."""
    limits, finder = ThoughtLimits(thought=40, answer=20), ThoughtFinder(lambda sequences: [""] * len(sequences), None)
    return with_thought_limits(engine, limits, finder), ThinkingEngine(engine, limits, finder)


def main() -> None:
    """Answer all requests."""
    model, budget = Path(sys.argv[1]), int(sys.argv[2])
    requests = [CompletionRequest(f"t{number}", [1, 300 + number, 7], ANSWER_TOKENS) for number in range(REQUESTS)]
    backend = VllmBackend()
    backend.prepare(model)
    plan = plan_engine(
        dict(checked_model(model).config or {}),
        EngineChoices(),
        backend.hardware(),
        lengths=[3] * REQUESTS,
        max_tokens=ANSWER_TOKENS,
    )
    meter = Meter([request.key for request in requests], Budget(tokens=budget))
    answered: dict[str, int] = {}
    open_after: list[int] = []
    with backend.start(model, plan) as engine:
        assert isinstance(engine, StoppableEngine)
        steps = metered(engine, meter, lambda: open_after.append(len(engine.generated())))
        for finished in steps.generate(requests, [NO_STOP]):
            answered |= {completion.key: completion.completion_tokens for completion in finished}
        left = len(engine.generated())
        closed = engine.generate(requests, [NO_STOP])
        assert isinstance(closed, Generator)
        next(closed)
        closed.close()
        shown = _shown_tokens(engine, requests)
        cut = [
            {c.key: [c.token_ids, c.completion_tokens, c.finish_reason] for step in limited for c in step}
            for limited in (kind.generate(requests, [NO_STOP]) for kind in _with_limits(engine))
        ]
        facts = backend.hardware_facts()
    outcome = {"answered": answered, "open": open_after, "left": left, "left_after_close": len(engine.generated())}
    outcome |= {"shown": shown, "cut": cut}
    sys.stdout.write(json.dumps(outcome | {"hardware": facts and facts.to_wire()}))
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
