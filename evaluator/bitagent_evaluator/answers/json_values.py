"""JSON values in an answer: alone, in a fence, or in the middle of prose.

Every object and array that stands in the text is read where it stands; of a repeated key the last counts. A bracket of prose, `[sic]`, is
passed over, but a value that begins well and then breaks off makes the whole answer unreadable: half a list of calls is not an answer.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

from bitagent_evaluator.answers.errors import AnswerError

MAX_DEPTH = 100
"""Deepest nesting that is read; below what Python's own reader allows, whatever stack it runs on, and below `python.MAX_DEPTH`."""
MAX_PROSE_BRACKETS = 256
"""Brackets that are not JSON in one answer: each costs a look at the whole text before it."""

_OPENING = re.compile(r"[\[{]")
_OPENED = "[{ \t\r\n"


def json_values(text: str) -> list[Any]:
    """The objects and arrays of the text that are in no other, in order; none when it holds none. Raises AnswerError."""
    found: list[Any] = []
    position, passed = 0, 0
    while opening := _OPENING.search(text, position):
        start = opening.start()
        try:
            value, position = _DECODER.raw_decode(text, start)
        except json.JSONDecodeError as error:
            passed += 1
            if passed > MAX_PROSE_BRACKETS:
                raise AnswerError(f"more than {MAX_PROSE_BRACKETS} brackets that are not JSON", refused=True) from None
            if text[start : error.pos].strip(_OPENED):
                raise AnswerError(f"JSON that breaks off: {error}") from None
            position = max(error.pos, start + 1)
        except RecursionError:
            raise _too_deep() from None
        except ValueError as error:  # a number of thousands of digits
            raise AnswerError(f"not JSON: {error}") from None
        else:
            found.append(value)
    _check_depth(found)
    return found


def _finite(number: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        _reject(number)
    return value


def _reject(number: str) -> NoReturn:
    raise AnswerError(f"{number[:40]} is not a finite number")


_DECODER = json.JSONDecoder(parse_float=_finite, parse_constant=_reject)


def _check_depth(values: list[Any]) -> None:
    level = values
    for _ in range(MAX_DEPTH):
        level = [
            child
            for value in level
            if isinstance(value, list | dict)
            for child in (value.values() if isinstance(value, dict) else value)
        ]
        if not level:
            return
    raise _too_deep()


def _too_deep() -> AnswerError:
    return AnswerError("nested too deeply", refused=True)
