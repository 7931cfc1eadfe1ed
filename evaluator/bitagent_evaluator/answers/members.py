"""What the JSON and YAML syntaxes share: values of an answer that are calls, and values that are not."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from bitagent_evaluator.answers.calls import Call, Calls


def all_calls(values: Iterable[Any], read: Callable[[dict[str, Any]], Call | None]) -> Calls:
    """The calls of all values that hold some, in order.

    `read` makes a call of an object, or None of an object that is none. A list counts only if all its items are calls. Other values are
    prose, such as `[1]`, and count for nothing.
    """
    return [call for value in values for call in _calls(value, read)]


def _calls(value: Any, read: Callable[[dict[str, Any]], Call | None]) -> Calls:
    calls = []
    for item in value if isinstance(value, list) else [value]:
        call = read(item) if isinstance(item, dict) else None
        if call is None:
            return []
        calls.append(call)
    return calls
