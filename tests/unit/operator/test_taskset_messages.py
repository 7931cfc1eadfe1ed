"""What people read about a task set: what is in it when it is ready, and what keeps it from being ready."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.jobs import TaskSetSummary, termination_message
from bitagent_operator import naming
from bitagent_operator.observed import JobObject

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make, Plan

TOLD = "1000 tasks from 3 sources; Rewrite changed 812 of 1000 (103 value_lost, 85 too_similar)"


def job(make: Make, **more: Any) -> JobObject:
    labels = naming.labels(naming.Component.TASK_SET, round="r", key="tasks", attempt="1")
    return make.job("r-tasks", owner="uid-r", labels=labels, **more)


def summary(make: Make, message: str) -> str:
    made = {"reason": "TasksReady", "digest": make.TASK_SET["digest"], "count": 1000, "message": message}
    return termination_message(TaskSetSummary.model_validate(made))


@pytest.mark.parametrize(
    ("message", "expected"),
    [pytest.param(TOLD, TOLD, id="as the Job tells it"), pytest.param("", "1000 tasks", id="a Job that tells nothing")],
)
def test_the_condition_and_the_event_say_what_is_in_it(make: Make, plan: Plan, message: str, expected: str) -> None:
    ended = job(make, ended="Complete")
    pods = [make.pod(ended, code=0, message=summary(make, message))]
    found = plan(make.started("a", tasks=False), [make.model("a")], jobs=[ended], pods=pods)
    ready = found.condition("TasksReady")
    assert (ready.status, ready.message) == ("True", expected)
    assert [n.message for n in found.notices if n.reason == "TaskSetBuilt"] == [
        f"{expected}; {make.TASK_SET['digest']}"
    ]


def test_it_is_still_known_when_the_job_is_gone(make: Make, plan: Plan) -> None:
    conditions = [make.condition("TasksReady", "True", "TasksReady", message=TOLD)]
    found = plan(make.started("a", status={"conditions": conditions}), [make.model("a")])
    assert found.condition("TasksReady").message == TOLD


def test_a_round_that_ends_keeps_it(make: Make, plan: Plan) -> None:
    conditions = [make.condition("TasksReady", "True", "TasksReady", message=TOLD)]
    result = {"state": "Succeeded", "reason": "Evaluated", "score": "0.500000"}
    found = plan(make.started("a", results={"a": result}, status={"conditions": conditions}), [make.model("a")])
    assert found.condition("Complete").status == "True"
    assert found.condition("TasksReady").message == TOLD


def test_words_about_a_set_that_was_not_ready_are_not_kept(make: Make, plan: Plan) -> None:
    conditions = [make.condition("TasksReady", "False", "BuildingTasks", message="starting")]
    found = plan(make.started("a", status={"conditions": conditions}), [make.model("a")])
    assert found.condition("TasksReady").message == "200 tasks"


def test_a_secret_that_is_missing_is_named(make: Make, plan: Plan) -> None:
    """As the kubelet reports a variable whose Secret is not there; the Job waits, and goes on when it is."""
    running = job(make, active=1)
    waits = make.pod(running, waiting=("CreateContainerConfigError", 'secret "bitagent-job-rewriter" not found'))
    found = plan(make.started("a", tasks=False), [make.model("a")], jobs=[running], pods=[waits])
    ready = found.condition("TasksReady")
    assert (ready.status, ready.reason) == ("False", "InfrastructureFault")
    assert 'secret "bitagent-job-rewriter" not found' in ready.message
    assert found.condition("Failed").status == "False"
