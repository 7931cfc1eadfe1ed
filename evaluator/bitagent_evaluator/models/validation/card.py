"""The model card: the licence and the hotkey that its front matter names."""

from __future__ import annotations

import re
from typing import Any

from bitagent_evaluator.parsing.calls import AnswerError
from bitagent_evaluator.parsing.yaml import parse_yaml_value

CARD_BYTES = 256 << 10
"""Largest size of a model card that is read, for its licence; it is never fetched."""
_MAX_LICENSE_CHARACTERS = 128
HOTKEY_FIELD = "bitagent_hotkey"
"""Member of a card's front matter that names the hotkey of the model's owner."""
_HOTKEY = re.compile(r"[1-9A-HJ-NP-Za-km-z]{47,48}")
_LICENSE_KEY, _HOTKEY_KEY = (
    re.compile(rf"""^(?:\{{\s*|\?\s+)?["']?{name}["']?\s*(?::|$)|,\s*["']?{name}["']?\s*:""", re.MULTILINE)
    for name in ("license", HOTKEY_FIELD)
)
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U0000([0-9a-fA-F]{4}))")
"""Characters by number, in YAML's double quotes: a key can be written with them."""


def parse_card_license(card: bytes) -> str:
    """Return the licence in a model card's front matter, in lower case; empty if it names none, or several.

    A custom licence (`other`) is returned by its `license_name`.
    """
    front = _front_matter(card)
    fields = _fields(front)
    named, own = fields.get("license"), fields.get("license_name")
    if _times(_LICENSE_KEY, front) > 1:
        return ""  # YAML's readers take the last one, people the first.
    if isinstance(named, list):
        named = named[0] if len(named) == 1 else ""
    if named == "other" and isinstance(own, str):
        named = own
    return normalize_license(named) if isinstance(named, str) else ""


def parse_card_hotkey(card: bytes) -> str | None:
    """Return the hotkey in a model card's front matter (`bitagent_hotkey`); None if it names none, or several."""
    front = _front_matter(card)
    if _times(_HOTKEY_KEY, front) != 1:
        return None
    named = _fields(front).get(HOTKEY_FIELD)
    return named if isinstance(named, str) and _HOTKEY.fullmatch(named) else None


def _times(key: re.Pattern[str], front: str) -> int:
    """Return how often a card's front matter has a key."""
    return len(key.findall(_ESCAPE.sub(lambda found: chr(int(next(filter(None, found.groups())), 16)), front)))


def _front_matter(card: bytes) -> str:
    """Return the YAML at the start of a model card; empty without one."""
    text = card[:CARD_BYTES].decode("utf-8-sig", errors="replace").replace("\r\n", "\n").replace("\r", "\n").lstrip()
    front, end, _ = text[4:].partition("\n---")
    return front if text.startswith("---\n") and end else ""


def _fields(front: str) -> dict[Any, Any]:
    """Return the members of a card's front matter; none if it is malformed."""
    if not front:
        return {}
    try:
        fields = parse_yaml_value(front)  # PyYAML's loader takes seconds for a card with many results
    except AnswerError:
        return {}
    return fields if isinstance(fields, dict) else {}


def normalize_license(name: str) -> str:
    """Return a licence's name as the facts have it: lower case, printable, bounded."""
    printable = "".join(character for character in name.strip().lower() if character.isprintable())
    return printable[:_MAX_LICENSE_CHARACTERS]
