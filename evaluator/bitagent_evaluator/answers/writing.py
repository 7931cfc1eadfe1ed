"""Calls written in BFCL's own syntax, so that whoever judges answers needs to know no other.

What is written reads back as the same calls by `decode`. Python spells some names only in a roundabout way: `from` is written with a full-width
first letter, which Python takes for the same name but not for the keyword. A name that Python cannot spell at all (`get-weather`) leaves a call
without a name, or an unnamed argument: still a call, and none that any function answers to.
"""

from __future__ import annotations

import json
import keyword
import re
import unicodedata
from collections.abc import Sequence
from typing import Any

from bitagent_crds.results import Language
from bitagent_evaluator.answers.answer import decode, decode_any, without_thinking
from bitagent_evaluator.answers.calls import Calls
from bitagent_evaluator.answers.errors import AnswerError

_TO_FULL_WIDTH = 0xFEE0
"""From an ASCII character to its full-width form."""
_SOURCE_NAME = re.compile(r"[\w$]+")
"""A name in Java and JavaScript."""
_NAMELESS = "_()"
"""Before a call's parentheses: the call of a call, which has no name."""


def normalise(text: str, syntaxes: Sequence[str], language: Language = Language.PYTHON) -> str:
    """The answer in BFCL's syntax, as `decode(..., language)` reads it.

    Unchanged when the official decoder reads it already, or refuses it, and where Python is the only syntax: so no format changes a verdict on
    an answer in BFCL's syntax. An answer without calls in any of `syntaxes` stays as it is, but for what was thought before `</think>`; so do the
    brackets of Java's `int[]`, which are no empty list of calls. Pure; raises nothing.
    """
    answer = without_thinking(text, syntaxes)
    for candidate in (text, answer):
        if _is_settled(candidate):
            return candidate
    try:
        calls = decode_any(answer, syntaxes)
    except AnswerError:
        return answer
    return written(calls, language) if calls else answer


def _is_settled(text: str) -> bool:
    try:
        decode(text)
    except AnswerError as error:
        return error.refused
    return True


def written(calls: Calls, language: Language = Language.PYTHON) -> str:
    """Calls of JSON values in BFCL's syntax for a language."""
    write = _python_call if language is Language.PYTHON else _source_call
    return f"[{', '.join(write(name, arguments) for call in calls for name, arguments in call.items())}]"


def _python_call(name: str, arguments: dict[str | None, Any]) -> str:
    parts = [_python_name(part) for part in name.split(".")]
    function = _NAMELESS if None in parts else ".".join(part for part in parts if part)
    pairs: list[str] = []
    unnamed: dict[str | None, Any] = {}
    for key, value in arguments.items():
        spelled = _python_name(key)
        if spelled is None:
            unnamed[key] = value
        else:
            pairs.append(f"{spelled}={value!r}")
    return f"{function}({', '.join([*pairs, *([f'**{unnamed!r}'] if unnamed else [])])})"


def _python_name(name: str | None) -> str | None:
    """The name as Python source; None if it cannot be spelled."""
    if name is None or not name.isidentifier() or unicodedata.normalize("NFKC", name) != name:
        return None
    return chr(ord(name[0]) + _TO_FULL_WIDTH) + name[1:] if keyword.iskeyword(name) else name


def _source_call(name: str, arguments: dict[str | None, Any]) -> str:
    """A call in Java or JavaScript, whose arguments are source text: what the answer gives in quotes is that text."""
    function = name if all(_SOURCE_NAME.fullmatch(part) for part in name.split(".")) else _NAMELESS
    pairs = (f"{key}={_source_value(value)}" for key, value in arguments.items() if key and _SOURCE_NAME.fullmatch(key))
    return f"{function}({', '.join(pairs)})"


def _source_value(value: Any) -> str:
    if not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    for quote in ('"', "'"):  # the official parsers take off quotes and know no escapes
        if quote not in value:
            return f"{quote}{value}{quote}"
    return value
