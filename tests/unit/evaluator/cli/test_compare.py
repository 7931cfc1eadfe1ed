"""`bitagent-eval compare`: what it prints, also for models at fault, and exit codes."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.conditions import Reason
from bitagent_crds.evaluation import BuiltinScorer
from bitagent_crds.results import Verdict
from bitagent_evaluator.cli.compare import main
from bitagent_evaluator.evaluation.results import fault_summary, write_summary
from bitagent_evaluator.support.faults import ModelFault

DIGEST = "sha256:" + "1" * 64
WHY = "TemplateRefused: roles must alternate"


def verdicts(passed: int, total: int = 20) -> list[Verdict]:
    return [Verdict(id=f"t{i:03}", category="sums", passed=i < passed, score=float(i < passed)) for i in range(total)]


def losses(*values: float) -> list[Verdict]:
    return [
        Verdict(id=f"t{i:03}", category="texts", passed=math.isfinite(loss), score=math.exp(-loss), loss=loss)
        for i, loss in enumerate(values)
    ]


@pytest.fixture
def fault(tmp_path: Path) -> Callable[..., Path]:
    """Writes what a model's fault leaves."""

    def write(name: str, digest: str = DIGEST) -> Path:
        why = ModelFault(Reason.TEMPLATE_REFUSED, WHY.partition(": ")[2])
        write_summary(tmp_path / name, fault_summary(why, task_set_digest=digest))
        return tmp_path / name

    return write


def compared(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """What the verb prints."""
    assert main([str(argument) for argument in arguments]) == 0
    return capsys.readouterr().out


def test_finding_and_differing_tasks(results_directory: Any, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = results_directory("a", verdicts(20)), results_directory("b", verdicts(8))
    out = compared(capsys, a, b, "--limit", "3")
    assert "A is better" in out and "3 of 12 tasks that differ" in out and "t010" in out and "t011" not in out
    document = json.loads(compared(capsys, a, b, "--json"))
    assert document["finding"] == "A is better" and len(document["differing"]) == 12
    assert document["overall"]["p_value"] == pytest.approx(2 / 2**12)


def test_losses(results_directory: Any, capsys: pytest.CaptureFixture[str]) -> None:
    base = [0.5 + 0.1 * i for i in range(8)]
    a, b = (
        results_directory(name, losses(*base, last), scorer=BuiltinScorer.LOSS)
        for name, last in (("a", math.inf), ("b", 1.0))
    )
    out = compared(capsys, a, b)
    assert "B is better" in out and "batches with the lower mean loss: A 0, B 1" in out and "t008" in out
    document = json.loads(
        compared(capsys, a, b, "--json"), parse_constant=lambda name: pytest.fail(f"{name} is not JSON")
    )
    assert (document["finding"], document["overall"]["a_loss"]) == ("B is better", "inf")


def test_untrusted_names_cannot_steer_the_terminal(results_directory: Any, capsys: pytest.CaptureFixture[str]) -> None:
    hostile = "\x1b[2J[bold]x"
    given = [verdict.model_copy(update={"category": hostile, "id": hostile + verdict.id}) for verdict in verdicts(1, 2)]
    other = [verdict.model_copy(update={"passed": not verdict.passed}) for verdict in given]
    out = compared(capsys, results_directory("a", given), results_directory("b", other))
    assert "\x1b" not in out and r"\x1b[2J[bold]x" in out


def test_a_model_at_fault_is_compared_and_named(
    results_directory: Any, fault: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = fault("a"), results_directory("b", verdicts(8, 8))
    document = json.loads(compared(capsys, a, b, "--json"))
    assert document["faults"] == {"a": WHY} and document["finding"] == "B is better"
    overall = document["overall"]
    assert (overall["a_score"], overall["b_score"], overall["only_b"]) == (0.0, 1.0, 8)
    out = compared(capsys, b, a)
    assert "A is better" in out and f"score 0: {WHY}" in out


def test_a_fault_has_infinite_losses(
    results_directory: Any, fault: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    measured = results_directory("b", losses(*[0.5] * 8), scorer=BuiltinScorer.LOSS)
    document = json.loads(compared(capsys, measured, fault("a"), "--json"))
    assert (document["finding"], document["faults"]) == ("A is better", {"b": WHY})


def test_two_faults_are_equal(fault: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    pair = (fault("a"), fault("b"))
    document = json.loads(compared(capsys, *pair, "--json"))
    assert (document["finding"], document["faults"]) == ("no difference shown", {"a": WHY, "b": WHY})
    assert compared(capsys, *pair).count(WHY) == 2


@pytest.mark.parametrize(
    "other", [{"task_set_digest": "sha256:" + "9" * 64}, {"scorer": BuiltinScorer.EXACT_MATCH}], ids=["tasks", "scorer"]
)
def test_results_that_cannot_be_compared_are_2(
    results_directory: Any, capsys: pytest.CaptureFixture[str], other: dict[str, Any]
) -> None:
    a, b = results_directory("a", verdicts(1)), results_directory("b", verdicts(1), **other)
    assert main([str(a), str(b)]) == 2
    assert str(a) in capsys.readouterr().err


def test_a_fault_on_other_tasks_is_2(results_directory: Any, fault: Callable[..., Path]) -> None:
    assert main([str(fault("a", "sha256:" + "9" * 64)), str(results_directory("b", verdicts(8)))]) == 2
