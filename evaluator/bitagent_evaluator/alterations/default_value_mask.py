"""Alteration `DefaultValueMask`: replace default values that descriptions state by random ones of the same type.

Where a question leaves a value open, the right answer then follows from the description, not from what similar
functions usually do. A default is replaced only if `find_default` reads it without doubt.
"""

from __future__ import annotations

import functools
import marshal
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bitagent_crds.alterations import DefaultValueMask
from bitagent_crds.task_forms import Language
from bitagent_crds.task_set import Task
from bitagent_evaluator.alterations.base import Altered, Choices, Skipped, SkipReason, TaskPool
from bitagent_evaluator.alterations.renaming import has_duplicates, strings_in
from bitagent_evaluator.support.text import SMALL_NUMBERS

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
"""A number in plain digits, which can be replaced digit by digit; 1e-05 cannot."""
_ATTEMPTS = 16
_WITHOUT_REFERENCES = 2
"""Version of marshal that writes a list again wherever it occurs, so that its copies are distinct."""


@dataclass(frozen=True)
class Default:
    """A default value, and where the parameter's description states it."""

    value: Scalar
    spans: tuple[tuple[int, int], ...]
    """Start and end of the value's text in the description, without quotes."""

    def replace_in(self, description: str, new: Scalar) -> str:
        """Return the description with `new` in these places."""
        for start, end in reversed(self.spans):
            description = description[:start] + str(new) + description[end:]
        return description


def find_default(schema: Mapping[str, Any]) -> Default | None:
    """Return the default value of a string or number parameter, or None.

    It is found only if `default` and every statement in the description are readable and agree.
    """
    types = _TYPES.get(str(schema.get("type")))
    description = schema.get("description", "")
    if types is None or not isinstance(description, str):
        return None
    if "default" not in schema and "default" not in description.lower():
        return None
    phrases = list(_PHRASE.finditer(description))
    read = [_read_phrase(phrase, types) for phrase in phrases]
    values = {value for _, value in read}
    if "default" in schema:
        values.add(_of_type(schema["default"], types))
    if len(phrases) != len(_WORD.findall(description)) or len(values) != 1 or None in values:
        return None
    value = values.pop()
    return None if value is None else Default(value, tuple(span for span, _ in read))


def _read_phrase(phrase: re.Match[str], types: tuple[type, ...]) -> tuple[tuple[int, int], Scalar | None]:
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
    if type(value) not in types or (
        isinstance(value, str) and (not normalise_text(value) or value.lower() in _NO_VALUES)
    ):
        return None
    if not isinstance(value, str) and not _PLAIN_NUMBER.fullmatch(str(value)):
        return None
    scalar: Scalar = value
    return scalar


def normalise_text(text: str) -> str:
    """Return a text without case, blanks and punctuation, for lenient comparisons."""
    return _NEUTRAL.sub("", text).casefold()


def is_same_value(value: Any, default: Scalar) -> bool:
    """Return whether an allowed value is the default value."""
    if isinstance(default, str):
        return isinstance(value, str) and normalise_text(value) == normalise_text(default)
    return type(value) in (int, float) and value == default


def mentions_value(value: Scalar, text: str) -> bool:
    """Return whether a text may state the value, a number in words, too. True in cases of doubt."""
    found = _read_text(text)
    if isinstance(value, str):
        return normalise_text(value) in found.normalised
    by_word = {_NUMBER_WORDS[int(value)], *_ONCE.get(int(value), ())} if value in range(13) else set()
    try:
        size = abs(float(value))
    except OverflowError:
        return True
    return bool(found.words & by_word) or size in found.numbers or size * 100 in found.numbers


@dataclass(frozen=True)
class _Mentions:
    """What values are looked for in."""

    normalised: str
    words: frozenset[str]
    numbers: frozenset[float]


@functools.lru_cache(maxsize=4)  # many values are looked for in one text
def _read_text(text: str) -> _Mentions:
    numbers = re.findall(r"(?<![A-Za-z_\d])\d+(?:\.\d+)?", text.replace(",", ""))
    words = re.findall(r"[a-z]+", text.lower())
    return _Mentions(normalise_text(text), frozenset(words), frozenset(map(float, numbers)))


def draw_replacement(
    value: Scalar, schema: Mapping[str, Any], *, taken: str, choices: Choices, what: str
) -> Scalar | None:
    """Return a random value of the same type and form, or another of the schema's `enum`; None if there is none.

    It is never a value that the text `taken` states.
    """
    if isinstance(options := schema.get("enum"), list):
        fitting = [
            o
            for o in options
            if type(o) is type(value) and not is_same_value(o, value) and not mentions_value(o, taken)
        ]
        return fitting[choices.integer(0, len(fitting) - 1, "default", what)] if fitting else None
    for attempt in range(_ATTEMPTS):
        path = ("default", what, str(attempt))
        text = "".join(_similar_character(value, c, i, choices, path) for i, c in enumerate(str(value)))
        made = text if isinstance(value, str) else type(value)(text)
        if not is_same_value(made, value) and not mentions_value(made, taken) and _in_bounds(made, schema):
            return made
    return None


