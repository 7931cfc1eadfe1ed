"""`bitagent-eval run` with several models: order, directories, ranks, exit code. Evaluations are replaced."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.conditions import Reason
from bitagent_crds.evaluation import RunSpec
from bitagent_crds.jobs import EXIT_INFRASTRUCTURE, EXIT_MODEL_FAULT, EXIT_OK, EXIT_USAGE, EvaluateSummary
from bitagent_crds.model_result import PhaseSeconds
from bitagent_crds.results import CategoryScore
from bitagent_crds.task_forms import BuiltinPromptFormat
from bitagent_crds.task_set import Baseline
from bitagent_evaluator.cli import run
from bitagent_evaluator.cli.run_models import GivenModel
from bitagent_evaluator.cli.run_several import (
    ModelOutcome,
    NameTaken,
    combined_exit_code,
    evaluation_order,
    leaderboard_table,
    ranked,
    result_directories,
)
from bitagent_evaluator.evaluation.prepared import Evaluation
from bitagent_evaluator.evaluation.results import Evaluated
from bitagent_evaluator.scoring.aggregate import Aggregate
from bitagent_evaluator.support.faults import InfrastructureFault, ModelFault

TASKS = 10
DIGEST = "sha256:" + "1" * 64
SECONDS = PhaseSeconds(load="1.000", generate="2.000", score="0.100")


def evaluated(passed: int) -> Evaluated:
    score = f"{passed / TASKS:.6f}"
    categories = {"simple": CategoryScore(passed=passed, total=TASKS, score=score)}
    total = Aggregate(passed=passed, total=TASKS, score=score, categories=categories, interval=("0.100000", "0.900000"))
    run = RunSpec(repo="m", task_set_digest=DIGEST, prompt_format=BuiltinPromptFormat.BFCL, max_tokens=8)
    return Evaluated(run, total, DIGEST, "pretended", 0, 0, {}, SECONDS)


@dataclass
class World:
    """How the evaluation of each model, by name, ends; and what was asked for."""

    ends: dict[str, int | Exception] = field(default_factory=dict)
    asked: list[Evaluation] = field(default_factory=list)
    several: list[bool] = field(default_factory=list)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """Evaluations that end as the test says."""
    made = World()

    def evaluate(evaluation: Evaluation, *_: Any) -> Evaluated:
        made.asked.append(evaluation)
        end = made.ends[evaluation.model_dir.name]
        if isinstance(end, Exception):
            raise end
        return evaluated(end)

    class Backend:
        def __init__(self, *, several: bool = False) -> None:
            made.several.append(several)

        def prepare(self, model_dir: Path) -> None:
            del model_dir

    monkeypatch.setattr(run, "evaluate", evaluate)
    monkeypatch.setattr(run, "VllmBackend", Backend)
    monkeypatch.setattr(run, "leave", lambda code: code)
    return made


MODEL_FAULT = ModelFault(Reason.NON_FINITE_WEIGHTS, "38 tensors hold NaN")
INFRASTRUCTURE_FAULT = InfrastructureFault(Reason.OUT_OF_MEMORY, "the GPU is too small")
A, B, C = "tiny-fc-250", "tiny-fc-600", "tiny-fc-1200"


def arguments(models: Path, out: Path, *names: str) -> list[str]:
    return [*(str(models / name) for name in names), "--tasks", str(models / "tasks.jsonl"), "--out", str(out)]


@pytest.mark.parametrize(
    ("ends", "code"),
    [
        pytest.param([3, 9, 5], EXIT_OK, id="all scored"),
        pytest.param([3, MODEL_FAULT, 5], EXIT_MODEL_FAULT, id="a model's fault"),
        pytest.param([INFRASTRUCTURE_FAULT, 4, 5], EXIT_INFRASTRUCTURE, id="infrastructure"),
        pytest.param([INFRASTRUCTURE_FAULT, MODEL_FAULT, 5], EXIT_INFRASTRUCTURE, id="infrastructure wins"),
        pytest.param([MODEL_FAULT, 4, INFRASTRUCTURE_FAULT], EXIT_INFRASTRUCTURE, id="in any order"),
        pytest.param([OSError(28, "No space left", "/out"), 4, 5], EXIT_INFRASTRUCTURE, id="disk"),
    ],
)
def test_every_model_is_evaluated_and_the_exit_code_is_the_gravest(
    world: World, models: Path, tmp_path: Path, ends: list[int | Exception], code: int
) -> None:
    world.ends = dict(zip((A, B, C), ends, strict=True))
    assert run.main(arguments(models, tmp_path, A, B, C)) == code
    assert [evaluation.model_dir.name for evaluation in world.asked] == [A, B, C]
    assert [evaluation.out_dir for evaluation in world.asked] == [tmp_path / name for name in (A, B, C)]
    assert world.several == [True]


def test_leaderboard_is_best_first_and_says_why(
    world: World, models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world.ends = {A: MODEL_FAULT, B: 4, C: 9, "tiny-fc-400": INFRASTRUCTURE_FAULT}
    run.main(arguments(models, tmp_path, A, "tiny-fc-400", B, C))
    shown = capsys.readouterr()
    rows = [line for line in shown.out.splitlines() if "tiny-fc" in line]
    assert [row.split("│")[1:4] for row in rows] == [
        ["    1 ", " tiny-fc-1200 ", " 0.900000 "],
        ["    2 ", " tiny-fc-600  ", " 0.400000 "],
        ["    3 ", " tiny-fc-250  ", " 0.000000 "],
        ["      ", " tiny-fc-400  ", "     none "],
    ]
    assert "NonFiniteWeights: 38 tensors hold NaN" in rows[2] and "OutOfMemory: the GPU is too small" in rows[3]
    assert f"{A}: NonFiniteWeights" in shown.err
    written = {name: tmp_path / name / "summary.json" for name in (A, B, C, "tiny-fc-400")}
    assert json.loads(written[A].read_text())["score"] == "0.000000"
    assert json.loads(written[C].read_text())["score"] == "0.900000"
    assert not written["tiny-fc-400"].exists(), "an infrastructure fault leaves no result"


def test_json_is_a_list_for_several_models_and_an_object_for_one(
    world: World, models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world.ends = {A: 3, B: MODEL_FAULT, C: 9}
    assert run.main([*arguments(models, tmp_path, A, B, C), "--json"]) == EXIT_MODEL_FAULT
    listed = json.loads(capsys.readouterr().out)
    assert [(entry["model"], entry["rank"], entry["exitCode"], entry["score"]) for entry in listed] == [
        (C, 1, 0, "0.900000"), (A, 2, 0, "0.300000"), (B, 3, 78, "0.000000"),
    ]  # fmt: skip
    assert listed[0]["categories"]["simple"]["passed"] == 9 and listed[0]["results"] == str(tmp_path / C)
    assert listed[2]["reason"] == "NonFiniteWeights"
    assert run.main([*arguments(models, tmp_path / "one", A), "--json"]) == EXIT_OK
    alone = json.loads(capsys.readouterr().out)
    assert (alone["score"], alone["results"]) == ("0.300000", str(tmp_path / "one"))
    assert world.several == [True, False]


def test_option_and_position_name_models(world: World, models: Path, tmp_path: Path) -> None:
    world.ends = {A: 1, B: 2, C: 3}
    names = ["--model", str(models / A), "--tasks", str(models / "tasks.jsonl"), "--out", str(tmp_path)]
    assert run.main([*names, "--model", str(models / B), str(models / A), str(models / C)]) == EXIT_OK
    assert sorted(evaluation.model_dir.name for evaluation in world.asked) == sorted([A, B, C])


def test_only_the_first_evaluation_pays_for_the_process(world: World, models: Path, tmp_path: Path) -> None:
    world.ends = {A: 1, B: 2, C: 3}
    run.main(arguments(models, tmp_path, A, B, C))
    first, *later = (evaluation.began for evaluation in world.asked)
    assert first is None and all(began is not None for began in later)


def test_usage(world: World, models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run.main(["--tasks", str(models / "tasks.jsonl")])
    assert ended.value.code == EXIT_USAGE
    (tmp_path / A).mkdir()
    (tmp_path / A / "model.safetensors").touch()
    assert run.main(arguments(models, tmp_path, A, str(tmp_path / A))) == EXIT_USAGE
    assert "would both write" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert run.main(arguments(models, tmp_path, A, str(tmp_path / "empty"))) == EXIT_USAGE
    assert str(tmp_path / "empty") in capsys.readouterr().err
    assert world.asked == []


def test_models_of_one_shape_come_after_each_other(models: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "config.json").write_text("[" * 100)
    given = [models / A, models / "tiny-fc-gptq", broken, models / B, tmp_path / "gone", models / C]
    assert [model.name for model in evaluation_order(given, directory=lambda model: model)] == [
        A,
        B,
        C,
        "tiny-fc-gptq",
        "broken",
        "gone",
    ]


def test_odd_configurations_are_no_reason_to_stop(models: Path, tmp_path: Path) -> None:
    odd = tmp_path / "odd"
    shutil.copytree(models / A, odd)
    (odd / "config.json").write_text('{"rope_scaling": 5, "architectures": {"a": [1]}}')
    assert evaluation_order([odd, models / A], directory=lambda model: model) == [odd, models / A]


def test_directories_of_equal_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NameTaken, match=r"a/model and .*b/model would both write to out/model"):
        result_directories(
            [GivenModel(f"{parent}/model", directory=Path(parent, "model")) for parent in "ab"], Path("out")
        )


def outcome(name: str, *, passed: int | None = None, score: str | None = None, loss: str | None = None) -> ModelOutcome:
    done = None if passed is None else evaluated(passed)
    summary = EvaluateSummary(
        reason=Reason.EVALUATED, score=done.aggregate.score if done and score is None else score, loss=loss
    )
    return ModelOutcome(name, Path(name), summary, done)


def test_a_model_at_fault_shares_the_rank_of_an_honest_score_of_0() -> None:
    found = ranked(
        [
            outcome("fault", score="0.000000"),
            outcome("none"),
            outcome("five", passed=5),
            outcome("zero", passed=0),
            outcome("also five", passed=5),
        ]
    )
    assert [(rank, entry.name) for rank, entry in found] == [
        (1, "also five"), (1, "five"), (3, "fault"), (3, "zero"), (None, "none"),
    ]  # fmt: skip


def test_losses_rank_where_scores_are_all_zero() -> None:
    found = ranked(
        [
            outcome("worse", passed=5, score="0.000000", loss="20.000000"),
            outcome("better", passed=5, score="0.000000", loss="16.000000"),
        ]
    )
    assert [entry.name for _, entry in found] == ["better", "worse"]


def test_the_baseline_of_the_tasks_is_below_the_leaderboard() -> None:
    best = Baseline(scorer="Bfcl", answer="an empty answer", score="0.250000")
    known = outcome("five", passed=5)
    assert known.evaluated is not None
    total = replace(known.evaluated.aggregate, baseline=best)
    with_baseline = replace(known, evaluated=replace(known.evaluated, aggregate=total))
    for found, expected in ((known, False), (with_baseline, True)):
        caption = str(leaderboard_table([outcome("none"), found], Path("out")).caption)
        assert ("0.250000 by an empty answer" in caption) is expected
        assert caption.endswith("results: out")


@pytest.mark.parametrize(("codes", "code"), [([], 0), ([0, 0], 0), ([0, 78], 78), ([78, 1, 0], 1), ([1, 78], 1)])
def test_combined_exit_code(codes: list[int], code: int) -> None:
    assert combined_exit_code(codes) == code
