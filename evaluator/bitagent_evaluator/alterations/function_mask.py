"""Alteration `FunctionMask`: function names become random strings."""

from __future__ import annotations

from bitagent_crds.alterations import FunctionMask
from bitagent_crds.results import Task
from bitagent_evaluator.alterations.alteration import Altered, Reason, Skipped
from bitagent_evaluator.alterations.choices import Choices
from bitagent_evaluator.alterations.following import (
    Mentions,
    has_duplicates,
    is_plain_chat,
    value_words,
    with_descriptions,
    words_in_use,
)
from bitagent_evaluator.alterations.pool import Pool


class MaskFunctions:
    """Ground truth and mentions follow; a dotted name becomes one without dots."""

    def __init__(self, parameters: FunctionMask) -> None:
        self.parameters = parameters

    def apply(self, task: Task, *, choices: Choices, pool: Pool) -> Altered | Skipped:
        """Record: the new name by the old one."""
        if not task.functions:
            return Skipped(Reason.TOO_FEW_FUNCTIONS)
        if has_duplicates(task):
            return Skipped(Reason.DUPLICATE_NAMES)
        if not is_plain_chat(task):
            return Skipped(Reason.CONVERSATION)
        names = [function["name"] for function in task.functions]
        if any(name not in names for call in task.ground_truth or [] for name in call):
            return Skipped(Reason.UNDESCRIBED_GROUND_TRUTH)
        renamed: dict[str, str] = {}
        in_use = words_in_use(task)
        for name in names:
            renamed[name] = choices.name("function", name, avoid=in_use)
            in_use.add(renamed[name])
        mentions = Mentions(renamed, values=value_words(task))
        functions = [
            {**with_descriptions(function, mentions.in_description), "name": renamed[function["name"]]}
            for function in task.functions
        ]
        truth = task.ground_truth and [
            {renamed[name]: arguments for name, arguments in call.items()} for call in task.ground_truth
        ]
        changes = {"functions": functions, "ground_truth": truth, "messages": mentions.in_messages(task.messages)}
        return Altered(task.model_copy(update=changes), dict(renamed))
