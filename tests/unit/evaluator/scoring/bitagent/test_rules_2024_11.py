"""The rules of November 2024 on answers that the reference rows do not have."""

from __future__ import annotations

import pytest

from bitagent_evaluator.scoring.bitagent.criteria import FAILED, Criterion, ExpectedCall, MinerResponse, Points
from bitagent_evaluator.scoring.bitagent.rules_2024_11 import Rules202411

TOOLS = {"f": frozenset({"a"})}
PLAIN = ExpectedCall("f", {"a": 1, "b": 2, "c": 3})
OPTIONAL = ExpectedCall("f", {"x": ["a"], "note": [""]}, is_ground_truth=True)


def points(expected: ExpectedCall, response: str, tools: dict[str, frozenset[str]] | None = None) -> list[Points]:
    scored = Rules202411().score(
        expected, TOOLS if tools is None else tools, MinerResponse(response=response), with_default=False
    )
    return [scored.criteria[name] for name in list(Criterion)[2:6]]


@pytest.mark.parametrize("response", ["f(); g()", "f(a=1);f(b=2)", "# only a comment", "a = 1"])
def test_python_that_is_not_one_call_fails_all_but_the_format(response: str) -> None:
    assert points(PLAIN, response) == [(1.0, 1.0), FAILED, FAILED, FAILED]


@pytest.mark.parametrize("pairs", range(5))
def test_four_pairs_of_brackets_are_removed(pairs: int) -> None:
    response = "[" * pairs + "f(a=1,b=2,c=3)" + "]" * pairs
    assert points(PLAIN, response) == [(1.0, 1.0), (3.0, 3.0), (1.0, 3.0), (1.0, 3.0)]


def test_arguments_of_a_function_that_is_not_among_the_tools_cannot_be_judged() -> None:
    assert points(PLAIN, "f(a=1,b=2,c=3)", {}) == [(1.0, 1.0), (3.0, 3.0), FAILED, FAILED]


def test_an_argument_that_can_only_be_left_out_is_not_required() -> None:
    assert points(OPTIONAL, "f(x='a')") == [(1.0, 1.0), (3.0, 3.0), (1.5, 3.0), (1.5, 3.0)]
    beside_values = ExpectedCall("f", {"x": ["a"], "note": ["", "b"]}, is_ground_truth=True)
    assert points(beside_values, "f(x='a')")[2:] == [(0.0, 3.0), (0.0, 3.0)]
