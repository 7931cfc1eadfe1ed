"""What validators say about answers: Rich markup from another's process, as plain text for people. Pure."""

from __future__ import annotations

from rich.errors import MarkupError
from rich.text import Text

from bitagent_crds.printable import BREAKS, escape_unprintable

CHARACTERS_MAX = 16_384
LINES_MAX = 200


def readable(markup: str) -> str:
    """Return feedback without markup, links and control characters, bounded; invalid markup stays as it is."""
    cut = markup[:CHARACTERS_MAX]
    try:
        plain = Text.from_markup(cut, emoji=False).plain
    except MarkupError:
        plain = cut
    lines = escape_unprintable(plain.replace("\r\n", "\n"), keep=BREAKS).strip("\n").split("\n")
    left = len(lines) - LINES_MAX
    lines = [line.rstrip() for line in lines[:LINES_MAX]]
    if left > 0 or len(markup) > CHARACTERS_MAX:
        lines.append("(cut)")
    return "\n".join(lines)
