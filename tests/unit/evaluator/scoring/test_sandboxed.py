"""Answers that could stall, crash or abuse the process that checks them."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bitagent_crds.task_forms import Language
from bitagent_crds.task_set import Task
from bitagent_evaluator.sandbox.process import SandboxUnavailable
from bitagent_evaluator.scoring import bfcl, sandboxed
from bitagent_evaluator.scoring.sandboxed import CRASHED, TIME_LIMIT, SandboxedRule

RIGHT = '[Greeter.greet(a="x")]'
ENDLESS_MATCH = 'Greeter.greet(a="x", b="[' + "[1]," * 40 + '")'
"""The official conversion of JavaScript arrays tries every way to split this text."""


def task(language: Language = Language.JAVA) -> Task:
    properties = {"a": {"type": "String"}, "b": {"type": "array", "items": {"type": "array"}}}
    return Task(
        id="t",
        source="jsonl",
        category="mine",
        messages=[{"role": "user", "content": "?"}],
        functions=[
            {"name": "Greeter.greet", "parameters": {"type": "dict", "properties": properties, "required": ["a"]}}
        ],
        language=language,
        ground_truth=[{"Greeter.greet": {"a": ["x"], "b": ["", [[1]]]}}],
    )


@pytest.fixture
def rule() -> Iterator[SandboxedRule]:
    with SandboxedRule(bfcl.check_text, cpu_seconds=2) as made:
        yield made


@pytest.fixture
def obeying(monkeypatch: pytest.MonkeyPatch) -> Iterator[SandboxedRule]:
    """A rule that does what the answer says."""
    folder = str(Path(__file__).parent / "rules")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", folder, prepend=os.pathsep)
    import hostile_rules  # type: ignore[import-not-found]

    with SandboxedRule(hostile_rules.obey, cpu_seconds=1) as made:
        yield made


@pytest.mark.parametrize("language", [Language.JAVA, Language.JAVASCRIPT])
def test_ordinary_answers(rule: SandboxedRule, language: Language) -> None:
    assert rule.check(task(language), RIGHT).passed
    wrong = rule.check(task(language), '[Greeter.greet(a="y")]')
    assert (wrong.passed, wrong.error) == (False, "value_error:string")


def test_an_answer_that_never_ends_fails_and_the_next_is_checked(rule: SandboxedRule) -> None:
    stuck = rule.check(task(Language.JAVASCRIPT), ENDLESS_MATCH)
    assert (stuck.id, stuck.category, stuck.passed, stuck.error) == ("t", "mine", False, TIME_LIMIT)
    assert rule.check(task(Language.JAVASCRIPT), RIGHT).passed


def test_a_dead_process_fails_the_answer_and_the_next_is_checked(rule: SandboxedRule) -> None:
    assert rule.check(task(), RIGHT).passed
    assert rule.sandbox.pid is not None
    os.kill(rule.sandbox.pid, signal.SIGSEGV)
    assert rule.check(task(), RIGHT).error == CRASHED
    assert rule.check(task(), RIGHT).passed


def test_a_process_killed_from_outside_costs_no_answer(rule: SandboxedRule) -> None:
    assert rule.check(task(), RIGHT).passed
    assert rule.sandbox.pid is not None
    os.kill(rule.sandbox.pid, signal.SIGKILL)
    assert rule.check(task(), RIGHT).passed


def test_no_process_is_left(rule: SandboxedRule) -> None:
    with SandboxedRule(bfcl.check_text) as made:
        assert made.check(task(), RIGHT).passed
        pid = made.sandbox.pid
    assert pid is not None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_process_that_does_not_start_is_not_a_verdict(rule: SandboxedRule, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(SandboxUnavailable, match="while it started"):
        rule.check(task(), "")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ("raise x", CRASHED),
        ("exit", CRASHED),
        ("abort", CRASHED),
        ("hoard", CRASHED),
        ("thread", CRASHED),
        ("spin", TIME_LIMIT),
    ],
)
def test_a_hostile_answer_fails_and_the_next_is_checked(obeying: SandboxedRule, answer: str, error: str) -> None:
    verdict = obeying.check(task(), answer)
    assert (verdict.passed, verdict.score, verdict.error) == (False, 0.0, error)
    assert obeying.check(task(), "").passed


def test_what_a_parser_prints_is_not_a_verdict(obeying: SandboxedRule) -> None:
    assert obeying.check(task(), "print").passed


def test_an_answer_writes_no_file(obeying: SandboxedRule, tmp_path: Path) -> None:
    assert obeying.check(task(), f"write {tmp_path / 'out'}").error == CRASHED
    assert (tmp_path / "out").stat().st_size == 0


def test_an_answer_whose_process_is_always_killed_is_not_a_verdict(obeying: SandboxedRule) -> None:
    with pytest.raises(SandboxUnavailable, match="ended with -9"):
        obeying.check(task(), "kill")


def test_an_answer_whose_process_does_not_get_to_run_is_not_a_verdict(
    obeying: SandboxedRule, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandboxed, "LIMITS", replace(sandboxed.LIMITS, wall_factor=2.0))
    import hostile_rules

    with (
        SandboxedRule(hostile_rules.obey, cpu_seconds=0.2) as made,
        pytest.raises(SandboxUnavailable, match="overload"),
    ):
        made.check(task(), "sleep")
