"""One evaluation within bounds: generated tokens, time, prompt lengths and memory, and whose fault it is."""

from __future__ import annotations

import json
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.conditions import Reason
from bitagent_crds.evaluation import RunSpec
from bitagent_crds.jobs import MemoryLimits
from bitagent_crds.results import ResultsManifest, Unanswered
from bitagent_crds.task_forms import BuiltinPromptFormat, Expects
from bitagent_crds.task_set import Task
from bitagent_evaluator.engines.base import Completion, CompletionRequest
from bitagent_evaluator.engines.plan import EnginePlan, Hardware
from bitagent_evaluator.evaluation import run as module
from bitagent_evaluator.evaluation.prepared import Evaluation
from bitagent_evaluator.evaluation.results import Evaluated, summary_of
from bitagent_evaluator.evaluation.run import evaluate
from bitagent_evaluator.evaluation.watchdog import Watchdog
from bitagent_evaluator.reports.results import read_results
from bitagent_evaluator.support.faults import InfrastructureFault, ModelFault
from bitagent_evaluator.support.progress import LogProgress


def task(number: int, text: str = "Add 1 and 2.") -> Task:
    """A task without a right call, so that every answer in words is right."""
    return Task(
        id=f"t{number}",
        source="test",
        category="irrelevance",
        messages=[{"role": "user", "content": f"{number}: {text}"}],
        functions=[],
        expects=Expects.NO_CALL,
    )


class Killed(BaseException):
    """The process ends here."""


@dataclass
class Engine:
    """Answers some requests at a time, the last of those first; each step takes a second of its clock."""

    backend: Backend
    device: str = "pretended"
    packages: dict[str, str] = field(default_factory=dict)
    _open: list[str] = field(default_factory=list)

    def generate(self, requests: Sequence[CompletionRequest], stop_ids: Sequence[int]) -> Iterator[list[Completion]]:
        self._open = [request.key for request in requests]
        self.backend.asked.append(list(self._open))
        while self._open:
            self.backend.now += 1
            if self.backend.dies_at == self.backend.now:
                raise Killed
            if self.backend.silent:
                yield []
                continue
            batch = self._open[: self.backend.at_once]
            self._open = self._open[len(batch) :]
            length = self.backend.answer_tokens
            yield [Completion(key, [5] * (length - 1), length, "stop") for key in reversed(batch)]

    def generated(self) -> dict[str, int]:
        return {}

    def end(self, keys: Collection[str]) -> None:
        self._open = [key for key in self._open if key not in keys]


@dataclass
class Backend:
    """Starts engines, or fails to."""

    answer_tokens: int = 5
    at_once: int = 2
    dies_at: int | None = None
    silent: bool = False
    start_fails: InfrastructureFault | None = None
    now: float = 0.0
    identity: str = "pretended 1"
    asked: list[list[str]] = field(default_factory=list)

    def clock(self) -> float:
        return self.now

    def prepare(self, model_dir: Path) -> None:
        """Nothing takes long."""

    def hardware(self) -> Hardware:
        return Hardware(0, "pretended")

    @contextmanager
    def start(self, model_dir: Path, plan: EnginePlan) -> Iterator[Engine]:
        if self.start_fails is not None:
            raise self.start_fails
        yield Engine(self)


@pytest.fixture
def evaluation(models: Path, tmp_path: Path) -> Evaluation:
    return Evaluation(
        run=RunSpec(
            repo="acme/tiny",
            task_set_digest="sha256:" + "2" * 64,
            prompt_format=BuiltinPromptFormat.CHAT_TEMPLATE,
            max_tokens=32,
        ),
        model_dir=models / "tiny-fc-1200",
        tasks=[task(number) for number in range(10)],
        out_dir=tmp_path / "out",
    )


def bounded(evaluation: Evaluation, *, out: Path | None = None, **bounds: int) -> Evaluation:
    return replace(evaluation, run=evaluation.run.model_copy(update=bounds), out_dir=out or evaluation.out_dir)


