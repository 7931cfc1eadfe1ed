"""What people read about a task set: what is in it when it is ready, and what keeps it from being ready."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.conditions import Condition
from bitagent_crds.jobs import TaskSetSummary, termination_message
from bitagent_operator import naming
from bitagent_operator.observed import JobObject, PodObject, RoundObject
from bitagent_operator.plan import evalround
from bitagent_operator.plan.evalround import RoundPlan, RoundSettings
from bitagent_operator.plan.questions import Answers

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make

TOLD = "1000 tasks from 3 sources; Rewrite changed 812 of 1000 (103 value_lost, 85 too_similar)"


def job(make: Make, **more: Any) -> JobObject:
    labels = naming.labels(naming.Component.TASK_SET, round="r", key="tasks", attempt="1")
    return make.job("r-tasks", owner="uid-r", labels=labels, **more)


def plan(
    make: Make, observed: RoundObject, jobs: list[JobObject] | None = None, pods: list[PodObject] | None = None
) -> RoundPlan:
    return evalround.plan(
        observed,
        models={"a": make.model("a")},
        jobs=jobs or [],
        pods=pods or [],
        settings=RoundSettings("artifacts", timedelta(seconds=300)),
        answers=Answers(),
        now=make.at(100),
    )


def ready(found: RoundPlan) -> Condition:
    return next(c for c in found.status.conditions if c.type == "TasksReady")


def summary(make: Make, message: str) -> str:
    made = {"reason": "TasksReady", "digest": make.TASK_SET["digest"], "count": 1000, "message": message}
    return termination_message(TaskSetSummary.model_validate(made))


@pytest.mark.parametrize(
    ("message", "expected"),
    [pytest.param(TOLD, TOLD, id="as the Job tells it"), pytest.param("", "1000 tasks", id="a Job that tells nothing")],
)
def test_the_condition_and_the_event_say_what_is_in_it(make: Make, message: str, expected: str) -> None:
    ended = job(make, ended="Complete")
    found = plan(
        make, make.started("a", tasks=False), [ended], [make.pod(ended, code=0, message=summary(make, message))]
    )
    assert (ready(found).status, ready(found).message) == ("True", expected)
    assert [n.message for n in found.notices if n.reason == "TaskSetBuilt"] == [
        f"{expected}; {make.TASK_SET['digest']}"
    ]


def test_it_is_still_known_when_the_job_is_gone(make: Make) -> None:
    conditions = [make.condition("TasksReady", "True", "TasksReady", message=TOLD)]
    assert ready(plan(make, make.started("a", status={"conditions": conditions}))).message == TOLD


def test_a_round_that_ends_keeps_it(make: Make) -> None:
    conditions = [make.condition("TasksReady", "True", "TasksReady", message=TOLD)]
    result = {"state": "Succeeded", "reason": "Evaluated", "score": "0.500000"}
    found = plan(make, make.started("a", results={"a": result}, status={"conditions": conditions}))
    assert next(c.status for c in found.status.conditions if c.type == "Complete") == "True"
    assert ready(found).message == TOLD


def test_words_about_a_set_that_was_not_ready_are_not_kept(make: Make) -> None:
    conditions = [make.condition("TasksReady", "False", "BuildingTasks", message="starting")]
    assert ready(plan(make, make.started("a", status={"conditions": conditions}))).message == "200 tasks"


def test_a_secret_that_is_missing_is_named(make: Make) -> None:
    """As the kubelet reports a variable whose Secret is not there; the Job waits, and goes on when it is."""
    running = job(make, active=1)
    waits = make.pod(running, waiting=("CreateContainerConfigError", 'secret "bitagent-job-rewriter" not found'))
    found = plan(make, make.started("a", tasks=False), [running], [waits])
    assert (ready(found).status, ready(found).reason) == ("False", "InfrastructureFault")
    assert 'secret "bitagent-job-rewriter" not found' in ready(found).message
    assert next(c.status for c in found.status.conditions if c.type == "Failed") == "False"
