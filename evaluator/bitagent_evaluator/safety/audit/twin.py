"""The same conversation with every text replaced by a placeholder, and whether two prompts differ by those texts only.

A template that lays out a conversation is a function of its shape: roles, order, which members are there, line breaks, markers. The twin
has the same shape and none of the words. If the template writes anything else around the words than around the placeholders, it looked at
the words, whatever the disguise: there is nothing to recognise, so nothing to hide from. A template that recognises placeholders gives
itself away as well, by treating them differently.

Lines stay lines, blank ends and markers such as `</think>` stay where they are, because templates strip and split by them. Names of
parameters keep their alphabetical order, because templates may sort them. Schema types, roles and ids stay.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bitagent_evaluator.safety.audit.finding import cut
from bitagent_evaluator.safety.audit.markers import MARKER

_FIXED = re.compile(rf"({MARKER.pattern}|\n)")
_PLACEHOLDER = re.compile(r"zq\d{6}w")
_KEPT = frozenset({"role", "type", "id", "tool_call_id", "format"})


@dataclass(frozen=True)
class Twin:
    """A conversation without its words."""

    messages: list[dict[str, Any]]
    tools: list[dict[str, Any]] | None
    originals: Mapping[str, str]
    """What each placeholder stands for."""

    def difference(self, prompt: str, twin_prompt: str) -> tuple[str, str] | None:
        """Where the two prompts differ by more than texts for placeholders: the line of either; None when they do not."""
        constants, placeholders = _PLACEHOLDER.split(twin_prompt), _PLACEHOLDER.findall(twin_prompt)
        position = 0
        for place, constant in enumerate(constants):
            if not prompt.startswith(constant, position):
                return _lines(prompt, position, constant)
            position += len(constant)
            if place == len(placeholders):
                break
            following = constants[place + 1]
            forms = _forms(self.originals.get(placeholders[place], placeholders[place]))
            fitting = [form for form in forms if prompt.startswith(form + following, position)]
            if not fitting:
                return _lines(prompt, position, placeholders[place] + following)
            position += len(max(fitting, key=len))
        return None if position == len(prompt) else _lines(prompt, position, "")


def twin_of(messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]] | None) -> Twin:
    """The twin of a conversation."""
    making = _Making()
    return Twin(
        messages=[{key: making.value(member, key) for key, member in message.items()} for message in messages],
        tools=None if tools is None else [making.value(tool, "") for tool in tools],
        originals=making.originals,
    )


@dataclass
class _Making:
    originals: dict[str, str] = field(default_factory=dict)
    _of_text: dict[str, str] = field(default_factory=dict)

    def value(self, value: Any, key: str) -> Any:
        """Any member; strings become placeholders."""
        if isinstance(value, str):
            return value if key in _KEPT else self._text(value)
        if isinstance(value, list):
            return [self.value(item, key) for item in value]
        if not isinstance(value, dict):
            return value
        names = self._names(value.get("properties"))
        made: dict[str, Any] = {}
        for name, member in value.items():
            if name == "properties" and names:
                made[name] = {names[parameter]: self.value(schema, parameter) for parameter, schema in member.items()}
            elif name == "required" and names and isinstance(member, list):
                made[name] = [names[item] if item in names else self.value(item, name) for item in member]
            else:
                made[name] = self.value(member, name)
        return made

    def _names(self, properties: object) -> dict[str, str]:
        if not isinstance(properties, dict):
            return {}
        ordered = sorted(properties, key=lambda name: (str(name).lower(), str(name)))
        return {name: self._placeholder(str(name)) for name in ordered}

    def _text(self, text: str) -> str:
        return "".join(self._piece(piece) for piece in _FIXED.split(text))

    def _piece(self, piece: str) -> str:
        core = piece.strip()
        if not core or _FIXED.fullmatch(piece):
            return piece
        start = piece.index(core)
        if core not in self._of_text:  # Equal texts stay equal: a result may be matched with its call by name.
            self._of_text[core] = self._placeholder(core)
        return piece[:start] + self._of_text[core] + piece[start + len(core) :]

    def _placeholder(self, original: str) -> str:
        name = f"zq{len(self.originals):06}w"
        self.originals[name] = original
        return name


def _in_json(text: str, *, ascii_only: bool) -> str:
    return json.dumps(text, ensure_ascii=ascii_only)[1:-1]


_WRITTEN: Sequence[Callable[[str], str]] = (
    lambda text: text,
    lambda text: _in_json(text, ascii_only=False),
    lambda text: _in_json(text, ascii_only=True),
    lambda text: _in_json(_in_json(text, ascii_only=False), ascii_only=False),
    lambda text: html.escape(text).replace("&#x27;", "&#39;").replace("&quot;", "&#34;"),
)


def _forms(text: str) -> list[str]:
    """How a template may write a text: as it is, inside JSON, inside JSON inside JSON, escaped for HTML."""
    return [write(text) for write in _WRITTEN]


def _lines(prompt: str, position: int, expected: str) -> tuple[str, str]:
    """Both lines at the first difference."""
    same = next((i for i, (a, b) in enumerate(zip(prompt[position:], expected, strict=False)) if a != b), 0)
    before = prompt[prompt.rfind("\n", 0, position) + 1 : position]
    wanted = without_placeholders(_line_at(before + expected, len(before) + same), "…")
    return cut(_line_at(prompt, position + same)), cut(wanted)


def _line_at(text: str, position: int) -> str:
    end = text.find("\n", position)
    return text[text.rfind("\n", 0, position) + 1 : end if end >= 0 else None]


def without_placeholders(twin_prompt: str, instead: str) -> str:
    """A twin's prompt with something else for its placeholders."""
    return _PLACEHOLDER.sub(instead, twin_prompt)