def run(evaluation: Evaluation, backend: Backend) -> Evaluated:
    return evaluate(evaluation, backend, LogProgress(), clock=backend.clock)


def errors(evaluation: Evaluation) -> list[str]:
    lines = (evaluation.out_dir / "verdicts.jsonl").read_text().splitlines()
    return [json.loads(line)["error"] for line in lines]


def test_tasks_after_the_budget_fail_and_are_counted(evaluation: Evaluation) -> None:
    asked = bounded(evaluation, mean_answer_tokens=2)
    outcome = run(asked, Backend())
    assert errors(asked) == [""] * 4 + ["budget_exceeded"] * 6, "20 tokens are four answers of five"
    assert (outcome.aggregate.passed, outcome.aggregate.total) == (4, 10)
    summary = summary_of(outcome)
    assert (summary.reason, summary.unanswered) == (Reason.EVALUATED, {Unanswered.BUDGET_EXCEEDED: 6})
    manifest = ResultsManifest.model_validate_json((asked.out_dir / "manifest.json").read_bytes())
    assert (manifest.mean_answer_tokens, manifest.unanswered) == (2, {"budget_exceeded": 6})
    assert manifest.run() == outcome.run
    assert len((asked.out_dir / "responses.jsonl").read_bytes().splitlines()) == 4, "answers that count, and no others"
    read_results(asked.out_dir)


@pytest.mark.parametrize(
    ("at_once", "dies_at"),
    [
        pytest.param(10, None, id="all at once"),
        pytest.param(1, 3, id="one by one, killed in the middle"),
        pytest.param(3, 1, id="killed before the first answer"),
    ],
)
def test_results_do_not_depend_on_schedule_or_kills(
    evaluation: Evaluation, tmp_path: Path, at_once: int, dies_at: int | None
) -> None:
    whole = run(bounded(evaluation, out=tmp_path / "whole", mean_answer_tokens=2), Backend())
    asked = bounded(evaluation, mean_answer_tokens=2)
    if dies_at is not None:
        with pytest.raises(Killed):
            run(asked, Backend(at_once=at_once, dies_at=dies_at))
    outcome = run(asked, Backend(at_once=at_once))
    assert outcome.result_digest == whole.result_digest
    again = Backend()
    assert run(asked, again).result_digest == whole.result_digest
    assert again.asked == [], "what was answered shows that the rest cannot count"


def test_a_larger_budget_asks_what_was_left(evaluation: Evaluation) -> None:
    run(bounded(evaluation, mean_answer_tokens=2), Backend())
    backend = Backend()
    outcome = run(bounded(evaluation, mean_answer_tokens=5), backend)
    assert backend.asked == [[f"t{number}" for number in range(4, 10)]]
    assert (outcome.resumed, outcome.aggregate.passed, dict(outcome.unanswered)) == (4, 10, {})


def test_a_slow_model_has_the_score_of_what_it_answered(evaluation: Evaluation) -> None:
    asked = bounded(evaluation, generate_seconds=3)
    outcome = run(asked, Backend())
    assert errors(asked) == [""] * 6 + ["time_exceeded"] * 4
    assert summary_of(outcome).unanswered == {Unanswered.TIME_EXCEEDED: 4}
    again = Backend()
    assert run(asked, again).result_digest == outcome.result_digest
    assert again.asked == [], "its time is over"


def test_time_of_an_attempt_that_was_killed_counts(evaluation: Evaluation) -> None:
    asked = bounded(evaluation, generate_seconds=4)
    with pytest.raises(Killed):
        run(asked, Backend(dies_at=3))
    assert summary_of(run(asked, Backend())).unanswered == {Unanswered.TIME_EXCEEDED: 2}


def test_an_engine_that_generates_nothing_is_infrastructure(evaluation: Evaluation) -> None:
    asked = bounded(evaluation, generate_seconds=3)
    with pytest.raises(InfrastructureFault) as fault:
        run(asked, Backend(silent=True))
    assert fault.value.reason is Reason.ENGINE_STALLED
    assert run(asked, Backend(at_once=5)).aggregate.passed == 10, "the next attempt has the whole time"


