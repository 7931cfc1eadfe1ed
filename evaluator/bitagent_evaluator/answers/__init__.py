"""What a model wrote, read as calls. Never executed: answers are written by strangers.

One file a syntax behind one registry. `decode` reads BFCL's own syntax by the rules of BFCL's prompting decoder, quirks included, because
verdicts must equal the leaderboard's; but where that decoder evaluates code, this one folds constant arithmetic within bounds and refuses
the rest. `decode_any` also reads the syntaxes that a prompt format allows beside it, `normalise` rewrites such an answer into BFCL's.
Judging the calls is not done here, see `bitagent_evaluator.scoring`.
"""

from bitagent_evaluator.answers.answer import (
    MAX_CHARACTERS,
    AnswerError,
    AnswerSyntax,
    Calls,
    decode,
    decode_any,
    is_call_list,
)
from bitagent_evaluator.answers.writing import normalise

__all__ = [
    "MAX_CHARACTERS",
    "AnswerError",
    "AnswerSyntax",
    "Calls",
    "decode",
    "decode_any",
    "is_call_list",
    "normalise",
]
