"""What is chosen for a task follows from seed, place and id alone, and has the likelihood that the spec says."""

from __future__ import annotations

import pytest

from bitagent_evaluator.alterations.base import Choices

CHOICES = Choices("0xseed", 1, "multiple_7")


def test_choices_are_the_same_on_every_machine_and_in_every_version() -> None:
    """Two validators with different versions must build the same bytes from one seed: these values may not change."""
    assert (CHOICES.integer(2, 6, "count"), CHOICES.integer(0, 99, "percent")) == (3, 76)
    assert CHOICES.permutation(6, "tools") == [3, 1, 4, 0, 2, 5]
    assert CHOICES.identifier("f", avoid=()) == "ctq9wpx9"
    assert [CHOICES.similar_character(character, "l", str(i)) for i, character in enumerate("aZ5")] == ["h", "C", "4"]


@pytest.mark.parametrize(
    "other",
    [Choices("0xother", 1, "multiple_7"), Choices("0xseed", 2, "multiple_7"), Choices("0xseed", 1, "multiple_8")],
    ids=["seed", "place in the spec", "task"],
)
def test_choices_depend_on_all_three(other: Choices) -> None:
    assert other.integer(0, 2**64, "x") != CHOICES.integer(0, 2**64, "x")
    assert CHOICES.integer(0, 2**64, "y") != CHOICES.integer(0, 2**64, "x")


@pytest.mark.parametrize(
    ("percent", "low", "high"), [(0, 0, 0), (1, 60, 140), (25, 2300, 2700), (99, 9860, 9940), (100, 10_000, 10_000)]
)
def test_a_percentage_is_one(percent: int, low: int, high: int) -> None:
    applied = sum(Choices("1", 0, f"task_{i}").applies(percent) for i in range(10_000))
    assert low <= applied <= high


def test_both_ends_of_a_range_are_chosen_and_nothing_beyond() -> None:
    assert {CHOICES.integer(2, 6, str(i)) for i in range(200)} == {2, 3, 4, 5, 6}
    assert CHOICES.integer(3, 3, "x") == 3
    with pytest.raises(ValueError, match="no number from 3 to 2"):
        CHOICES.integer(3, 2, "x")


def test_a_name_that_is_taken_is_passed_over() -> None:
    first = CHOICES.identifier("f", avoid=())
    second = CHOICES.identifier("f", avoid={first})
    assert second != first
    assert CHOICES.identifier("f", avoid={first, second}) not in {first, second}


def test_only_ascii_letters_and_digits_are_replaced() -> None:
    for character in "é٣_-. ²":
        assert CHOICES.similar_character(character, "x") == character
