"""From an answer's text to calls. Answers are untrusted: they are parsed, never executed.

    answer        ParsedAnswer and ParsedResponse, which scorers are given
    syntaxes      the accepted syntaxes by name, and the order in which they are tried
    python, python_blocks, json, yaml, tags, named_calls, gemma, react, rewoo, tree_sitter
                  the parsers of the syntaxes
    typed_values  values that a syntax writes as text, by the descriptions of the functions
    thinking      thoughts that are not part of the answer
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
from bitagent_evaluator.parsing.syntaxes import (
    FORMS_OF_TEMPLATES,
    MAX_CHARACTERS,
    AnswerSyntax,
    parse_bfcl,
    parse_calls,
)

__all__ = [
    "FORMS_OF_TEMPLATES",
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
