"""What `run` says about tasks that the scorer cannot judge."""

from __future__ import annotations

import pytest

from bitagent_crds.task_forms import Expects
from bitagent_crds.task_set import Task
from bitagent_evaluator.cli.run_options import warn_of_tasks

TEXT = Task(
    id="t",
    source="stream",
    category="c",
    messages=[{"role": "user", "content": "Say it."}],
    functions=[],
    expects=Expects.TEXT,
    reference="it",
)


@pytest.mark.parametrize(("scorer", "warnings"), [("Bfcl", 1), ("Loss", 0)])
def test_tasks_that_the_scorer_cannot_judge_are_warned_of(
    scorer: str, warnings: int, caplog: pytest.LogCaptureFixture
) -> None:
    warn_of_tasks(scorer, [TEXT])
    assert [record.levelname for record in caplog.records] == ["WARNING"] * warnings
