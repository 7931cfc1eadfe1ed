"""The plan of a round as a whole: its start, suspension and end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.names import QUEUE_LABEL
from bitagent_operator.observed.objects import RoundObject
from bitagent_operator.observed.queues import LocalQueue, QueueCondition, QueueState
from bitagent_operator.observed.workloads import JobObject
from bitagent_operator.plan.interface import JobSuspension
from bitagent_operator.plan.readiness import with_readiness

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make, Obj, Plan, Planned

    from bitagent_operator.observed.objects import ModelObject


STOPPED = LocalQueue("gpu", "cq", inactive=QueueCondition(False, "ClusterQueueIsInactive", "no", None))


def in_queue(job: JobObject) -> JobObject:
    """The Job as it is made for a round with `workload.queueName`."""
    return replace(job, meta=replace(job.meta, labels={**job.meta.labels, QUEUE_LABEL: "gpu"}))


def powerset(items: Iterable[str]) -> Iterator[tuple[str, ...]]:
    items = list(items)
    return (chosen for size in range(len(items) + 1) for chosen in combinations(items, size))


def test_the_set_is_frozen_from_a_fresh_list_only(make: Make, plan: Plan) -> None:
    observed = make.round()
    assert plan(observed, [make.model("a")]).reads.candidates == observed.spec.models


def test_the_set_is_sorted_and_pending(make: Make, plan: Plan) -> None:
    models = [make.model("b"), make.model("a"), make.model("c", suspend=True)]
    found = plan(make.round(), models, selected=True)
    assert found.states == {"a": ("Pending", "Pending"), "b": ("Pending", "Pending")}
    assert found.status.started_at == make.at(100)
    assert (found.evaluate, found.task_set_attempt) == ((), None)


def test_a_suspended_round_does_not_start(make: Make, plan: Plan) -> None:
    found = plan(make.round(suspend=True), [make.model("a")])
    assert not found.reads
    assert (found.status.phase, found.status.started_at) == ("Suspended", None)


def test_models_applied_later_never_enter(make: Make, plan: Plan) -> None:
    found = plan(make.started("a"), [make.model("a", fetched=True), make.model("b", fetched=True)])
    assert list(found.results) == ["a"]


def test_jobs_are_suspended_and_none_is_made(make: Make, plan: Plan) -> None:
    job = make.evaluation(make.key("1"), active=1)
    models = [make.model("a", fetched=True), make.model("b", fetched=True, weights="2")]
    found = plan(make.started("a", "b", suspend=True), models, jobs=[job], pods=[make.pod(job)])
    assert found.suspend == (JobSuspension(job.meta.name, suspend=True),)
    assert (found.evaluate, found.delete) == ((), ())
    assert found.status.phase == "Suspended"
    assert found.states["b"] == ("Pending", "RoundSuspended")


def test_no_task_set_is_built(make: Make, plan: Plan) -> None:
    assert plan(make.started("a", tasks=False, suspend=True), [make.model("a")]).task_set_attempt is None


def test_resumed(make: Make, plan: Plan) -> None:
    job = replace(make.evaluation(make.key("1"), suspended=True), suspended_by_round=True)
    found = plan(make.started("a"), [make.model("a", fetched=True)], jobs=[job])
    assert found.suspend == (JobSuspension(job.meta.name, suspend=False),)


@pytest.mark.parametrize("suspend", [True, False])
def test_what_something_else_suspends_is_left_alone(make: Make, plan: Plan, *, suspend: bool) -> None:
    """Kueue without a queue's name, or a policy: whoever suspends a Job resumes it."""
    job = make.evaluation(make.key("1"), suspended=True)
    found = plan(make.started("a", suspend=suspend), [make.model("a", fetched=True)], jobs=[job])
    assert (found.suspend, found.delete) == ((), ())
    if not suspend:
        assert found.states["a"] == ("Pending", "JobSuspended")


def test_a_task_set_that_something_else_suspends_says_so(make: Make, plan: Plan) -> None:
    job = make.evaluation("tasks", suspended=True)
    found = plan(make.started("a", tasks=False), [make.model("a", fetched=True)], jobs=[job])
    assert (found.suspend, found.condition("TasksReady").reason) == ((), "JobSuspended")


def test_what_something_else_resumes_while_the_round_is_suspended_is_deleted(make: Make, plan: Plan) -> None:
    """Suspending it again would be a fight."""
    job = replace(make.evaluation(make.key("1"), active=1), suspended_by_round=True)
    models, pods = [make.model("a", fetched=True)], [make.pod(job)]
    found = plan(make.started("a", suspend=True), models, jobs=[job], pods=pods)
    assert ([d.uid for d in found.delete], found.suspend) == ([job.meta.uid], ())


