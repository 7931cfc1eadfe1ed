"""Names that a person has mistyped: what was probably meant."""

from __future__ import annotations

import difflib
from argparse import ArgumentTypeError
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import TypeVar

Member = TypeVar("Member", bound=StrEnum)


def did_you_mean(text: str, names: Iterable[str]) -> str:
    """Return `; did you mean 'NAME'?` for the nearest of the names, whatever its case; empty if none is near."""
    by_lower = {name.lower(): str(name) for name in names}
    near = difflib.get_close_matches(text.lower(), by_lower, n=1)
    return f"; did you mean {by_lower[near[0]]!r}?" if near else ""


def one_of(names: Iterable[str]) -> Callable[[str], str]:
    """Return the type of an option that is one of the names."""
    known = [str(name) for name in names]

    def parse(text: str) -> str:
        if text not in known:
            raise ArgumentTypeError(f"no {text!r}; there are: {', '.join(known)}{did_you_mean(text, known)}")
        return text

    return parse


def member_of(kind: type[Member]) -> Callable[[str], Member]:
    """Return the type of an option that is a member of an enumeration, written as its value."""
    name = one_of(kind)
    return lambda text: kind(name(text))
