"""The leaderboard's rules for one answer to one task."""

from __future__ import annotations

from typing import Any

from bitagent_crds.results import Expects, Language, Task, Verdict
from bitagent_crds.sources import BfclCategory
from bitagent_evaluator.answers import AnswerError, decode, is_call_list
from bitagent_evaluator.escaping import escaped
from bitagent_evaluator.scoring import official

MAX_DETAIL = 400
"""Longest explanation in a verdict, in characters."""

DECODER_FAILED = "ast_decoder:decoder_failed"
WRONG_FORMAT = "ast_decoder:decoder_wrong_output_format"
REFUSED = "ast_decoder:refused"
UNEXPECTED_CALL = "irrelevance_error:decoder_success"
MISSING_CALL = "relevance_error:decoder_failed"
UNCHECKABLE = "ast_checker:raised"
NO_GROUND_TRUTH = "no_ground_truth"

_CALL_CATEGORIES = frozenset(
    category for category in BfclCategory if any(word in category for word in ("simple", "multiple", "parallel"))
)
"""Categories that the official checker has a rule for; a call in any other, it would judge as a simple one."""
_CHECKER_FAILURES = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""What the checker raises on values that it was not written for, such as a list where a list of dicts is expected."""


def judge(task: Task, text: str) -> Verdict:
    """The verdict on an answer. Pure; raises nothing, whatever the text.

    Besides the official error types there are `ast_decoder:refused` (see AnswerError.refused) and `ast_checker:raised` (the official
    checker failed on what the model wrote; upstream that ends the whole run).
    A task that has only a reference text fails with `no_ground_truth`.
    """
    if task.expects is Expects.TEXT:
        return verdict(
            task, NO_GROUND_TRUTH, "the task has a reference text and no ground truth; scorer Loss judges it"
        )
    try:
        if task.expects is Expects.CALLS:
            error, detail = _check_calls(task, text)
        else:
            error, detail = _check_presence(task, text)
    except AnswerError as failure:
        error, detail = REFUSED if failure.refused else DECODER_FAILED, str(failure)
    return verdict(task, error, detail)


def verdict(task: Task, error: str, detail: str) -> Verdict:
    """A verdict that is all or nothing: passed with the whole score when there is no error."""
    return Verdict(
        id=task.id,
        category=task.category,
        passed=not error,
        score=0.0 if error else 1.0,
        error=error,
        detail=printable(detail),
    )


def _check_presence(task: Task, text: str) -> tuple[str, str]:
    """Whether the answer holds a call at all. The leaderboard reads these answers as Python, whatever the language."""
    try:
        has_call = bool(decode(text, Language.PYTHON))
        detail = "the answer is a call, but no function fits" if has_call else "the answer is an empty list of calls"
    except AnswerError as failure:
        if failure.refused:
            raise
        has_call, detail = False, str(failure)
    if has_call is (task.expects is Expects.ANY_CALL):
        return "", ""
    return (UNEXPECTED_CALL if has_call else MISSING_CALL), detail


def _check_calls(task: Task, text: str) -> tuple[str, str]:
    calls = decode(text, task.language)
    if not is_call_list(calls):
        return WRONG_FORMAT, "the answer holds no call"
    possible_answers = task.ground_truth or []
    try:
        result = official.check(
            functions=task.functions,
            calls=calls,
            possible_answers=possible_answers,
            language=task.language,
            category=checker_category(task),
        )
        return ("", "") if result["valid"] else (result["error_type"], _explain(result["error"]))
    except _CHECKER_FAILURES as failure:
        return UNCHECKABLE, f"the checker cannot compare this answer: {type(failure).__name__}: {failure}"


def checker_category(task: Task) -> str:
    """The category by which the official checker chooses its rule: BFCL's own, or one that follows from the task's shape.

    Its `simple` rules look at the first function alone. A simple case that was given more functions is judged as `multiple`, or the place
    would tell the answer. Only its `parallel` rules know of several calls, so a case that was merged with another is judged by those.
    """
    if len(task.ground_truth or ()) > 1 and "parallel" not in task.category:
        return BfclCategory.PARALLEL
    if task.category in _CALL_CATEGORIES and ("simple" not in task.category or len(task.functions) == 1):
        return task.category
    if len(task.ground_truth or ()) > 1:
        return BfclCategory.PARALLEL
    return BfclCategory.MULTIPLE if len(task.functions) > 1 else BfclCategory.SIMPLE_PYTHON


def _explain(errors: list[Any]) -> str:
    """The checker's messages in one text. The parallel rule nests one dict per compared call."""
    parts: list[str] = []
    for error in errors:
        if isinstance(error, dict):
            parts += [f"{where}: {_explain(found['sub_error'])}" for where, found in error.items()]
        else:
            parts.append(str(error))
    return " ".join(parts)


def printable(text: str) -> str:
    """A verdict's detail: the text cut to size, with whatever a model slipped into it (control characters, halves of characters) escaped."""
    return escaped(text[:MAX_DETAIL])[:MAX_DETAIL]
