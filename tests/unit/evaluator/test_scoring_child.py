"""Java and JavaScript answers are judged in a process that may hang, crash and be killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from bitagent_crds.results import Language, Task
from bitagent_evaluator.bounded.process import ChildLost
from bitagent_evaluator.scoring import answer, child, scorer
from bitagent_evaluator.scoring.child import CRASHED, TIME_LIMIT, Child


def task(language: Language, task_id: str = "t") -> Task:
    function = {
        "name": "Greeter.greet",
        "parameters": {
            "type": "dict",
            "properties": {"a": {"type": "String"}, "b": {"type": "array", "items": {"type": "array"}}},
            "required": ["a"],
        },
    }
    return Task(
        id=task_id,
        source="jsonl",
        category="mine",
        messages=[{"role": "user", "content": "?"}],
        functions=[function],
        language=language,
        ground_truth=[{"Greeter.greet": {"a": ["x"], "b": ["", [[1]]]}}],
    )


@pytest.fixture
def judge() -> Iterator[Child]:
    with Child(seconds_per_answer=2) as made:
        yield made


@pytest.mark.parametrize("language", [Language.JAVA, Language.JAVASCRIPT])
def test_ordinary_answers(judge: Child, language: Language) -> None:
    assert judge.judge(task(language), '[Greeter.greet(a="x")]').passed
    wrong = judge.judge(task(language), '[Greeter.greet(a="y")]')
    assert (wrong.passed, wrong.error) == (False, "value_error:string")


MATCHED_FOR_EVER = 'Greeter.greet(a="x", b="[' + "[1]," * 40 + '")'
"""The official conversion of JavaScript arrays tries every way to split this text."""


def test_an_answer_that_never_ends_fails_and_the_next_is_judged(judge: Child) -> None:
    stuck = judge.judge(task(Language.JAVASCRIPT), MATCHED_FOR_EVER)
    assert (stuck.id, stuck.category, stuck.passed, stuck.error) == ("t", "mine", False, TIME_LIMIT)
    assert judge.judge(task(Language.JAVASCRIPT), '[Greeter.greet(a="x")]').passed


def test_a_dead_child_fails_the_answer_and_the_next_is_judged(judge: Child) -> None:
    assert judge.judge(task(Language.JAVA), '[Greeter.greet(a="x")]').passed
    process = judge._process
    assert process is not None
    os.kill(process.pid, signal.SIGSEGV)
    process.wait()
    assert judge.judge(task(Language.JAVA), '[Greeter.greet(a="x")]').error == CRASHED
    assert judge.judge(task(Language.JAVA), '[Greeter.greet(a="x")]').passed


def test_a_child_killed_from_outside_costs_no_answer(judge: Child) -> None:
    assert judge.judge(task(Language.JAVA), '[Greeter.greet(a="x")]').passed
    process = judge._process
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    assert judge.judge(task(Language.JAVA), '[Greeter.greet(a="x")]').passed


def test_a_child_that_the_machine_does_not_let_run_is_nobodys_verdict(
    judge: Child, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped, it uses no processor time."""
    monkeypatch.setattr(child, "WALL_FACTOR", 0.5)
    start = Child._start

    def stopped(self: Child) -> Any:
        process = start(self)
        os.kill(process.pid, signal.SIGSTOP)
        return process

    monkeypatch.setattr(Child, "_start", stopped)
    with pytest.raises(ChildLost, match="overloaded"):
        judge.judge(task(Language.JAVA), '[Greeter.greet(a="x")]')


def test_no_process_is_left(judge: Child) -> None:
    with Child() as made:
        assert made.judge(task(Language.JAVA), '[Greeter.greet(a="x")]').passed
        process = made._process
    assert process is not None
    assert process.poll() is not None


def test_python_answers_start_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Child) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(child.Child, "_start", refuse)
    asked = task(Language.PYTHON)
    assert [verdict.passed for verdict in scorer().verdicts([(asked, answer(asked, "prose"))])] == [False]


def test_a_mix_of_languages_stays_in_order() -> None:
    answers = [
        (asked := task(language, str(i)), answer(asked, '[Greeter.greet(a="x")]'))
        for i, language in enumerate([Language.JAVA, Language.PYTHON, Language.JAVASCRIPT] * 3)
    ]
    assert [verdict.id for verdict in scorer().verdicts(answers)] == [str(i) for i in range(9)]


def test_a_child_that_does_not_start_is_no_ones_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child.sys, "executable", "/bin/false")
    with (
        Child() as made,
        pytest.raises(ChildLost, match="the checker's process did not start: /bin/false -P -m bitagent_evaluator"),
    ):
        made.judge(task(Language.JAVA), "")
