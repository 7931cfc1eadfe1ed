"""Make untrusted text fit to be shown: escape, mask, shorten. Spelled-out small numbers.

Terminals, logs, HTML pages and verdict files show text of models, datasets and endpoints. Control characters, lone
surrogates and marks that change the direction of text must not reach them: `bitagent_crds.printable` says how.
"""

from __future__ import annotations

from bitagent_crds.printable import escape_unprintable as escape_unprintable


def mask_unprintable(text: str) -> str:
    """Return the text with a question mark in place of each character that is not printable."""
    return "".join(c if c.isprintable() else "?" for c in text)


def shorten(text: str, limit: int) -> str:
    """Return at most `limit` characters of the text; a shortened text ends in an ellipsis."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def join_lines(text: str) -> str:
    """Return the text on one line, with single spaces in place of all white space."""
    return " ".join(text.split())


def first_line(text: str, *, limit: int = 200) -> str:
    """Return the first `limit` characters of the first line that is not blank; empty if there is none."""
    return next((line for line in text.splitlines() if line.strip()), "")[:limit]


def error_line(error: BaseException, *, limit: int = 200) -> str:
    """Return the type of an exception and the first line of its message, on one line."""
    message = escape_unprintable(first_line(str(error), limit=limit), keep="\t")
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


SMALL_NUMBERS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
"""Words of the numbers 0 to 19; each word's index is its number."""
