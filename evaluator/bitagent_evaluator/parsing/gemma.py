"""Calls as FunctionGemma and Gemma 4 write them: keys without quotes, texts between marks.

<start_function_call>call:f{a:<escape>x<escape>,b:[1,true]}<end_function_call>
<|tool_call>call:f{a:<|"|>x<|"|>}<tool_call|>
"""

from __future__ import annotations

import re
from typing import Any

from bitagent_evaluator.parsing.calls import AnswerError, Calls
from bitagent_evaluator.parsing.json import MAX_DEPTH, find_json_values

_START = re.compile(r"(?:<start_function_call>|<\|tool_call>)\s{0,8}call:\s{0,8}([\w.:-]{1,256})\s{0,8}(?=\{)")
_TEXT_MARKS = ("<escape>", '<|"|>', '"')
_KEY = re.compile(r"\s{0,8}([^\s:,{}\[\]<>\"]{1,256})\s{0,8}:\s{0,8}")
_SCALAR = re.compile(r"[^\s,{}\[\]<>\"]{1,256}")
_BLANK = re.compile(r"\s*")


def parse_gemma_calls(text: str) -> Calls:
    """Parse calls after these models' marks. Raises AnswerError, also if one call of several cannot be read."""
    calls: Calls = []
    position = 0
    while start := _START.search(text, position):
        value, position = _value(text, start.end(), depth=0)
        calls.append({start[1]: value})
    if not calls:
        raise AnswerError("no mark of a call with call: and a name")
    return calls


def _value(text: str, at: int, *, depth: int) -> tuple[Any, int]:
    """Return the value that begins at a place, and the place after it."""
    if depth > MAX_DEPTH:
        raise AnswerError("nested too deeply", refused=True)
    mark = next((mark for mark in _TEXT_MARKS if text.startswith(mark, at)), None)
    if mark is not None:
        begin = at + len(mark)
        end = text.find(mark, begin)
        if end < 0:
            raise AnswerError("a text that breaks off", position=len(text))
        return text[begin:end], end + len(mark)
    match text[at : at + 1]:
        case "{":
            return _members(text, at + 1, depth=depth)
        case "[":
            return _items(text, at + 1, depth=depth)
    scalar = _SCALAR.match(text, at)
    if scalar is None:
        raise AnswerError("a value is missing", position=at)
    return _scalar(scalar[0]), scalar.end()


def _members(text: str, at: int, *, depth: int) -> tuple[dict[str, Any], int]:
    members: dict[str, Any] = {}
    while text[(at := _skip(text, at)) : at + 1] != "}":
        key = _KEY.match(text, at)
        if key is None:
            raise AnswerError("an argument without a name", position=at)
        members[key[1]], at = _value(text, key.end(), depth=depth + 1)
        at = _after_comma(text, at, closing="}")
    return members, at + 1


def _items(text: str, at: int, *, depth: int) -> tuple[list[Any], int]:
    items: list[Any] = []
    while text[(at := _skip(text, at)) : at + 1] != "]":
        value, at = _value(text, at, depth=depth + 1)
        items.append(value)
        at = _after_comma(text, at, closing="]")
    return items, at + 1


def _after_comma(text: str, at: int, *, closing: str) -> int:
    at = _skip(text, at)
    if text[at : at + 1] == ",":
        return at + 1
    if text[at : at + 1] != closing:
        raise AnswerError(f"neither a comma nor {closing} after a value", position=at)
    return at


def _skip(text: str, at: int) -> int:
    blank = _BLANK.match(text, at)
    return at if blank is None else blank.end()


def _scalar(word: str) -> Any:
    """Return a number, a truth value or null; any other word is a text."""
    try:
        values = find_json_values(f"[{word}]")
    except AnswerError as error:
        if error.refused:
            raise
        return word
    return values[0][0] if len(values) == 1 and len(values[0]) == 1 else word
