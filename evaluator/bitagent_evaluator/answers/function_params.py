"""Bagel's syntax: `{"function": "f", "params": {"a": 1}}`, one or a list, in JSON or YAML.

JSON is looked for first, anywhere in the answer; then YAML, in lines that begin with these two names:

    function: f
    params:
      a: 1

A new `function:` begins the next call, as does `- function:` in a list.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from bitagent_evaluator.answers.calls import Call, Calls, named_call
from bitagent_evaluator.answers.errors import AnswerError
from bitagent_evaluator.answers.json_values import json_values
from bitagent_evaluator.answers.members import all_calls
from bitagent_evaluator.answers.yaml_value import yaml_value

_MEMBER = re.compile(r"""(-\ +)?(["']?)(function|params)\2\ *:(\s|$)""", re.VERBOSE)
_INDENTED = re.compile(r"[ \t]|$")


def decode(text: str) -> Calls:
    """Read an answer. Raises AnswerError."""
    calls = _json_calls(text) or all_calls((yaml_value(document) for document in _documents(text)), _call)
    if not calls:
        raise AnswerError('no "function" with "params", neither in JSON nor in YAML')
    return calls


def _json_calls(text: str) -> Calls:
    try:
        return all_calls(json_values(text), _call)
    except AnswerError as error:
        if error.refused:
            raise
        return []  # YAML has brackets that are not JSON


def _call(item: dict[str, Any]) -> Call | None:
    if "params" not in item:
        return None
    return named_call(item.get("function"), {} if item["params"] is None else item["params"])


def _documents(text: str) -> Iterator[str]:
    """The YAML documents in the text: runs of lines that begin with the two names or are indented below them."""
    lines: list[str] = []
    begun: set[str] = set()
    for line in text.split("\n"):
        member = _MEMBER.match(line)
        again = member is not None and member[1] is None and member[3] in begun
        if lines and (again or not (member or _INDENTED.match(line))):
            yield "\n".join([*lines, ""])
            lines, begun = [], set()
        if member:
            begun.add(member[3])
        if member or (lines and _INDENTED.match(line)):
            lines.append(line)
    if lines:
        yield "\n".join([*lines, ""])
