"""Whether a rewording is accepted: a pure function of the original text, the rewording and the embedding.

Decisions are not cached; a rebuild makes them again from the cached responses.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from bitagent_evaluator.alterations.renaming import is_code_like
from bitagent_evaluator.alterations.rewrite.values import Scalar, keeps_value, normalised_words, same_numbers
from bitagent_evaluator.support.embedding import Embedding, Vector, similarity


class Rejection(StrEnum):
    """Why the last rewording of a text was rejected; a manifest counts unchanged tasks by these values."""

    EMPTY = "empty"
    """The response is empty."""
    TOO_LONG = "too_long"
    """It is several times as long as the original, or the token limit cut it off."""
    CONTROL_CHARACTERS = "control_characters"
    """It has invisible characters that the original does not have."""
    NAMES_FUNCTION = "names_function"
    """It names a function that the original does not name, which would give the answer away."""
    VALUE_LOST = "value_lost"
    """A value of the ground truth that the original contains is missing, or a name or literal of a description."""
    NUMBER_CHANGED = "number_changed"
    """A number of the original is missing, or there is a new one."""
    TOO_DIFFERENT = "too_different"
    """Similarity is below the minimum: the meaning is another."""
    TOO_SIMILAR = "too_similar"
    """The words are the same, or similarity is above the maximum: hardly anything was reworded."""
    REQUEST_FAILED = "request_failed"
    """The endpoint returned no response."""


def mentioned_names(names: Iterable[str], text: str) -> set[str]:
    """Return the functions or parameters that a text names.

    Code-like names (`get_user`, `kq3v9bxt`) count wherever they are a word of their own, ordinary words (`search`)
    only when quoted or called.
    """
    return {name for name in names if re.search(_mention(name), text)}


def _mention(name: str) -> str:
    escaped = re.escape(name)
    if is_code_like(name) or any(map(str.isdigit, name)):
        return rf"(?<![\w.]){escaped}(?!\w|\.\w)"
    return rf"(?<=['\"`]){escaped}(?=['\"`])|(?<![\w.]){escaped}\("


_LONGER, _MORE_CHARACTERS = 3, 200
"""A rewording may be three times as long as the original, plus 200 characters."""
_VISIBLE = frozenset("\n\t")


@dataclass(frozen=True)
class Bounds:
    """Accepted similarities, both ends included."""

    minimum: Decimal
    maximum: Decimal


@dataclass(frozen=True)
class Accepted:
    """An accepted rewording."""

    text: str
    similarity: str
    """To the original, as a decimal of four places."""


class OriginalText:
    """One user turn or description, and what a rewording of it must keep."""

    def __init__(self, text: str, values: Iterable[Scalar], functions: Iterable[str], embedding: Embedding) -> None:
        """`values` are those of the ground truth and what else must stay as it is written, if the text contains it.

        `functions` are names that a rewording may not introduce.
        """
        self.text = text
        self._values, self._functions = list(values), list(functions)
        self._embedding = embedding

    @functools.cached_property
    def _vector(self) -> Vector:
        return self._embedding.vector(self.text)

    def check(self, text: str, bounds: Bounds) -> Accepted | Rejection:
        """Return whether `text` may replace the original, and if not, why."""
        if rejection := self._check_form(text) or self._check_content(text):
            return rejection
        if normalised_words(text) == normalised_words(
            self.text
        ):  # a missing full stop moves an embedding as far as a rewording
            return Rejection.TOO_SIMILAR
        found = similarity(self._vector, self._embedding.vector(text))
        if Decimal(found) < bounds.minimum:
            return Rejection.TOO_DIFFERENT
        return Rejection.TOO_SIMILAR if Decimal(found) > bounds.maximum else Accepted(text, found)

    def _check_form(self, text: str) -> Rejection | None:
        if not text:
            return Rejection.EMPTY
        if len(text) > _LONGER * len(self.text) + _MORE_CHARACTERS:
            return Rejection.TOO_LONG
        if any(unicodedata.category(c).startswith("C") for c in set(text) - set(self.text) - _VISIBLE):
            return Rejection.CONTROL_CHARACTERS
        return None

    def _check_content(self, text: str) -> Rejection | None:
        if mentioned_names(self._functions, text) - mentioned_names(self._functions, self.text):
            return Rejection.NAMES_FUNCTION
        if not all(keeps_value(value, self.text, text) for value in self._values):
            return Rejection.VALUE_LOST
        return None if same_numbers(self.text, text) else Rejection.NUMBER_CHANGED
