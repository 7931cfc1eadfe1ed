"""Text that may be shown: what a terminal, a log, a status or a page could take as an order becomes visible.

Models, tokenizers, templates, repositories, hubs and endpoints send texts, also in error messages. Those who show a
text (`logs`, `jobs.termination_message`, conditions and Events, the evaluator's terminal and pages) pass it through
here once more, so that no caller can forget it.
"""

from __future__ import annotations

import json
from typing import Any

BREAKS = "\n\t"
"""Characters that a text of several lines may keep."""


def escape_unprintable(text: str, *, keep: str = "") -> str:
    """Return the text with a Python escape in place of each character that is not printable and not in `keep`.

    Not printable are control characters (C0, C1, escape sequences), marks without width and those that change the
    direction of text, separators of lines and paragraphs, and lone surrogates.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in text)


def escape_all(value: Any) -> Any:
    """Return JSON with all its strings and names of members printable; line breaks and tabs stay."""
    if isinstance(value, str):
        return escape_unprintable(value, keep=BREAKS)
    if isinstance(value, list):
        return [escape_all(item) for item in value]
    if isinstance(value, dict):
        return {escape_all(name): escape_all(member) for name, member in value.items()}
    return value


def printable_json(document: str) -> str:
    """Return a JSON document with JSON's own escape for each character that is not printable: the same data."""
    return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in document)
