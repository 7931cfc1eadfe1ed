"""Alteration `Irrelevance`: the expected functions are taken away; the right answer is then no call."""

from __future__ import annotations

from bitagent_crds.alterations import Irrelevance
from bitagent_crds.results import Expects, Task
from bitagent_evaluator.alterations.alteration import Altered, Reason, Skipped
from bitagent_evaluator.alterations.choices import Choices
from bitagent_evaluator.alterations.pool import Pool


class RemoveExpected:
    """The category stays the source's; `expects` says how the answer is judged."""

    def __init__(self, parameters: Irrelevance) -> None:
        self.parameters = parameters

    def apply(self, task: Task, *, choices: Choices, pool: Pool) -> Altered | Skipped:
        """Record: `removed`, the names of the functions that were taken away."""
        if task.expects is not Expects.CALLS:
            return Skipped(Reason.EXPECTS_NO_CALL if task.expects is Expects.NO_CALL else Reason.EXPECTS_ANY_CALL)
        expected = {name for call in task.ground_truth or [] for name in call}
        removed = [function["name"] for function in task.functions if function["name"] in expected]
        if set(removed) != expected:
            return Skipped(Reason.UNDESCRIBED_GROUND_TRUTH)
        rest = [function for function in task.functions if function["name"] not in expected]
        if not rest:
            return Skipped(Reason.NO_OTHER_FUNCTION)
        changes = {"functions": rest, "expects": Expects.NO_CALL, "ground_truth": None}
        return Altered(task.model_copy(update=changes), {"removed": removed})
