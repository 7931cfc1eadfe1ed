"""Untrusted text that is made fit to be shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitagent_evaluator.support.text import (
    SMALL_NUMBERS,
    error_line,
    escape_unprintable,
    first_line,
    join_lines,
    mask_unprintable,
    shorten,
)

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=50)
TURNED = "‮"
"""Right-to-left override: what follows is shown from right to left."""


@pytest.mark.parametrize(
    ("text", "keep", "shown"),
    [
        ("plain ü", "", "plain ü"), ("a\nb", "", "a\\nb"), ("a\nb\x1b[2J", "\n", "a\nb\\x1b[2J"),
        (f"a{TURNED}b", "", "a\\u202eb"), ("\ud83d", "", "\\ud83d"),
    ],
)  # fmt: skip
def test_characters_that_cannot_be_shown_are_escaped(text: str, keep: str, shown: str) -> None:
    assert escape_unprintable(text, keep=keep) == shown


@given(text=ANY_TEXT)
def test_nothing_unprintable_is_left(text: str) -> None:
    assert escape_unprintable(text).isprintable()
    assert mask_unprintable(text).isprintable()
    assert len(mask_unprintable(text)) == len(text)


@pytest.mark.parametrize(("text", "shown"), [("", ""), ("abcd", "abcd"), ("abcde", "abc…")])
def test_a_shortened_text_says_so(text: str, shown: str) -> None:
    assert shorten(text, 4) == shown


@pytest.mark.parametrize(("text", "line"), [("", ""), ("\n \n x\ny", " x"), ("x" * 300, "x" * 200)])
def test_the_first_line_that_says_something(text: str, line: str) -> None:
    assert first_line(text) == line


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("\nbad\nworse"), "ValueError: bad"),
        (KeyError(), "KeyError"),
        (OSError("x" * 300), "OSError: " + "x" * 200),
    ],
)
def test_an_exception_is_one_line(error: Exception, line: str) -> None:
    assert error_line(error) == line


def test_lines_are_joined() -> None:
    assert join_lines(" a\n\tb  c ") == "a b c"


def test_each_small_number_is_at_its_index() -> None:
    assert [SMALL_NUMBERS[n] for n in (0, 7, 12, 19)] == ["zero", "seven", "twelve", "nineteen"]
