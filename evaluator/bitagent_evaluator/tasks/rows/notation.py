"""Values in a text: JSON, or Python's notation of the same.

Tables that were written out of data frames hold lists and objects as Python prints them, `[{'name': 'f'}]`.
"""

from __future__ import annotations

import ast
import json
import warnings
from typing import Any

MAX_LITERAL_CHARACTERS = 1 << 18
"""Longest text that is read in Python's notation, whose syntax tree takes some hundred times its size."""


def parse_value(text: str) -> Any:
    """Return the value of a text. Raises ValueError if it is neither JSON nor a literal of Python."""
    try:
        return json.loads(text, strict=False)
    except (ValueError, RecursionError) as error:
        if len(text) > MAX_LITERAL_CHARACTERS:
            raise ValueError(str(error)) from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such as "\d" in a string
            return ast.literal_eval(text.strip())
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        raise ValueError("neither JSON nor a literal of Python") from None
