"""Alteration `Merge`: two tasks become one, as in BFCL's parallel and parallel-multiple cases.

A model that has memorised both questions still has to see that there are two, and which function belongs to which.
"""

from __future__ import annotations

import functools
from typing import cast

from bitagent_crds.alterations import Merge
from bitagent_crds.task_forms import Expects, Language
from bitagent_crds.task_set import Task
from bitagent_evaluator.alterations.base import Altered, Choices, Skipped, SkipReason, TaskPool
from bitagent_evaluator.alterations.renaming import has_duplicates, is_plain_chat
from bitagent_evaluator.alterations.tools import distinctive_words, normalise_name
from bitagent_evaluator.parsing import Calls
from bitagent_evaluator.parsing.render import render_calls
from bitagent_evaluator.scoring.bfcl import check_text, expected_calls

_DRAWS = 64
"""Partners drawn at random before all of them are tried in random order."""


class MergeTasks:
    """Merge a Python task with a partner: an unaltered task of the same source, drawn or not.

    The partner's question follows in the same user message, its functions after the task's functions, its calls after
    the task's calls; a function of both counts once. The category stays the source's: the checker judges several
    expected calls by its rule for parallel calls, in any order.

    No partner is a task
    - with a function of the same name but another description, or one that might answer the other question, too (the
    rule
      of distractors),
    - with the same expected call, because it would be unclear whether to make it once or twice,
    - whose own ground truth the official checker rejects, as it does for a few official cases.

    Tasks in Java and JavaScript are skipped: the official decoders of these languages read one call only.
    """

    def __init__(self, parameters: Merge) -> None:
        self.parameters = parameters

    def apply(self, task: Task, *, choices: Choices, pool: TaskPool) -> Altered | Skipped:
        """Return the merged task. Record: `partner`, the other task's id."""
        if reason := _skip_reason(task):
            return Skipped(reason)
        partner = _draw(task, choices, pool.tasks(task.source, task.language))
        if partner is None:
            return Skipped(SkipReason.NO_PARTNER)
        last = task.messages[-1]
        question = {**last, "content": f"{last['content']}\n\n{partner.messages[-1]['content']}"}
        changes = {
            "messages": [*task.messages[:-1], question],
            "functions": [*task.functions, *(f for f in partner.functions if f not in task.functions)],
            "ground_truth": [*(task.ground_truth or []), *(partner.ground_truth or [])],
        }
        return Altered(task.model_copy(update=changes), {"partner": partner.id})


def _skip_reason(task: Task) -> SkipReason | None:
    """Return why a task cannot be part of a merged one."""
    if task.expects is not Expects.CALLS:
        return SkipReason.EXPECTS_NO_CALL if task.expects is Expects.NO_CALL else SkipReason.EXPECTS_ANY_CALL
    if task.language is not Language.PYTHON:
        return SkipReason.LANGUAGE
    if not is_plain_chat(task):
        return SkipReason.CONVERSATION
    roles = [message["role"] for message in task.messages]
    if roles not in (["user"], ["system", "user"]):
        return SkipReason.SEVERAL_QUESTIONS
    if has_duplicates(task):
        return SkipReason.DUPLICATE_NAMES
    names = {function["name"] for function in task.functions}
    if not task.ground_truth or any(name not in names for call in task.ground_truth for name in call):
        return SkipReason.UNDESCRIBED_GROUND_TRUTH
    return None


def _draw(task: Task, choices: Choices, candidates: list[Task]) -> Task | None:
    """Return a random candidate that can be merged with the task, or None."""
    if not candidates:
        return None
    original = task.parent or task
    own = [function["name"] for known in (task, original) for function in known.functions]
    taken, words = {normalise_name(name) for name in own}, set[str]().union(*map(distinctive_words, own))

    @functools.cache  # thousands of partners often share their functions' names
    def differs(name: str) -> bool:
        return normalise_name(name) not in taken and not distinctive_words(name) & words

    def has_fitting_functions(partner: Task) -> bool:
        return all(differs(function["name"]) or function in task.functions for function in partner.functions)

    for attempt in range(_DRAWS):
        candidate = candidates[choices.integer(0, len(candidates) - 1, "partner", str(attempt))]
        if has_fitting_functions(candidate) and _can_merge(task, candidate):
            return candidate
    rest = (place for place, candidate in enumerate(candidates) if has_fitting_functions(candidate))
    in_order = (candidates[place] for place in choices.shuffled(rest, "partners"))
    return next((candidate for candidate in in_order if _can_merge(task, candidate)), None)


def _can_merge(task: Task, partner: Task) -> bool:
    """Return whether the tasks can be merged. A partner has one message, so that no system message is lost."""
    if partner.id == task.id or len(partner.messages) != 1 or _skip_reason(partner) is not None:
        return False
    calls, its = expected_calls(task), expected_calls(partner)
    return not any(call in calls for call in its) and check_text(partner, render_calls(cast(Calls, its))).passed
