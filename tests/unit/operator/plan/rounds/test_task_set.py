"""Progress of a round's task set: when it is built, what its Job's end means, and what the status reports."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.conditions import Reason
from bitagent_crds.jobs import TaskSetSummary, termination_message
from bitagent_crds.names import ATTEMPT_LABEL, KEY_LABEL, ROUND_LABEL, VALIDATOR_LABEL, Component
from bitagent_operator import naming
from bitagent_operator.observed.objects import RoundObject
from bitagent_operator.observed.workloads import JobObject
from bitagent_operator.plan.rounds.round import plan as plan_round

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make, Plan


def test_it_is_built_while_models_are_fetched(make: Make, plan: Plan) -> None:
    assert plan(make.started("a", tasks=False), [make.model("a")]).task_set_attempt == 1


@pytest.mark.parametrize("spec", [{}, {"workload": {"queueName": "gpu"}}], ids=["slots", "queue"])
def test_its_job_is_not_an_obsolete_evaluation(make: Make, plan: Plan, spec: dict[str, Any]) -> None:
    job = make.evaluation("tasks", active=1)
    found = plan(make.started("a", tasks=False, **spec), [make.model("a", fetched=True)], jobs=[job])
    assert (found.delete, found.task_set_attempt) == ((), None)


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
        pytest.param(
            "PodFailurePolicy", '{"reason": "UnknownScorer", "message": "m"}', 78, "UnknownScorer", id="unknown scorer"
        ),
        pytest.param("PodFailurePolicy", "killed", 78, "TasksFailed", id="no summary"),
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


def test_a_pod_that_builds_for_too_long_fails_the_round(make: Make, plan: Plan) -> None:
    """Its Job would start further pods, and has no condition for it."""
    job = make.evaluation("tasks")
    pods = [make.pod(job, code=137, message="", status={"reason": "DeadlineExceeded", "phase": "Failed"})]
    found = plan(make.started("a", tasks=False), [make.model("a", fetched=True)], jobs=[job], pods=pods)
    assert found.condition("Failed").status == "True"
    assert found.condition("TasksReady").reason == "DeadlineExceeded"


def test_lost_is_built_again(make: Make, plan: Plan) -> None:
    job = make.evaluation("tasks", ended="Complete")
    assert plan(make.started("a", tasks=False), [make.model("a")], jobs=[job]).task_set_attempt == 2


PREEMPTED: dict[str, Any] = {
    "code": 137,
    "status": {
        "phase": "Failed",
        "conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}],
    },
}
LATE: dict[str, Any] = {
    "waiting": ("ErrImagePull", "no"),
    "status": {"reason": "DeadlineExceeded", "phase": "Failed"},
}


@pytest.mark.parametrize(
    ("attempt", "ended", "pods", "following", "reason"),
    [
        pytest.param(1, "Failed", [PREEMPTED], 2, "Evicted", id="preempted"),
        pytest.param(naming.MAX_ATTEMPTS, "Failed", [PREEMPTED], None, "Evicted", id="as often as names last"),
        pytest.param(1, "Failed", [{"code": 3}, PREEMPTED], None, "Evicted", id="one failed by itself"),
        pytest.param(1, "Failed", [LATE], 2, "StartTimedOut", id="nodes had it for hours and ran nothing"),
        pytest.param(4, None, [{"deleted": 0, "node": "n1"}], 5, "Evicted", id="its node was lost once more"),
    ],
)
def test_what_is_removed_or_never_ran_is_followed_by_another_job(
    make: Make,
    plan: Plan,
    attempt: int,
    ended: str | None,
    pods: list[dict[str, Any]],
    following: int | None,
    reason: str,
) -> None:
    more = {"ended": ended, "reason": "BackoffLimitExceeded", "failed": len(pods)} if ended else {"active": 1}
    last = make.evaluation("tasks", attempt=attempt, **more)
    own = [make.pod(last, name=f"p{at}", created=at, **pod) for at, pod in enumerate(pods)]
    found = plan(make.started("a", tasks=False), [make.model("a")], jobs=[last], pods=own, now=7200)
    assert (found.task_set_attempt, found.condition("TasksReady").reason) == (following, reason)
    assert (found.status.phase == "Failed") == (following is None)


@pytest.mark.parametrize(
    "more",
    [
        pytest.param([], id="the next pod is not there yet"),
        pytest.param([{"created": 3700, "waiting": ("ContainerCreating", "")}], id="the next pod waits"),
    ],
)
def test_a_job_whose_pod_never_ran_tries_again_itself(make: Make, plan: Plan, more: list[dict[str, Any]]) -> None:
    """With another Job beside it two pods could write to one directory."""
    job = make.evaluation("tasks", attempt=1, active=1, failed=1)
    pods = [make.pod(job, name=f"p{at}", **{"created": 0} | pod) for at, pod in enumerate([LATE, *more])]
    found = plan(make.started("a", tasks=False), [make.model("a")], jobs=[job], pods=pods, now=3710)
    assert (found.task_set_attempt, found.status.phase, found.delete) == (None, "Preparing", ())
    assert found.condition("TasksReady").reason == "StartTimedOut"


def test_a_job_that_tries_no_more_is_followed_although_a_pod_of_it_never_ends(make: Make, plan: Plan) -> None:
    """It is recorded as failed once all its pods have ended, which that of a lost node never does."""
    job = make.evaluation("tasks", attempt=1, active=1, failed=1, ending="BackoffLimitExceeded")
    stays = {"created": 3700, "deleted": 3710, "node": "n1", "waiting": ("ContainerCreating", "")}
    pods = [make.pod(job, name="p0", created=0, **LATE), make.pod(job, name="p1", **stays)]
    found = plan(make.started("a", tasks=False), [make.model("a")], jobs=[job], pods=pods, now=7200)
    assert (found.task_set_attempt, found.condition("TasksReady").reason) == (2, "StartTimedOut")


def test_a_pod_that_builds_replaces_one_that_never_ran(make: Make, plan: Plan) -> None:
    """The operator was away when the first one used up its time."""
    job = make.evaluation("tasks", attempt=1, active=1, failed=1)
    pods = [make.pod(job, name="p0", created=0, **LATE), make.pod(job, name="p1", created=3700, at=3710)]
    found = plan(make.started("a", tasks=False), [make.model("a")], jobs=[job], pods=pods, now=7200)
    assert (found.task_set_attempt, found.status.phase) == (None, "Preparing")


SUMMARY = "1000 tasks from 3 sources; Rewrite changed 812 of 1000 (103 value_lost, 85 too_similar)"


def job(make: Make, **more: Any) -> JobObject:
    labels = naming.labels(Component.TASK_SET, {ROUND_LABEL: "r", KEY_LABEL: "tasks", ATTEMPT_LABEL: "1"})
    return make.job("r-tasks", owner="uid-r", labels=labels, **more)


def summary(make: Make, message: str) -> str:
    made = {"reason": "TasksReady", "digest": make.TASK_SET["digest"], "count": 1000, "message": message}
    return termination_message(TaskSetSummary.model_validate(made))


@pytest.mark.parametrize(
    ("message", "expected"),
    [pytest.param(SUMMARY, SUMMARY, id="the Job's own"), pytest.param("", "1000 tasks", id="a Job without a message")],
)
def test_the_condition_and_the_event_describe_it(make: Make, plan: Plan, message: str, expected: str) -> None:
    ended = job(make, ended="Complete")
    pods = [make.pod(ended, code=0, message=summary(make, message))]
    found = plan(make.started("a", tasks=False), [make.model("a")], jobs=[ended], pods=pods)
    ready = found.condition("TasksReady")
    assert (ready.status, ready.message) == ("True", expected)
    assert [n.message for n in found.events if n.reason == "TaskSetBuilt"] == [f"{expected}; {make.TASK_SET['digest']}"]


@pytest.mark.parametrize("baseline", [None, "0.250000"])
def test_the_score_of_the_best_constant_answer_is_in_the_status(make: Make, plan: Plan, baseline: str | None) -> None:
    ended = job(make, ended="Complete")
    made = TaskSetSummary(reason=Reason.TASKS_READY, digest=make.TASK_SET["digest"], count=1000, baseline=baseline)
    pods = [make.pod(ended, code=0, message=termination_message(made))]
    found = plan(make.started("a", tasks=False), [make.model("a")], jobs=[ended], pods=pods)
    assert found.status.task_set is not None
    assert found.status.task_set.baseline == baseline


def test_tasks_that_the_scorer_cannot_judge_fail_the_round(make: Make, plan: Plan) -> None:
    ended = job(make, ended="Failed")
    made = TaskSetSummary(reason=Reason.UNJUDGEABLE_TASKS, message="scorer Loss cannot judge 3 of the 3 tasks")
    pods = [make.pod(ended, code=78, message=termination_message(made))]
    found = plan(make.started("a", tasks=False), [make.model("a")], jobs=[ended], pods=pods)
    assert (found.condition("Failed").status, found.condition("Failed").reason) == ("True", "UnjudgeableTasks")


def test_it_is_still_known_when_the_job_is_gone(make: Make, plan: Plan) -> None:
    conditions = [make.condition("TasksReady", "True", "TasksReady", message=SUMMARY)]
    found = plan(make.started("a", status={"conditions": conditions}), [make.model("a")])
    assert found.condition("TasksReady").message == SUMMARY


def test_a_round_that_ends_keeps_it(make: Make, plan: Plan) -> None:
    conditions = [make.condition("TasksReady", "True", "TasksReady", message=SUMMARY)]
    result = {"state": "Succeeded", "reason": "Evaluated", "score": "0.500000"}
    found = plan(make.started("a", results={"a": result}, status={"conditions": conditions}), [make.model("a")])
    assert found.condition("Complete").status == "True"
    assert found.condition("TasksReady").message == SUMMARY


def test_the_message_of_a_set_that_was_not_ready_is_not_kept(make: Make, plan: Plan) -> None:
    conditions = [make.condition("TasksReady", "False", "BuildingTasks", message="starting")]
    found = plan(make.started("a", status={"conditions": conditions}), [make.model("a")])
    assert found.condition("TasksReady").message == "200 tasks"


def test_a_secret_that_is_missing_is_named(make: Make, plan: Plan) -> None:
    """As the kubelet reports a variable whose Secret does not exist; the Job continues once it does."""
    running = job(make, active=1)
    waits = make.pod(running, waiting=("CreateContainerConfigError", 'secret "bitagent-job-rewriter" not found'))
    found = plan(make.started("a", tasks=False), [make.model("a")], jobs=[running], pods=[waits])
    ready = found.condition("TasksReady")
    assert (ready.status, ready.reason) == ("False", "InfrastructureFault")
    assert 'secret "bitagent-job-rewriter" not found' in ready.message
    assert found.condition("Failed").status == "False"


def seeded(
    make: Make, *, published: bool = True, secret: str = "5" * 64, commit: str | None = "a" * 40, **more: Any
) -> RoundObject:
    """A round that started at 0, whose models are fixed unless `commit` is None."""
    results, seed = {"a": {"commit": commit, "repo": "org/a"}}, make.seed_from(published=published, secret=secret)
    return make.started("a", at=0, tasks=False, results=results, spec_tasks=seed, **more)


DAY = 24 * 3600


@pytest.mark.parametrize(
    ("observed", "now", "reason", "attempt", "failed"),
    [
        pytest.param({"published": False, "commit": None}, 100, "FreezingModels", None, False, id="fixing its models"),
        pytest.param({"published": False}, 100, "WaitingForSeed", None, False, id="waiting for its seed"),
        pytest.param({"published": False}, DAY - 1, "WaitingForSeed", None, False, id="almost for too long"),
        pytest.param({"published": False}, DAY, "SeedNotRevealed", None, True, id="for too long"),
        pytest.param({"secret": "6" * 64}, 100, "SeedMismatch", None, True, id="another secret than committed to"),
        pytest.param({}, 100, "BuildingTasks", 1, False, id="the seed is known"),
        pytest.param({}, DAY, "BuildingTasks", 1, False, id="however late"),
    ],
)
def test_no_task_is_drawn_before_the_seed_is_known(
    make: Make, plan: Plan, observed: dict[str, Any], now: float, reason: str, attempt: int | None, failed: bool
) -> None:
    found = plan(seeded(make, **observed), [make.model("a", revision="main")], now=now)
    assert (found.condition("TasksReady").reason, found.task_set_attempt) == (reason, attempt)
    assert (found.status.finished_at is not None) == failed


@pytest.mark.parametrize(
    ("observed", "now", "reason"),
    [
        pytest.param({"published": False}, DAY, "InfrastructureFaults", id="never published"),
        pytest.param({"secret": "6" * 64}, 100, "SeedMismatch", id="a wrong secret"),
    ],
)
def test_why_a_round_without_its_seed_fails(
    make: Make, plan: Plan, observed: dict[str, Any], now: float, reason: str
) -> None:
    found = plan(seeded(make, **observed), [make.model("a")], now=now)
    assert (found.status.phase, found.condition("Failed").reason) == ("Failed", reason)


def test_a_wait_ends_by_itself(make: Make, plan: Plan) -> None:
    found = plan(seeded(make, published=False), [make.model("a")], now=100)
    assert found.requeue_after == DAY - 100
    assert "block 1000" in found.condition("TasksReady").message
    assert "2026-01-02 00:00 UTC" in found.condition("TasksReady").message


def test_a_suspended_round_waits_for_its_seed_as_long_as_it_is_suspended(make: Make, plan: Plan) -> None:
    observed = seeded(make, published=False, suspend=True)
    assert plan(observed, [make.model("a")], now=2 * DAY).status.finished_at is None


OWN: dict[str, Any] = {"seed": "1", "alterations": [{"rewrite": {}}]}


def reworded(make: Make, *, label: str = "v", tasks: dict[str, Any] = OWN) -> RoundObject:
    raw = make.round_raw(spec_tasks=tasks, status={"startedAt": "2026-01-01T00:00:00Z", "results": [{"model": "a"}]})
    raw["metadata"]["labels"] = {VALIDATOR_LABEL: label} if label else {}
    return RoundObject.parse(raw)


@pytest.mark.parametrize(
    ("ready", "now", "attempt", "reason", "failed"),
    [
        pytest.param("True", 100, 1, "BuildingTasks", "False", id="ready"),
        pytest.param("False", 100, None, "WaitingForRewriter", "False", id="loading"),
        pytest.param("False", 3700, None, "RewriterUnavailable", "True", id="too long"),
    ],
)
def test_it_waits_for_the_validators_rewriter(
    make: Make, ready: str, now: float, attempt: int | None, reason: str, failed: str
) -> None:
    source = {"huggingFace": {"repo": "o/r", "revision": "a" * 40}}
    own = make.validator(rewriter={"source": source}, conditions=[make.condition("RewriterReady", ready, "x".title())])
    found = plan_round(
        reworded(make),
        models={"a": make.model("a")},
        jobs=[],
        pods=[],
        pass_=replace(make.pass_(now=now), validator=own),
    )
    conditions = {c.type.value: c for c in found.status.conditions}
    assert (found.task_set_attempt, conditions["TasksReady"].reason) == (attempt, reason)
    assert conditions["Failed"].status == failed
    if reason == "WaitingForRewriter":
        assert found.requeue_after is not None
        assert found.requeue_after <= 3600


def test_a_round_of_no_validator_without_a_url_is_refused_at_once(make: Make, plan: Plan) -> None:
    found = plan(reworded(make, label=""), [make.model("a")])
    assert found.task_set_attempt is None
    assert found.condition("TasksReady").reason == "NoRewriter"
    assert (found.condition("Failed").status, found.condition("Failed").reason) == ("True", "NoRewriter")


def test_a_round_is_refused_before_its_seed_is_known(make: Make, plan: Plan) -> None:
    found = plan(
        reworded(make, label="", tasks=make.seed_from() | {"alterations": [{"rewrite": {}}]}), [make.model("a")]
    )
    assert found.condition("TasksReady").reason == "NoRewriter"
