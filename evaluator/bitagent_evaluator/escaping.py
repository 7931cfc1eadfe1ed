"""What strangers wrote, made fit to be shown."""

from __future__ import annotations


def escaped(text: str, *, keep: str = "") -> str:
    """The text with escapes in place of what is not printable: control characters, halves of characters, marks that turn the direction of text.

    `keep` are such characters that may stay.
    """
    return "".join(c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in text)
