"""Bagel's syntax in JSON or YAML, and YAML values without tags, aliases or objects.

YAML values are built from the parser's events: no tags, no aliases, no objects. Scalars follow YAML 1.2's core schema,
so `no`, `12:30` and `2023-05-12` are strings, as a reader of the answer understands them. Keys are strings; of a
repeated key the last counts.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from bitagent_evaluator.parsing.calls import AnswerError, Call, Calls, collect_calls, named_call
from bitagent_evaluator.parsing.json import MAX_DEPTH, find_json_values

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Only its parser is used, libyaml's if it was built in; values are built below."""
_MEMBER = re.compile(r"""(-\ +)?(["']?)(function|params)\2\ *:(\s|$)""", re.VERBOSE)
_INDENTED = re.compile(r"[ \t]|$")

_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?[0-9]+")
_PREFIXED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_MAX_PREFIXED = 3_000
"""Longest hexadecimal or octal number, in characters. Python reads any, but prints none of more than 4300 digits."""
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


def parse_function_params(text: str) -> Calls:
    """Parse Bagel's syntax: `{"function": "f", "params": {"a": 1}}`, one or a list. Raises AnswerError.

    JSON is looked for first, anywhere in the answer; then YAML, in lines that begin with these two names:

        function: f
        params:
          a: 1

    A second `function:` begins the next call, as does `- function:` in a list.
    """
    calls = _json_calls(text) or collect_calls((parse_yaml_value(document) for document in _documents(text)), _call)
    if not calls:
        raise AnswerError('no "function" with "params", neither in JSON nor in YAML')
    return calls


def _json_calls(text: str) -> Calls:
    try:
        return collect_calls(find_json_values(text), _call)
    except AnswerError as error:
        if error.refused:
            raise
        return []  # YAML has brackets that are not JSON


def _call(item: dict[str, Any]) -> Call | None:
    if "params" not in item:
        return None
    return named_call(item.get("function"), {} if item["params"] is None else item["params"])


def _documents(text: str) -> Iterator[str]:
    """Yield the YAML documents in the text: runs of lines that begin with the two names or are indented below them."""
    lines: list[str] = []
    seen: set[str] = set()
    for line in text.split("\n"):
        member = _MEMBER.match(line)
        is_repeated = member is not None and member[1] is None and member[3] in seen
        if lines and (is_repeated or not (member or _INDENTED.match(line))):
            yield "\n".join([*lines, ""])
            lines, seen = [], set()
        if member:
            seen.add(member[3])
        if member or (lines and _INDENTED.match(line)):
            lines.append(line)
    if lines:
        yield "\n".join([*lines, ""])


@dataclass
class _Open:
    """A collection that has not ended yet."""

    value: list[Any] | dict[str, Any]
    key: str | None = None
    """Key of the next value, in a mapping."""


@dataclass
class _Builder:
    """Builds the value of a document from events."""

    root: Any = None
    stack: list[_Open] = field(default_factory=list)

    def add_event(self, event: yaml.Event) -> None:
        """Process the next event of the document. Raises AnswerError."""
        match event:
            case yaml.ScalarEvent():
                self._scalar(event)
            case yaml.SequenceStartEvent():
                self._begin(event, [])
            case yaml.MappingStartEvent():
                self._begin(event, {})
            case yaml.SequenceEndEvent() | yaml.MappingEndEvent():
                self.stack.pop()
            case yaml.AliasEvent():
                raise AnswerError("YAML aliases are not followed", refused=True)

    def _begin(self, event: yaml.CollectionStartEvent, value: list[Any] | dict[str, Any]) -> None:
        _check_tag(event.tag)
        if len(self.stack) >= MAX_DEPTH:
            raise AnswerError("nested too deeply", refused=True)
        if self._expects_key():
            raise AnswerError("a YAML key that is a list or mapping")
        self._add(value)
        self.stack.append(_Open(value))

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        _check_tag(event.tag)
        if self._expects_key():
            self.stack[-1].key = event.value
        else:
            self._add(_resolve(event.value) if event.implicit[0] else event.value)

    def _expects_key(self) -> bool:
        return bool(self.stack) and isinstance(self.stack[-1].value, dict) and self.stack[-1].key is None

    def _add(self, value: Any) -> None:
        match self.stack:
            case []:
                self.root = value
            case [*_, _Open(value=list() as items)]:
                items.append(value)
            case [*_, _Open(value=dict() as members, key=str() as key) as parent]:
                members[key] = value
                parent.key = None


def parse_yaml_value(document: str) -> Any:
    """Return the value of one YAML document. Raises AnswerError."""
    builder = _Builder()
    try:
        for event in yaml.parse(document, Loader=_LOADER):
            builder.add_event(event)
    except (yaml.YAMLError, UnicodeError) as error:
        raise AnswerError(f"not YAML: {' '.join(str(error).split())[:200]}") from None
    return builder.root


def _check_tag(tag: str | None) -> None:
    if tag not in (None, "!"):
        raise AnswerError("YAML tags are not followed")


def _resolve(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    try:
        if _INTEGER.fullmatch(text):
            return int(text)
        if _PREFIXED.fullmatch(text):
            if len(text) > _MAX_PREFIXED:
                raise AnswerError("a number of thousands of digits")
            return int(text, 0)
    except ValueError as error:  # thousands of digits
        raise AnswerError(f"not a number: {error}") from None
    if _FLOAT.fullmatch(text):
        number = float(text)
        if not math.isfinite(number):
            raise AnswerError(f"{text[:40]} is not a finite number")
        return number
    return text
