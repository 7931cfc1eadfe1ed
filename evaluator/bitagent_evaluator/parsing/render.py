"""Calls as text: in BFCL's own syntax, and as the source that the official multi-turn checker executes.

`render_calls` is the inverse of `parse_bfcl`. Some names have only an unusual spelling in Python: `from` is written
with a full-width first letter, which Python reads as the same name but not as the keyword. A name that Python cannot
spell at all (`get-weather`) leaves a call without a name, or an unnamed argument: still a call, but none of any
function. `in_python_terms` gives such calls without the detour through text.
"""

from __future__ import annotations

import json
import keyword
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from bitagent_crds.task_forms import Language
from bitagent_evaluator.parsing.calls import AnswerError, Call, Calls
from bitagent_evaluator.parsing.python import check_integer

_TO_FULL_WIDTH = 0xFEE0
"""Offset from an ASCII character to its full-width form."""
_SOURCE_NAME = re.compile(r"[\w$]+")
"""A name in Java and JavaScript."""
_NAMELESS = "_()"
"""Text before a call's parentheses: the call of a call, which has no name."""


def render_calls(calls: Calls, language: Language = Language.PYTHON) -> str:
    """Return calls with JSON values in BFCL's syntax for a language."""
    render = _python_call if language is Language.PYTHON else _source_call
    return f"[{', '.join(render(name, arguments) for call in calls for name, arguments in call.items())}]"


def in_python_terms(calls: Calls) -> Calls:
    """Return calls with JSON values as `parse_bfcl(render_calls(calls))` does.

    Names that Python cannot spell count as no names. Raises AnswerError for an integer that Python syntax refuses.
    """
    return [_spellable(name, arguments) for call in calls for name, arguments in call.items()]


def _spellable(name: str, arguments: Mapping[str | None, Any]) -> Call:
    for value in arguments.values():
        _check_integers(value)
    named, unnamed = _by_spelling(arguments)
    is_named = all(_python_name(part) is not None for part in name.split("."))
    return {name if is_named else "": named | ({None: unnamed} if unnamed else {})}


def _by_spelling(arguments: Mapping[str | None, Any]) -> tuple[dict[str | None, Any], dict[str | None, Any]]:
    """The arguments whose names Python can spell, and the others, which it takes as `**mapping`."""
    named: dict[str | None, Any] = {}
    unnamed: dict[str | None, Any] = {}
    for key, value in arguments.items():
        if key is None and isinstance(value, dict):
            unnamed |= value
        else:
            (unnamed if _python_name(key) is None else named)[key] = value
    return named, unnamed


def _check_integers(value: Any) -> None:
    stack = [value]
    while stack:
        match stack.pop():
            case dict() as members:
                stack += members.values()
            case list() | tuple() as items:
                stack += items
            case other:
                check_integer(other)


def _python_call(name: str, arguments: Mapping[str | None, Any]) -> str:
    parts = [_python_name(part) for part in name.split(".")]
    function = _NAMELESS if None in parts else ".".join(part for part in parts if part)
    named, unnamed = _by_spelling(arguments)
    pairs = [f"{_python_name(key)}={value!r}" for key, value in named.items()]
    return f"{function}({', '.join([*pairs, *([f'**{unnamed!r}'] if unnamed else [])])})"


def _python_name(name: str | None) -> str | None:
    """The name as Python source; None if it cannot be spelled."""
    if name is None or not name.isidentifier() or unicodedata.normalize("NFKC", name) != name:
        return None
    return chr(ord(name[0]) + _TO_FULL_WIDTH) + name[1:] if keyword.iskeyword(name) else name


def _source_call(name: str, arguments: Mapping[str | None, Any]) -> str:
    """A call in Java or JavaScript, whose arguments are source text: a quoted value of the answer is that text."""
    function = name if all(_SOURCE_NAME.fullmatch(part) for part in name.split(".")) else _NAMELESS
    pairs = (f"{key}={_source_value(value)}" for key, value in arguments.items() if key and _SOURCE_NAME.fullmatch(key))
    return f"{function}({', '.join(pairs)})"


def _source_value(value: Any) -> str:
    if not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    for quote in ('"', "'"):  # the official parsers drop quotes and know no escapes
        if quote not in value:
            return f"{quote}{value}{quote}"
    return value


def executable_calls(calls: Calls) -> list[str]:
    """Return the source of each call as the leaderboard executes it, and as a model sees it beside its result.

    BFCL's decoder writes every call out again before it is executed, and the same text is written here, with its
    peculiarities: arguments are keywords; a dict whose values are all dicts is a call inside the call, so an empty dict
    is none and makes the whole answer unreadable; keys of other dicts become text. Raises AnswerError.
    """
    return [_executable_call(name, arguments) for call in calls for name, arguments in call.items()]


def _executable_call(name: str, arguments: Mapping[str | None, Any]) -> str:
    return f"{name}({', '.join(f'{key}={_executable_value(value)}' for key, value in arguments.items())})"


def _executable_value(value: Any) -> str:
    if not isinstance(value, dict):
        return repr(value)
    if not value:
        raise AnswerError("an empty dict is not a value that can be executed")
    if not all(isinstance(member, dict) for member in value.values()):
        return "{" + ", ".join(f"'{key}': {_executable_value(member)}" for key, member in value.items()) + "}"
    name, arguments = next(iter(value.items()))
    return _executable_call(name, arguments)
