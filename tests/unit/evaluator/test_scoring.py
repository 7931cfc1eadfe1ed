"""Verdicts and scores: the rules around the official checker."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitagent_crds.results import CategoryScore, Expects, Response, Task, Verdict
from bitagent_evaluator.registry import UnknownName
from bitagent_evaluator.scoring import aggregate, official, score, scorer
from bitagent_evaluator.scoring.judgement import MAX_DETAIL, checker_category, judge


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
    verdict = judge(given_task, answer)
    assert (verdict.id, verdict.category) == ("t", "mine")
    assert (verdict.passed, verdict.error) == (not error, error)
    assert bool(verdict.detail) is bool(error)


def test_the_explanation_is_the_checkers_and_bounded() -> None:
    assert "Invalid value for parameter 'a': 2" in judge(task(ONE), "f(a=2)").detail
    assert "Expected one of [2]" in judge(task(ONE, TWO), "[f(a=1), f(a=1)]").detail
    assert len(judge(task(ONE), f"f(a=1, b='{'x' * 9999}')").detail) == MAX_DETAIL


@pytest.mark.parametrize(
    ("given_task", "rule"),
    [
        (task(ONE, category="live_parallel"), "live_parallel"),
        (task(ONE, category="parallel sums"), "simple_python"),
        (task(ONE), "simple_python"),
        (task(ONE, functions=BOTH), "multiple"),
        (task(ONE, TWO), "parallel"),
    ],
    ids=["BFCL's own", "only named alike", "one function", "several functions", "several calls"],
)
def test_the_checkers_rule_follows_from_category_or_shape(given_task: Task, rule: str) -> None:
    assert checker_category(given_task) == rule


def answered(task_id: str, text: str) -> Response:
    return Response(id=task_id, text=text, finish_reason="stop", prompt_tokens=1, completion_tokens=1)


def test_score_keeps_the_order_of_the_tasks_and_fails_missing_answers() -> None:
    tasks = [task(ONE, task_id=name) for name in "abc"]
    verdicts = score(tasks, [answered("c", "f(a=1)"), answered("a", "f(a=1)"), answered("stranger", "f(a=1)")])
    assert [(v.id, v.passed, v.error) for v in verdicts] == [
        ("a", True, ""),
        ("b", False, "no_response"),
        ("c", True, ""),
    ]


def test_the_first_answer_counts() -> None:
    assert score([task(ONE)], [answered("t", "f(a=2)"), answered("t", "f(a=1)")])[0].passed is False


def test_an_unknown_scorer_is_named() -> None:
    with pytest.raises(
        UnknownName, match="no scorer 'vibes'; there are: Bfcl, BitAgent202411, BitAgent202504, ExactMatch"
    ):
        scorer("vibes")


def verdict(category: str, passed: bool) -> Verdict:
    return Verdict(id="x", category=category, passed=passed, score=float(passed))


def test_aggregate_counts_by_category() -> None:
    outcome = aggregate([verdict("b", True), verdict("a", False), verdict("b", False)])
    assert (outcome.passed, outcome.total, outcome.score) == (1, 3, "0.333333")
    assert list(outcome.categories.items()) == [
        ("a", CategoryScore(passed=0, total=1)),
        ("b", CategoryScore(passed=1, total=2, score="0.500000")),
    ]


def test_aggregate_of_nothing_is_zero() -> None:
    assert aggregate([]).score == "0.000000"


def test_the_checker_is_loaded_without_traces() -> None:
    official.check(
        functions=[function()],
        calls=[{"f": {"a": 1}}],
        possible_answers=[ONE],
        language=task(ONE).language,
        category="simple",
    )
    assert not [
        name
        for name in sys.modules
        if name.startswith(("bfcl_eval.eval_checker.ast_eval.ast_checker", "bfcl_eval.constants.model_config"))
    ]


def test_dots_in_names_stay() -> None:
    dotted = task({"calc.add": {"a": [1]}}, functions=[function("calc.add")])
    assert judge(dotted, "calc.add(a=1)").passed
    assert not judge(dotted, "calc_add(a=1)").passed


def test_a_verdict_can_be_written_whatever_the_answer_holds() -> None:
    keyed = task({"f": {"a": [{"k": [1]}]}}, functions=[function(a={"type": "dict"})])
    verdict = judge(keyed, r"f(a={'\ud800\x1b[31m': 1})")
    assert verdict.error == "value_error:dict_key"
    assert r"\ud800\x1b[31m" in verdict.detail
    assert Verdict.model_validate_json(verdict.model_dump_json()) == verdict


WRITTEN = st.lists(
    st.sampled_from(["f(", "a=", "b=", ")", "1", "'New York'", ",", "[", "]", "{", "}", ":", "-", "+", "g()", r"'\ud800'", "None", "x", "0xf", "1e999"]),
    max_size=20,
).map("".join)  # fmt: skip
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
    verdict = judge(given_task, answer)
    assert verdict.passed is (verdict.error == "")
    assert Verdict.model_validate_json(verdict.model_dump_json()) == verdict
