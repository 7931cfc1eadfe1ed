"""Whether a rewording is taken. A function of question, rewording and embedding: nothing of it is kept, a rebuild decides anew."""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from bitagent_evaluator.alterations.rewriting.names import named
from bitagent_evaluator.alterations.rewriting.reasons import Rejected
from bitagent_evaluator.alterations.rewriting.values import Scalar, keeps, same_numbers, words
from bitagent_evaluator.alterations.similarity import Embedding, similarity
from bitagent_evaluator.alterations.similarity.embedding import Vector

_LONGER, _MORE_CHARACTERS = 3, 200
"""A rewording may be three times as long as its question, and 200 characters more."""
_VISIBLE = frozenset("\n\t")


@dataclass(frozen=True)
class Bounds:
    """Similarities that are accepted, both ends included."""

    minimum: Decimal
    maximum: Decimal


@dataclass(frozen=True)
class Accepted:
    """A rewording that is taken."""

    text: str
    similarity: str


class Question:
    """One turn of a user, and what a rewording of it must keep."""

    def __init__(self, text: str, values: Iterable[Scalar], functions: Iterable[str], embedding: Embedding) -> None:
        """`values` are the ground truth's, `functions` the names of the functions on offer."""
        self.text = text
        self._values, self._functions = list(values), list(functions)
        self._embedding = embedding

    @functools.cached_property
    def _vector(self) -> Vector:
        return self._embedding.vector(self.text)

    def judge(self, text: str, bounds: Bounds) -> Accepted | Rejected:
        """Whether `text` may stand in the question's place."""
        if rejected := self._form(text) or self._content(text):
            return rejected
        if words(text) == words(self.text):  # a full stop less moves an embedding as much as another wording
            return Rejected.TOO_SIMILAR
        found = similarity(self._vector, self._embedding.vector(text))
        if Decimal(found) < bounds.minimum:
            return Rejected.TOO_DIFFERENT
        return Rejected.TOO_SIMILAR if Decimal(found) > bounds.maximum else Accepted(text, found)

    def _form(self, text: str) -> Rejected | None:
        if not text:
            return Rejected.EMPTY
        if len(text) > _LONGER * len(self.text) + _MORE_CHARACTERS:
            return Rejected.TOO_LONG
        if any(unicodedata.category(c).startswith("C") for c in set(text) - set(self.text) - _VISIBLE):
            return Rejected.CONTROL_CHARACTERS
        return None

    def _content(self, text: str) -> Rejected | None:
        if named(self._functions, text) - named(self._functions, self.text):
            return Rejected.NAMES_FUNCTION
        if not all(keeps(value, self.text, text) for value in self._values):
            return Rejected.VALUE_LOST
        return None if same_numbers(self.text, text) else Rejected.NUMBER_CHANGED
