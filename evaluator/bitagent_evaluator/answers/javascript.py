"""Answers in JavaScript syntax, read by the official tree-sitter parser (it does not evaluate anything)."""

from __future__ import annotations

from bfcl_eval.model_handler.parser.js_parser import parse_javascript_function_call

from bitagent_evaluator.answers.sourcetree import Decoded, decode_with


def decode(text: str) -> Decoded:
    """Read an answer. Raises AnswerError."""
    return decode_with(parse_javascript_function_call, text)
