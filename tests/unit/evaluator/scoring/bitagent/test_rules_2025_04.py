"""The rules of April 2025 on answers that the reference rows do not have."""

from __future__ import annotations

from typing import Any

import pytest

from bitagent_evaluator.scoring.bitagent.criteria import FAILED, Criterion, ExpectedCall, MinerResponse, Points
from bitagent_evaluator.scoring.bitagent.rules_2025_04 import Rules202504

TOOLS = {"f": frozenset({"a"})}
FULL, NONE = (3.0, 3.0), (0.0, 3.0)


def points(expected: ExpectedCall, response: str, tools: dict[str, frozenset[str]] | None = None) -> list[Points]:
    scored = Rules202504().score(
        expected, TOOLS if tools is None else tools, MinerResponse(response=response), with_default=False
    )
    return [scored.criteria[name] for name in list(Criterion)[2:6]]


@pytest.mark.parametrize("response", ["f(); g()", "f(a=1);f(b=2)", "# only a comment"])
def test_python_that_is_not_one_call_fails_all_but_the_format(response: str) -> None:
    assert points(ExpectedCall("f", {"a": 1}), response) == [(1.0, 1.0), FAILED, FAILED, FAILED]


def test_arguments_of_a_function_that_is_not_among_the_tools_cannot_be_judged() -> None:
    assert points(ExpectedCall("f", {"a": 1}), "f(a=1)", {}) == [(1.0, 1.0), FULL, FAILED, FAILED]


def test_an_argument_that_can_only_be_left_out_is_not_required() -> None:
    expected = ExpectedCall("f", {"x": ["a"], "note": [""]}, is_ground_truth=True)
    assert points(expected, "f(x='a')") == [(1.0, 1.0), FULL, (2.0, 3.0), NONE]


VALUES: dict[str, tuple[Any, str, Points]] = {
    "a text": ("Oslo", "'oslo'", FULL),
    "texts of a list": (["Oslo", "Rome"], "['rome', 'OSLO']", FULL),
    "texts of a dict": ({"city": "Oslo"}, "{'city': 'OSLO'}", FULL),
    "texts deeper in a dict": ({"in": {"city": "Oslo"}}, "{'in': {'city': 'OSLO'}}", NONE),
    "keys of a dict": ({"city": "Oslo"}, "{'City': 'Oslo'}", NONE),
    "another item": (["Oslo"], "['Rome']", NONE),
    "a list of lists": ([["x"]], "[['x']]", FAILED),
}


@pytest.mark.parametrize(("right", "given", "earned"), VALUES.values(), ids=VALUES)
def test_values(right: Any, given: str, earned: Points) -> None:
    assert points(ExpectedCall("f", {"a": right}), f"f(a={given})")[-1] == earned


@pytest.mark.parametrize(
    ("given", "earned"),
    [("['x']", FAILED), ("{'k': 1}", FAILED), ("'x'", NONE), ("{1}", NONE), ("{}", NONE), ("[]", NONE)],
)
@pytest.mark.parametrize("allowed", [[["x"]], [{"k": [1]}]], ids=["lists", "dicts"])
def test_lists_and_dicts_that_a_ground_truth_allows(allowed: list[Any], given: str, earned: Points) -> None:
    expected = ExpectedCall("f", {"a": allowed}, is_ground_truth=True)
    assert points(expected, f"f(a={given})")[-1] == earned


def test_an_optional_argument_that_is_missing_leaves_the_share_of_the_others() -> None:
    assert points(ExpectedCall("f", {"a": 1, "b": 2, "c": 3}), "f(a=1, b=2)")[-1] == (2.0, 3.0)
