"""The chat templates of a model, wherever the tokenizer libraries look for them, and which of them is used when.

In this order, the first that has any (transformers 5, tokenization_utils_base.py):

    chat_template.jinja                       the default
    additional_chat_templates/NAME.jinja      further ones by name, beside it or alone
    chat_template of tokenizer_config.json    one text; or several by name, as a list or an object
    chat_template of chat_template.json       the same, as processors write it

The one named `tool_use` is used when a prompt has tools, `default` otherwise. Others are never used.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bitagent_crds.conditions import Reason
from bitagent_crds.texts import digest_of
from bitagent_evaluator.models.validation.files import (
    TEMPLATE,
    TEMPLATE_JSON,
    TOKENIZER_CONFIG,
    additional_template_name,
    parse_object,
)

DEFAULT, TOOL_USE = "default", "tool_use"
_MARK = "\ufeff"
_REPLACEMENT = "\ufffd"


@dataclass(frozen=True)
class Template:
    """One template, and where it is."""

    file: str
    """The file, with the template's name if the file has several."""
    source: str

    @property
    def mistake(self) -> str:
        """Why no prompt can be made of it, and the remedy; empty for a template that may be read."""
        if not self.source.strip().strip(_MARK):
            return f"{self.file} is empty, so that every prompt would be: write the template, or remove the file"
        if _REPLACEMENT in self.source:
            return f"{self.file} is not UTF-8: save it as UTF-8 without a byte-order mark"
        return ""

    @property
    def warning(self) -> str:
        """What is odd about it, without being a mistake; empty for nothing."""
        if not self.source.startswith(_MARK):
            return ""
        return f"{self.file} begins with a byte-order mark, so that every prompt does: save it without one"


@dataclass(frozen=True)
class Templates:
    """The templates of a model that prompts may be made with."""

    default: Template | None = None
    """The one for prompts without tools; None for a model without any."""
    tool_use: Template | None = None
    """The one for prompts with tools; the same as `default` in most models."""
    unused: tuple[str, ...] = ()
    """Where there are templates that are never used."""
    malformed: tuple[str, ...] = ()
    """What is there in the place of a template without being one, and so is ignored."""

    @property
    def distinct(self) -> tuple[Template, ...]:
        """All that may be used, each once."""
        found = [template for template in (self.default, self.tool_use) if template is not None]
        return tuple(found[:1] if len({template.source for template in found}) == 1 else found)

    @property
    def digest(self) -> str | None:
        """Digest of all that may be used; that of the source if there is one, None if there is none."""
        sources = [template.source for template in self.distinct]
        if not sources:
            return None
        text = sources[0] if len(sources) == 1 else json.dumps({DEFAULT: sources[0], TOOL_USE: sources[1]})
        return digest_of(text.encode("utf-8", errors="replace"))


def template_files(names: Iterable[str]) -> list[str]:
    """Return the files among `names` that may hold a chat template, sorted."""
    holders = (TEMPLATE, TEMPLATE_JSON, TOKENIZER_CONFIG)
    return sorted(name for name in names if name in holders or additional_template_name(name) is not None)


def find_templates(small: Mapping[str, bytes], tokenizer_config: Mapping[str, Any]) -> Templates:
    """Return the templates among a model's small files. Refuses a malformed chat_template.json (BadConfig)."""
    values = [(TOKENIZER_CONFIG, tokenizer_config.get("chat_template"))]
    if TEMPLATE_JSON in small:
        content = parse_object(TEMPLATE_JSON, small[TEMPLATE_JSON], Reason.BAD_CONFIG)
        values.append((TEMPLATE_JSON, content.get("chat_template")))
    levels = [_from_files(small), *(_from_value(file, value) for file, value in values)]
    malformed = [text for file, value in values for text in _malformed(file, value)]
    found = next((level for level in levels if level), {})
    default, tool_use = found.get(DEFAULT), found.get(TOOL_USE)
    chosen = {template.file for template in (default, tool_use) if template is not None}
    unused = [template.file for level in levels for template in level.values() if template.file not in chosen]
    return Templates(default or tool_use, tool_use or default, tuple(unused), tuple(malformed))


def _from_files(small: Mapping[str, bytes]) -> dict[str, Template]:
    found: dict[str, Template] = {}
    if TEMPLATE in small:
        found[DEFAULT] = Template(TEMPLATE, _text(small[TEMPLATE]))
    for file in sorted(small):
        name = additional_template_name(file)
        if name is not None:
            found[name] = Template(file, _text(small[file]))
    return found


def _from_value(file: str, value: object) -> dict[str, Template]:
    """Return the templates that a member `chat_template` holds, by name."""
    if isinstance(value, str):
        return {DEFAULT: Template(file, value)}
    named: dict[str, object] = {}
    if isinstance(value, list):
        entries = [entry for entry in value if isinstance(entry, dict)]
        named = {str(entry.get("name")): entry.get("template") for entry in entries}
    elif isinstance(value, dict):
        named = value
    return {
        name: Template(f"{file} ({_printable(name)})", source)
        for name, source in named.items()
        if isinstance(source, str)
    }


def _malformed(file: str, value: object) -> list[str]:
    """Return what in a member `chat_template` is not a template, in words."""
    if value is None or isinstance(value, str):
        return []
    if isinstance(value, dict):
        entries = [(_printable(str(name)), template) for name, template in value.items()]
    elif isinstance(value, list):
        entries = [
            (_printable(str(entry.get("name"))), entry.get("template"))
            if isinstance(entry, dict)
            else ("an entry", entry)
            for entry in value
        ]
    else:
        return [f"chat_template in {file} is {_kind(value)}"]
    if not entries:
        return [f"chat_template in {file} is an empty {'list' if isinstance(value, list) else 'object'}"]
    return [
        f"{file} ({name}) is {_kind(source)}"
        for name, source in entries
        if not isinstance(source, str) or name == "an entry"
    ]


def _kind(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "a text without a name"
        case list():
            return "a list"
        case _:
            return "an object"


def _text(data: bytes) -> str:
    return data.decode("utf-8", errors="replace")


def _printable(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]", "?", name)[:40]
