"""Answers and responses with the calls that were read from them: what scorers are given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from bitagent_crds.task_forms import Language
from bitagent_evaluator.parsing.calls import AnswerError, Calls, is_call_list
from bitagent_evaluator.parsing.render import in_python_terms, render_calls
from bitagent_evaluator.parsing.syntaxes import AnswerSyntax, parse_bfcl, parse_calls
from bitagent_evaluator.parsing.thinking import answers_after_thinking, strip_thinking
from bitagent_evaluator.parsing.variations import parse_variation

if TYPE_CHECKING:  # sandboxes that read models' files import this package, and start faster without pydantic
    from bitagent_crds.results import Response
    from bitagent_crds.task_set import PromptVariation


class Unreadable(StrEnum):
    """Reasons why no calls were read from an answer."""

    SYNTAX = "Syntax"
    """The answer is in no accepted syntax, and BFCL's own decoder fails on it."""
    REFUSED = "Refused"
    """The answer exceeds a limit, or its value is known only by executing it. It passes no task, not even one that
    expects no call."""
    NOT_CALLS = "NotCalls"
    """The official decoder for Java or JavaScript returns something else than a list of calls."""


@dataclass(frozen=True)
class ParsedAnswer:
    """An answer, and the calls in it or the reason why they could not be read."""

    text: str
    """The answer in the model's words, without its thinking unless BFCL's decoder reads the whole."""
    calls: Calls | None
    """None if `unreadable` is set."""
    unreadable: Unreadable | None = None
    detail: str = ""
    """Human-readable explanation of `unreadable`."""
    is_bfcl_syntax: bool = True
    """Whether `text` is to be read in BFCL's own syntax; otherwise the calls were read in another one."""
    position: int = field(default=0, compare=False)
    """Number of characters that BFCL's decoder could read before it failed, about."""

    def bfcl_text(self, language: Language = Language.PYTHON) -> str:
        """Return the answer in BFCL's own syntax, for checkers that read text; an unreadable answer as it is."""
        if self.is_bfcl_syntax or self.calls is None:
            return self.text
        return render_calls(self.calls, language)


def parse_answer(
    text: str,
    syntaxes: Sequence[AnswerSyntax] | None = None,
    language: Language = Language.PYTHON,
    functions: Sequence[Mapping[str, Any]] = (),
    variation: PromptVariation | None = None,
) -> ParsedAnswer:
    """Parse an answer to a task in `language`, in BFCL's own syntax or else in one of `syntaxes`. Raises nothing.

    BFCL's syntax comes first and is read as Python here, whatever the language: no prompt format changes a verdict on
    an answer that the official decoder reads, or that is refused. What the decoder does not read is read again without
    the model's thinking, as the leaderboard's handlers of thinking models do. `syntaxes` are those of a prompt format;
    None is the official decoder alone, which reads the whole text.

    If no syntax finds a call the answer is unreadable, for the reason of the reader that got furthest; so brackets in
    prose, such as those of Java's `int[]`, are not an empty list of calls. `functions`, in BFCL's form, give a type to
    values that are written without one.

    An answer to a `variation` of a prompt is read in the format that it asks for, and in no other.
    """
    if variation is not None:
        return _parse_variation(text, variation, thinks=syntaxes is not None)
    own = parse_bfcl_answer(text)
    if syntaxes is None:
        return own
    stripped = strip_thinking(text)
    if own.unreadable is Unreadable.SYNTAX and stripped != text:
        own = _after_thinking(text, stripped)
    others = [syntax for syntax in syntaxes if syntax != AnswerSyntax.PYTHON]
    if own.unreadable is not Unreadable.SYNTAX or not others:
        return own
    try:
        calls = parse_calls(stripped, others, functions)
    except AnswerError as error:
        return replace(own, detail=str(error)) if error.position > own.position else own
    if not calls:
        return own
    try:
        read = in_python_terms(calls) if language is Language.PYTHON else calls
    except AnswerError as error:
        return _unreadable(stripped, error)
    return ParsedAnswer(stripped, read, is_bfcl_syntax=False)


def _after_thinking(text: str, stripped: str) -> ParsedAnswer:
    """Read what follows the thought; if that is not BFCL's syntax, what follows an earlier mark of a thought's end."""
    first = parse_bfcl_answer(stripped)
    if first.unreadable is not Unreadable.SYNTAX:
        return first
    others = (parse_bfcl_answer(answer) for answer in answers_after_thinking(text))
    return next((other for other in others if other.calls), first)


def _parse_variation(text: str, variation: PromptVariation, *, thinks: bool) -> ParsedAnswer:
    """Read the whole text; if it holds no call and `thinks`, read it again without the model's thinking."""
    whole = _parse_in_format(text, variation)
    stripped = strip_thinking(text)
    if not thinks or whole.calls or whole.unreadable is Unreadable.REFUSED or stripped == text:
        return whole
    return _parse_in_format(stripped, variation)


def _parse_in_format(text: str, variation: PromptVariation) -> ParsedAnswer:
    try:
        calls = parse_variation(text, variation)
    except AnswerError as error:
        return replace(_unreadable(text, error), is_bfcl_syntax=False)
    if not is_call_list(calls):
        return ParsedAnswer(text, None, Unreadable.NOT_CALLS, "arguments are not an object", is_bfcl_syntax=False)
    return ParsedAnswer(text, calls, is_bfcl_syntax=False)


def parse_bfcl_answer(text: str, language: Language = Language.PYTHON) -> ParsedAnswer:
    """Parse an answer in BFCL's own syntax for a language, with the limits of `parse_bfcl`. Raises nothing."""
    try:
        calls = parse_bfcl(text, language)
    except AnswerError as error:
        return _unreadable(text, error)
    if not is_call_list(calls):
        return ParsedAnswer(text, None, Unreadable.NOT_CALLS, "the answer holds no call")
    return ParsedAnswer(text, calls)


def _unreadable(text: str, error: AnswerError) -> ParsedAnswer:
    reason = Unreadable.REFUSED if error.refused else Unreadable.SYNTAX
    return ParsedAnswer(text, None, reason, str(error), position=error.position)


@dataclass(frozen=True)
class ParsedResponse:
    """A model's response to one task, with the calls in its answer and, in a conversation, in each step."""

    response: Response
    answer: ParsedAnswer
    """The answer in `response.text`."""
    turns: Sequence[Sequence[ParsedAnswer]] = ()
    """The steps in `response.turns`."""


def parse_response(
    response: Response,
    syntaxes: Sequence[AnswerSyntax] | None = None,
    language: Language = Language.PYTHON,
    functions: Sequence[Mapping[str, Any]] = (),
    variation: PromptVariation | None = None,
) -> ParsedResponse:
    """Parse the answer of a response, and each step of a conversation, as `parse_answer` does. Raises nothing."""
    return ParsedResponse(
        response=response,
        answer=parse_answer(response.text, syntaxes, language, functions, variation),
        turns=[[parse_answer(step, syntaxes, language, functions) for step in turn] for turn in response.turns],
    )
