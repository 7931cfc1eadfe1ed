"""Twins of a conversation: the same shape with placeholders for its words, and that twin in other shapes.

The twin has every role, member, line break and marker of the conversation, and none of its words and numbers. Lines
stay lines, and blank ends and markers such as `</think>` stay where they are, because templates strip and split by
them. Names of parameters keep their alphabetical order, because templates may sort them. Types of schemas, roles and
ids stay, and so do 0, 1, true and null.

`unpadded` takes the blank ends away. `grown` and `reversed_twin` change the shape of a twin: how many tools,
parameters, choices, required names and lines there are, of which types, how deep, and in which order. `differential`
says what must not depend on that.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bitagent_evaluator.chat_templates.audit.labels import PART_KEYS, SCHEMA_WORDS
from bitagent_evaluator.chat_templates.audit.rules import MARKER

PLACEHOLDER = re.compile(r"[zZ][qQ]\d{6}[a-zA-Z]*0|7310\d{6}137(?:\.5)?")
"""A placeholder for a text, perhaps with capitals, or for a number. Letters before the last digit are for clones."""

_START = "zq"
_FIXED = re.compile(rf"({MARKER.pattern}|\n)")
_ROLE_MEMBERS = frozenset({"role", "id", "tool_call_id", "format"})
_TYPES = SCHEMA_WORDS | PART_KEYS | {"int64", "int32", "double", "tuple", "char", "byte", "short", "long", "thinking"}
_SMALL = (0, 1, -1)
"""Numbers that a template may look for: nothing, one, the last."""
_LISTS = ("required", "enum")
_OWN_WORDS = frozenset({"content", "description", "text"})
"""Members whose texts have placeholders of their own: what they happen to be equal to must not be noticed."""


@dataclass(frozen=True)
class Twin:
    """A conversation with placeholders for its words."""

    messages: list[dict[str, Any]]
    tools: list[dict[str, Any]] | None
    originals: Mapping[str, str]
    """The text of each placeholder."""
    wholes: Mapping[str, str] = field(default_factory=dict)
    """The original of each text that was replaced as a whole."""
    names: frozenset[str] = frozenset()
    """Placeholders of names of tools and parameters."""


def make_twin(messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]] | None) -> Twin:
    """Return the twin of a conversation."""
    builder = _TwinBuilder()
    return Twin(
        messages=[{key: builder.replace(member, key) for key, member in message.items()} for message in messages],
        tools=None if tools is None else [builder.replace(tool, "") for tool in tools],
        originals=builder.originals,
        wholes=builder.wholes,
        names=frozenset(builder.names),
    )


@dataclass
class _TwinBuilder:
    """Replaces texts and numbers by placeholders."""

    originals: dict[str, str] = field(default_factory=dict)
    wholes: dict[str, str] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    _of_text: dict[str, str] = field(default_factory=dict)
    _of_number: dict[str, int | float] = field(default_factory=dict)

    def replace(self, value: Any, key: str, *, words: bool = False) -> Any:
        """Return a member of the conversation with placeholders for its texts and numbers.

        `words` says that the member is the argument of a call, where `type` and `id` are names like any other.
        """
        if isinstance(value, str):
            kept = not words and (key in _ROLE_MEMBERS or (key == "type" and value in _TYPES))
            return value if kept else self._replace_text(value, name=key == "name", own=not words and key in _OWN_WORDS)
        if isinstance(value, bool) or value is None:
            return value
        if isinstance(value, int | float):
            return value if value in _SMALL else self._replace_number(value)
        if isinstance(value, list):
            return [self.replace(item, key, words=words) for item in value]
        if not isinstance(value, dict):
            return value
        if words or key == "arguments":
            named = self._names(value)
            return {named[str(name)]: self.replace(member, "", words=True) for name, member in value.items()}
        return self._replace_dict(value)

    def _replace_dict(self, value: dict[str, Any]) -> dict[str, Any]:
        names = self._names(value.get("properties"))
        replaced: dict[str, Any] = {}
        for name, member in value.items():
            if name == "properties" and names:
                replaced[name] = {names[parameter]: self.replace(schema, "") for parameter, schema in member.items()}
            elif name == "required" and names and isinstance(member, list):
                replaced[name] = [
                    names[item] if isinstance(item, str) and item in names else self.replace(item, name)
                    for item in member
                ]
            else:
                replaced[name] = self.replace(member, name)
        return replaced

    def _names(self, properties: object) -> dict[str, str]:
        if not isinstance(properties, dict):
            return {}
        ordered = sorted(map(str, properties), key=lambda name: (name.lower(), name))
        named = {name: self._add_placeholder(name) for name in ordered}
        self.names.update(named.values())
        return named

    def _replace_text(self, text: str, *, name: bool = False, own: bool = False) -> str:
        pieces = re.split(r"(\.)", text) if name else _FIXED.split(text)
        replaced = [self._replace_piece(piece, own=own) for piece in pieces]
        if name:  # Templates may group tools by what is before the dot.
            self.names.update(replaced[::2])
        self.wholes["".join(replaced)] = text
        return "".join(replaced)

    def _replace_piece(self, piece: str, *, own: bool) -> str:
        core = piece.strip()
        if not core or core == "." or _FIXED.fullmatch(piece):
            return piece
        start = piece.index(core)
        if own:
            placeholder = self._add_placeholder(core)
        else:  # Equal texts stay equal: a result may be matched with its call by name.
            placeholder = self._of_text.get(core) or self._of_text.setdefault(core, self._add_placeholder(core))
        return piece[:start] + placeholder + piece[start + len(core) :]

    def _replace_number(self, number: int | float) -> int | float:
        original = repr(number)
        if original not in self._of_number:
            place = int(f"7310{len(self.originals):06}137")
            self._of_number[original] = place if isinstance(number, int) else place + 0.5
            self.originals[repr(self._of_number[original])] = original
        return self._of_number[original]

    def _add_placeholder(self, original: str) -> str:
        name = f"{_START}{len(self.originals):06}0"
        self.originals[name] = original
        return name


def place_of(placeholder: str) -> str:
    """Return what a placeholder and its clones have in common."""
    return placeholder[2:8] if placeholder[0] in "zZ" else placeholder[4:10]


def grown(twin: Twin, key: bytes, *, more_types: bool = True) -> Twin:
    """Return the twin with clones beside its tools, parameters, choices, required names and lines, and more types.

    `key` decides how many clones there are and of which types the further parameters are. It must follow from words
    that the twin does not have, so that a template cannot know.
    """
    grower = _Grower(int.from_bytes(key, "big"), more_types=more_types)
    return Twin(
        messages=[
            {name: grower.grow_text(member, name) for name, member in message.items()} for message in twin.messages
        ],
        tools=None if twin.tools is None else grower.grow_items(twin.tools),
        originals=twin.originals,
        names=twin.names,
    )


def _clone(value: Any, letters: str) -> Any:
    """Return the value with letters in each placeholder, so that the clone of a name sorts behind the name."""
    if isinstance(value, str):
        start, *placeholders = value.split(_START)
        return start + "".join(f"{_START}{rest[:6]}{letters}{rest[6:]}" for rest in placeholders)
    if isinstance(value, list):
        return [_clone(item, letters) for item in value]
    if isinstance(value, dict):
        return {_clone(name, letters): _clone(member, letters) for name, member in value.items()}
    return value


def _more_parameters(name: str) -> dict[str, Any]:
    """Return a parameter of each common kind, whose names sort between a name and its first clone."""
    described = {"description": _clone(name, "i")}
    deep = {"type": "object", "properties": {_clone(name, "j"): {"type": "string"}}}
    kinds: list[dict[str, Any]] = [
        {"type": "string"} | described,
        {"type": "integer"} | described | {"default": 7310999999137},
        {"type": "number"},
        {"type": "boolean"} | described,
        {"type": "array", "items": {"type": "string"}} | described,
        {"type": "array", "items": {"type": "integer"}},
        {"type": "object", "properties": {_clone(name, "k"): deep}} | described,
        {"type": "string", "enum": [_clone(name, "k"), _clone(name, "l")]} | described,
    ]
    return {_clone(name, letter): kind for letter, kind in zip("abcdefgh", kinds, strict=True)}


_SHORT_LIST = 3
"""Longest list of which each item has a clone; of longer ones only the first and some others have, to save time."""


class _Grower:
    """Adds clones, as the digits of a number say."""

    def __init__(self, digits: int, *, more_types: bool) -> None:
        self._digits = digits
        self._more_types = more_types

    def _draw(self, choices: int) -> int:
        self._digits, drawn = divmod(self._digits, choices)
        return drawn

    def _letters(self, *, needed: bool) -> str:
        """Return the letters of an item's clones, of which there is at least one if they are needed."""
        return "mn"[: needed + self._draw(2)]

    def grow_items(self, items: Sequence[Any]) -> list[Any]:
        """Return the list with one or two clones behind each item."""
        found: list[Any] = []
        for place, item in enumerate(items):
            larger = self._grow(item)
            found += [
                larger,
                *(_clone(larger, letter) for letter in self._letters(needed=place == 0 or len(items) <= _SHORT_LIST)),
            ]
        return found

    def _grow(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.grow_text(value, "")
        if not isinstance(value, dict):
            return value
        properties = value.get("properties")
        larger = {name: self._grow_member(name, member) for name, member in value.items()}
        if isinstance(properties, dict) and properties:
            larger["properties"], added = self._grow_properties(properties)
            if isinstance(value.get("required"), list):
                larger["required"] = [
                    clone for name in value["required"] for clone in added.get(name, [name]) if isinstance(name, str)
                ]
        return larger

    def _grow_member(self, name: str, member: Any) -> Any:
        if name == "enum" and isinstance(member, list) and all(isinstance(item, str) for item in member):
            return self.grow_items(member)
        return member if isinstance(member, list) else self._grow(member)

    def _grow_properties(self, properties: dict[str, Any]) -> tuple[dict[str, Any], dict[str, list[str]]]:
        larger: dict[str, Any] = {}
        clones: dict[str, list[str]] = {}
        more = self._draw(len(properties))  # Behind which parameter the further ones are.
        for place, (name, schema) in enumerate(properties.items()):
            schema = self._grow(schema)
            clones[name] = [name]
            larger[name] = schema
            if place == more and self._more_types:
                others = _more_parameters(name)
                larger |= {other: kind for other, kind in others.items() if self._draw(4)}
            for letter in self._letters(needed=place in (0, more) or len(properties) <= _SHORT_LIST):
                clones[name].append(_clone(name, letter))
                larger[clones[name][-1]] = _clone(schema, letter)
        return larger, clones

    def grow_text(self, text: Any, name: str) -> Any:
        """Return a text with a clone behind each line, and texts of tools if they have several; other members as is."""
        several = isinstance(text, str) and "\n" in text.strip()
        if not isinstance(text, str) or name in _ROLE_MEMBERS or not (several or name == "content"):
            return text
        lines: list[str] = []
        for line in text.split("\n"):
            lines.append(line)
            if PLACEHOLDER.fullmatch(line):
                lines.append(_clone(line, "m"))
        return "\n".join(lines)


def reversed_twin(twin: Twin) -> Twin:
    """Return the twin with its tools, parameters, choices and required names in the opposite order."""
    tools = None if twin.tools is None else [_reverse(tool) for tool in reversed(twin.tools)]
    return Twin(messages=twin.messages, tools=tools, originals=twin.originals, names=twin.names)


def unpadded(twin: Twin) -> Twin:
    """Return the twin without white space at the ends of lines, and of the messages' texts.

    Line breaks at the ends of a description stay, because templates may write a comment for each of its lines.
    """
    tools = None if twin.tools is None else [_unpad(tool, "") for tool in twin.tools]
    return Twin(messages=_unpad(twin.messages, "\n"), tools=tools, originals=twin.originals, names=twin.names)


def _unpad(value: Any, also: str) -> Any:
    if isinstance(value, str):
        plain = "\n".join(line.strip() for line in value.split("\n"))  # A regular expression takes quadratic time.
        return plain.strip(also) if PLACEHOLDER.search(value) else value
    if isinstance(value, list):
        return [_unpad(item, also) for item in value]
    return {name: _unpad(member, also) for name, member in value.items()} if isinstance(value, dict) else value


def _reverse(value: Any) -> Any:
    if isinstance(value, list):
        return [_reverse(item) for item in value]
    if not isinstance(value, dict):
        return value
    found: dict[str, Any] = {}
    for name, member in value.items():
        if name == "properties" and isinstance(member, dict):
            found[name] = {parameter: _reverse(member[parameter]) for parameter in reversed(member)}
        elif name in _LISTS and isinstance(member, list):
            found[name] = [_reverse(item) for item in reversed(member)]
        else:
            found[name] = _reverse(member)
    return found
