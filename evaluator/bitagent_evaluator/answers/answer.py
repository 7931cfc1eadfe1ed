"""From text to calls: what all syntaxes share, and which syntax belongs to which language."""

from __future__ import annotations

from typing import Any, TypeAlias, cast

from bitagent_crds.results import Language
from bitagent_evaluator.answers.errors import AnswerError
from bitagent_evaluator.registry import Registry

__all__ = ["MAX_CHARACTERS", "AnswerError", "Calls", "decode", "is_call_list"]

Calls: TypeAlias = list[dict[str, dict[str | None, Any]]]
"""One `{function: {argument: value}}` per call, in order. None is the argument name of `**mapping`, which no function has."""

MAX_CHARACTERS = 65_536
"""Longest answer that is looked at: eight characters for each of the 8192 tokens that a round may allow."""

SYNTAXES = Registry(
    what="answer syntax",
    group="bitagent.answer_syntaxes",
    builtin={
        Language.PYTHON.value: "bitagent_evaluator.answers.python:decode",
        Language.JAVA.value: "bitagent_evaluator.answers.java:decode",
        Language.JAVASCRIPT.value: "bitagent_evaluator.answers.javascript:decode",
    },
)


def decode(text: str, language: Language = Language.PYTHON) -> Calls:
    """Read an answer as a list of calls, in BFCL's prompting syntax for that language.

    Backticks, newlines and spaces around the answer are dropped and missing outer brackets are added, as the official decoder does.
    An answer without calls, such as `[]`, gives an empty list. The result of the Java and JavaScript syntaxes need not be a list of
    calls, again as in the official decoder: ask `is_call_list`. Those two hand the text to parsers written in C; decode answers of
    strangers with them in a process that may die (`bitagent_evaluator.scoring` does).

    Raises AnswerError, and nothing else, whatever the text.
    """
    if len(text) > MAX_CHARACTERS:
        raise AnswerError(f"the answer has {len(text)} characters, more than {MAX_CHARACTERS}", refused=True)
    return cast(Calls, SYNTAXES.load(language.value)(bracketed(text)))


def bracketed(text: str) -> str:
    """The answer as one bracketed list."""
    text = text.strip("`\n ")
    if not text.startswith("["):
        text = "[" + text
    return text if text.endswith("]") else text + "]"


def is_call_list(decoded: object) -> bool:
    """Whether a decoded answer has the form of `Calls`: a list of one-entry dicts of dicts. True for an empty list."""
    return isinstance(decoded, list) and all(
        isinstance(call, dict) and len(call) == 1 and isinstance(next(iter(call.values())), dict) for call in decoded
    )
