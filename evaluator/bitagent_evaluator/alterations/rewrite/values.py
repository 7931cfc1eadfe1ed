"""What a rewording must keep: the ground truth's values that the original contains, and the original's numbers.

A text contains a string in the strictest form that matches: exactly, in other case, or with other punctuation between
its words; each as whole words, or with an ending (`apple` in `apples`). A rewording must contain it in the same form,
so that an answer that copies the value is as right as before, whichever scorer judges it. Of a string that is not
contained as a whole, the names must be kept: of the value `Paris, France`, a question for the weather in Paris must
keep Paris.

Numbers are compared by value: 1,000 equals 1000 and 1000.0, five equals 5. -5 equals minus 5, but neither equals 5.
Words of scale (million) must stay.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from bitagent_evaluator.support.text import SMALL_NUMBERS

Scalar = str | int | float

_WORD = re.compile(r"[^\W_]+")
_DIGITS = re.compile(r"(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|(?<!\d)\.\d+")
_SIGNED = re.compile(rf"(?<![\w.)\]])[-−]({_DIGITS.pattern})")
_SIGNED_IN_WORDS = re.compile(rf"\b(?:minus|negative) ({_DIGITS.pattern})")
_SCALES = re.compile(r"\b(?:hundred|thousand|million|billion|trillion)")
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_SPELLED = {word: n for n, word in enumerate(SMALL_NUMBERS)} | {word: 10 * n for n, word in enumerate(_TENS, 2)}
_SPELLED |= {f"{tens} {unit}": _SPELLED[tens] + _SPELLED[unit] for tens in _TENS for unit in SMALL_NUMBERS[1:10]}
_SPELLED_NUMBER = re.compile(rf"\b(?:{'|'.join(sorted(_SPELLED, key=len, reverse=True))})\b".replace(" ", r"[- ]"))


def scalars(ground_truth: Any) -> Iterator[Scalar]:
    """Yield the strings and numbers at any depth of a ground truth's values.

    Booleans are left out, and so is "", which means that the argument may be omitted.
    """
    if isinstance(ground_truth, str):
        if ground_truth.strip():
            yield ground_truth
    elif isinstance(ground_truth, bool):
        return
    elif isinstance(ground_truth, int | float):
        yield ground_truth
    elif isinstance(ground_truth, Mapping):
        for value in ground_truth.values():
            yield from scalars(value)
    elif isinstance(ground_truth, list):
        for value in ground_truth:
            yield from scalars(value)


def ground_truth_values(ground_truth: list[dict[str, dict[str, list[Any]]]] | None) -> list[Scalar]:
    """Return the values of all expected calls, without the names of functions and arguments."""
    return [value for call in ground_truth or [] for arguments in call.values() for value in scalars(arguments)]


def keeps_value(value: Scalar, before: str, after: str) -> bool:
    """Return whether `after` contains the value in the form in which `before` does."""
    if isinstance(value, str):
        return _keeps_string(value, before, after)
    number = canonical_number(value)
    return number not in _all_numbers(before) or number in _all_numbers(after)


def same_numbers(before: str, after: str) -> bool:
    """Return whether both texts have the same numbers.

    A number in digits in one text may be spelled out in the other, and so may a minus sign.
    """
    return all(
        _in_digits(one) <= _all_numbers(other)
        and _signed(one) <= _signed(other) | _signed_in_words(other)
        and _scales(one) <= _scales(other)
        for one, other in ((before, after), (after, before))
    )


def _keeps_string(value: str, before: str, after: str) -> bool:
    for form in (str, str.casefold, normalised_words):
        for ending in (r"(?!\w)", ""):
            if _contains(form(value), form(before), ending):
                return _contains(form(value), form(after), ending)
    names = {word.casefold() for word in _WORD.findall(before) if word != word.lower() or any(map(str.isdigit, word))}
    return names.intersection(normalised_words(value).split()) <= set(normalised_words(after).split())


def _contains(value: str, text: str, ending: str) -> bool:
    return bool(value) and re.search(rf"(?<!\w){re.escape(value)}{ending}", text) is not None


def normalised_words(text: str) -> str:
    """Return a text in lower case without punctuation, with accents composed (NFC)."""
    return " ".join(_WORD.findall(unicodedata.normalize("NFC", text).casefold()))


def canonical_number(value: float | str) -> str:
    """Return one form for all ways of writing a number in digits, without its sign."""
    text = value.replace(",", "") if isinstance(value, str) else f"{Decimal(repr(abs(value))):f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return text.lstrip("0") or "0"


def _in_digits(text: str) -> set[str]:
    return {canonical_number(found) for found in _DIGITS.findall(text)}


def _signed(text: str) -> set[str]:
    return {canonical_number(found) for found in _SIGNED.findall(text)}


def _signed_in_words(text: str) -> set[str]:
    return {canonical_number(found) for found in _SIGNED_IN_WORDS.findall(text.casefold())}


def _scales(text: str) -> set[str]:
    return set(_SCALES.findall(text.casefold()))


def _all_numbers(text: str) -> set[str]:
    spelled = _SPELLED_NUMBER.findall(text.casefold())
    return _in_digits(text) | {str(_SPELLED[word.replace("-", " ")]) for word in spelled}
