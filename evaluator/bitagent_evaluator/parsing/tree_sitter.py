"""Java and JavaScript syntax, read by the official tree-sitter parsers, which evaluate nothing.

The parsers are written in C and recurse once per nested node, so they run in a process that may die
(`bitagent_evaluator.scoring.sandboxed`). Both kinds of failure of theirs become AnswerError.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from bitagent_evaluator.parsing.calls import AnswerError
from bitagent_evaluator.parsing.python import strip_to_list

MAX_CHARACTERS = 8_192
"""Longest text that is given to a tree-sitter parser: printing the tree recurses in C, once per nested node."""

Decoded: TypeAlias = Any
"""Calls, or another value that the official parser returns for text without a call (`{}`, None)."""


def parse_java(text: str) -> Decoded:
    """Parse BFCL's syntax for Java. Raises AnswerError."""
    from bfcl_eval.model_handler.parser.java_parser import parse_java_function_call

    return _parse_with(parse_java_function_call, text)


def parse_javascript(text: str) -> Decoded:
    """Parse BFCL's syntax for JavaScript. Raises AnswerError."""
    from bfcl_eval.model_handler.parser.js_parser import parse_javascript_function_call

    return _parse_with(parse_javascript_function_call, text)


def _parse_with(parse: Callable[[str], Decoded], text: str) -> Decoded:
    text = strip_to_list(text)
    if len(text) > MAX_CHARACTERS:
        raise AnswerError(f"the answer has {len(text)} characters, more than {MAX_CHARACTERS}", refused=True)
    try:
        return parse(text[1:-1])
    except RecursionError:
        raise AnswerError("nested too deeply", refused=True) from None
    except SyntaxError as error:
        raise AnswerError(str(error)) from None
    except Exception as error:  # noqa: BLE001 - bare Exception for a repeated argument; trees are walked unchecked
        raise AnswerError(f"cannot be read as a call: {error}") from None