def test_a_queue_decides_about_its_jobs(make: Make, plan: Plan) -> None:
    job = in_queue(make.evaluation(make.key("1"), suspended=True))
    queued: dict[str, Any] = {"workload": {"queueName": "gpu"}}
    waiting = plan(make.started("a", **queued), [make.model("a", fetched=True)], jobs=[job])
    assert "queue gpu" in waiting.results["a"].message
    assert (waiting.suspend, waiting.states["a"]) == ((), ("Pending", "WaitingInQueue"))
    assert waiting.delete == ()
    stopped = plan(make.started("a", suspend=True, **queued), [make.model("a", fetched=True)], jobs=[job])
    assert [d.uid for d in stopped.delete] == [job.meta.uid]


def test_what_a_queue_preempts_is_pending_and_keeps_its_attempt_and_start(make: Make, plan: Plan) -> None:
    queued: dict[str, Any] = {"workload": {"queueName": "gpu"}}
    models, running = [make.model("a", fetched=True)], in_queue(make.evaluation(make.key("1"), active=1, started=5))
    first = plan(make.started("a", **queued), models, jobs=[running], pods=[make.pod(running)], now=20)
    assert first.states["a"] == ("Running", "Evaluating")
    for _ in range(9):
        preempted = in_queue(make.evaluation(make.key("1"), suspended=True))
        observed = make.started("a", status=first.status.to_wire(), **queued)
        left = make.pod(preempted, code=143, deleted=60)
        for pods in ([left], []):
            found = plan(observed, models, jobs=[preempted], pods=pods, now=30)
            entry = found.results["a"]
            assert (found.states["a"], entry.attempts) == (("Pending", "WaitingInQueue"), 1)
            assert (entry.disruptions, entry.started_at, found.evaluate) == ([], make.at(5), ())
            observed = make.started("a", status=found.status.to_wire(), **queued)
        again = in_queue(make.evaluation(make.key("1"), active=1, started=40))
        first = plan(observed, models, jobs=[again], pods=[make.pod(again)], now=50)
        assert (first.states["a"], first.results["a"].attempts) == (("Running", "Evaluating"), 1)


@pytest.mark.parametrize(
    ("state", "reason", "stalled"),
    [
        pytest.param(QueueState(read=True, installed=False), "QueueNotFound", True, id="no Kueue"),
        pytest.param(QueueState(read=True), "QueueNotFound", True, id="no such queue"),
        pytest.param(QueueState(read=True, queues={"gpu": STOPPED}), "QueueUnavailable", False, id="a stopped queue"),
    ],
)
def test_a_round_says_once_that_its_queue_admits_nothing(
    make: Make, plan: Plan, state: QueueState, reason: str, stalled: bool
) -> None:
    queued: dict[str, Any] = {"workload": {"queueName": "gpu"}}
    names = [*"abc"]
    jobs = [in_queue(make.evaluation(make.key(str(i)), suspended=True)) for i, _ in enumerate(names, 1)]
    models = [make.model(name, fetched=True, weights=str(i)) for i, name in enumerate(names, 1)]
    results = {name: {"weightsDigest": make.digest(str(i))} for i, name in enumerate(names, 1)}
    found = plan(make.started(*names, results=results, **queued), models, jobs=jobs, now=10, queues=state)
    assert set(found.states.values()) == {("Pending", reason)}
    assert (found.condition("Running").reason, "gpu" in found.condition("Running").message) == (reason, True)
    assert [e.reason for e in found.events if e.warning] == ["RoundWaiting"], "one Event, not one for each model"
    ready = with_readiness(found.status, generation=1, now=make.at(10))
    conditions = {c.type: (c.status, c.reason) for c in ready.conditions}
    assert conditions["Ready"] == ("False", reason)
    assert conditions.get("Stalled") == (("True", reason) if stalled else None)
    again = plan(make.started(*names, status=found.status.to_wire(), **queued), models, jobs=jobs, now=20, queues=state)
    assert [e for e in again.events if e.warning] == []
    restarted = plan(make.started(*names, status=found.status.to_wire(), **queued), models, jobs=jobs, now=20)
    assert restarted.states == found.states, "until the queues are read again"
    healed = QueueState(read=True, queues={"gpu": LocalQueue("gpu", "cq")})
    later = plan(
        make.started(*names, status=found.status.to_wire(), **queued), models, jobs=jobs, now=20, queues=healed
    )
    assert later.condition("Running").reason == "WaitingInQueue", "by itself, once the queue is there"


def finished(make: Make, **more: Any) -> RoundObject:
    digest = make.digest("1")
    done = {"a": {"state": "Succeeded", "score": "0.500000", "rank": 1, "weightsDigest": digest}}
    return make.started("a", results=done, status={"finishedAt": "2026-01-01T00:01:00Z"}, **more)


def test_nothing_changes_after_the_end(make: Make, plan: Plan) -> None:
    observed = finished(make)
    found = plan(observed, [make.model("a", fetched=True, weights="9")])
    assert (found.status, found.evaluate, found.delete) == (observed.status, (), ())


