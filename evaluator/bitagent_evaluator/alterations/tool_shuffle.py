"""Alteration `ToolShuffle`: the functions of a task in another order."""

from __future__ import annotations

from bitagent_crds.alterations import ToolShuffle
from bitagent_crds.results import Task
from bitagent_evaluator.alterations.alteration import Altered, Reason, Skipped
from bitagent_evaluator.alterations.choices import Choices
from bitagent_evaluator.alterations.following import has_duplicates
from bitagent_evaluator.alterations.pool import Pool
from bitagent_evaluator.alterations.position import first_is_expected


class ShuffleTools:
    """Every order is as likely as the others; a task that draws its own is left alone."""

    def __init__(self, parameters: ToolShuffle) -> None:
        self.parameters = parameters

    def apply(self, task: Task, *, choices: Choices, pool: Pool) -> Altered | Skipped:
        """Record: `order`, the former places of the functions."""
        fixed = 1 if first_is_expected(task) else 0
        if len(task.functions) < fixed + 2:
            return Skipped(Reason.TOO_FEW_FUNCTIONS)
        if has_duplicates(task):  # the checker takes the first of a name
            return Skipped(Reason.DUPLICATE_NAMES)
        order = [*range(fixed), *(fixed + i for i in choices.order(len(task.functions) - fixed, "shuffle"))]
        if order == sorted(order):
            return Skipped(Reason.SAME_ORDER)
        return Altered(task.model_copy(update={"functions": [task.functions[i] for i in order]}), {"order": order})