def test_a_prompt_longer_than_the_run_allows_fails_its_task_alone(evaluation: Evaluation) -> None:
    asked = bounded(replace(evaluation, tasks=[task(0), task(1, "Add 1 and 2. " * 50), task(2)]), max_prompt_tokens=100)
    backend = Backend()
    outcome = run(asked, backend)
    assert (errors(asked), backend.asked) == (["", "prompt_too_long", ""], [["t0", "t2"]])
    assert (outcome.too_long, dict(outcome.unanswered)) == (0, {Unanswered.PROMPT_TOO_LONG: 1})


def test_a_model_whose_every_prompt_is_too_long_scores_nothing(evaluation: Evaluation) -> None:
    backend = Backend()
    outcome = run(bounded(evaluation, max_prompt_tokens=1), backend)
    assert (outcome.aggregate.passed, dict(outcome.unanswered)) == (0, {Unanswered.PROMPT_TOO_LONG: 10})
    assert backend.asked == []


NO_ROOM = InfrastructureFault(Reason.OUT_OF_MEMORY, "no room")


@pytest.mark.parametrize(
    ("limits", "fault", "error", "reason"),
    [
        pytest.param(
            MemoryLimits(max_memory_bytes=1000),
            NO_ROOM,
            ModelFault,
            Reason.NEEDS_TOO_MUCH_MEMORY,
            id="more than the round allows is the model's fault",
        ),
        pytest.param(
            MemoryLimits(),
            NO_ROOM,
            InfrastructureFault,
            Reason.OUT_OF_MEMORY,
            id="a known shape on a machine that is too small is not",
        ),
        pytest.param(
            MemoryLimits(max_memory_bytes=1 << 40),
            NO_ROOM,
            InfrastructureFault,
            Reason.OUT_OF_MEMORY,
            id="nor is what the round allows",
        ),
        pytest.param(
            MemoryLimits(max_memory_bytes=1000),
            InfrastructureFault(Reason.INFRASTRUCTURE_FAULT, "no driver"),
            InfrastructureFault,
            Reason.INFRASTRUCTURE_FAULT,
            id="another failure stays what it is",
        ),
    ],
)
def test_whose_fault_a_lack_of_memory_is(
    evaluation: Evaluation,
    limits: MemoryLimits,
    fault: InfrastructureFault,
    error: type[Exception],
    reason: Reason,
) -> None:
    asked = replace(evaluation, memory_limits=limits)
    with pytest.raises(error) as raised:
        run(asked, Backend(start_fails=fault))
    assert isinstance(raised.value, ModelFault | InfrastructureFault) and raised.value.reason is reason


def test_what_fits_the_machine_is_evaluated_whatever_the_bound(evaluation: Evaluation) -> None:
    assert run(replace(evaluation, memory_limits=MemoryLimits(max_memory_bytes=1)), Backend()).aggregate.passed == 10


def test_an_engine_that_hangs_is_reported(evaluation: Evaluation, monkeypatch: pytest.MonkeyPatch) -> None:
    stalled = threading.Event()
    causes: list[str] = []

    class Hanging(Engine):
        def generate(self, *arguments: Any) -> Iterator[list[Completion]]:
            assert stalled.wait(60), "not noticed"
            yield from super().generate(*arguments)

    class HangingBackend(Backend):
        @contextmanager
        def start(self, model_dir: Path, plan: EnginePlan) -> Iterator[Engine]:
            yield Hanging(self)

    def on_stall(cause: str) -> None:
        causes.append(cause)
        stalled.set()

    monkeypatch.setattr(module, "Watchdog", lambda on_stall: Watchdog(on_stall, seconds=0.05))
    run(replace(evaluation, on_stall=on_stall), HangingBackend())
    assert len(causes) == 1
