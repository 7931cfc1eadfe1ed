"""A text is a call or none, whatever the task expects; and which calls count where any call is right."""

from __future__ import annotations

from typing import Any

import pytest

from bitagent_crds.results import Verdict
from bitagent_crds.task_forms import Expects, Language
from bitagent_crds.task_set import Task
from bitagent_evaluator.conformance import text_response
from bitagent_evaluator.parsing import parse_response
from bitagent_evaluator.scoring.scorers import load_scorer


def task(expects: Expects, language: Language = Language.PYTHON, **changes: Any) -> Task:
    kind = "String" if language is not Language.PYTHON else "string"
    parameters = {
        "type": "dict",
        "properties": {"name": {"type": kind}, "other": {"type": kind}},
        "required": ["name"],
    }
    content = {
        "id": "t",
        "source": "jsonl",
        "category": "c",
        "messages": [{"role": "user", "content": "?"}],
        "functions": [{"name": "getUser", "parameters": parameters}],
        "expects": expects,
        "language": language,
        "ground_truth": [{"getUser": {"name": ["x"], "other": ["", "y"]}}] if expects is Expects.CALLS else None,
    }
    return Task(**content | changes)


def verdict(scorer: str, given: Task, answer: str) -> Verdict:
    return next(load_scorer(scorer).verdicts([(given, parse_response(text_response(given, answer)))]))


ANSWERS = [
    'getUser(name="x")',
    '[getUser(name="x")]',
    'getUser(name=new String("x"))',
    "getUser(name=new int[]{1})",
    'getUser(name=(a) => { return "x"; })',
    "No function fits.",
    "",
    "[]",
]


@pytest.mark.parametrize("scorer", ["Bfcl", "BfclStrict", "ExactMatch"])
@pytest.mark.parametrize("language", list(Language))
@pytest.mark.parametrize("answer", ANSWERS)
def test_no_text_is_right_for_a_task_and_its_twin_without_the_function(
    scorer: str, language: Language, answer: str
) -> None:
    given, twin = task(Expects.CALLS, language), task(Expects.NO_CALL, language, functions=[])
    assert not (verdict(scorer, given, answer).passed and verdict(scorer, twin, answer).passed)


@pytest.mark.parametrize(
    ("language", "answer", "passed"),
    [
        (Language.JAVA, "getUser(name=new int[]{1})", False),
        (Language.JAVASCRIPT, "getUser(name=(a) => 1)", False),
        (Language.JAVA, "None of these functions can do that.", True),
        (Language.JAVASCRIPT, "None of these functions can do that (sorry).", True),
        (Language.JAVA, "", True),
        (Language.PYTHON, "getUser(name=new int[]{1})", True),
    ],
)
def test_a_call_in_the_language_of_the_task_is_a_call(language: Language, answer: str, passed: bool) -> None:
    """The last one is a call in no language of its task; it is right nowhere else either."""
    assert verdict("Bfcl", task(Expects.NO_CALL, language, functions=[]), answer).passed is passed


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        pytest.param("x()", "strict:unknown_function", id="a call of nothing"),
        pytest.param("getUser()", "strict:missing_argument", id="without what is required"),
        pytest.param("getUser(name='x', age=1)", "strict:unknown_argument", id="an argument of nothing"),
        pytest.param("[getUser(name='x'), x()]", "strict:unknown_function", id="one of two"),
        pytest.param("getUser(name='x')", "", id="a call that fits"),
        pytest.param("getUser(name='anything', other='y')", "", id="with what is optional"),
        pytest.param("No function fits.", "relevance_error:decoder_failed", id="no call"),
    ],
)
def test_where_any_call_is_right_strictly_it_must_fit(answer: str, error: str) -> None:
    assert verdict("BfclStrict", task(Expects.ANY_CALL), answer).error == error
    assert verdict("Bfcl", task(Expects.ANY_CALL), answer).passed is (answer != "No function fits.")


@pytest.mark.parametrize("expects", [Expects.CALLS, Expects.NO_CALL])
@pytest.mark.parametrize("answer", ANSWERS)
def test_elsewhere_strict_is_the_official_rule(expects: Expects, answer: str) -> None:
    assert verdict("BfclStrict", task(expects), answer) == verdict("Bfcl", task(expects), answer)
