"""One YAML document as plain values, built from the parser's events: no tags, no aliases, no objects.

Scalars follow YAML 1.2's core schema, so `no`, `12:30` and `2023-05-12` are strings, as a reader of the answer takes them. Keys are strings;
of a repeated key the last counts.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from bitagent_evaluator.answers.errors import AnswerError
from bitagent_evaluator.answers.json_values import MAX_DEPTH

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Only its parser is used, libyaml's where that was built in; it keeps no values, and ours are made below."""

_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?[0-9]+")
_PREFIXED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_MAX_PREFIXED = 3_000
"""Longest number of that form. Python reads any, but writes out none of more than 4300 digits."""
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


@dataclass
class _Open:
    """A collection whose end is still to come."""

    value: list[Any] | dict[str, Any]
    key: str | None = None
    """The key whose value comes next."""


@dataclass
class _Builder:
    """Puts values together from events."""

    root: Any = None
    stack: list[_Open] = field(default_factory=list)

    def take(self, event: yaml.Event) -> None:
        """The next event of the document. Raises AnswerError."""
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
            self._add(_resolved(event.value) if event.implicit[0] else event.value)

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


def yaml_value(document: str) -> Any:
    """The value of one document. Raises AnswerError."""
    builder = _Builder()
    try:
        for event in yaml.parse(document, Loader=_LOADER):
            builder.take(event)
    except (yaml.YAMLError, UnicodeError) as error:
        raise AnswerError(f"not YAML: {' '.join(str(error).split())[:200]}") from None
    return builder.root


def _check_tag(tag: str | None) -> None:
    if tag not in (None, "!"):
        raise AnswerError("YAML tags are not followed")


def _resolved(text: str) -> Any:
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
