"""An engine that only pretends, and what tests of evaluations with it share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.evaluation import RunSpec
from bitagent_crds.progress import EvaluationPhase
from bitagent_crds.task_set import Task
from bitagent_evaluator.engines.base import Completion, CompletionRequest, Engine
from bitagent_evaluator.engines.plan import EnginePlan, Hardware
from bitagent_evaluator.evaluation.journal import RESPONSES
from bitagent_evaluator.evaluation.prepared import Evaluation
from bitagent_evaluator.evaluation.results import Evaluated
from bitagent_evaluator.evaluation.run import evaluate

ANSWERS = {"right": "add(a=1, b=2)", "wrong": "add(a=1, b=3)"}
FUNCTION = {
    "name": "add",
    "description": "Add two integers",
    "parameters": {
        "type": "dict",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        "required": ["a", "b"],
    },
}


def task(number: int, text: str = "Add 1 and 2.") -> Task:
    return Task(
        id=f"t{number}",
        source="test",
        category="even" if number % 2 == 0 else "odd",
        messages=[{"role": "user", "content": f"{number}: {text}"}],
        functions=[FUNCTION],
        ground_truth=[{"add": {"a": [1], "b": [2]}}],
    )


class Killed(BaseException):
    """The process ends here."""


@dataclass
class PretendedEngine:
    """Answer `right` to even tasks and `wrong` to odd ones, two a step, last prompts first; may be killed midway."""

    vocabulary: dict[str, list[int]]
    dies_after: int | None
    device: str = "pretended"
    packages: dict[str, str] = field(default_factory=lambda: {"pretended": "1"})
    asked: list[CompletionRequest] = field(default_factory=list)

    def generate(self, prompts: Sequence[CompletionRequest], stop_ids: Sequence[int]) -> Iterator[list[Completion]]:
        assert list(stop_ids) == [2]
        self.asked = list(prompts)
        finished = 0
        for start in range(len(prompts), 0, -2):
            step = []
            for prompt in prompts[max(0, start - 2) : start]:
                ids = self.vocabulary["right" if int(prompt.key[1:]) % 2 == 0 else "wrong"]
                step.append(Completion(prompt.key, ids, len(ids) + 1, "stop"))
            if self.dies_after is not None and finished >= self.dies_after:
                raise Killed
            finished += len(step)
            yield step


@dataclass
class PretendedBackend:
    """Starts pretended engines."""

    models: Path
    dies_after: int | None = None
    identity: str = "pretended 1"
    device: str = "pretended"
    engines: list[PretendedEngine] = field(default_factory=list)
    plans: list[EnginePlan] = field(default_factory=list)

    def prepare(self, model_dir: Path) -> None:
        del model_dir

    def hardware(self) -> Hardware:
        return Hardware(0, self.device)

    @contextmanager
    def start(self, model_dir: Path, plan: EnginePlan) -> Iterator[Engine]:
        tokenizer = pytest.importorskip("tokenizers").Tokenizer.from_file(str(model_dir / "tokenizer.json"))
        vocabulary = {name: tokenizer.encode(text, add_special_tokens=False).ids for name, text in ANSWERS.items()}
        engine = PretendedEngine(vocabulary, self.dies_after, self.device)
        self.engines.append(engine)
        self.plans.append(plan)
        yield engine


@dataclass
class Recorded:
    """A progress display that remembers."""

    phases: list[EvaluationPhase | None] = field(default_factory=list)
    counts: list[tuple[int, int]] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    steps: int = 0

    def start_phase(self, name: str, phase: EvaluationPhase | None = None) -> None:
        self.phases.append(phase)

    def update(self, done: int, total: int, tokens: int = 0) -> None:
        self.counts.append((done, total))
        self.tokens.append(tokens)

    def step(self) -> None:
        self.steps += 1


def changed(evaluation: Evaluation, **changes: Any) -> Evaluation:
    """The evaluation with other fields, or with other fields of its run."""
    of_run = {name: value for name, value in changes.items() if name in RunSpec.model_fields}
    own = {name: value for name, value in changes.items() if name not in of_run}
    return replace(evaluation, run=evaluation.run.model_copy(update=of_run), **own)


def run(evaluation: Evaluation, models: Path, **backend: Any) -> tuple[Evaluated, PretendedBackend]:
    pretended = PretendedBackend(models, **backend)
    return evaluate(evaluation, pretended, Recorded()), pretended


def files(out: Path) -> dict[str, bytes]:
    return {name: (out / name).read_bytes() for name in (RESPONSES, "verdicts.jsonl", "manifest.json")}
