"""What the two tree-sitter syntaxes share: bounds before the parser and one kind of error after it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from bitagent_evaluator.answers.bracketed import bracketed
from bitagent_evaluator.answers.errors import AnswerError

MAX_CHARACTERS = 8_192
"""Longest text handed to a tree-sitter parser: printing the tree recurses in C, once per nested node."""

Decoded: TypeAlias = Any
"""Calls, or another value that the official parser returns for text without a call (`{}`, None)."""


def decode_with(parse: Callable[[str], Decoded], text: str) -> Decoded:
    """Run one of the official parsers. Raises AnswerError."""
    text = bracketed(text)
    if len(text) > MAX_CHARACTERS:
        raise AnswerError(f"the answer has {len(text)} characters, more than {MAX_CHARACTERS}", refused=True)
    try:
        return parse(text[1:-1])
    except RecursionError:
        raise AnswerError("nested too deeply", refused=True) from None
    except SyntaxError as error:
        raise AnswerError(str(error)) from None
    except Exception as error:  # noqa: BLE001 - the parsers raise bare Exception for a repeated argument, and walk trees unchecked
        raise AnswerError(f"cannot be read as a call: {error}") from None
