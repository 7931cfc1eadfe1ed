"""The leaderboard's rules for one answer, and by which rule of the official checker a task is checked."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitagent_crds.results import Verdict
from bitagent_crds.task_forms import Expects
from bitagent_crds.task_set import Task
from bitagent_evaluator.scoring.base import MAX_DETAIL
from bitagent_evaluator.scoring.bfcl import check_text, checker_category


def function(name: str = "f", **properties: Any) -> dict[str, Any]:
    properties = properties or {"a": {"type": "integer"}, "b": {"type": "string"}}
    return {"name": name, "parameters": {"type": "dict", "properties": properties, "required": ["a"]}}


def task(
    *truth: dict[str, Any],
    expects: Expects = Expects.CALLS,
    functions: list[dict[str, Any]] | None = None,
    category: str = "mine",
    task_id: str = "t",
) -> Task:
    return Task(
        id=task_id,
        source="jsonl",
        category=category,
        messages=[{"role": "user", "content": "?"}],
        functions=functions or [function()],
        expects=expects,
        ground_truth=list(truth) if expects is Expects.CALLS else None,
    )


ONE = {"f": {"a": [1], "b": ["New York", ""]}}
TWO = {"f": {"a": [2], "b": ["", "x"]}}
OTHER = {"g": {"a": [1]}}
BOTH = [function(), function("g")]

VERDICTS: dict[str, tuple[Task, str, str]] = {
    "right": (task(ONE), "[f(a=1, b='new york')]", ""),
    "optional left out": (task(ONE), "f(a=1)", ""),
    "wrong value": (task(ONE), "f(a=2)", "value_error:others"),
    "wrong type": (task(ONE), "f(a='1')", "type_error:simple"),
    "missing": (task(ONE), "f(b='x')", "simple_function_checker:missing_required"),
    "wrong name": (task(ONE), "g(a=1)", "simple_function_checker:wrong_func_name"),
    "prose": (task(ONE), "I will not.", "ast_decoder:decoder_failed"),
    "nothing": (task(ONE), "", "simple_function_checker:wrong_count"),
    "chosen among functions": (task(OTHER, functions=BOTH), "g(a=1)", ""),
    "chosen wrongly": (task(OTHER, functions=BOTH), "f(a=1)", "simple_function_checker:wrong_func_name"),
    "several in any order": (task(ONE, TWO), "[f(a=2), f(a=1)]", ""),
    "one of several": (task(ONE, TWO), "f(a=1)", "parallel_function_checker_no_order:wrong_count"),
    "several of which one is wrong": (
        task(ONE, TWO),
        "[f(a=1), f(a=1)]",
        "parallel_function_checker_no_order:cannot_find_match",
    ),
    "refused": (task(ONE), "f(a=9**9**9)", "ast_decoder:refused"),
    "code": (task(ONE), "f(a=0 + int('1'))", "ast_decoder:refused"),
    "an integer too large to write out": (task(ONE), "f(a=0x" + "f" * 5000 + ")", "ast_decoder:refused"),
    "the checker fails": (
        task({"f": {"a": [{"x": 1}]}}, functions=[function(a={"type": "dict"})]),
        "f(a={'x': 1})",
        "ast_checker:raised",
    ),
    "no call, prose": (task(expects=Expects.NO_CALL), "I cannot.", ""),
    "no call, empty": (task(expects=Expects.NO_CALL), "[]", ""),
    "no call, call": (task(expects=Expects.NO_CALL), "f(a=1)", "irrelevance_error:decoder_success"),
    "no call, refused": (task(expects=Expects.NO_CALL), "f(a=9**9**9)", "ast_decoder:refused"),
    "any call, call": (task(expects=Expects.ANY_CALL), "h()", ""),
    "any call, prose": (task(expects=Expects.ANY_CALL), "I cannot.", "relevance_error:decoder_failed"),
    "any call, empty": (task(expects=Expects.ANY_CALL), "[]", "relevance_error:decoder_failed"),
    "any call, refused": (task(expects=Expects.ANY_CALL), "f(a=9**9**9)", "ast_decoder:refused"),
}


@pytest.mark.parametrize(("given_task", "answer", "error"), VERDICTS.values(), ids=VERDICTS)
def test_verdict(given_task: Task, answer: str, error: str) -> None:
    verdict = check_text(given_task, answer)
    assert (verdict.id, verdict.category) == ("t", "mine")
    assert (verdict.passed, verdict.error) == (not error, error)
    assert bool(verdict.detail) is bool(error)


def test_the_explanation_is_the_checkers_and_bounded() -> None:
    assert "Invalid value for parameter 'a': 2" in check_text(task(ONE), "f(a=2)").detail
    assert "Expected one of [2]" in check_text(task(ONE, TWO), "[f(a=1), f(a=1)]").detail
    assert len(check_text(task(ONE), f"f(a=1, b='{'x' * 9999}')").detail) == MAX_DETAIL


def shaped(category: str, *names: str, calls: int = 1) -> Task:
    """A task of a category with so many functions and expected calls, as alterations leave it."""
    return task(
        *({"f": {"a": [i]}} for i in range(calls)),
        functions=[function(name, a={"type": "integer"}) for name in names],
        category=category,
    )


@pytest.mark.parametrize(
    ("given_task", "rule"),
    [
        pytest.param(shaped("simple_python", "f"), "simple_python", id="simple as published"),
        pytest.param(shaped("simple_python", "f", "g"), "multiple", id="simple with a function more"),
        pytest.param(shaped("live_simple", "g", "f"), "multiple", id="live simple with a function more"),
        pytest.param(shaped("simple_python", "f", calls=2), "parallel", id="simple merged with another"),
        pytest.param(shaped("multiple", "f"), "multiple", id="multiple of which one is left"),
        pytest.param(shaped("multiple", "f", "g", calls=2), "parallel", id="multiple merged with another"),
        pytest.param(
            shaped("parallel_multiple", "f", "g", calls=3), "parallel_multiple", id="parallel merged with another"
        ),
        pytest.param(shaped("live_irrelevance", "g", "f"), "multiple", id="a call in a category without calls"),
        pytest.param(shaped("multi_turn_base", "f"), "simple_python", id="a call in a category of conversations"),
        pytest.param(shaped("live_parallel", "f"), "live_parallel", id="of BFCL, as published"),
        pytest.param(shaped("parallel sums", "f"), "simple_python", id="of someone's own, only named alike"),
        pytest.param(shaped("mine", "f"), "simple_python", id="of someone's own, one function"),
        pytest.param(shaped("mine", "f", "g"), "multiple", id="of someone's own, several functions"),
        pytest.param(shaped("my parallel sums", "f", calls=2), "parallel", id="of someone's own, several calls"),
    ],
)
def test_the_checkers_rule_follows_from_category_or_shape(given_task: Task, rule: str) -> None:
    assert checker_category(given_task) == rule


@pytest.mark.parametrize("names", [("f", "g"), ("g", "f")], ids=["first", "second"])
def test_the_place_of_the_expected_function_does_not_matter(names: tuple[str, str]) -> None:
    given_task = shaped("simple_python", *names)
    assert check_text(given_task, "f(a=0)").passed
    assert not check_text(given_task, "g(a=0)").passed


def test_both_calls_of_a_merged_task_must_be_made() -> None:
    merged = shaped("simple_python", "f", calls=2)
    assert check_text(merged, "[f(a=1), f(a=0)]").passed
    assert not check_text(merged, "[f(a=0)]").passed
    assert not check_text(merged, "[f(a=0), f(a=0)]").passed


def test_dots_in_names_stay() -> None:
    dotted = task({"calc.add": {"a": [1]}}, functions=[function("calc.add")])
    assert check_text(dotted, "calc.add(a=1)").passed
    assert not check_text(dotted, "calc_add(a=1)").passed


def test_a_verdict_can_be_written_whatever_the_answer_holds() -> None:
    keyed = task({"f": {"a": [{"k": [1]}]}}, functions=[function(a={"type": "dict"})])
    verdict = check_text(keyed, r"f(a={'\ud800\x1b[31m': 1})")
    assert verdict.error == "value_error:dict_key"
    assert r"\ud800\x1b[31m" in verdict.detail
    assert Verdict.model_validate_json(verdict.model_dump_json()) == verdict


WRITTEN = st.lists(
    st.sampled_from(
        [
            "f(",
            "a=",
            "b=",
            ")",
            "1",
            "'New York'",
            ",",
            "[",
            "]",
            "{",
            "}",
            ":",
            "-",
            "+",
            "g()",
            r"'\ud800'",
            "None",
            "x",
            "0xf",
            "1e999",
        ]
    ),
    max_size=20,
).map("".join)
ANY_TASK = st.sampled_from(
    [
        task(ONE),
        task(ONE, TWO),
        task(OTHER, functions=BOTH),
        task({"f": {"a": [[1, 2]]}}, functions=[function(a={"type": "array", "items": {"type": "integer"}})]),
        task({"f": {"a": [[{"k": [1]}]]}}, functions=[function(a={"type": "array", "items": {"type": "dict"}})]),
        task({"f": {"a": [{"k": ["x", ""]}]}}, functions=[function(a={"type": "dict"})]),
        task({"f": {"a": [[1, "x"]]}}, functions=[function(a={"type": "tuple", "items": {"type": "any"}})]),
        task(expects=Expects.NO_CALL),
        task(expects=Expects.ANY_CALL),
    ]
)


@given(ANY_TASK, st.text(max_size=40) | WRITTEN | WRITTEN.map(lambda value: f"f(a={value})"))
@settings(max_examples=500, deadline=None)
def test_any_answer_gets_a_verdict(given_task: Task, answer: str) -> None:
    verdict = check_text(given_task, answer)
    assert verdict.passed is (verdict.error == "")
    assert Verdict.model_validate_json(verdict.model_dump_json()) == verdict
