"""Which comparisons tell nothing about a task."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import nodes

from bitagent_evaluator.safety.audit.labels import CONVERSATION, PART_KEYS, SCHEMA_WORDS, Label
from bitagent_evaluator.safety.audit.markers import is_marker

_Constants = list[Any] | None
_SIGN = {("eq", 0), ("ne", 0), ("gt", 0), ("lt", 0), ("gteq", 1), ("lt", 1), ("lteq", 0), ("gteq", 0)}

_WORDS: Mapping[Label, Callable[[object], bool]] = {
    Label.MESSAGE: lambda word: isinstance(word, str),
    Label.CALLS: lambda word: isinstance(word, str),
    Label.TEXT: is_marker,
    Label.PART: lambda word: word in PART_KEYS,
    Label.TOOLS: lambda word: word in SCHEMA_WORDS,
}
"""The constants that may be looked for in a value of each label."""


def may_compare(
    operator: str,
    sides: tuple[Label, Label],
    constants: tuple[_Constants, _Constants],
    *,
    literals: tuple[nodes.Node, nodes.Node],
) -> bool:
    """Whether comparing values of these labels is part of laying out a conversation. `constants` are what either side may be."""
    left, right = sides
    if not left | right:
        return True
    if operator in ("in", "notin"):
        return _may_contain(left, right, constants)
    if right and not left:
        (left, right), constants, literals = (right, left), constants[::-1], literals[::-1]
    if left == right and left in (Label.MESSAGE, Label.MESSAGES, Label.TOOLS):
        return True
    values = constants[1]
    if right or not values:
        empty = isinstance(literals[1], nodes.List | nodes.Dict) and not literals[1].items
        return empty and not left & (Label.DERIVED | Label.PART | Label.PIECES)
    return all(_may_be(operator, left, value) for value in values)


def _may_be(operator: str, label: Label, value: object) -> bool:
    """Whether a value with this label may be compared with a constant."""
    if value is None or isinstance(value, bool):
        return not label & (Label.DERIVED | Label.PART)
    if label == Label.LENGTH:
        return isinstance(value, int) and (operator, value) in _SIGN
    if label in (Label.TEXT, Label.CALLS, Label.MESSAGES):
        return value == "" and operator in ("eq", "ne")
    if label == Label.TOOLS:
        return value == "" or value in SCHEMA_WORDS or (isinstance(value, int | float) and -1 <= value <= 1)
    return False


def _may_contain(needle: Label, hay: Label, constants: tuple[_Constants, _Constants]) -> bool:
    """Whether `needle in hay` may be asked."""
    if needle == Label.MESSAGE:
        return hay == Label.MESSAGES
    if needle == Label.TOOLS:
        inside = constants[1]
        return hay == Label.TOOLS or (not hay and inside is not None and all(word in SCHEMA_WORDS for word in inside))
    words = constants[0]
    if needle & CONVERSATION or words is None:
        return False
    return hay in _WORDS and all(_WORDS[hay](word) for word in words)
