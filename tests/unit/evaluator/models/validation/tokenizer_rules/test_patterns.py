"""Regular expressions: the families' are allowed, those that remember, look far or spell are not."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitagent_evaluator.models.validation.tokenizer_rules.patterns import (
    COVERING_PATTERNS,
    KNOWN_PATTERNS,
    MAX_CHARACTERS,
    PatternError,
    check_pattern,
    is_white_space,
    matches_white_space_only,
)

ALLOWED = [
    *COVERING_PATTERNS,
    *KNOWN_PATTERNS,
    r"[一-龥぀-ゟ゠-ヿ]+",
    r"[0-9][0-9][0-9]",
    r"(?<=\p{L})\s",
    r"(?<!\n)\s+(?=\S)",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{M}&&[^\p{Han}]]*",
    r"'(?i:[sdmt]|ll|ve|re)",
    r"'s|'S|'ll|'LL",
    r"\x{4E00}|\u3040",
    r"(?:\s|_)?\w+",
    r"\d{1,3}|[^\d]",
]


@pytest.mark.parametrize("pattern", sorted(ALLOWED))
def test_patterns_of_tokenizers(pattern: str) -> None:
    check_pattern(pattern)


REFUSED = {
    "reference": r"(a)\1",
    "named reference": r"(?<x>a)\k<x>",
    "atomic group": r"(?>a)",
    "flags": r"(?m)a",
    "condition": r"(?(1)a|b)",
    "comment": r"(?#a)",
    "word boundary": r"\bx",
    "recursion": r"\g<0>",
    "POSIX class": r"[[:alpha:]]",
    "three letters": r"abc",
    "three classes of letters": r"[aA][bB][cC]",
    "letters in groups": r"(?:a)(?:b)(?:c)",
    "letters at the edges of groups": r"ab(?:cd\s)",
    "letters with something optional between": r"a\s?b\s?c",
    "letters by exclusion": r"[^b-zA-Z0-9][^ac-zA-Z0-9]c",
    "letters by looking": r"(?=a)(?=b)(?=c)\p{L}",
    "Cyrillic letters": r"где",
    "digits": r"205",
    "many contractions": "|".join(f"'{a}{b}" for a in "abcdefgh" for b in "ijklmno"),
    "look-ahead of two": r"a(?=..)",
    "look-ahead with a quantifier": r"a(?=\s*)",
    "look-behind with a group": r"(?<=(a))b",
    "many look-arounds": r"(?!a)(?!b)(?!c)(?!d)(?!e)\s",
    "nested quantifiers": r"(?:\s+)+",
    "nested in a group": r"(?:a(?:\s*)b?){2,}",
    "nothing to repeat": r"*a",
    "no end of a class": r"[a",
    "no end of a group": r"(a",
    "end without a group": r"a)",
    "deep groups": "(" * 20 + "a" + ")" * 20,
    "deep classes": "[" * 20 + "a" + "]" * 20,
    "long": "a|" * MAX_CHARACTERS,
    "empty": "",
    "code beyond Unicode": r"\x{FFFFFF}",
}


@pytest.mark.parametrize("pattern", REFUSED.values(), ids=REFUSED)
def test_a_pattern_that_does_more_is_refused(pattern: str) -> None:
    with pytest.raises(PatternError):
        check_pattern(pattern)


@given(st.text(alphabet="ab[]()|*+?{}1,\\^$&-:=!<is ", max_size=24))
def test_any_text_is_a_pattern_or_an_error(pattern: str) -> None:
    with suppress(PatternError):
        check_pattern(pattern)


@pytest.mark.parametrize(
    ("pattern", "white"),
    [
        (r" {2,}", True),
        (r"\s+", True),
        (r"[\n\t ]+", True),
        ("\u2581+", True),
        (r"(?:\r?\n)+", True),
        (r"\s*", False),
        (r"\s+a?", False),
        (r"a?\s", False),
        (r".", False),
        (r"\S", False),
        (r"[\s\S]", False),
        (r"\s(?=\w)", False),
    ],
)
def test_patterns_of_white_space(pattern: str, white: bool) -> None:
    assert matches_white_space_only(pattern) is white


@pytest.mark.parametrize(("text", "white"), [(" ", True), ("\u2581\n", True), ("", False), ("a ", False)])
def test_white_space(text: str, white: bool) -> None:
    assert is_white_space(text) is white
