"""Values and numbers that a rewording must keep."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitagent_evaluator.alterations.rewrite.values import (
    canonical_number,
    ground_truth_values,
    keeps_value,
    same_numbers,
)


@pytest.mark.parametrize(
    ("value", "before", "after", "expected"),
    [
        ("Paris", "Weather in Paris?", "How is Paris?", True),
        ("Paris", "Weather in Paris?", "How is London?", False),
        ("Paris", "Weather in Paris?", "How is paris?", False),
        ("Paris", "weather in paris?", "How is Paris?", True),
        ("New York, NY", "in New York, NY now", "now in New York, NY", True),
        ("New York, NY", "in new york NY now", "New York/NY please", True),
        ("New York, NY", "in New York now", "in the big city now", False),
        ("New York, NY", "in New York now", "now, in New York", True),
        ("top-rated", "top rated hotels", "the best hotels", False),
        ("apple", "two apples", "apples, two", True),
        ("apple", "an apple", "apples", False),
        ("car", "a scary car", "a scary one", False),
        ("café Ünal", "the cafe\u0301 U\u0308nal now", "now the cafe\u0301 U\u0308nal", True),
        ("café Ünal", "the cafe\u0301 U\u0308nal now", "now that place", False),
        ("average", "the mean", "anything", True),
        ("C++ (17)", "use C++ (17) here", "here, C++ (17) is used", True),
        ("  ", "a  b", "ab", True),
        (5, "5 of them", "of them, 5", True),
        (5, "five of them", "5 of them", True),
        (5, "5 of them", "some of them", False),
        (5, "15 of them", "some of them", True),
        (-5, "at -5 degrees", "at minus 5 degrees", True),
        (1000, "1,000 dollars", "1000 dollars", True),
        (1000.0, "1000 dollars", "dollars", False),
        (0.05, "a rate of .05", "0.05 is the rate", True),
        (0.05, "a rate of 5%", "the rate", True),
        (25, "twenty-five", "twenty five", True),
        (25, "twenty-five", "twenty", False),
    ],
)
def test_values_stay(value: Any, before: str, after: str, expected: bool) -> None:
    assert keeps_value(value, before, after) is expected


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("5% over 3 years", "for 3 years at 5%", True),
        ("5% over 3 years", "for 3 years at 6%", False),
        ("5% over 3 years", "over 3 years", False),
        ("in three days", "in 3 days", True),
        ("in 3 days", "in three days", True),
        ("a few days", "in 3 days", False),
        ("the best one", "the best", True),
        ("2024-05-01", "on 2024-05-01", True),
        ("2024-05-01", "on 2024-05-02", False),
        ("1.50 euros", "1.5 euros", True),
        ("1,500,000.50", "1500000.5", True),
        ("at -5 degrees", "at 5 degrees", False),
        ("at 5 degrees", "at -5 degrees", False),
        ("at -5 degrees", "when it has minus 5 degrees", True),
        ("at negative 5 degrees", "at \u22125 degrees", True),
        ("2024-05-01, room 3-5", "room 3-5 on 2024-05-01", True),
        ("5 million people", "5 billion people", False),
        ("two thousand", "two", False),
        ("three Million", "MILLIONS, three of them", True),
    ],
)
def test_numbers_stay(before: str, after: str, expected: bool) -> None:
    assert same_numbers(before, after) is expected


@given(st.integers(0, 10**12) | st.floats(0, 1e9, allow_nan=False).map(lambda x: round(x, 3)))
def test_a_number_is_found_in_a_text(number: float) -> None:
    assert not keeps_value(number, f"take {Decimal(repr(number)):f} of it", "take some of it")
    assert canonical_number(number) == canonical_number(f"{Decimal(repr(number)):,f}")


def test_values_of_a_ground_truth() -> None:
    truth = [
        {"f": {"a": [1, 2.5, ""], "b": [True, "x"], "c": [{"k": ["deep"], "l": [[3, "in"]]}]}},
        {"g": {"d": [["p", "q"], None]}},
    ]
    assert ground_truth_values(truth) == [1, 2.5, "x", "deep", 3, "in", "p", "q"]
    assert ground_truth_values(None) == []


WORDS = st.sampled_from(
    ["Paris", "paris", "New York, NY", "5", "five", "1,000", "get_user", "search", "in", "the", '"', "\n", "\x00"]
)
TEXTS = st.lists(WORDS | st.text(max_size=6), max_size=8).map(" ".join)


@given(TEXTS, WORDS | st.integers(-10, 2000) | st.floats(0, 10, allow_nan=False))
def test_a_text_keeps_what_it_has(text: str, value: Any) -> None:
    assert keeps_value(value, text, text)
    assert same_numbers(text, text)
