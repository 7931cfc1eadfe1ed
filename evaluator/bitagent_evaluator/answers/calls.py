"""The form in which calls leave every syntax, and how a pair of name and arguments becomes one."""

from __future__ import annotations

from typing import Any, TypeAlias

Call: TypeAlias = dict[str, dict[str | None, Any]]
"""One `{function: {argument: value}}`. None is the argument name of `**mapping` in Python syntax, which no function has."""

Calls: TypeAlias = list[Call]
"""In the order of the answer."""


def named_call(name: object, arguments: object) -> Call | None:
    """The call, or None when these are not a name and named arguments."""
    if not isinstance(name, str) or not name or not isinstance(arguments, dict):
        return None
    return {name: arguments}


def is_call_list(decoded: object) -> bool:
    """Whether a decoded answer has the form of `Calls`: a list of one-entry dicts of dicts. True for an empty list."""
    return isinstance(decoded, list) and all(
        isinstance(call, dict) and len(call) == 1 and isinstance(next(iter(call.values())), dict) for call in decoded
    )
