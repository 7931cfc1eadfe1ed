"""When a round's task set is built, and what its Job's end means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make, Plan


def test_it_is_built_while_models_are_fetched(make: Make, plan: Plan) -> None:
    assert plan(make.started("a", tasks=False), [make.model("a")]).tasks == 1


@pytest.mark.parametrize("spec", [{}, {"workload": {"queueName": "gpu"}}], ids=["slots", "queue"])
def test_its_job_is_no_evaluation_that_nobody_wants(make: Make, plan: Plan, spec: dict[str, Any]) -> None:
    job = make.evaluation("tasks", active=1)
    found = plan(make.started("a", tasks=False, **spec), [make.model("a", fetched=True)], jobs=[job])
    assert (found.delete, found.tasks) == ((), None)


def test_ready(make: Make, plan: Plan) -> None:
    job = make.evaluation("tasks")
    pods = [make.pod(job, code=0, message=make.built())]
    found = plan(make.started("a", tasks=False), [make.model("a", fetched=True)], jobs=[job], pods=pods)
    assert found.status.task_set is not None
    assert found.status.task_set.uri == "pvc://artifacts/rounds/uid-r/tasks"
    assert found.condition("TasksReady").status == "True"
    assert len(found.evaluate) == 1


@pytest.mark.parametrize(
    ("reason", "message", "code", "expected"),
    [
        pytest.param("PodFailurePolicy", '{"reason": "TasksFailed", "message": "m"}', 78, "TasksFailed", id="spec"),
        pytest.param("BackoffLimitExceeded", "", 1, "InfrastructureFaults", id="infrastructure"),
    ],
)
def test_failed(make: Make, plan: Plan, reason: str, message: str, code: int, expected: str) -> None:
    job = make.evaluation("tasks", ended="Failed", reason=reason)
    pods = [make.pod(job, code=code, message=message)]
    found = plan(make.started("a", tasks=False), [make.model("a", fetched=True)], jobs=[job], pods=pods)
    assert (found.condition("Failed").status, found.condition("Failed").reason) == ("True", expected)
    assert found.status.finished_at is not None
    assert found.evaluate == ()


def test_lost_is_built_again(make: Make, plan: Plan) -> None:
    job = make.evaluation("tasks", ended="Complete")
    assert plan(make.started("a", tasks=False), [make.model("a")], jobs=[job]).tasks == 2
