"""Memory of parsed objects, of which there may be ten thousand."""

from __future__ import annotations

from datetime import datetime
from typing import TypeVar

from pydantic import BaseModel

M = TypeVar("M", bound=BaseModel)

_SETS: dict[frozenset[str], set[str]] = {}
"""One set for each combination of members: as many as there are ways to write an object, of which there are few."""
_MOST = 4096
"""Combinations that are kept; objects with further ones keep sets of their own."""
_PLAIN = frozenset({str, int, bool, float, type(None), datetime})
"""Types of most values: asking whether they are models is slow."""


def compact(model: M) -> M:
    """Let a frozen model, and those in it, share the sets of the members that were given; return it.

    Each model has such a set of its own, which is larger than its values: half of the memory of a parsed object.
    """
    given = model.__pydantic_fields_set__
    shared = _SETS.get(frozenset(given))
    if shared is None and len(_SETS) < _MOST:
        shared = _SETS[frozenset(given)] = given
    if shared is not None:
        object.__setattr__(model, "__pydantic_fields_set__", shared)
    for value in model.__dict__.values():
        if type(value) in _PLAIN:
            continue
        for each in value if isinstance(value, list) else (value,):
            if type(each) not in _PLAIN and isinstance(each, BaseModel):
                compact(each)
    return model
