"""What the three call syntaxes of BFCL share: the brackets around an answer."""

from __future__ import annotations


def bracketed(text: str) -> str:
    """The answer as one bracketed list: backticks, newlines and spaces around it dropped, missing outer brackets added."""
    text = text.strip("`\n ")
    if not text.startswith("["):
        text = "[" + text
    return text if text.endswith("]") else text + "]"
