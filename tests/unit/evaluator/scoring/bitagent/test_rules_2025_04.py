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
    assert points(ExpectedCall("f", {}), "f()", {}) == [(1.0, 1.0), FULL, FULL, FAILED]
    truth = ExpectedCall("f", {"x": ["a"]}, is_ground_truth=True)
    assert points(truth, "f(x='a')", {}) == [(1.0, 1.0), FULL, FULL, NONE]  # a ground truth needs no tool


@pytest.mark.parametrize(
    ("response", "earned"), [("f(a=1)", [NONE, FULL]), ("f(a=1, z=1)", [(2.0, 3.0), FULL]), ("f(z=1)", [NONE, NONE])]
)
def test_a_required_argument_that_is_not_expected(response: str, earned: list[Points]) -> None:
    assert points(ExpectedCall("f", {"a": 1}), response, {"f": frozenset({"a", "z"})})[2:] == earned


@pytest.mark.parametrize(
    ("response", "earned"),
    [("f(b=1, c=2)", (1.0, 3.0)), ("f(**{'b': 1})", (2.0, 3.0)), ("f(b=1, **{'c': 2})", FAILED), ("[]", FAILED)],
    ids=["two", "without a name", "both", "no call"],
)
def test_arguments_where_none_is_expected(response: str, earned: Points) -> None:
    assert points(ExpectedCall("f", {}), response)[2] == earned


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
    "a text for a list of lists": ([["x"]], "'x'", NONE),
    "a whole number for a fraction": (1.0, "1", NONE),
    "a tuple for a list": (["x"], "('x',)", NONE),
}


@pytest.mark.parametrize(("right", "given", "earned"), VALUES.values(), ids=VALUES)
def test_values(right: Any, given: str, earned: Points) -> None:
    assert points(ExpectedCall("f", {"a": right}), f"f(a={given})")[-1] == earned


@pytest.mark.parametrize(
    ("given", "earned"),
    [("['x']", FAILED), ("[]", FAILED), ("{'k': 1}", NONE), ("'x'", NONE), ("{1}", NONE), ("{}", NONE)],
)
@pytest.mark.parametrize("allowed", [[["x"]], [{"k": [1]}]], ids=["lists", "dicts"])
def test_lists_and_dicts_that_a_ground_truth_allows(allowed: list[Any], given: str, earned: Points) -> None:
    expected = ExpectedCall("f", {"a": allowed}, is_ground_truth=True)
    assert points(expected, f"f(a={given})")[-1] == earned


def test_a_wrong_required_argument_counts_before_one_that_cannot_be_compared() -> None:
    expected = ExpectedCall("f", {"a": [["x"]], "b": ["y"]}, is_ground_truth=True)
    assert points(expected, "f(a=['x'], b='z')")[-1] == NONE


@pytest.mark.parametrize(("order", "earned"), [("size_asc", NONE), ("size_desc", FULL)])
def test_the_order_of_items_counts_if_they_are_sorted(order: str, earned: Points) -> None:
    expected = ExpectedCall("f", {"items": ["x", "y"], "sort_order": order})
    response = f"f(items=['Y', 'x'], sort_order={order!r})"
    assert points(expected, response, {"f": frozenset({"items"})})[-1] == earned


def test_an_optional_argument_that_is_missing_leaves_the_share_of_the_others() -> None:
    assert points(ExpectedCall("f", {"a": 1, "b": 2, "c": 3}), "f(a=1, b=2)")[-1] == (2.0, 3.0)
