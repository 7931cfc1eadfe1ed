"""Calls in Glaive's notation: `{"name": "f", "arguments": '{"a": 1}'}`, whose single quotes are not JSON."""

from __future__ import annotations

import json
import re
from typing import Any

from bitagent_evaluator.tasks.rows.base import RowSkipped, RowSkipReason
from bitagent_evaluator.tasks.rows.calls import PlainCall

_NAME = re.compile(r'\{\s*"name"\s*:\s*("(?:[^"\\]|\\.)*")\s*')
_ARGUMENTS = re.compile(r',\s*"arguments"\s*:\s*')


def parse_glaive_call(text: str) -> PlainCall:
    """Return one call in Glaive's notation. Raises RowSkipped if it is malformed."""
    named = _NAME.match(text)
    if named is None or not text.endswith("}"):
        raise RowSkipped(RowSkipReason.BAD_CALL)
    name = json.loads(named.group(1), strict=False)
    rest = text[named.end() : -1].strip()
    between = _ARGUMENTS.match(rest)
    if between is None:
        if rest:
            raise RowSkipped(RowSkipReason.BAD_CALL)
        return PlainCall(name, {})
    return PlainCall(name, _arguments(rest[between.end() :].strip()))


def _arguments(text: str) -> dict[str, Any]:
    """Return arguments written as an object, a JSON string of one, or in single quotes with or without backslashes."""
    if len(text) >= 2 and text[0] == text[-1] == "'":
        text = text[1:-1].strip()
    for candidate in (text, text.replace("\\'", "'"), text.replace("\\'", "'").replace('\\"', '"')):
        try:
            value = json.loads(candidate, strict=False) if candidate else {}
            value = json.loads(value, strict=False) if isinstance(value, str) else value
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            return value
    raise RowSkipped(RowSkipReason.BAD_CALL)
