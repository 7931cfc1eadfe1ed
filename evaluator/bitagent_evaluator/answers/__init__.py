"""What a model wrote, read as calls. Never executed: answers are written by strangers.

One file a syntax behind `decode`. The rules are those of BFCL's prompting decoder, quirks included, because verdicts must equal the
leaderboard's; but where that decoder evaluates code, this one folds constant arithmetic within bounds and refuses the rest.
Judging the calls is not done here, see `bitagent_evaluator.scoring`.
"""

from bitagent_evaluator.answers.answer import MAX_CHARACTERS, AnswerError, Calls, decode, is_call_list

__all__ = ["MAX_CHARACTERS", "AnswerError", "Calls", "decode", "is_call_list"]
