"""What a model thinks before its answer, in `<think>` and `</think>`."""

from __future__ import annotations

import json
import re

START_OF_THINKING, END_OF_THINKING = "<think>", "</think>"

_MAX_MARKS = 4
_MAX_OPENINGS = 64
"""Number of brackets before a mark that are tried as the beginning of a value around it."""
_OPENING = re.compile(r"[\[{]")
_ARGUMENTS = (
    ("<parameter=", "</parameter>"),
    ("<parameter name=", "</parameter>"),
    ("<arg_value>", "</arg_value>"),
)
"""Tags around arguments."""
_DECODER = json.JSONDecoder()


def strip_thinking(text: str) -> str:
    """Return the answer after the last `</think>`; a mark inside an argument of a call is part of the answer.

    The leaderboard's own handlers of thinking models cut there, whatever the format. The template may have written the
    opening mark, so it need not be in the text.
    """
    end = len(text)
    for _ in range(_MAX_MARKS):
        at = text.rfind(END_OF_THINKING, 0, end)
        if at < 0:
            return text
        if not _is_in_a_value(text, at):
            return text[at + len(END_OF_THINKING) :]
        end = at
    return text


def _is_in_a_value(text: str, at: int) -> bool:
    """Whether a place is inside a JSON value or a parameter's tag."""
    if any(text.rfind(start, 0, at) > text.rfind(end, 0, at) and text.find(end, at) >= 0 for start, end in _ARGUMENTS):
        return True
    openings = [found.start() for found in _OPENING.finditer(text, 0, at)]
    return any(_end_of_value(text, start) > at for start in reversed(openings[-_MAX_OPENINGS:]))


def _end_of_value(text: str, start: int) -> int:
    try:
        return _DECODER.raw_decode(text, start)[1]
    except (ValueError, RecursionError):
        return -1
