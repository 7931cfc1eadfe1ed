"""The calls of one step, as the source text that the leaderboard executes.

Its decoder writes every call out again before it runs it, and that text is what a model gets to see as the name of a result. So the same text is
written here, with its peculiarities: arguments are keywords; a dict whose values are all dicts is a call inside the call, so an empty one is none and
makes the whole answer unreadable; keys of other dicts become text.
"""

from __future__ import annotations

from typing import Any

from bitagent_evaluator.answers import AnswerError, decode


def executable(text: str) -> list[str]:
    """The source of each call of an answer in BFCL's syntax; none for an answer without calls, such as `[]`. Raises AnswerError."""
    return [_call(name, arguments) for call in decode(text) for name, arguments in call.items()]


def _call(name: str, arguments: dict[str | None, Any]) -> str:
    return f"{name}({', '.join(f'{key}={_value(value)}' for key, value in arguments.items())})"


def _value(value: Any) -> str:
    if not isinstance(value, dict):
        return repr(value)
    if not value:
        raise AnswerError("an empty dict is not a value that can be executed")
    if not all(isinstance(member, dict) for member in value.values()):
        return "{" + ", ".join(f"'{key}': {_value(member)}" for key, member in value.items()) + "}"
    name, arguments = next(iter(value.items()))
    return _call(name, arguments)
