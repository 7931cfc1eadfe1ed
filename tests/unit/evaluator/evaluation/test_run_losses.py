"""A run of scorer Loss, with a fake engine."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.evaluation import BuiltinScorer, LossNormalization, LossParameters, RunSpec
from bitagent_crds.minermodel import DType, EngineChoices
from bitagent_crds.results import ResultsManifest
from bitagent_crds.task_forms import BuiltinPromptFormat, Expects
from bitagent_crds.task_set import Task
from bitagent_evaluator.cli import score as score_verb
from bitagent_evaluator.engines.losses import STEP_TOKENS, MeasuredText, PassageLoss
from bitagent_evaluator.engines.plan import EnginePlan, Hardware
from bitagent_evaluator.evaluation.journal import RESPONSES
from bitagent_evaluator.evaluation.prepared import Evaluation
from bitagent_evaluator.evaluation.results import Evaluated
from bitagent_evaluator.evaluation.run import evaluate
from bitagent_evaluator.support.faults import InfrastructureFault
from bitagent_evaluator.support.progress import LogProgress
from bitagent_evaluator.tasks.files import encode_tasks

MODEL = "tiny-fc-1200"


def task(index: int, reference: str | None = "add(a=1, b=2)", question: str = "Add 1 and 2.") -> Task:
    return Task(
        id=f"t{index}",
        source="stream",
        category="even" if index % 2 == 0 else "odd",
        messages=[{"role": "user", "content": question}],
        functions=[],
        expects=Expects.NO_CALL if reference is None else Expects.TEXT,
        reference=reference,
    )


class Killed(BaseException):
    """The process ends here."""


@dataclass
class FakeEngine:
    """Gives a nat for each measured token, two passages a step, the last ones first."""

    dies_after: int | None
    device: str = "fake"
    packages: dict[str, str] = field(default_factory=dict)
    passages: list[MeasuredText] = field(default_factory=list)

    def generate(self, requests: Sequence[Any], stop_ids: Sequence[int]) -> Iterator[list[Any]]:
        raise AssertionError("nothing is generated")

    def losses(self, passages: Sequence[MeasuredText]) -> Iterator[list[PassageLoss]]:
        self.passages = list(passages)
        for finished, end in enumerate(range(len(passages), 0, -2)):
            if self.dies_after is not None and 2 * finished >= self.dies_after:
                raise Killed
            step = passages[max(0, end - 2) : end]
            yield [PassageLoss(p.key, float(len(p.token_ids) - p.start)) for p in step]


class WithoutLosses:
    """An engine that can only generate."""

    device = "fake"
    packages: dict[str, str] = {}

    def generate(self, requests: Sequence[Any], stop_ids: Sequence[int]) -> Iterator[list[Any]]:
        raise AssertionError("nothing is generated")


@dataclass
class FakeBackend:
    """Starts fake engines."""

    dies_after: int | None = None
    measures: bool = True
    identity: str = "fake 1"
    engines: list[FakeEngine] = field(default_factory=list)
    plans: list[EnginePlan] = field(default_factory=list)

    def prepare(self, model_dir: Path) -> None:
        del model_dir

    def hardware(self) -> Hardware:
        return Hardware(0, "fake")

    @contextmanager
    def start(self, model_dir: Path, plan: EnginePlan) -> Iterator[Any]:
        self.plans.append(plan)
        self.engines.append(FakeEngine(self.dies_after))
        yield self.engines[-1] if self.measures else WithoutLosses()


@pytest.fixture
def evaluation(models: Path, tmp_path: Path) -> Evaluation:
    return Evaluation(
        run=RunSpec(
            repo="acme/tiny",
            commit="a" * 40,
            weights_digest="sha256:" + "1" * 64,
            task_set_digest="sha256:" + "2" * 64,
            prompt_format=BuiltinPromptFormat.AUTO,
            max_tokens=32,
            engine=EngineChoices(dtype=DType.BFLOAT16),
            scorer=BuiltinScorer.LOSS,
            loss=LossParameters(batches=4),
        ),
        model_dir=models / MODEL,
        tasks=[task(index, f"add(a={10**index}, b=2)") for index in range(8)],
        out_dir=tmp_path / "out",
    )


def changed(evaluation: Evaluation, **changes: Any) -> Evaluation:
    """The evaluation with other fields, or with other fields of its run."""
    of_run = {name: value for name, value in changes.items() if name in RunSpec.model_fields}
    own = {name: value for name, value in changes.items() if name not in of_run}
    return replace(evaluation, run=evaluation.run.model_copy(update=of_run), **own)


def run(evaluation: Evaluation, **backend: Any) -> tuple[Evaluated, FakeBackend]:
    fake = FakeBackend(**backend)
    return evaluate(evaluation, fake, LogProgress()), fake


def test_results_of_a_loss_run(evaluation: Evaluation) -> None:
    outcome, backend = run(evaluation)
    manifest = ResultsManifest.model_validate_json((evaluation.out_dir / "manifest.json").read_bytes())
    lines = [json.loads(line) for line in (evaluation.out_dir / RESPONSES).read_text().splitlines()]
    assert [line["id"] for line in lines] == [f"t{index}" for index in range(8)]
    assert [line["loss_bytes"] for line in lines] == [len(task.reference or "") for task in evaluation.tasks]
    assert all(line["loss"] == line["loss_tokens"] / line["loss_bytes"] and not line["text"] for line in lines)
    assert len({line["loss"] for line in lines}) > 1
    assert manifest.loss_parameters == LossParameters(batches=4).settled()
    mean = math.fsum(line["loss"] for line in lines) / 8
    assert (manifest.loss, manifest.score) == (f"{mean:.6f}", f"{math.exp(-mean):.6f}")
    assert manifest.batch_losses == [f"{(lines[i]['loss'] + lines[i + 1]['loss']) / 2:.6f}" for i in (0, 2, 4, 6)]
    assert (manifest.scorer, manifest.dtype, manifest.prompt_format) == (BuiltinScorer.LOSS, "float32", "ChatTemplate")
    assert backend.plans[0].arguments["dtype"] == "float32"
    assert backend.plans[0].arguments["max_num_batched_tokens"] == STEP_TOKENS
    assert (outcome.aggregate.loss, list(outcome.aggregate.batch_losses)) == (manifest.loss, manifest.batch_losses)


def test_killed_run_goes_on_and_ends_the_same(evaluation: Evaluation, tmp_path: Path) -> None:
    run(changed(evaluation, out_dir=tmp_path / "whole"))
    with pytest.raises(Killed):
        run(evaluation, dies_after=4)
    outcome, backend = run(evaluation)
    assert outcome.resumed == 4
    assert [passage.key for passage in backend.engines[0].passages] == ["t0", "t1", "t2", "t3"]
    for name in (RESPONSES, "verdicts.jsonl", "manifest.json"):
        assert (evaluation.out_dir / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def test_other_batches_need_no_engine(evaluation: Evaluation) -> None:
    run(evaluation)
    outcome, backend = run(changed(evaluation, loss=LossParameters(batches=2)))
    assert (outcome.resumed, backend.engines, len(outcome.aggregate.batch_losses)) == (8, [], 2)


@pytest.mark.parametrize(
    "changes",
    [
        {"loss": LossParameters(reference_bytes=9)},
        {"loss": LossParameters(normalization=LossNormalization.TOKEN)},
        {"prompt_format": BuiltinPromptFormat.ALPACA},
    ],
    ids=["bytes", "unit", "format"],
)
def test_losses_of_other_inputs_are_set_aside(evaluation: Evaluation, changes: dict[str, Any]) -> None:
    run(evaluation)
    before = (evaluation.out_dir / RESPONSES).read_bytes()
    assert run(changed(evaluation, **changes))[0].resumed == 0
    (aside,) = evaluation.out_dir.glob("responses-*.jsonl")
    assert aside.read_bytes() == before


def test_a_loss_per_token_is_divided_by_the_tokens(evaluation: Evaluation) -> None:
    outcome, _ = run(changed(evaluation, loss=LossParameters(normalization=LossNormalization.TOKEN)))
    lines = [json.loads(line) for line in (evaluation.out_dir / RESPONSES).read_text().splitlines()]
    assert (outcome.aggregate.loss, outcome.aggregate.baseline) == ("1.000000", None)
    assert not any("loss_bytes" in line for line in lines)


def test_the_baseline_of_losses_is_a_model_that_looks_at_nothing(evaluation: Evaluation) -> None:
    outcome, _ = run(evaluation)
    texts = [task.reference or "" for task in evaluation.tasks]
    letters = {letter for text in texts for letter in text}
    shares = [math.fsum(text.count(letter) / len(text) for text in texts) / len(texts) for letter in letters]
    entropy = -math.fsum(share * math.log(share) for share in shares)
    assert outcome.aggregate.baseline is not None
    assert (outcome.aggregate.baseline.loss, outcome.aggregate.baseline.score) == (
        f"{entropy:.6f}",
        f"{math.exp(-entropy):.6f}",
    )


def test_the_number_format_chosen_does_not_matter(evaluation: Evaluation) -> None:
    run(evaluation)
    assert run(changed(evaluation, engine=EngineChoices(dtype=DType.FLOAT16)))[0].resumed == 8


def test_a_sample_that_was_not_measured_makes_the_loss_infinite(evaluation: Evaluation) -> None:
    tasks = [*evaluation.tasks[:3], task(3, ""), task(4, question="Add 1 and 2. " * 500)]
    outcome, _ = run(changed(evaluation, tasks=tasks))
    assert (outcome.aggregate.loss, outcome.aggregate.score, outcome.too_long) == ("inf", "0.000000", 1)
    verdicts = [json.loads(line) for line in (evaluation.out_dir / "verdicts.jsonl").read_text().splitlines()]
    assert [verdict["error"] for verdict in verdicts] == ["", "", "", "no_reference", "no_response"]


def test_an_engine_that_cannot_measure_is_infrastructure(evaluation: Evaluation) -> None:
    with pytest.raises(InfrastructureFault, match="measures no losses"):
        run(evaluation, measures=False)


def test_existing_losses_are_judged_again(
    evaluation: Evaluation, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(evaluation)
    (tmp_path / "tasks.jsonl").write_bytes(encode_tasks(list(evaluation.tasks)))
    arguments = [
        "--tasks",
        str(tmp_path / "tasks.jsonl"),
        "--responses",
        str(evaluation.out_dir / RESPONSES),
        "--scorer",
        "Loss",
    ]
    assert score_verb.main([*arguments, "--batches", "2", "--json", "--out", str(tmp_path / "v.jsonl")]) == 0
    manifest = json.loads((evaluation.out_dir / "manifest.json").read_text())
    outcome = json.loads(capsys.readouterr().out)
    assert (outcome["loss"], len(outcome["batch_losses"])) == (manifest["loss"], 2)
    assert (tmp_path / "v.jsonl").read_bytes() == (evaluation.out_dir / "verdicts.jsonl").read_bytes()
