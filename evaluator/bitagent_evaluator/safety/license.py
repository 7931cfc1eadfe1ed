"""The licence that a model card names in its front matter."""

from __future__ import annotations

from bitagent_evaluator.answers.errors import AnswerError
from bitagent_evaluator.answers.yaml_value import yaml_value
from bitagent_evaluator.safety.selection import CARD_BYTES

_LONGEST = 128


def card_license(card: bytes) -> str:
    """The licence in lower case; empty when none is named or the front matter is no YAML. A custom one goes by its own name."""
    text = card[:CARD_BYTES].decode("utf-8", errors="replace").replace("\r\n", "\n")
    if not text.startswith("---\n"):
        return ""
    front, end, _ = text[4:].partition("\n---")
    if not end:
        return ""
    try:
        fields = yaml_value(front)  # PyYAML's own loader takes seconds for a card with many results
    except AnswerError:
        return ""
    if not isinstance(fields, dict):
        return ""
    named, own = fields.get("license"), fields.get("license_name")
    if isinstance(named, list) and named:
        named = named[0]
    if named == "other" and isinstance(own, str):
        named = own
    return normal(named) if isinstance(named, str) else ""


def normal(name: str) -> str:
    """A licence's name as facts carry it."""
    printable = "".join(character for character in name.strip().lower() if character.isprintable())
    return printable[:_LONGEST]
