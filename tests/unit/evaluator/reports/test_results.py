"""Results directories: read, refused, and those of models at fault."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.conditions import Reason
from bitagent_crds.evaluation import BuiltinScorer
from bitagent_crds.jobs import EvaluateSummary
from bitagent_crds.results import Verdict
from bitagent_crds.task_set import Task
from bitagent_crds.texts import digest_of
from bitagent_evaluator.evaluation.results import VERDICTS, fault_summary, write_summary
from bitagent_evaluator.reports.results import (
    FaultResult,
    Results,
    ResultsError,
    read_outcome,
    read_results,
    read_tasks_of,
    results_of_fault,
)
from bitagent_evaluator.support.faults import ModelFault
from bitagent_evaluator.tasks.files import encode_tasks

DIGEST = "sha256:" + "1" * 64


def verdicts(pattern: str, **changes: Any) -> list[Verdict]:
    """One verdict per character: `+` passed, `-` failed."""
    return [
        Verdict(id=f"t{i}", category="sums", passed=mark == "+", score=float(mark == "+")).model_copy(update=changes)
        for i, mark in enumerate(pattern)
    ]


def changed(path: Path, before: str, after: str) -> None:
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))


@pytest.mark.parametrize(
    ("name", "before", "after", "why"),
    [
        ("verdicts.jsonl", '"passed":false', '"passed":true', "was changed"),
        ("responses.jsonl", "", "{}\n", "was changed"),
        ("manifest.json", '"schema_version": 1', '"schema_version": 99', "newer version"),
        ("manifest.json", '"device"', '"gadget"', "device"),
        ("manifest.json", '"total": 2,\n  "categories"', '"total": "many",\n  "categories"', "total"),
    ],
    ids=["verdicts", "responses", "newer", "member missing", "wrong type"],
)
def test_damaged_results_are_refused(results_directory: Any, name: str, before: str, after: str, why: str) -> None:
    directory = results_directory("a", verdicts("+-"))
    changed(directory / name, before, after)
    with pytest.raises(ResultsError, match=why):
        read_results(directory)


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ('"score": "0.500000"', '"score": "0.900000"', "score is 0.900000, the verdicts come to 0.500000"),
        ('"passed": 1', '"passed": 2', "passed is 2, the verdicts come to 1"),
        ('"total": 2', '"total": 3', "total is 3"),
        ('"passed": 1,\n      "total": 1', '"passed": 0,\n      "total": 1', "categories is"),
        (
            '"leaderboard": {\n    "Non-Live Multiple AST": "0.500000"',
            '"leaderboard": {\n    "Non-Live Multiple AST": "0.900000"',
            "Non-Live Multiple AST is 0.900000",
        ),
    ],
    ids=["score", "passed", "total", "category", "leaderboard"],
)
def test_a_manifest_that_says_other_than_its_verdicts_is_refused(
    results_directory: Any, before: str, after: str, why: str
) -> None:
    given = verdicts("+-", category="multiple") if "leaderboard" in before else both_categories()
    directory = results_directory("a", given)
    changed(directory / "manifest.json", before, after)
    with pytest.raises(ResultsError, match=re.escape(why)):
        read_results(directory)


def both_categories() -> list[Verdict]:
    """A passed task of one category and a failed one of another."""
    return [*verdicts("+"), *verdicts("--", category="other")[1:]]


@pytest.mark.parametrize("member", ["loss", "batch_losses"])
def test_losses_that_do_not_follow_from_the_verdicts_are_refused(results_directory: Any, member: str) -> None:
    given = [Verdict(id="t", category="c", passed=True, score=math.exp(-0.5), loss=0.5)]
    directory = results_directory("a", given, scorer=BuiltinScorer.LOSS)
    content = json.loads((directory / "manifest.json").read_text())
    content[member] = "0.100000" if member == "loss" else ["0.100000"]
    (directory / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(ResultsError, match=f"{member} is"):
        read_results(directory)


def test_several_verdicts_on_one_task_are_refused(results_directory: Any) -> None:
    directory = results_directory("a", verdicts("+")[:1] * 3)
    with pytest.raises(ResultsError, match="several verdicts on one task"):
        read_results(directory)


def test_results_of_a_scorer_that_is_not_installed_are_read(results_directory: Any) -> None:
    directory = results_directory("a", verdicts("+-"))
    changed(directory / "manifest.json", '"scorer": "Bfcl"', '"scorer": "Elsewhere"')
    assert read_results(directory).manifest.scorer == "Elsewhere"


def test_unfinished_results_are_refused(results_directory: Any) -> None:
    directory = results_directory("a", verdicts("+-"))
    (directory / "manifest.json").unlink()
    with pytest.raises(ResultsError, match="holds no complete results"):
        read_results(directory)


@pytest.mark.parametrize(
    ("line", "score"),
    [('"passed":true', 1.0), ('"passed":false', 0.0), ('"passed":false,"score":0.25', 0.25)],
    ids=["old passed", "old failed", "scored"],
)
def test_verdicts_without_a_score_pass_or_fail(results_directory: Any, line: str, score: float) -> None:
    directory = results_directory("a", [Verdict.model_validate_json(f'{{"id":"x","category":"c",{line}}}')])
    content = f'{{"id":"x","category":"c",{line}}}\n'.encode()
    manifest = json.loads((directory / "manifest.json").read_text())
    manifest |= {"verdicts_digest": digest_of(content), "score": f"{score:.6f}"}
    (directory / "manifest.json").write_text(json.dumps(manifest))
    (directory / VERDICTS).write_bytes(content)
    assert read_results(directory).verdicts[0].score == score


def task(i: int) -> Task:
    return Task(id=f"t{i}", source="jsonl", category="sums", messages=[], functions=[], ground_truth=[])


def test_the_tasks_of_a_limited_run_are_the_first_of_the_set(results_directory: Any, tmp_path: Path) -> None:
    tasks = [task(i) for i in range(3)]
    (tmp_path / "tasks.jsonl").write_bytes(encode_tasks(tasks))
    digest = digest_of(encode_tasks(tasks[:2]))
    results = read_results(results_directory("a", verdicts("+-"), task_set_digest=digest))
    assert list(read_tasks_of(tmp_path / "tasks.jsonl", results)) == ["t0", "t1"]


def test_other_tasks_and_verdicts_on_others_are_refused(results_directory: Any, tmp_path: Path) -> None:
    (tmp_path / "tasks.jsonl").write_bytes(encode_tasks([task(0)]))
    about_others = read_results(results_directory("a", verdicts("+")))
    with pytest.raises(ResultsError, match="not about the tasks"):
        read_tasks_of(tmp_path / "tasks.jsonl", about_others)
    digest = digest_of(encode_tasks([task(0)]))
    strange = read_results(results_directory("b", verdicts("--")[1:], task_set_digest=digest))
    with pytest.raises(ResultsError, match="verdict on t1"):
        read_tasks_of(tmp_path / "tasks.jsonl", strange)


FAULT = ModelFault(Reason.TEMPLATE_REFUSED, "roles must alternate")


def test_a_fault_takes_the_place_of_an_earlier_result(results_directory: Any) -> None:
    directory = results_directory("a", verdicts("++--"))
    assert isinstance(read_outcome(directory), Results)
    write_summary(directory, fault_summary(FAULT, task_set_digest=DIGEST))
    found = read_outcome(directory)
    assert isinstance(found, FaultResult)
    assert (found.name, found.fault) == ("a", "TemplateRefused: roles must alternate")
    assert sorted(path.name for path in directory.iterdir()) == ["responses.jsonl", "summary.json"]
    with pytest.raises(ResultsError, match="no complete results"):
        read_results(directory)


def test_an_infrastructure_fault_is_no_score(results_directory: Any, tmp_path: Path) -> None:
    directory = results_directory("a", verdicts("++--"))
    write_summary(directory, EvaluateSummary(reason=Reason.OUT_OF_MEMORY, message="full"))
    assert isinstance(read_outcome(directory), Results), "an earlier result stays"
    write_summary(tmp_path / "b", EvaluateSummary(reason=Reason.OUT_OF_MEMORY, message="full"))
    with pytest.raises(ResultsError, match="no complete results"):
        read_outcome(tmp_path / "b")


def test_a_broken_summary_is_refused(results_directory: Any) -> None:
    directory = results_directory("a", verdicts("+"))
    (directory / "summary.json").write_text('{"reason": 5}')
    with pytest.raises(ResultsError, match="reason"):
        read_results(directory)


@pytest.mark.parametrize("loss", [None, 0.5])
def test_a_fault_fails_every_task_of_another_model(results_directory: Any, loss: float | None) -> None:
    scorer = BuiltinScorer.BFCL if loss is None else BuiltinScorer.LOSS
    other = read_results(results_directory("b", verdicts("++", loss=loss), scorer=scorer))
    summary = fault_summary(FAULT, task_set_digest=DIGEST)
    found = results_of_fault(FaultResult(Path("a"), summary), other)
    assert [(verdict.id, verdict.passed, verdict.error) for verdict in found.verdicts] == [
        ("t0", False, "TemplateRefused"), ("t1", False, "TemplateRefused"),
    ]  # fmt: skip
    assert (found.name, found.manifest.score, found.manifest.loss) == ("a", "0.000000", None if loss is None else "inf")
    assert {verdict.loss for verdict in found.verdicts} == {None if loss is None else math.inf}


def test_a_fault_on_other_tasks_is_refused(results_directory: Any) -> None:
    other = read_results(results_directory("b", verdicts("+")))
    summary = fault_summary(FAULT, task_set_digest="sha256:" + "9" * 64)
    with pytest.raises(ResultsError, match="different task sets"):
        results_of_fault(FaultResult(Path("a"), summary), other)
