"""Scorers by name, built in and of installed packages, and the verdicts on a whole task set."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.evaluation import BuiltinScorer
from bitagent_crds.plugins import BrokenPlugin, UnknownName
from bitagent_crds.results import Response, Verdict
from bitagent_crds.task_forms import ReturnFormat
from bitagent_crds.task_set import PromptVariation, Task
from bitagent_evaluator.cli import score as verb
from bitagent_evaluator.parsing import ParsedResponse
from bitagent_evaluator.scoring import scorers as module
from bitagent_evaluator.scoring.scorers import BUILTIN_SCORERS, load_scorer, score, scorer_names
from bitagent_evaluator.scoring.worker import ScorerWorker


def task(task_id: str) -> Task:
    parameters = {"type": "dict", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    return Task(
        id=task_id,
        source="jsonl",
        category="mine",
        messages=[{"role": "user", "content": "?"}],
        functions=[{"name": "f", "parameters": parameters}],
        ground_truth=[{"f": {"a": [1]}}],
    )


def answered(task_id: str, text: str) -> Response:
    return Response(id=task_id, text=text, finish_reason="stop", prompt_tokens=1, completion_tokens=1)


def test_score_keeps_the_order_of_the_tasks_and_fails_missing_answers() -> None:
    tasks = [task(name) for name in "abc"]
    verdicts = score(tasks, [answered("c", "f(a=1)"), answered("a", "f(a=1)"), answered("another", "f(a=1)")])
    assert [(v.id, v.passed, v.error) for v in verdicts] == [
        ("a", True, ""),
        ("b", False, "no_response"),
        ("c", True, ""),
    ]


def test_the_first_answer_counts() -> None:
    assert score([task("t")], [answered("t", "f(a=2)"), answered("t", "f(a=1)")])[0].passed is False


JSON, PYTHON = '[{"function": "f", "parameters": {"a": 1}}]', "f(a=1)"


@pytest.mark.parametrize("name", BuiltinScorer)
def test_every_scorer_reads_a_variation_in_its_own_format(name: str) -> None:
    if name == BuiltinScorer.LOSS:
        return
    varied = task("t").model_copy(update={"variation": PromptVariation(return_format=ReturnFormat.JSON)})
    assert [score([varied], [answered("t", text)], scorer=name)[0].passed for text in (JSON, PYTHON)] == [True, False]
    assert score([task("t")], [answered("t", JSON)], scorer=name)[0].passed is False


def test_a_worker_reads_a_variation_in_its_own_format() -> None:
    varied = task("t").model_copy(update={"variation": PromptVariation(return_format=ReturnFormat.JSON)})
    lines = {"tasks": varied.model_dump_json().encode(), "responses": answered("t", JSON).model_dump_json().encode()}
    assert ScorerWorker("Bfcl", "Python").handle({}, lines)["verdicts"][0]["passed"] is True


def test_an_unknown_scorer_lists_the_known() -> None:
    with pytest.raises(UnknownName) as caught:
        load_scorer("Vibes")
    assert caught.value.known == sorted(BuiltinScorer)


def test_every_built_in_name_has_a_scorer() -> None:
    assert list(BUILTIN_SCORERS) == list(BuiltinScorer)
    assert scorer_names() == sorted(BuiltinScorer)


@pytest.mark.usefixtures("example_plugin")
def test_a_package_adds_a_scorer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert scorer_names() == sorted([*BuiltinScorer, "CallNames"])
    tasks, responses, out = (tmp_path / name for name in ("tasks.jsonl", "responses.jsonl", "verdicts.jsonl"))
    two = task("two").model_copy(update={"ground_truth": [{"f": {"a": [1]}}, {"g": {"a": [1]}}]})
    tasks.write_text("".join(each.model_dump_json() + "\n" for each in (task("a"), task("b"), two, task("c"))))
    texts = {"a": "f(a=9)", "b": "g(a=1)", "two": "[f(a=9)]"}
    responses.write_text("".join(answered(name, text).model_dump_json() + "\n" for name, text in texts.items()))
    options = ["--tasks", str(tasks), "--responses", str(responses), "--out", str(out), "--scorer", "CallNames"]
    assert verb.main([*options, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["score"] == "0.375000"
    verdicts = [Verdict.model_validate_json(line) for line in out.read_text().splitlines()]
    assert [(v.id, v.score, v.error) for v in verdicts] == [
        ("a", 1.0, ""),
        ("b", 0.0, "example:names"),
        ("two", 0.5, "example:names"),
        ("c", 0.0, "no_response"),
    ]


def test_the_verb_refuses_an_unknown_scorer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = [str(tmp_path / name) for name in ("tasks.jsonl", "responses.jsonl", "out.jsonl")]
    options = ["--tasks", given[0], "--responses", given[1], "--out", given[2]]
    assert verb.main([*options, "--scorer", "CallNames"]) == 2
    assert "there are: Bfcl, " in capsys.readouterr().err


Pairs = Iterable[tuple[Task, ParsedResponse]]


def verdict(task_id: str, **changes: Any) -> Verdict:
    return Verdict(**{"id": task_id, "category": "mine", "passed": True, "score": 1.0, **changes})


class Raises:
    def verdicts(self, answers: Pairs) -> Iterator[Verdict]:
        raise RuntimeError("no licence")


class SkipsOne:
    def verdicts(self, answers: Pairs) -> Iterator[Verdict]:
        return (verdict(task.id) for task, _ in answers if task.id != "b")


class OnAnotherTask:
    def verdicts(self, answers: Pairs) -> Iterator[Verdict]:
        return (verdict("other") for _ in answers)


class InAnotherCategory:
    def verdicts(self, answers: Pairs) -> Iterator[Verdict]:
        return (verdict(task.id, category="other") for task, _ in answers)


class OneTooMany:
    def verdicts(self, answers: Pairs) -> Iterator[Verdict]:
        for task, _ in answers:
            yield verdict(task.id)
        yield verdict("more")


class NoVerdicts:
    pass


class OutOfRange:
    def verdicts(self, answers: Pairs) -> Iterator[Verdict]:
        return (verdict(task.id, score=2.0) for task, _ in answers)


class NotCreated:
    def __init__(self, parameter: int) -> None:
        pass


@pytest.mark.parametrize(
    "broken",
    [Raises, SkipsOne, OnAnotherTask, InAnotherCategory, OneTooMany, NoVerdicts, OutOfRange, NotCreated],
)
def test_a_mistake_of_a_package_is_no_verdict(monkeypatch: pytest.MonkeyPatch, broken: type) -> None:
    monkeypatch.setattr(module, "load", lambda group, name, builtin: broken)
    with pytest.raises(BrokenPlugin, match="scorer Theirs"):
        score([task(name) for name in "abc"], [answered(name, "f(a=1)") for name in "abc"], scorer="Theirs")


def test_a_package_cannot_change_the_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    class Changes:
        def verdicts(self, answers: Pairs) -> Iterator[Verdict]:
            for task, _ in answers:
                task.functions.clear()
                yield verdict(task.id)

    monkeypatch.setattr(module, "load", lambda group, name, builtin: Changes)
    asked = task("a")
    assert score([asked], [answered("a", "f(a=1)")], scorer="Theirs")[0].passed
    assert asked.functions
