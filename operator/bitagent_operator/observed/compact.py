"""Memory of parsed objects, of which there may be ten thousand."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import TypeVar

from pydantic import BaseModel

from bitagent_crds.minermodel import EngineChoices, MemoryShape

M = TypeVar("M", bound=BaseModel)

_SETS: dict[frozenset[str], set[str]] = {}
"""One set for each combination of members: as many as there are ways to write an object, of which there are few."""
_OFTEN_EQUAL = frozenset({MemoryShape, EngineChoices})
"""Models of which many objects have equal ones: all fine-tunes of one base have one shape."""
_EQUAL: dict[tuple[BaseModel, frozenset[str]], BaseModel] = {}
"""One of each that are equal and of which the same members were given."""
_MOST = 4096
"""Combinations, and models, that are kept; objects with further ones keep their own."""
_SHORT = 24
"""Longest text that is likely to be that of other objects as well, such as a licence."""
_PLAIN = frozenset({str, int, bool, float, type(None), datetime})
"""Types of most values: asking whether they are models is slow."""


def compact(model: M) -> M:
    """Let a frozen model, and those in it, share what is equal with those of other objects; return it.

    Each model has a set of the members that were given, which is larger than its values: half of the memory of a parsed
    object. Short texts and some of the models in it are shared, too.
    """
    given = model.__pydantic_fields_set__
    combination = frozenset(given)
    shared = _SETS.get(combination)
    if shared is None and len(_SETS) < _MOST:
        shared = _SETS[combination] = given
    if shared is not None:
        object.__setattr__(model, "__pydantic_fields_set__", shared)
    values = model.__dict__
    for name, value in values.items():
        kind = type(value)
        if kind is str and len(value) <= _SHORT:
            values[name] = sys.intern(value)
        elif kind in _OFTEN_EQUAL:
            values[name] = _shared(value)
        elif kind not in _PLAIN:
            for each in value if isinstance(value, list) else (value,):
                if type(each) not in _PLAIN and isinstance(each, BaseModel):
                    compact(each)
    return model


def _shared(model: BaseModel) -> BaseModel:
    """Return an equal model that is kept; the model itself if there is none, after keeping it for the next one."""
    key = (model, frozenset(model.__pydantic_fields_set__))
    if (found := _EQUAL.get(key)) is None:
        found = compact(model)
        if len(_EQUAL) < _MOST:
            _EQUAL[key] = found
    return found
