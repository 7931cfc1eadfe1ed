"""The BitAgent rule sets on tasks: what is expected, what passes, what a miner sees. Points: tests/golden."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitagent_crds.results import Verdict
from bitagent_crds.task_forms import Expects
from bitagent_crds.task_set import Task
from bitagent_evaluator.conformance import text_response
from bitagent_evaluator.parsing import MAX_CHARACTERS, parse_response
from bitagent_evaluator.scoring.bitagent.criteria import ExpectedCall, MinerResponse
from bitagent_evaluator.scoring.bitagent.rules_2024_11 import Rules202411
from bitagent_evaluator.scoring.bitagent.rules_2025_04 import Rules202504
from bitagent_evaluator.scoring.bitagent.scorer import RuleSet, best_score, expected_call
from bitagent_evaluator.scoring.scorers import load_scorer

NOVEMBER, APRIL = "BitAgent202411", "BitAgent202504"


def task(
    *truth: dict[str, Any], expects: Expects = Expects.CALLS, source: str = "jsonl", required: tuple[str, ...] = ("a",)
) -> Task:
    properties = {"a": {"type": "integer"}, "b": {"type": "string"}}
    return Task(
        id="t",
        source=source,
        category="mine",
        messages=[{"role": "user", "content": "?"}],
        functions=[{"name": "f", "parameters": {"type": "dict", "properties": properties, "required": list(required)}}],
        expects=expects,
        ground_truth=list(truth) or None,
    )


ONE = {"f": {"a": [1], "b": ["New York"]}}
CHOICE = {"f": {"a": [1], "b": ["x", ""]}}
NESTED = {"f": {"a": [1], "b": [{"k": ["x", ""]}]}}
TWO = ({"f": {"a": [1]}}, {"f": {"a": [2]}})
NONE = task(expects=Expects.NO_CALL)
SOME = task(expects=Expects.ANY_CALL)


def verdict(name: str, given_task: Task, answer: str) -> Verdict:
    response = parse_response(text_response(given_task, answer), language=given_task.language)
    return next(load_scorer(name).verdicts([(given_task, response)]))


@pytest.mark.parametrize(
    ("given_task", "expected"),
    [
        (task(ONE), ExpectedCall("f", {"a": 1, "b": "New York"})),
        (task(ONE, source="bfcl"), ExpectedCall("f", ONE["f"], is_ground_truth=True, accepts_list=False)),
        (task(CHOICE), ExpectedCall("f", CHOICE["f"], is_ground_truth=True, accepts_list=False)),
        (task(NESTED), ExpectedCall("f", NESTED["f"], is_ground_truth=True, accepts_list=False)),
        (task(*TWO), ExpectedCall("f", {"a": 1})),
        (NONE, None),
    ],
    ids=["plain", "BFCL", "several values", "dict", "several calls", "no call"],
)
def test_expected_call(given_task: Task, expected: ExpectedCall | None) -> None:
    assert expected_call(given_task) == expected


CASES: dict[str, tuple[str, Task, str, bool, float, str]] = {
    "right": (NOVEMBER, task(ONE, required=("a", "b")), "[f(a=1, b='New York')]", True, 1.0, ""),
    "right with an optional argument": (NOVEMBER, task(ONE), "f(a=1, b='New York')", True, 0.7, ""),
    "wrong value": (NOVEMBER, task(ONE), "f(a=2, b='New York')", False, 0.55, "bitagent:argument_values"),
    "case counts in November": (
        NOVEMBER,
        task(ONE, required=("b",)),
        "f(a=1, b='new york')",
        False,
        0.55,
        "bitagent:argument_values",
    ),
    "case does not in April": (APRIL, task(ONE), "f(a=1, b='new york')", True, 1.0, ""),
    "wrong name": (APRIL, task(ONE), "g(a=1, b='New York')", False, 0.65, "bitagent:function_name"),
    "allowed value in November": (NOVEMBER, task(CHOICE), "f(a=1, b='x')", True, 1.0, ""),
    "values of a ground truth earn nothing in April": (APRIL, task(CHOICE), "f(a=1, b='x')", True, 0.7, ""),
    "below zero": (NOVEMBER, task(ONE), "sorry", False, 0.0, "bitagent:function_name"),
    "below zero in April": (APRIL, task(ONE), "I will not.", False, 0.0, "bitagent:format"),
    "first of several calls": (APRIL, task(*TWO), "f(a=1)", True, 1.0, ""),
    "all of several calls": (APRIL, task(*TWO), "[f(a=1), f(a=2)]", False, 0.0, "bitagent:function_name"),
    "no call": (APRIL, NONE, "No function fits.", True, 1.0, ""),
    "no call, empty list in April": (APRIL, NONE, "[]", False, 0.0, "bitagent:irrelevant"),
    "no call, empty list in November": (NOVEMBER, NONE, "[]", True, 1.0, ""),
    "no call, call": (NOVEMBER, NONE, "f(a=1)", False, 0.0, "bitagent:irrelevant"),
    "some call": (APRIL, SOME, "g()", True, 1.0, ""),
    "some call, none": (APRIL, SOME, "no", False, 0.0, "relevance_error:decoder_failed"),
}


@pytest.mark.parametrize(("name", "given_task", "answer", "passed", "share", "error"), CASES.values(), ids=CASES)
def test_verdict(name: str, given_task: Task, answer: str, passed: bool, share: float, error: str) -> None:
    judged = verdict(name, given_task, answer)
    assert (judged.id, judged.category, judged.passed, judged.error) == ("t", "mine", passed, error)
    assert judged.score == pytest.approx(share)
    assert bool(judged.detail) is not passed
    if given_task is not SOME and judged.score > 0:
        points = [sum(column) for column in zip(*judged.criteria.values(), strict=True)]
        assert judged.score == pytest.approx(points[0] / points[1])


def test_criteria_are_named_and_losses_explained() -> None:
    judged = verdict(APRIL, task(ONE), "g(a=1, b='Rome')")
    assert judged.criteria == {
        "format": (1.0, 1.0),
        "function_name": (-0.5, 3.0),
        "argument_names": (3.0, 3.0),
        "argument_values": (1.5, 3.0),
    }
    assert judged.detail == "function_name: -0.5 of 3 points; argument_values: 1.5 of 3 points"


def test_a_right_answer_with_a_nested_dict_passes() -> None:
    for name in (NOVEMBER, APRIL):
        assert verdict(name, task(NESTED), "f(a=1, b={'k': 'x'})").passed


def test_a_right_answer_leaves_out_what_has_no_value() -> None:
    given_task = task({"f": {"a": [1], "b": [""]}})
    for name in (NOVEMBER, APRIL):
        left_out = verdict(name, given_task, "f(a=1)")
        assert left_out.passed
        assert left_out.score < 1.0
        assert not verdict(name, given_task, "g(a=1)").passed


EXPECTED = ExpectedCall("f", {"a": 1})
HOSTILE = {
    "code": "f(a=__import__('os').getpid())",
    "power": "f(a=9**9**9)",
    "deep brackets": "[" * 5_000 + "]" * 5_000,
    "deep signs": "f(a=" + "-" * 50_000 + "1)",
    "long chain": "a." * 30_000 + "f()",
    "too long": "f(a='" + "x" * MAX_CHARACTERS + "')",
    "huge number": "f(a=" + "9" * 50_000 + ")",
    "null byte": "f(a=1)\0",
    "half a character": "f(a='\ud800')",
}


@pytest.mark.parametrize("rules", [Rules202411(), Rules202504()], ids=["2024-11", "2025-04"])
@pytest.mark.parametrize("response", HOSTILE.values(), ids=HOSTILE)
def test_hostile_answers_earn_little_and_do_nothing(rules: RuleSet, response: str) -> None:
    scored = rules.score(EXPECTED, {"f": frozenset("a")}, MinerResponse(response), with_default=True)
    assert scored.normalized < 0.85
    assert len(scored.criteria) == 6


WRITTEN = st.lists(
    st.sampled_from(
        ["f(", "a=", ")", "1", "'x'", ",", "[", "]", "{", "}", ":", "-", "+", "g()", "**", "None", "\n", " ", "x", "."]
    ),
    max_size=20,
).map("".join)
TASKS = st.sampled_from(
    [task(ONE), task(CHOICE), task(NESTED), task({"f": {"a": [[[1]]]}}), task({"f": {}}), NONE, SOME]
)


@given(st.sampled_from([NOVEMBER, APRIL]), TASKS, st.text(max_size=40) | WRITTEN | WRITTEN.map(lambda v: f"f(a={v})"))
@settings(max_examples=500, deadline=None)
def test_any_answer_gets_a_verdict(name: str, given_task: Task, answer: str) -> None:
    judged = verdict(name, given_task, answer)
    assert judged.passed is (judged.error == "")
    assert Verdict.model_validate_json(judged.model_dump_json()) == judged


FITTING = task(ONE, required=("a", "b"))


@pytest.mark.parametrize("name", [NOVEMBER, APRIL])
@pytest.mark.parametrize(
    "around", ["{}", " {}", "\n {}\n", "\t[{}]\t", "\xa0[{}]", "[[{}]]", "```\n[{}]\n```", "so:\n[{}]"]
)
def test_no_text_is_right_with_the_function_and_without_it(name: str, around: str) -> None:
    answer = around.format("f(a=1, b='New York')")
    assert not (verdict(name, FITTING, answer).passed and verdict(name, NONE, answer).passed)


@pytest.mark.parametrize("name", [NOVEMBER, APRIL])
@pytest.mark.parametrize(
    ("given_task", "answer"),
    [
        pytest.param(task(CHOICE, required=("a", "b")), "f(a=[1], b=['x', ''])", id="the lists of what is allowed"),
        pytest.param(task(CHOICE, required=("a", "b")), "f(a=[[1]], b=[['x']])", id="lists of lists"),
        pytest.param(FITTING, "f(a=[[1]], b=[{}])", id="what cannot be compared"),
        pytest.param(FITTING, "f(a=[1], b=['New York'])", id="lists of the values"),
    ],
)
def test_values_of_a_wrong_type_never_earn_more(name: str, given_task: Task, answer: str) -> None:
    right = "f(a=1, b='x')" if given_task is not FITTING else "f(a=1, b='New York')"
    wrong = verdict(name, given_task, "f(a=2, b='nothing')")
    found, best = verdict(name, given_task, answer), verdict(name, given_task, right)
    assert wrong.score <= best.score
    assert found.score <= wrong.score


ANSWER_VALUES = st.sampled_from(["1", "2", "'x'", "[1]", "[[1]]", "['x', '']", "{'k': 1}", "None", "True", "1.0", "''"])


@given(
    name=st.sampled_from([NOVEMBER, APRIL]),
    given_task=st.sampled_from([task(ONE), FITTING, task(CHOICE), task(NESTED), task({"f": {"a": [[[1]]]}})]),
    called=st.sampled_from(["f", "g", "f.f", "'f'", "f()"]),
    values=st.dictionaries(st.sampled_from("abc"), ANSWER_VALUES, max_size=3),
)
@settings(max_examples=300, deadline=None)
def test_no_call_earns_more_than_the_right_one(
    name: str, given_task: Task, called: str, values: dict[str, str]
) -> None:
    written = f"{called}({', '.join(f'{key}={value}' for key, value in values.items())})"
    rules = Rules202411() if name == NOVEMBER else Rules202504()
    assert verdict(name, given_task, written).score <= best_score(rules, given_task).normalized
