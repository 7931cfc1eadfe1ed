"""Rounds with `tasksOnly`: the task set is built, no model is looked at, and the round is complete."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bitagent_operator.plan.models.selectors import admissions_for
from bitagent_operator.plan.readiness import of_round

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make, Plan

    from bitagent_operator.observed.objects import RoundObject

TASK_SET = {"digest": "sha256:" + "d" * 64, "count": 5, "uri": "pvc://artifacts/rounds/uid-r/tasks"}


def pool(make: Make, **more: Any) -> RoundObject:
    return make.round(tasksOnly=True, **more)


def begun(make: Make, **more: Any) -> RoundObject:
    return pool(make, status={"startedAt": "2026-01-01T00:00:00Z"} | more.pop("status", {}), **more)


def test_it_starts_without_a_look_at_models(make: Make, plan: Plan) -> None:
    found = plan(pool(make), [make.model("a")])
    assert not found.reads
    assert (found.status.started_at, found.results, found.status.phase) == (make.at(100), {}, "Preparing")
    assert found.condition("Failed").status == "False"


def test_the_task_set_is_built_and_nothing_is_evaluated(make: Make, plan: Plan) -> None:
    found = plan(begun(make), [make.model("a", fetched=True)])
    assert (found.task_set_attempt, found.evaluate) == (1, ())
    assert found.condition("Complete").status == "False"
    ready = of_round(found.status.conditions)
    assert (ready.ready, ready.reason) == (False, "BuildingTasks")


def test_it_is_complete_with_its_task_set(make: Make, plan: Plan) -> None:
    job = make.evaluation("tasks", ended="Complete")
    found = plan(begun(make), jobs=[job], pods=[make.pod(job, code=0, message=make.built())])
    assert found.status.task_set is not None
    assert found.status.task_set.uri == "pvc://artifacts/rounds/uid-r/tasks"
    assert found.condition("TasksReady").status == found.condition("Complete").status == "True"
    assert (found.status.finished_at, found.status.leaderboard_digest) == (make.at(100), None)
    assert {"TaskSetBuilt", "RoundComplete"} <= {event.reason for event in found.events}


def test_a_task_set_that_cannot_be_built_fails_it(make: Make, plan: Plan) -> None:
    job = make.evaluation("tasks", ended="Failed", reason="PodFailurePolicy")
    message = make.evaluate_fault("UnjudgeableTasks")
    found = plan(begun(make), jobs=[job], pods=[make.pod(job, code=78, message=message)])
    assert (found.condition("Failed").status, found.condition("Complete").status) == ("True", "False")


def test_a_retry_builds_it_again(make: Make, plan: Plan) -> None:
    failed = [make.condition("Failed", "True", "TasksFailed")]
    status = {"finishedAt": "2026-01-01T00:00:10Z", "conditions": failed}
    found = plan(begun(make, status=status, retry=1))
    assert (found.status.finished_at, found.status.series) == (None, 1)
    later = plan(pool(make, status=found.status.to_wire(), retry=1))
    assert later.status.started_at is not None
    assert plan(pool(make, status=later.status.to_wire(), retry=1)).task_set_attempt == 1


def test_it_fails_at_its_bound(make: Make, plan: Plan) -> None:
    observed = begun(make, status={"activeSince": "2026-01-01T00:00:00Z"}, activeDeadlineSeconds=60)
    found = plan(observed, now=61)
    assert found.condition("Failed").reason == "RoundDeadlineExceeded"
    assert found.task_set_attempt is None


def test_a_suspended_one_builds_nothing(make: Make, plan: Plan) -> None:
    found = plan(begun(make, suspend=True))
    assert (found.task_set_attempt, found.status.phase) == (None, "Suspended")


def test_it_waits_for_the_seed_of_a_block(make: Make, plan: Plan) -> None:
    found = plan(begun(make, spec_tasks=make.seed_from()))
    assert (found.task_set_attempt, found.condition("TasksReady").reason) == (None, "WaitingForSeed")
    assert plan(begun(make, spec_tasks=make.seed_from(published=True))).task_set_attempt == 1


@pytest.mark.parametrize("tasks_only", [False, True], ids=["round", "tasks only"])
def test_it_needs_no_models_files(make: Make, tasks_only: bool) -> None:
    observed = make.round(tasksOnly=tasks_only, admission={"maxParameters": 5})
    found = admissions_for(make.model("a"), rounds=[observed], validators=[])
    assert (found is None) is tasks_only
