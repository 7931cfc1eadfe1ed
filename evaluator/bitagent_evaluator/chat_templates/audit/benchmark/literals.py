"""Distinctive names and values of a benchmark, and where they occur in a text."""

from __future__ import annotations

import functools
import hashlib
import importlib.resources
import re
from collections.abc import Iterator

DIGEST_BYTES = 8
_NAME = re.compile(r"[A-Za-z_][\w.]*")
_WORDS_OF_NAME = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])")
_QUOTED = re.compile(r"\"([^\"\n]{1,400})\"|'([^'\n]{1,400})'")
_SHORTEST_NAME = 14
_SHORTEST_VALUE = 16
_WORDS = 3

PUBLIC_EXAMPLES = frozenset(
    {
        "get_current_weather",
        "get_current_temperature",
        "get_current_time",
        "get_weather_forecast",
        "get_stock_price",
        "get_exchange_rate",
        "send_email_message",
    }
)
"""Names that documentation of tool calling uses, so that an honest template may show them."""


def is_distinctive_name(name: str) -> bool:
    """Return whether a name is long and of at least three words: `calculate_triangle_area`, but not `get_weather`."""
    long = len(name) >= _SHORTEST_NAME and len(_WORDS_OF_NAME.findall(name)) >= _WORDS
    return long and name not in PUBLIC_EXAMPLES


def is_distinctive_value(value: str) -> bool:
    """Return whether a value is long and of at least three words."""
    return len(value) >= _SHORTEST_VALUE and len(value.split()) >= _WORDS


def digest(literal: str) -> bytes:
    """Return the hash of a name or value, which does not depend on case and spacing."""
    return hashlib.sha256(" ".join(literal.split()).casefold().encode(errors="replace")).digest()[:DIGEST_BYTES]


def find_names(text: str) -> Iterator[str]:
    """Yield the names of the benchmark's functions that occur in `text`."""
    known = _known("names.bin")
    for match in _NAME.finditer(text):
        name = match[0].strip(".")
        if is_distinctive_name(name) and digest(name) in known:
            yield name


def find_values(text: str) -> Iterator[str]:
    """Yield ground-truth values that are the whole `text`, or quoted in it."""
    known = _known("values.bin")
    for value in (text, *(match[1] or match[2] for match in _QUOTED.finditer(text))):
        if is_distinctive_value(value) and digest(value) in known:
            yield value


@functools.cache
def _known(file: str) -> frozenset[bytes]:
    data = (importlib.resources.files(__package__) / file).read_bytes()
    return frozenset(data[start : start + DIGEST_BYTES] for start in range(0, len(data), DIGEST_BYTES))
