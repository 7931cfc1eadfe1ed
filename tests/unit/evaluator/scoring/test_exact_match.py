"""Exact match: the first allowed values, nothing more, nothing less."""

from __future__ import annotations

from typing import Any

import pytest

from bitagent_crds.task_forms import Expects, Language
from bitagent_crds.task_set import Task
from bitagent_evaluator.scoring.exact_match import DIFFERENT, match_text


def task(*truth: dict[str, Any], expects: Expects = Expects.CALLS, language: Language = Language.PYTHON) -> Task:
    return Task(
        id="t",
        source="jsonl",
        category="mine",
        messages=[{"role": "user", "content": "?"}],
        functions=[],
        expects=expects,
        language=language,
        ground_truth=list(truth) or None,
    )


ONE = {"f": {"a": [1, 2], "b": ["x", ""], "c": ["", "y"]}}
NESTED = {"f": {"a": [[{"k": [1, 2], "o": ["", 3]}]]}}
CASES: dict[str, tuple[Task, str, str]] = {
    "exact": (task(ONE), "[f(a=1, b='x')]", ""),
    "another allowed value": (task(ONE), "f(a=2, b='x')", "exact_match:different"),
    "left out": (task(ONE), "f(a=1)", "exact_match:different"),
    "not left out": (task(ONE), "f(a=1, b='x', c='y')", "exact_match:different"),
    "other type": (task(ONE), "f(a=1.0, b='x')", "exact_match:different"),
    "truth for one": (task(ONE), "f(a=True, b='x')", "exact_match:different"),
    "nested": (task(NESTED), "f(a=[{'k': 1}])", ""),
    "tuple": (task(NESTED), "f(a=({'k': 1},))", ""),
    "in order": (task(ONE, NESTED), "[f(a=1, b='x'), f(a=[{'k': 1}])]", ""),
    "out of order": (task(ONE, NESTED), "[f(a=[{'k': 1}]), f(a=1, b='x')]", "exact_match:different"),
    "one too many": (task(ONE), "[f(a=1, b='x'), f(a=1, b='x')]", "exact_match:different"),
    "prose": (task(ONE), "I will not.", "exact_match:unreadable"),
    "java": (task({"Greeter.f": {"a": ["x"]}}, language=Language.JAVA), '[Greeter.f(a="x")]', ""),
    "other java": (
        task({"Greeter.f": {"a": ["x"]}}, language=Language.JAVA),
        '[Greeter.f(a="y")]',
        "exact_match:different",
    ),
    "no call": (task(expects=Expects.NO_CALL), "I cannot.", ""),
    "no call, call": (task(expects=Expects.NO_CALL), "f()", "irrelevance_error:decoder_success"),
}


@pytest.mark.parametrize(("given_task", "answer", "error"), CASES.values(), ids=CASES)
def test_verdict(given_task: Task, answer: str, error: str) -> None:
    verdict = match_text(given_task, answer)
    assert (verdict.passed, verdict.score, verdict.error) == (not error, float(not error), error)
    assert bool(verdict.detail) is bool(error)


FIRST, SECOND = {"f": {"a": [1]}}, {"g": {"a": [2]}}
ITEMS, TEXTS, MEMBERS = {"f": {"a": [[1, 2]]}}, {"f": {"a": [["k"]]}}, {"f": {"a": [{"k": [1], "l": [2]}]}}


@pytest.mark.parametrize(
    ("given_task", "text"),
    [
        pytest.param(task(FIRST, SECOND), "[f(a=1), g(a=3)]", id="the second of two calls is wrong"),
        pytest.param(task(FIRST, SECOND), "[f(a=3), g(a=2)]", id="the first of two calls is wrong"),
        pytest.param(task(FIRST, SECOND), "[f(a=1)]", id="the second of two calls is missing"),
        pytest.param(task(ITEMS), "f(a=[1, 3])", id="one of two items is wrong"),
        pytest.param(task(ITEMS), "f(a=[1])", id="one of two items is missing"),
        pytest.param(task(ITEMS), "f(a=1)", id="a number for a list"),
        pytest.param(task(TEXTS), "f(a='k')", id="a text for a list of texts"),
        pytest.param(task(TEXTS), "f(a={'k': 1})", id="a dict for a list of texts"),
        pytest.param(task(MEMBERS), "f(a={'k': 1, 'l': 3})", id="one of two members is wrong"),
        pytest.param(task(MEMBERS), "f(a={'k': 1})", id="one of two members is missing"),
        pytest.param(task(MEMBERS), "f(a=['k', 'l'])", id="a list for a dict"),
    ],
)
def test_one_difference_is_enough(given_task: Task, text: str) -> None:
    assert match_text(given_task, text).error == DIFFERENT
