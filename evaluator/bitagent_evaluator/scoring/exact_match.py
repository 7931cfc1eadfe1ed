"""Scorer `ExactMatch`: the ground truth's first allowed values and nothing else, calls in order, types included.

An argument whose first allowed value is "" must be left out. Tasks that expect no call, or any call, and conversations
are scored as by `Bfcl`, because there is nothing to match.
"""

from __future__ import annotations

from typing import Any

from bitagent_crds.results import Verdict
from bitagent_crds.task_forms import Expects
from bitagent_crds.task_set import Task
from bitagent_evaluator.parsing import ParsedAnswer, Unreadable
from bitagent_evaluator.scoring import bfcl
from bitagent_evaluator.scoring.base import pass_fail
from bitagent_evaluator.scoring.bfcl import CallRule, CallScorer, expected_calls

DIFFERENT = "exact_match:different"
UNREADABLE = "exact_match:unreadable"


def match_answer(task: Task, answer: ParsedAnswer) -> Verdict:
    """Return the verdict on an answer. Pure; raises nothing."""
    if task.expects is not Expects.CALLS:
        return bfcl.check_answer(task, answer)
    if answer.unreadable in (Unreadable.SYNTAX, Unreadable.REFUSED):
        return pass_fail(task, UNREADABLE, answer.detail)
    expected = expected_calls(task)
    is_match = _is_same(expected, answer.calls)
    return pass_fail(task, *(("", "") if is_match else (DIFFERENT, f"expected exactly {expected}")))


def match_text(task: Task, text: str) -> Verdict:
    """Return the verdict on an answer in BFCL's own syntax for the task's language, as `match_answer`."""
    return match_answer(task, bfcl.parse_for(task, text))


class ExactMatchScorer(CallScorer):
    """Passes answers that are exactly the expected calls."""

    rule = CallRule(match_answer, match_text)


def _is_same(expected: Any, given: Any) -> bool:
    """Equality that tells True from 1 and 1 from 1.0; a tuple is as good as a list."""
    if isinstance(expected, dict):
        same_keys = isinstance(given, dict) and expected.keys() == given.keys()
        return same_keys and all(_is_same(value, given[key]) for key, value in expected.items())
    if isinstance(expected, list):
        same_length = isinstance(given, list | tuple) and len(expected) == len(given)
        return same_length and all(_is_same(*pair) for pair in zip(expected, given, strict=True))
    return type(expected) is type(given) and bool(expected == given)