def _similar_character(value: Scalar, character: str, place: int, choices: Choices, path: tuple[str, ...]) -> str:
    keeps = isinstance(value, int | float) and character == "0" and value != 0
    return character if keeps else choices.similar_character(character, *path, str(place))


def _in_bounds(value: Scalar, schema: Mapping[str, Any]) -> bool:
    low, high = schema.get("minimum"), schema.get("maximum")
    if isinstance(value, str):
        return True
    return not (isinstance(low, int | float) and value < low) and not (isinstance(high, int | float) and value > high)


class MaskDefaultValues:
    """Replace string and number defaults of Python tasks.

    An allowed value that is the default is replaced, too, if the argument may be left out or is required. A parameter
    is left alone where the messages state the value, or where the ground truth demands the default for an optional
    argument: the question then asks for it in other words.
    """

    def __init__(self, parameters: DefaultValueMask) -> None:
        self.parameters = parameters

    def apply(self, task: Task, *, choices: Choices, pool: TaskPool) -> Altered | Skipped:
        """Return the task with other defaults. Record: `{"old", "new"}` by `function.parameter`, dotted if nested."""
        if task.language is not Language.PYTHON:
            return Skipped(SkipReason.LANGUAGE)
        if has_duplicates(task):
            return Skipped(SkipReason.DUPLICATE_NAMES)
        mask = _Mask(task, choices)
        mask.apply()
        if not mask.changes:
            return Skipped(SkipReason.NO_CERTAIN_DEFAULT)
        changed = {"functions": mask.functions, "ground_truth": mask.truth}
        return Altered(task.model_copy(update=changed), mask.changes)


class _Mask:
    """Copies of one task's functions and ground truth in which defaults are replaced."""

    def __init__(self, task: Task, choices: Choices) -> None:
        self.functions = _copied(task.functions)
        self.truth = _copied(task.ground_truth)
        self.changes: dict[str, dict[str, Scalar]] = {}
        self._choices = choices
        self._messages = " ".join(str(message.get("content", "")) for message in task.messages)
        self._taken = " ".join([self._messages, *strings_in(task.ground_truth, keys=False)])

    def apply(self) -> None:
        for function in self.functions:
            name = function["name"]
            calls: list[Mapping[str, Any]] = [call[name] for call in self.truth or [] if name in call]
            self._mask_object(function["parameters"], calls, name, str(function.get("description", "")))

    def _mask_object(self, schema: dict[str, Any], given: list[Mapping[str, Any]], path: str, about: str) -> None:
        """Replace the defaults of a schema with properties.

        `given` are the ground truth's objects of this schema; their members are lists of allowed values.
        """
        required = schema.get("required")
        for name, child in (schema.get("properties") or {}).items():
            if not isinstance(child, dict):
                continue
            values = [entry[name] for entry in given if name in entry]
            is_required = isinstance(required, list) and name in required
            self._mask_scalar(child, values, f"{path}.{name}", about, is_required=is_required)
            inner = child
            while not inner.get("properties") and isinstance(inner.get("items"), dict):
                inner = inner["items"]
            if inner.get("properties"):
                self._mask_object(
                    inner, [entry for value in values for entry in _objects(value)], f"{path}.{name}", about
                )

    def _mask_scalar(
        self, schema: dict[str, Any], values: list[Any], path: str, about: str, *, is_required: bool
    ) -> None:
        default = find_default(schema)
        if default is None or ("default" in about.lower() and mentions_value(default.value, about)):
            return
        meant = [
            value
            for value in values
            if not isinstance(value, list) or any(is_same_value(v, default.value) for v in value)
        ]
        if meant and (
            not all(isinstance(value, list) and (is_required or "" in value) for value in meant)
            or mentions_value(default.value, self._messages)
        ):
            return
        new = draw_replacement(default.value, schema, taken=self._taken, choices=self._choices, what=path)
        if new is None:
            return
        if "default" in schema:
            schema["default"] = new
        if default.spans:
            schema["description"] = default.replace_in(schema["description"], new)
        for allowed in meant:
            followed = [_in_form_of(new, value) if is_same_value(value, default.value) else value for value in allowed]
            allowed[:] = [value for i, value in enumerate(followed) if value not in followed[:i]]
        self.changes[path] = {"old": default.value, "new": new}


def _copied(value: Any) -> Any:
    """Return a deep copy of a JSON value, without references between its parts, faster than `copy.deepcopy`."""
    return marshal.loads(marshal.dumps(value, _WITHOUT_REFERENCES))  # noqa: S302 (it was made in this line)


def _objects(value: Any) -> list[Mapping[str, Any]]:
    """Return the objects in nested lists of allowed values."""
    if isinstance(value, dict):
        return [value]
    return [found for entry in value for found in _objects(entry)] if isinstance(value, list) else []


def _in_form_of(new: Scalar, old: Any) -> Scalar:
    """Return a number in the form of the allowed value that it replaces: 3 for 2, 3.0 for 2.0."""
    return float(new) if isinstance(old, float) else new
