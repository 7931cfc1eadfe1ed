"""What a rewording must keep: the ground truth's values that stand in the question, and the question's numbers.

A value stands in a text in the strictest of several ways: as it is, in other capitals, or with other punctuation between its words; each as
whole words, or with an ending (`apple` in `apples`). A rewording must have it in the same way, so that whichever scorer judges, an answer
that copies the value is as right as before. A string that does not stand there as a whole still lends its names: of `Paris, France` a
question for the weather in Paris must keep Paris. Numbers count by value: 1,000 is 1000 is 1000.0, and five is 5; -5 is minus 5, but neither is
5, and what is counted in millions stays so.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from bitagent_evaluator.alterations.number_words import SMALL_NUMBERS

Scalar = str | int | float

_WORD = re.compile(r"[^\W_]+")
_DIGITS = re.compile(r"(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|(?<!\d)\.\d+")
_SIGNED = re.compile(rf"(?<![\w.)\]])[-−]({_DIGITS.pattern})")
_SAID_SIGNED = re.compile(rf"\b(?:minus|negative) ({_DIGITS.pattern})")
_SCALES = re.compile(r"\b(?:hundred|thousand|million|billion|trillion)")
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_SPELLED = {word: n for n, word in enumerate(SMALL_NUMBERS)} | {word: 10 * n for n, word in enumerate(_TENS, 2)}
_SPELLED |= {f"{tens} {unit}": _SPELLED[tens] + _SPELLED[unit] for tens in _TENS for unit in SMALL_NUMBERS[1:10]}
_SPELLED_NUMBER = re.compile(rf"\b(?:{'|'.join(sorted(_SPELLED, key=len, reverse=True))})\b".replace(" ", r"[- ]"))


def scalars(ground_truth: Any) -> Iterator[Scalar]:
    """Strings and numbers at any depth of a ground truth's values; truth values and "" (an argument that may be left out) are none."""
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


def values_of(ground_truth: list[dict[str, dict[str, list[Any]]]] | None) -> list[Scalar]:
    """The values of all expected calls; names of functions and arguments are none."""
    return [value for call in ground_truth or [] for arguments in call.values() for value in scalars(arguments)]


def keeps(value: Scalar, before: str, after: str) -> bool:
    """Whether `after` has the value as far as `before` had it."""
    if isinstance(value, str):
        return _keeps_string(value, before, after)
    number = canonical_number(value)
    return number not in _all_numbers(before) or number in _all_numbers(after)


def same_numbers(before: str, after: str) -> bool:
    """Whether both texts have the same numbers; one written in digits in one of them may be spelled out in the other, and so may a minus sign."""
    return all(
        _in_digits(one) <= _all_numbers(other)
        and _signed(one) <= _signed(other) | _said_signed(other)
        and _scales(one) <= _scales(other)
        for one, other in ((before, after), (after, before))
    )


def _keeps_string(value: str, before: str, after: str) -> bool:
    for form in (str, str.casefold, words):
        for ending in (r"(?!\w)", ""):
            if _stands(form(value), form(before), ending):
                return _stands(form(value), form(after), ending)
    names = {word.casefold() for word in _WORD.findall(before) if word != word.lower() or any(map(str.isdigit, word))}
    return names.intersection(words(value).split()) <= set(words(after).split())


def _stands(value: str, text: str, ending: str) -> bool:
    return bool(value) and re.search(rf"(?<!\w){re.escape(value)}{ending}", text) is not None


def words(text: str) -> str:
    """A text without capitals and punctuation; an accent is the same whether it is a character of its own or not."""
    return " ".join(_WORD.findall(unicodedata.normalize("NFC", text).casefold()))


def canonical_number(value: float | str) -> str:
    """One text for all ways of writing a number in digits, without its sign."""
    text = value.replace(",", "") if isinstance(value, str) else f"{Decimal(repr(abs(value))):f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return text.lstrip("0") or "0"


def _in_digits(text: str) -> set[str]:
    return {canonical_number(found) for found in _DIGITS.findall(text)}


def _signed(text: str) -> set[str]:
    return {canonical_number(found) for found in _SIGNED.findall(text)}


def _said_signed(text: str) -> set[str]:
    return {canonical_number(found) for found in _SAID_SIGNED.findall(text.casefold())}


def _scales(text: str) -> set[str]:
    return set(_SCALES.findall(text.casefold()))


def _all_numbers(text: str) -> set[str]:
    spelled = _SPELLED_NUMBER.findall(text.casefold())
    return _in_digits(text) | {str(_SPELLED[word.replace("-", " ")]) for word in spelled}
