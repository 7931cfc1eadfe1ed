"""The official rule for answers to questions about a memory."""

from __future__ import annotations

from bfcl_eval.eval_checker.agentic_eval.agentic_checker import agentic_checker

from bitagent_crds.task_set import Memory
from bitagent_evaluator.parsing import AnswerError, ParsedAnswer, ParsedResponse, Unreadable
from bitagent_evaluator.parsing.render import executable_calls
from bitagent_evaluator.scoring.base import REFUSED

NOT_ONE_TURN = "agentic:inference_error"
NO_LAST_MESSAGE = "agentic:no_last_message"


def check_memory_answer(memory: Memory, response: ParsedResponse) -> tuple[str, str]:
    """Return the official error type, empty if the last answer without a call contains a right one, and an explanation.

    Besides the official error types there is `ast_decoder:refused` (a step is refused, see Unreadable.REFUSED).
    """
    if len(response.turns) != 1:
        return NOT_ONE_TURN, f"the response has {len(response.turns)} turns, not one"
    steps = response.turns[0]
    if refused := next((step for step in steps if step.unreadable is Unreadable.REFUSED), None):
        return REFUSED, refused.detail
    last = next((step.text for step in reversed(steps) if not _has_calls(step)), "")
    if not last:
        return NO_LAST_MESSAGE, "every answer is a call"
    result = agentic_checker(last, memory.answers)
    if result["valid"]:
        return "", ""
    return result["error_type"], f"none of {', '.join(memory.answers)} is in the last answer: {last}"


def _has_calls(step: ParsedAnswer) -> bool:
    try:
        return bool(executable_calls(step.calls or []))
    except AnswerError:
        return False
