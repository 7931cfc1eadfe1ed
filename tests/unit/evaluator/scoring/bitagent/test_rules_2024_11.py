"""The rules of November 2024 on answers that the reference rows do not have."""

from __future__ import annotations

import pytest

from bitagent_evaluator.scoring.bitagent.criteria import FAILED, Criterion, ExpectedCall, MinerResponse, Points
from bitagent_evaluator.scoring.bitagent.rules_2024_11 import Rules202411

TOOLS = {"f": frozenset({"a"})}
PLAIN = ExpectedCall("f", {"a": 1, "b": 2, "c": 3})
OPTIONAL = ExpectedCall("f", {"x": ["a"], "note": [""]}, is_ground_truth=True)


def points(
    expected: ExpectedCall,
    response: str,
    tools: dict[str, frozenset[str]] | None = None,
    *,
    with_default: bool = False,
) -> list[Points]:
    scored = Rules202411().score(
        expected, TOOLS if tools is None else tools, MinerResponse(response=response), with_default=with_default
    )
    return [scored.criteria[name] for name in list(Criterion)[2:6]]


@pytest.mark.parametrize("response", ["f(); g()", "f(a=1);f(b=2)", "# only a comment", "a = 1"])
def test_python_that_is_not_one_call_fails_all_but_the_format(response: str) -> None:
    assert points(PLAIN, response) == [(1.0, 1.0), FAILED, FAILED, FAILED]


RIGHT = [(3.0, 3.0), (1.0, 3.0), (1.0, 3.0)]
"""What the right call earns in the last three criteria."""


@pytest.mark.parametrize(("pairs", "failed"), [(1, 0), (2, 0), (3, 1), (4, 2), (5, 3)])
def test_each_criterion_removes_a_pair_of_brackets(pairs: int, failed: int) -> None:
    response = "[" * pairs + "f(a=1,b=2,c=3)" + "]" * pairs
    assert points(PLAIN, response) == [(1.0, 1.0), *[FAILED] * failed, *RIGHT[failed:]]


@pytest.mark.parametrize("pairs", range(5))
def test_the_criteria_before_the_format_remove_pairs_too(pairs: int) -> None:
    response = "[" * pairs + "f(a=1,b=2,c=3)" + "]" * pairs
    assert points(PLAIN, response, with_default=True) == [(1.0, 1.0), *RIGHT]


def test_only_the_last_line_counts() -> None:
    assert points(PLAIN, "f(a=2)\nf(a=1,b=2,c=3)") == [(1.0, 1.0), *RIGHT]


def test_a_required_argument_that_is_not_expected() -> None:
    tools = {"f": frozenset({"a", "z"})}
    expected = ExpectedCall("f", {"a": 1})
    assert points(expected, "f(a=1)", tools)[2:] == [(1.5, 3.0), (1.5, 3.0)]
    assert points(expected, "f(a=1, z=1)", tools)[2:] == [(3.0, 3.0), FAILED]


def test_a_call_without_arguments() -> None:
    nothing, tools = ExpectedCall("f", {}), {"f": frozenset({"a"})}
    assert points(nothing, "f()", tools)[2:] == [(3.0, 3.0), (3.0, 3.0)]
    assert points(nothing, "no", tools)[2:] == [FAILED, FAILED]
    assert points(nothing, "no call", tools)[2:] == [(0.0, 3.0), (-3.0, 3.0)]
    assert points(nothing, "f(b=1)", tools)[2:] == [(0.0, 3.0), (-3.0, 3.0)]
    assert points(nothing, "f(b=1)", {})[2:] == [(0.0, 3.0), FAILED]


NAMES = {
    "the innermost call": ("g(f(h()), f(), x=1)", (3.0, 3.0)),
    "a method of a call": ("h().f(a=1)", (-0.5, 3.0)),
    "a method of a text": ("'s'.f(a=1)", (3.0, 3.0)),
    "what has no name": ("'s'(a=1)", FAILED),
    "a semicolon": ("f(a=1);", FAILED),
}


@pytest.mark.parametrize(("response", "earned"), NAMES.values(), ids=NAMES)
def test_names(response: str, earned: Points) -> None:
    assert points(PLAIN, response)[1] == earned


def test_arguments_of_a_function_that_is_not_among_the_tools_cannot_be_judged() -> None:
    assert points(PLAIN, "f(a=1,b=2,c=3)", {}) == [(1.0, 1.0), (3.0, 3.0), FAILED, FAILED]
    assert points(OPTIONAL, "f(x='a')", {})[2:] == [(1.5, 3.0), (1.5, 3.0)]  # a ground truth needs no tool


def test_an_argument_that_can_only_be_left_out_is_not_required() -> None:
    assert points(OPTIONAL, "f(x='a')") == [(1.0, 1.0), (3.0, 3.0), (1.5, 3.0), (1.5, 3.0)]
    beside_values = ExpectedCall("f", {"x": ["a"], "note": ["", "b"]}, is_ground_truth=True)
    assert points(beside_values, "f(x='a')")[2:] == [(0.0, 3.0), (0.0, 3.0)]
