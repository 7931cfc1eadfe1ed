"""Functions in the system text of a chat: a list in JSON or Python, objects one after the other, or in `<tools>`."""

from __future__ import annotations

import json
import re
from typing import Any

from bitagent_evaluator.tasks.rows.functions import PARAMETERS
from bitagent_evaluator.tasks.rows.notation import parse_value

SYSTEM = "system"
_TAGGED = re.compile(r"<tools>(.*?)</tools>", re.DOTALL)
_OPENING = re.compile(r"[\[{]")
_PYTHON_LIST = re.compile(r"\[\s*\{\s*'")
_MAX_FAILURES = 64
"""Number of brackets that are not JSON, after which a text is not read further."""


def described_in(chat: list[Any]) -> list[Any] | None:
    """Return the functions in the system text of a chat; None if there is no such text, or none is in it."""
    first = chat[0] if chat and isinstance(chat[0], dict) else {}
    text = first.get("value", first.get("content"))
    if first.get("from", first.get("role")) != SYSTEM or not isinstance(text, str):
        return None
    tagged = _TAGGED.search(text)
    return _json_functions(tagged[1] if tagged else text)


def _json_functions(text: str) -> list[Any] | None:
    """Return the first list of functions in a text, or all objects with names if they are in no list.

    At least one of them must have parameters: an object with a name may be anything.
    """
    decoder = json.JSONDecoder(strict=False)
    found: list[Any] = []
    position = failures = 0
    while failures < _MAX_FAILURES and (opening := _OPENING.search(text, position)):
        try:
            value, position = decoder.raw_decode(text, opening.start())
        except (ValueError, RecursionError):
            position, failures = opening.end(), failures + 1
            continue
        if isinstance(value, list) and all(map(_is_named, value)) and any(map(_has_parameters, value)):
            return value
        if _is_named(value):
            found.append(value)
    return found if any(map(_has_parameters, found)) else _python_functions(text)


def _python_functions(text: str) -> list[Any] | None:
    """Return the functions of a text in which they are a list in Python's notation, as ToolBench writes them."""
    opening = _PYTHON_LIST.search(text)
    if opening is None:
        return None
    try:
        value = parse_value(text[opening.start() : text.rindex("]") + 1])
    except ValueError:
        return None
    is_list = isinstance(value, list) and all(map(_is_named, value)) and any(map(_has_parameters, value))
    return value if is_list else None


def _is_named(value: Any) -> bool:
    inner = value.get("function", value) if isinstance(value, dict) else None
    return isinstance(inner, dict) and isinstance(inner.get("name"), str)


def _has_parameters(named: dict[str, Any]) -> bool:
    inner = named.get("function", named)
    return inner is not named or any(name in inner for name in PARAMETERS)
