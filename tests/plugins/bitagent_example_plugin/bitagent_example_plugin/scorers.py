"""A scorer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bitagent_crds.results import Verdict
from bitagent_crds.task_set import Task
from bitagent_evaluator.parsing import ParsedResponse


class CallNames:
    """Give each task the share of the expected functions that the answer calls, whatever the arguments."""

    def verdicts(self, answers: Iterable[tuple[Task, ParsedResponse]]) -> Iterator[Verdict]:
        """Yield one verdict per task with its response, in order."""
        for task, response in answers:
            expected = {name for call in task.ground_truth or [] for name in call}
            called = {name for call in response.answer.calls or [] for name in call}
            score = len(expected & called) / len(expected) if expected else float(not called)
            error = "" if score == 1 else "example:names"
            yield Verdict(id=task.id, category=task.category, passed=score == 1, score=score, error=error)
