"""Alteration `Merge`: two tasks become one, as in BFCL's parallel and parallel-multiple cases.

A model that knows both questions still has to see that there are two, and which function belongs to which.
"""

from __future__ import annotations

import functools
from typing import cast

from bitagent_crds.alterations import Merge
from bitagent_crds.results import Expects, Language, Task
from bitagent_evaluator.alterations.alteration import Altered, Reason, Skipped
from bitagent_evaluator.alterations.choices import Choices
from bitagent_evaluator.alterations.distractor_tools import plain_name, telling_words
from bitagent_evaluator.alterations.following import has_duplicates, is_plain_chat
from bitagent_evaluator.alterations.pool import Pool
from bitagent_evaluator.answers import Calls
from bitagent_evaluator.answers.writing import written
from bitagent_evaluator.scoring.exact_match import expected_calls
from bitagent_evaluator.scoring.judgement import judge

_DRAWS = 64
"""Partners looked at by chance before all are looked at in turn."""


class MergeTasks:
    """Partners are tasks of the same source and language, in the form that they had before any alteration, whether drawn or not.

    The partner's question follows in the same turn, its functions after the task's own, its calls after the task's. A function that both
    have counts once. Partners with a function of the same name but another description are passed over, and so are those with functions
    that might answer the other question as well: which share a word that says what they do (as for distractors). Nor may both want the same
    call: nobody could tell whether it is to be made once or twice. A partner's own ground
    truth must pass the checker, which is not so for a few official cases. The category stays the source's; a task with several expected calls
    is judged by the checker's rule for parallel calls, in whatever order they are made. Only Python tasks are merged: of the other languages
    the official decoders read no more than one call.
    """

    def __init__(self, parameters: Merge) -> None:
        self.parameters = parameters

    def apply(self, task: Task, *, choices: Choices, pool: Pool) -> Altered | Skipped:
        """Record: `partner`, the other task's id."""
        if reason := _hindrance(task):
            return Skipped(reason)
        partner = _draw(task, choices, pool.tasks(task.source, task.language))
        if partner is None:
            return Skipped(Reason.NO_PARTNER)
        last = task.messages[-1]
        question = {**last, "content": f"{last['content']}\n\n{partner.messages[-1]['content']}"}
        changes = {
            "messages": [*task.messages[:-1], question],
            "functions": [*task.functions, *(f for f in partner.functions if f not in task.functions)],
            "ground_truth": [*(task.ground_truth or []), *(partner.ground_truth or [])],
        }
        return Altered(task.model_copy(update=changes), {"partner": partner.id})


def _hindrance(task: Task) -> Reason | None:
    """Why a task can be no half of another."""
    if task.expects is not Expects.CALLS:
        return Reason.EXPECTS_NO_CALL if task.expects is Expects.NO_CALL else Reason.EXPECTS_ANY_CALL
    if task.language is not Language.PYTHON:
        return Reason.LANGUAGE
    if not is_plain_chat(task):
        return Reason.CONVERSATION
    roles = [message["role"] for message in task.messages]
    if roles not in (["user"], ["system", "user"]):
        return Reason.SEVERAL_QUESTIONS
    if has_duplicates(task):
        return Reason.DUPLICATE_NAMES
    names = {function["name"] for function in task.functions}
    if not task.ground_truth or any(name not in names for call in task.ground_truth for name in call):
        return Reason.UNDESCRIBED_GROUND_TRUTH
    return None


def _draw(task: Task, choices: Choices, candidates: list[Task]) -> Task | None:
    """The first candidate in a random order that goes with the task. Most tasks are served by the first few."""
    if not candidates:
        return None
    original = task.parent or task
    own = [function["name"] for known in (task, original) for function in known.functions]
    taken, telling = {plain_name(name) for name in own}, set[str]().union(*map(telling_words, own))

    @functools.cache  # partners by the thousand often share their names
    def is_other(name: str) -> bool:
        return plain_name(name) not in taken and not telling_words(name) & telling

    def has_other_functions(partner: Task) -> bool:
        return all(is_other(function["name"]) or function in task.functions for function in partner.functions)

    for attempt in range(_DRAWS):
        candidate = candidates[choices.number(0, len(candidates) - 1, "partner", str(attempt))]
        if has_other_functions(candidate) and _go_together(task, candidate):
            return candidate
    rest = (place for place, candidate in enumerate(candidates) if has_other_functions(candidate))
    in_order = (candidates[place] for place in choices.mixed(rest, "partners"))
    return next((candidate for candidate in in_order if _go_together(task, candidate)), None)


def _go_together(task: Task, partner: Task) -> bool:
    """Whether both calls can be asked for at once. A partner has one message, so that no system text is lost."""
    if partner.id == task.id or len(partner.messages) != 1 or _hindrance(partner) is not None:
        return False
    calls, its = expected_calls(task), expected_calls(partner)
    return not any(call in calls for call in its) and judge(partner, written(cast(Calls, its))).passed
