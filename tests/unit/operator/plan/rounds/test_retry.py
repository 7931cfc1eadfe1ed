"""Retries of a failed round, and the image of its configuration: series of Jobs with names of their own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from bitagent_operator import naming
from bitagent_operator.plan.rounds.retry import retry
from bitagent_operator.plan.rounds.round import BATCH

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make, Obj, Plan

    from bitagent_operator.observed.objects import RoundObject

GOOD = {"state": "Succeeded", "reason": "Evaluated", "score": "0.500000", "key": "k", "attempts": 1}
FAULT = {
    "state": "InfraFault",
    "reason": "OutOfMemory",
    "message": "why",
    "attempts": 3,
    "finishedAt": "2026-01-01T00:01:00Z",
    "failures": [{"attempt": 1, "reason": "OutOfMemory", "at": "2026-01-01T00:00:50Z"}],
}


def failed(make: Make, reason: str = "InfrastructureFaults", *, retry: int = 1, **more: Any) -> RoundObject:
    """A failed round: `good` has its score, `lost` and `late` do not, `bad` is at fault itself."""
    results: dict[str, Obj] = {
        "bad": {"state": "Rejected", "reason": "CustomCode"},
        "good": make.admitted("good", weights="1") | GOOD,
        "late": {"state": "NotEvaluated", "reason": "NotEvaluated"},
        "lost": make.admitted("lost", weights="2") | FAULT,
    }
    conditions = [make.condition("Failed", "True", reason, at=60)]
    status = {"finishedAt": "2026-01-01T00:01:00Z", "conditions": conditions} | more.pop("status", {})
    return make.started(*results, results=results, status=status, retry=retry, **more)


def again(make: Make, plan: Plan, observed: RoundObject, **more: Any) -> RoundObject:
    """The round after the pass that takes it up again."""
    found = plan(observed, **more)
    spec = observed.spec.to_wire()
    tasks = {k: v for k, v in spec.pop("tasks").items() if v}
    return make.round(spec_tasks=tasks, status=found.status.to_wire(), **{k: v for k, v in spec.items() if v})


def test_a_retry_waits_while_its_files_are_removed(make: Make) -> None:
    assert retry(failed(make), replace(make.pass_(), removing=True)) is None
    assert retry(failed(make), make.pass_()) is not None


@pytest.mark.parametrize("published", [False, True], ids=["secret", "public"])
def test_no_model_is_selected_once_the_seed_is_public(make: Make, published: bool) -> None:
    gone = {"state": "Rejected", "reason": "ModelNotFound"}
    status = {"finishedAt": "2026-01-01T00:01:00Z", "conditions": [make.condition("Failed", "True", "NoModels", at=60)]}
    tasks = make.seed_from(published=published)
    found = retry(make.started("m", results={"m": gone}, status=status, spec_tasks=tasks, retry=1), make.pass_())
    assert found is not None
    assert (found.status.started_at is None, [r.model for r in found.status.results]) == (
        (False, ["m"]) if published else (True, [])
    )


def test_only_what_the_infrastructure_failed_is_done_again(make: Make, plan: Plan) -> None:
    found = plan(failed(make))
    assert found.states == {
        "bad": ("Rejected", "CustomCode"),
        "good": ("Succeeded", "Evaluated"),
        "late": ("Pending", "RoundRetried"),
        "lost": ("Pending", "RoundRetried"),
    }
    lost = found.results["lost"]
    assert (lost.attempts, lost.failures, lost.finished_at) == (0, [], None)
    assert lost.weights_digest == make.digest("2"), "what was frozen stays: the tasks may be known by now"
    status = found.status
    assert (status.retry, status.series, status.finished_at, status.phase) == (1, 1, None, "Preparing")
    assert (status.retried_at, status.active_since) == (make.at(100), make.at(100))
    assert (found.condition("Failed").status, found.condition("Failed").reason) == ("False", "RoundRetried")
    assert found.condition("Failed").last_transition_time == make.at(100)
    assert [e.reason for e in found.events] == ["RoundRetried"]
    assert status.task_set is not None, "a task set that was built stays"


def test_nothing_stays_of_a_round_whose_files_were_removed(make: Make, plan: Plan) -> None:
    """Its task set is built again, perhaps as another one."""
    times = {"checkedAt": "2026-01-01T00:01:10Z", "removedAt": "2026-01-01T00:01:10Z"}
    found = plan(failed(make, status={"files": {"freeBytes": 1} | times}))
    assert (found.states["good"], found.results["good"].score) == (("Pending", "RoundRetried"), None)
    assert (found.status.task_set, found.condition("TasksReady").status) == (None, "False")
    assert found.states["bad"] == ("Rejected", "CustomCode")


@pytest.mark.parametrize(
    ("retry", "status"),
    [
        pytest.param(0, {}, id="not asked"),
        pytest.param(1, {"retry": 1}, id="done already"),
        pytest.param(1, {"retry": 2}, id="less than was done"),
        pytest.param(1, {"conditions": []}, id="not failed"),
    ],
)
def test_a_finished_round_stays(make: Make, plan: Plan, retry: int, status: dict[str, Any]) -> None:
    observed = failed(make, retry=retry, status=status)
    assert plan(observed).status == observed.status


def test_a_round_that_runs_is_retried_only_when_it_fails(make: Make, plan: Plan) -> None:
    found = plan(make.started("a", retry=1), [make.model("a", fetched=True)])
    assert (found.status.retry, found.status.series) == (0, 0)


def test_its_jobs_have_other_names_and_what_the_old_ones_left_decides_nothing(make: Make, plan: Plan) -> None:
    observed = again(make, plan, failed(make))
    key = make.key("2")
    old = [make.evaluation(key, attempt=n, ended="Failed", reason="BackoffLimitExceeded") for n in (1, 2)]
    models = [make.model("lost", fetched=True, weights="2"), make.model("late")]
    found = plan(observed, models, jobs=old, now=101)
    assert [(e.attempt, e.entry.model) for e in found.evaluate] == [(1, "lost")]
    assert found.delete == (), "they have ended"
    names = {naming.round_job_name("r", key=key, attempt=1, series=s) for s in range(3)}
    assert len(names) == 3
    new = make.evaluation(key, series=1, active=1)
    pods = [make.pod(new, code=0, message=make.scored("0.750000"))]
    done = plan(observed, models, jobs=[*old, new], pods=pods, now=102)
    assert done.results["lost"].score == "0.750000"
    assert done.condition("Failed").reason == "RoundRetried"


def test_it_waits_for_the_old_pods(make: Make, plan: Plan) -> None:
    """They write to the same directory, and hold a GPU."""
    observed = again(make, plan, failed(make))
    old = make.evaluation(make.key("2"), active=1)
    models = [make.model("lost", fetched=True, weights="2"), make.model("late")]
    found = plan(observed, models, jobs=[old], now=101)
    assert (found.evaluate, [d.uid for d in found.delete]) == ((), [old.meta.uid])
    gone = plan(observed, models, pods=[make.pod(old, node="n", deleted=100)], now=101)
    assert gone.evaluate == ()


def test_a_fetch_that_failed_is_made_again(make: Make, plan: Plan) -> None:
    """A failure from before the retry decides nothing any longer."""
    entry = {"state": "InfraFault", "reason": "HubUnavailable"}
    conditions = [make.condition("Failed", "True", "InfrastructureFaults", at=60)]
    status = {"finishedAt": "2026-01-01T00:01:00Z", "conditions": conditions}
    observed = again(make, plan, make.started("a", results={"a": entry}, status=status, retry=1))
    before, after = (make.model("a", fetched="HubUnavailable", at=at) for at in (50, 150))
    assert plan(observed, [before], now=101).states == {"a": ("Pending", "WaitingForModel")}
    assert plan(observed, [after], now=151).states == {"a": ("InfraFault", "HubUnavailable")}


def test_a_task_set_that_failed_is_built_again(make: Make, plan: Plan) -> None:
    observed = again(make, plan, failed(make, tasks=False))
    old = make.evaluation("tasks", ended="Failed", reason="BackoffLimitExceeded")
    assert plan(observed, [make.model("late"), make.model("lost")], jobs=[old]).task_set_attempt == 1
    new = make.evaluation("tasks", series=1)
    pods = [make.pod(new, code=0, message=make.built())]
    built = plan(observed, [make.model("late"), make.model("lost")], jobs=[old, new], pods=pods)
    assert built.status.task_set is not None


def test_a_set_without_models_is_selected_again(make: Make, plan: Plan) -> None:
    first = plan(make.round(retry=1), selected=True, now=500)
    assert first.condition("Failed").reason == "NoModels"
    retried = plan(make.round(retry=1, status=first.status.to_wire()), now=600)
    assert (retried.status.started_at, retried.status.finished_at) == (None, None)
    observed = make.round(retry=1, status=retried.status.to_wire())
    assert list(plan(observed, [make.model("a")], selected=True, now=601).results) == ["a"]


def test_its_own_bound_counts_from_the_retry(make: Make, plan: Plan) -> None:
    since = {"activeSince": "2026-01-01T00:00:00Z"}
    observed = failed(make, "RoundDeadlineExceeded", activeDeadlineSeconds=60, status=since)
    observed = again(make, plan, observed, now=100)
    assert plan(observed, [make.model("late"), make.model("lost")], now=159).status.finished_at is None
    assert plan(observed, [make.model("late"), make.model("lost")], now=160).condition("Failed").status == "True"


def test_a_large_round_is_retried_in_one_write(make: Make, plan: Plan) -> None:
    results = {f"m{i}": make.admitted(f"m{i}", weights=str(i)) | FAULT for i in range(BATCH + 5)}
    conditions = [make.condition("Failed", "True", "InfrastructureFaults")]
    status = {"finishedAt": "2026-01-01T00:01:00Z", "conditions": conditions}
    found = plan(make.started(*results, results=results, status=status, retry=1))
    assert set(found.states.values()) == {("Pending", "RoundRetried")}
    assert found.status.counts.pending == len(results)


BAD = {"image": "e:bad"}
PULL = {"waiting": ("ImagePullBackOff", "no such image")}


def test_a_rollback_heals(make: Make, plan: Plan) -> None:
    """The image cannot be pulled, nothing has run, and the configuration has another one by now."""
    jobs = [make.evaluation("tasks", active=1)]
    observed = make.started("a", tasks=False, status=BAD)
    found = plan(observed, [make.model("a", fetched=True)], jobs=jobs, pods=[make.pod(jobs[0], **PULL)], image="e:1")
    assert (found.status.image, found.status.series) == ("e:1", 1)
    assert [e.reason for e in found.events] == ["ImageChanged"]
    healed = make.started("a", tasks=False, status=found.status.to_wire())
    after = plan(healed, [make.model("a", fetched=True)], jobs=jobs, image="e:1")
    assert ([d.uid for d in after.delete], after.task_set_attempt) == ([jobs[0].meta.uid], None)
    assert plan(healed, [make.model("a", fetched=True)], image="e:1").task_set_attempt == 1


def test_evaluations_that_have_not_run_count_no_attempt_by_a_rollback(make: Make, plan: Plan) -> None:
    entry = make.admitted("a") | {"state": "Running", "reason": "ImagePullFailed", "attempts": 1}
    job = make.evaluation(make.key("1"), active=1)
    observed = make.started("a", tasks=False, results={"a": entry}, status=BAD)
    found = plan(observed, [make.model("a", fetched=True)], jobs=[job], pods=[make.pod(job, **PULL)], image="e:1")
    assert (found.states["a"][0], found.results["a"].attempts) == ("Pending", 0)


@pytest.mark.parametrize(
    ("pod", "status", "image"),
    [
        pytest.param(PULL, BAD, "e:bad", id="no other image"),
        pytest.param({}, BAD, "e:1", id="a container runs"),
        pytest.param({"waiting": ("ContainerCreating", "")}, BAD, "e:1", id="it is being pulled"),
        pytest.param(PULL, {}, "e:1", id="frozen by no version"),
        pytest.param(PULL, BAD | {"taskSet": "built"}, "e:1", id="a container has run"),
    ],
)
def test_the_image_stays(make: Make, plan: Plan, pod: dict[str, Any], status: dict[str, Any], image: str) -> None:
    """Results of two versions must not be compared."""
    job = make.evaluation(make.key("1"), active=1)
    if status.get("taskSet"):
        status = status | {"taskSet": make.TASK_SET}
    observed = make.started("a", tasks=False, status=status)
    found = plan(observed, [make.model("a", fetched=True)], jobs=[job], pods=[make.pod(job, **pod)], image=image)
    assert (found.status.image, found.status.series) == (status.get("image", image), 0)


@pytest.mark.parametrize(("built", "image"), [(True, "e:bad"), (False, "e:1")], ids=["it has made results", "nothing"])
def test_a_retry_keeps_an_image_that_has_made_something(make: Make, plan: Plan, *, built: bool, image: str) -> None:
    conditions = [make.condition("Failed", "True", "InfrastructureFaults")]
    status = BAD | {"finishedAt": "2026-01-01T00:01:00Z", "conditions": conditions}
    entry = {"state": "InfraFault", "reason": "ImagePullFailed"}
    observed = make.started("a", tasks=built, results={"a": entry}, status=status, retry=1)
    assert plan(observed, image="e:1").status.image == image
