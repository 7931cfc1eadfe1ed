"""Calls as every syntax returns them, the error of reading an answer, and calls among decoded JSON or YAML values."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias


class AnswerError(ValueError):
    """Raised when a text cannot be read as a list of calls; the message says why.

    With `refused` False, the official decoder fails on the text too. With `refused` True, the text exceeds a limit of
    the readers here: it is too long or too deep, or its value is known only by executing it. A refused answer passes
    no task, not even one that expects no call.
    """

    def __init__(self, message: str, *, refused: bool = False, position: int = 0) -> None:
        super().__init__(message)
        self.refused = refused
        self.position = position
        """Number of characters that could be read, about; 0 if nothing of the syntax was found. Of several readers'
        reasons, that of the one that got furthest says most."""


Call: TypeAlias = dict[str, dict[str | None, Any]]
"""One `{function: {argument: value}}`. None is the argument name of `**mapping` in Python syntax, which no function
has."""

Calls: TypeAlias = list[Call]
"""In the order of the answer."""


def is_call_list(value: object) -> bool:
    """Return whether a decoded value has the form of `Calls`; true for an empty list."""
    return isinstance(value, list) and all(
        isinstance(call, dict) and len(call) == 1 and isinstance(next(iter(call.values())), dict) for call in value
    )


def named_call(name: object, arguments: object) -> Call | None:
    """Return the call of a name and arguments; None if they are not a non-empty name and an object."""
    if not isinstance(name, str) or not name or not isinstance(arguments, dict):
        return None
    return {name: arguments}


def collect_calls(values: Iterable[Any], to_call: Callable[[dict[str, Any]], Call | None]) -> Calls:
    """Return the calls among decoded values, in order.

    `to_call` makes a call of an object, or returns None for an object that is none. A list counts only if all its items
    are calls. Other values, such as `[1]`, are part of the prose and are skipped.
    """
    return [call for value in values for call in _calls(value, to_call)]


def _calls(value: Any, to_call: Callable[[dict[str, Any]], Call | None]) -> Calls:
    calls = []
    for item in value if isinstance(value, list) else [value]:
        call = to_call(item) if isinstance(item, dict) else None
        if call is None:
            return []
        calls.append(call)
    return calls
