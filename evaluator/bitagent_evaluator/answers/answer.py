"""From text to calls: what all syntaxes share, and in which order they are tried."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import cast

from bitagent_crds.results import Language
from bitagent_evaluator.answers.calls import Calls, is_call_list
from bitagent_evaluator.answers.errors import AnswerError
from bitagent_evaluator.registry import Registry

__all__ = ["MAX_CHARACTERS", "AnswerError", "AnswerSyntax", "Calls", "decode", "decode_any", "is_call_list"]

MAX_CHARACTERS = 65_536
"""Longest answer that is looked at: eight characters for each of the 8192 tokens that a round may allow."""

_END_OF_THINKING = "</think>"


class AnswerSyntax(StrEnum):
    """How an answer may be written. A prompt format says which of them it accepts."""

    PYTHON = "Python"
    """BFCL's list of Python calls, `[f(a=1), g(b="x")]`, exactly as the official decoder reads it."""
    JSON_LIST = "JsonList"
    """Hammer's `[{"name": "f", "arguments": {"a": 1}}]`."""
    TOOL_CALLS = "ToolCalls"
    """OpenAI's `{"tool_calls": [{"function": {"name": "f", "arguments": "{\\"a\\": 1}"}}]}`."""
    TOOL_CALL_BLOCKS = "ToolCallBlocks"
    """`<tool_call>{"name": "f", "arguments": {"a": 1}}</tool_call>`, as Qwen and Hermes write."""
    FUNCTION_PARAMS = "FunctionParams"
    """Bagel's `{"function": "f", "params": {"a": 1}}`, in JSON or YAML."""
    REWOO = "ReWoo"
    """The steps of a reWOO plan: `#E1 = f[a=1]`, `:evidence1: = f(a=1)`."""


SYNTAXES = Registry(
    what="answer syntax",
    group="bitagent.answer_syntaxes",
    builtin={
        Language.JAVA.value: "bitagent_evaluator.answers.java:decode",
        Language.JAVASCRIPT.value: "bitagent_evaluator.answers.javascript:decode",
        AnswerSyntax.PYTHON.value: "bitagent_evaluator.answers.python:decode",
        AnswerSyntax.JSON_LIST.value: "bitagent_evaluator.answers.json_list:decode",
        AnswerSyntax.TOOL_CALLS.value: "bitagent_evaluator.answers.tool_calls:decode",
        AnswerSyntax.TOOL_CALL_BLOCKS.value: "bitagent_evaluator.answers.tool_call_blocks:decode",
        AnswerSyntax.FUNCTION_PARAMS.value: "bitagent_evaluator.answers.function_params:decode",
        AnswerSyntax.REWOO.value: "bitagent_evaluator.answers.rewoo:decode",
    },
)
"""Functions from an answer's text to `Calls` that raise AnswerError and nothing else."""


def decode(text: str, language: Language = Language.PYTHON) -> Calls:
    """Read an answer as a list of calls, in BFCL's prompting syntax for that language.

    Backticks, newlines and spaces around the answer are dropped and missing outer brackets are added, as the official decoder does.
    An answer without calls, such as `[]`, gives an empty list. The result of the Java and JavaScript syntaxes need not be a list of
    calls, again as in the official decoder: ask `is_call_list`. Those two hand the text to parsers written in C; decode answers of
    strangers with them in a process that may die (`bitagent_evaluator.scoring` does).

    Raises AnswerError, and nothing else, whatever the text.
    """
    return _read(text, language.value)


def decode_any(text: str, syntaxes: Sequence[str]) -> Calls:
    """Read an answer in the first of `syntaxes`, in their order, that it is written in.

    A syntax that refuses the answer (AnswerError.refused) ends the search: what one reader will not touch, no other makes good.

    Raises AnswerError, and nothing else, whatever the text; its message holds each syntax's reason.
    """
    text = without_thinking(text, syntaxes)
    reasons = []
    for syntax in syntaxes:
        try:
            return _read(text, syntax)
        except AnswerError as error:
            if error.refused:
                raise
            reasons.append(f"{syntax}: {error}")
    raise AnswerError("; ".join(reasons))


def without_thinking(text: str, syntaxes: Sequence[str]) -> str:
    """The answer without what a model thinks before `</think>`; all of it where only Python is read, as the official decoder takes it."""
    if all(syntax == AnswerSyntax.PYTHON for syntax in syntaxes):
        return text
    return text.rpartition(_END_OF_THINKING)[2]


def _read(text: str, syntax: str) -> Calls:
    if len(text) > MAX_CHARACTERS:
        raise AnswerError(f"the answer has {len(text)} characters, more than {MAX_CHARACTERS}", refused=True)
    return cast(Calls, SYNTAXES.load(syntax)(text))
