"""Where the expected function may stand."""

from __future__ import annotations

from bitagent_crds.results import Expects, Task
from bitagent_evaluator.scoring.judgement import checker_category


def first_is_expected(task: Task) -> bool:
    """Whether the checker compares answers to `task` with the first function, whatever its name: its rule for tasks of one function.

    Such a task keeps the expected function in the first place when others are added or mixed.
    """
    if task.expects is not Expects.CALLS:
        return False
    rule = checker_category(task)
    return "multiple" not in rule and "parallel" not in rule
