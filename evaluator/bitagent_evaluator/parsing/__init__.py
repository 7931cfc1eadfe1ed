"""From an answer's text to calls. Answers are untrusted: they are parsed, never executed.

    answer        ParsedAnswer and ParsedResponse, which scorers are given
    syntaxes      the accepted syntaxes by name, and the order in which they are tried
    python, json, yaml, rewoo, tree_sitter
                  one parser per syntax
    variations    the formats of calls in BFCL's format sensitivity
    calls         the form of calls, and the error of reading an answer
    render        calls as text again, for the official checkers

BFCL's own syntax is read by the rules of BFCL's prompting decoder, with its quirks, because verdicts must equal the
leaderboard's; but where that decoder evaluates code, constant arithmetic is folded within limits and everything else is
refused. Scoring the calls is `bitagent_evaluator.scoring`.
"""

from bitagent_evaluator.parsing.answer import (
    ParsedAnswer,
    ParsedResponse,
    Unreadable,
    parse_answer,
    parse_bfcl_answer,
    parse_response,
)
from bitagent_evaluator.parsing.calls import AnswerError, Calls, is_call_list
from bitagent_evaluator.parsing.syntaxes import MAX_CHARACTERS, AnswerSyntax, parse_bfcl, parse_calls

__all__ = [
    "MAX_CHARACTERS",
    "AnswerError",
    "AnswerSyntax",
    "Calls",
    "ParsedAnswer",
    "ParsedResponse",
    "Unreadable",
    "is_call_list",
    "parse_answer",
    "parse_bfcl",
    "parse_bfcl_answer",
    "parse_calls",
    "parse_response",
]
