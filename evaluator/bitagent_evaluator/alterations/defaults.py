"""Default values in parameter descriptions: finding, telling whether a question names one, and making another of the same kind."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bitagent_evaluator.alterations.choices import Choices
from bitagent_evaluator.alterations.number_words import SMALL_NUMBERS

Scalar = str | int | float

_TYPES: dict[str, tuple[type, ...]] = {"string": (str,), "integer": (int,), "float": (float, int)}
_WORD = re.compile(r"\bdefault", re.IGNORECASE)
_PHRASE = re.compile(
    r"""\bdefaults?(?:\s+value)?(?P<connector>\s+(?:is|to|of)|\s*[:=])?\s*
    (?: (?P<quote>['"`])(?P<quoted>[^'"`]+)(?P=quote)
      | (?P<number>-?\d+(?:\.\d+)?)(?![\w%]|\.\d)(?=[\s.,;)]|$)
      | (?P<bare>[A-Za-z][\w-]*)(?=\s*(?:[.,;)]|$)) )""",
    re.IGNORECASE | re.VERBOSE,
)
# fmt: off
_NO_VALUES = frozenset((
    "all", "any", "blank", "current", "empty", "everything", "false", "inf", "infinity", "nan", "nil", "no", "none",
    "now", "null", "optional", "today", "true", "undefined", "unlimited", "unspecified", "unset", "yes", "zero",
))
# fmt: on
_NUMBER_WORDS = SMALL_NUMBERS[:13]
_ONCE = {1: ("a", "an", "single", "once", "first"), 2: ("twice", "double", "couple", "pair", "both"), 12: ("dozen",)}
_NEUTRAL = re.compile(r"[\W_]+")
_PLAIN_NUMBER = re.compile(r"-?\d{1,20}(\.\d{1,20})?")
"""A number as prose writes it: another one like it can be made digit by digit, which 1e-05 does not allow."""
_ATTEMPTS = 16


@dataclass(frozen=True)
class Default:
    """A default value and the places where the parameter's description names it."""

    value: Scalar
    spans: tuple[tuple[int, int], ...]
    """Of the value's text in the description, without quotes."""

    def described(self, description: str, new: Scalar) -> str:
        """The description with another value in these places."""
        for start, end in reversed(self.spans):
            description = description[:start] + str(new) + description[end:]
        return description


def find_default(schema: Mapping[str, Any]) -> Default | None:
    """The default value of a string or number, if `default` and every mention in the description agree and can be read with certainty."""
    types = _TYPES.get(str(schema.get("type")))
    description = schema.get("description", "")
    if types is None or not isinstance(description, str):
        return None
    phrases = list(_PHRASE.finditer(description))
    read = [_read(phrase, types) for phrase in phrases]
    values = {value for _, value in read}
    if "default" in schema:
        values.add(_of_type(schema["default"], types))
    if len(phrases) != len(_WORD.findall(description)) or len(values) != 1 or None in values:
        return None
    value = values.pop()
    return None if value is None else Default(value, tuple(span for span, _ in read))


def _read(phrase: re.Match[str], types: tuple[type, ...]) -> tuple[tuple[int, int], Scalar | None]:
    kind = next(name for name in ("quoted", "number", "bare") if phrase[name] is not None)
    text, number = phrase[kind], types != (str,)
    if number:
        readable = _PLAIN_NUMBER.fullmatch(text) and not ("." in text and types == (int,))
        return phrase.span(kind), _of_type(_number(text), types) if readable else None
    sure = kind == "quoted" or (kind == "bare" and phrase["connector"] is not None)
    return phrase.span(kind), _of_type(text, types) if sure else None


def _number(text: str) -> int | float:
    return float(text) if "." in text else int(text)


def _of_type(value: Any, types: tuple[type, ...]) -> Scalar | None:
    if type(value) not in types or (isinstance(value, str) and (not neutral(value) or value.lower() in _NO_VALUES)):
        return None
    if not isinstance(value, str) and not _PLAIN_NUMBER.fullmatch(str(value)):
        return None
    scalar: Scalar = value
    return scalar


def neutral(text: str) -> str:
    """A text as lenient comparisons see it: without case, blanks and punctuation."""
    return _NEUTRAL.sub("", text).casefold()


def same(value: Any, default: Scalar) -> bool:
    """Whether an allowed value is the default value."""
    if isinstance(default, str):
        return isinstance(value, str) and neutral(value) == neutral(default)
    return type(value) in (int, float) and value == default


def is_said(value: Scalar, text: str) -> bool:
    """Whether a text names the value, a number also in words. Errs towards yes."""
    if isinstance(value, str):
        return neutral(value) in neutral(text)
    words = set(re.findall(r"[a-z]+", text.lower()))
    by_word = {_NUMBER_WORDS[int(value)], *_ONCE.get(int(value), ())} if value in range(13) else set()
    numbers = {float(found) for found in re.findall(r"(?<![A-Za-z_\d])\d+(?:\.\d+)?", text.replace(",", ""))}
    try:
        size = abs(float(value))
    except OverflowError:
        return True
    return bool(words & by_word) or size in numbers or size * 100 in numbers


def another(value: Scalar, schema: Mapping[str, Any], *, taken: str, choices: Choices, what: str) -> Scalar | None:
    """A random value of the same type and look, or one of the schema's `enum`; never one that `taken` names. None if there is none."""
    if isinstance(options := schema.get("enum"), list):
        fitting = [o for o in options if type(o) is type(value) and not same(o, value) and not is_said(o, taken)]
        return fitting[choices.number(0, len(fitting) - 1, "default", what)] if fitting else None
    for attempt in range(_ATTEMPTS):
        path = ("default", what, str(attempt))
        text = "".join(_like(value, c, i, choices, path) for i, c in enumerate(str(value)))
        made = text if isinstance(value, str) else type(value)(text)
        if not same(made, value) and not is_said(made, taken) and _in_bounds(made, schema):
            return made
    return None


def _like(value: Scalar, character: str, place: int, choices: Choices, path: tuple[str, ...]) -> str:
    keeps = isinstance(value, int | float) and character == "0" and value != 0
    return character if keeps else choices.letter_like(character, *path, str(place))


def _in_bounds(value: Scalar, schema: Mapping[str, Any]) -> bool:
    low, high = schema.get("minimum"), schema.get("maximum")
    if isinstance(value, str):
        return True
    return not (isinstance(low, int | float) and value < low) and not (isinstance(high, int | float) and value > high)