@pytest.mark.parametrize(("now", "deleted"), [pytest.param(100, False, id="early"), pytest.param(160, True, id="due")])
def test_jobs_go_when_their_time_is_over(make: Make, plan: Plan, now: float, deleted: bool) -> None:
    job = make.evaluation(make.key("1"), ended="Complete")
    found = plan(finished(make, ttlSecondsAfterFinished=100), jobs=[job], now=now)
    assert bool(found.delete) == deleted
    assert found.requeue_after == (None if deleted else 60)


def test_without_a_time_they_stay(make: Make, plan: Plan) -> None:
    job = make.evaluation(make.key("1"), ended="Complete")
    assert plan(finished(make), jobs=[job], now=1e7).delete == ()


def test_a_job_that_is_not_needed_is_deleted(make: Make, plan: Plan) -> None:
    job = make.evaluation("other", active=1)
    assert [d.uid for d in plan(finished(make), jobs=[job]).delete] == [job.meta.uid]


def test_another_rounds_jobs_of_the_same_name_give_no_results(make: Make, plan: Plan) -> None:
    old = make.evaluation(make.key("1"), owner="uid-of-the-old-round", ended="Complete")
    pods = [make.pod(old, code=0, message=make.scored("0.900000"))]
    found = plan(make.started("a"), [make.model("a", fetched=True)], jobs=[old], pods=pods)
    assert [d.uid for d in found.delete] == [old.meta.uid]
    assert found.results["a"].score is None


def test_everything_rejected_is_complete(make: Make, plan: Plan) -> None:
    found = plan(make.started("a"), [make.model("a", fetched="CustomCode")])
    assert found.status.phase == "Complete"
    assert found.status.counts.rejected == 1


class World:
    """A round with one model that names a commit and one that names a branch, and what happens around the operator."""

    def __init__(self, make: Make) -> None:
        self.make, self.now = make, 0.0
        self.published = False
        self.status: dict[str, Obj] = {"a": {}, "b": {}, "r": {}}
        self.fetched: set[str] = set()

    def round(self) -> RoundObject:
        seed = self.make.seed_from(published=self.published)
        return self.make.round(names=["a", "b"], status=self.status["r"], spec_tasks=seed)

    def models(self) -> list[ModelObject]:
        revisions = {"a": "a" * 40, "b": "main"}
        return [self.make.model(name, revision=revisions[name], status=self.status[name]) for name in ("a", "b")]

    def resolve(self) -> None:
        """The Job that resolves the branch ends."""
        at = self.make.at(self.now).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.status["b"] |= {"resolution": {"commit": "c" * 40, "generation": 1, "at": at}}

    def fetch(self) -> None:
        """The files of both fixed commits arrive."""
        for name, commit, weights in (("a", "a" * 40, "1"), ("b", "c" * 40, "2")):
            made = self.make.model_raw(name, fetched=True, at=self.now, weights=weights, facts={"commit": commit})
            self.status[name] |= made["status"]

    def publish(self) -> None:
        self.published = True

    def look(self, plan: Plan) -> Planned:
        """The operator makes passes until nothing changes; any of them may be its first."""
        while True:
            found = plan(self.round(), self.models(), selected=True, now=self.now)
            if (status := found.status.to_wire()) == self.status["r"]:
                return found
            self.status["r"] = status


STEPS = ("resolve", "publish", "fetch")


@pytest.mark.parametrize("away", list(powerset(STEPS)), ids=lambda steps: "away after " + (", ".join(steps) or "none"))
def test_an_operator_that_is_away_at_any_moment_ends_with_the_same_set(
    make: Make, plan: Plan, away: tuple[str, ...]
) -> None:
    """Killed or late after any of the steps, but for the one that counts: a branch must be fixed before the seed."""
    world = World(make)
    world.look(plan)
    for number, name in enumerate(STEPS, start=1):
        world.now = 10.0 * number
        getattr(world, name)()
        if name not in away:
            found = world.look(plan)
            assert found.task_set_attempt == (1 if world.published else None)
    found = world.look(plan)
    in_time = "resolve" not in away
    states = {name: (r.commit, r.weights_digest) for name, r in found.results.items()}
    assert states["a"] == ("a" * 40, make.digest("1"))
    assert states["b"] == (("c" * 40, make.digest("2")) if in_time else (None, None))
    assert found.results["b"].reason == ("WaitingForTasks" if in_time else "CommitTooLate")


def test_an_operator_that_sees_the_round_late_freezes_it_then(make: Make, plan: Plan) -> None:
    """The validator publishes nothing before the set is frozen, however late that is."""
    world = World(make)
    world.now = 100_000.0
    world.resolve()
    found = world.look(plan)
    assert found.status.started_at == make.at(world.now)
    assert found.status.models_fixed
    assert found.task_set_attempt is None
