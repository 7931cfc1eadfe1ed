"""Evaluations whose tasks are shared out between the pods of one Job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.jobs import EvaluateSummary, termination_message
from bitagent_operator.plan.inputs import LastEvent, PodProgress
from bitagent_operator.plan.rounds.holders import holders

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make, Plan, Planned

    from bitagent_operator.observed.workloads import JobObject, PodObject

SHARDS = {"shards": 3, "parallelism": 2}


def shard_done(answers: int) -> str:
    return termination_message(EvaluateSummary.model_validate({"reason": "ShardEvaluated", "total": answers}))


class World:
    """A round with one model in three shards."""

    def __init__(self, make: Make, plan: Plan, **job: Any) -> None:
        self.make, self.plan = make, plan
        self.model = make.model("a", fetched=True)
        self.job: JobObject = make.evaluation(make.key("1"), shards=3, started=0, **job)
        self.pods: list[PodObject] = []

    def pod(self, index: int, **state: Any) -> PodObject:
        """A pod of a shard, on a node of its own; a later one of the same shard has another name."""
        name = f"p{len(self.pods)}"
        found = self.make.pod(self.job, **{"name": name, "node": f"n{index}", "index": index % 3} | state)
        self.pods.append(found)
        return found

    def look(self, *, now: float = 100, progress: dict[str, PodProgress] | None = None, **workload: Any) -> Planned:
        observed = self.make.started("a", workload=SHARDS | workload)
        jobs, said = [self.job], {self.job.meta.uid: None}
        return self.plan(observed, [self.model], jobs=jobs, pods=self.pods, now=now, progress=progress, events=said)


def test_the_last_shard_has_the_result(make: Make, plan: Plan) -> None:
    world = World(make, plan)
    world.pod(0, code=0, message=shard_done(66))
    world.pod(1)
    assert world.look().states["a"] == ("Running", "Evaluating")
    world.pod(2, code=0, message=make.scored("0.250000"))
    found = world.look().results["a"]
    assert (found.state, found.score, found.attempts) == ("Succeeded", "0.250000", 1)


def test_a_result_that_no_shard_has_is_lost(make: Make, plan: Plan) -> None:
    """The pod that put the answers together is gone: the next Job finds all answers, and scores them."""
    world = World(make, plan, ended="Complete")
    world.pod(0, code=0, message=shard_done(66))
    world.pod(1, code=0, message=shard_done(66))
    assert [start.attempt for start in world.look().evaluate] == [2]


def test_the_models_fault_in_one_shard_is_its_verdict(make: Make, plan: Plan) -> None:
    world = World(make, plan)
    world.pod(0)
    world.pod(1, code=78, message=make.evaluate_fault("NonFiniteWeights"))
    assert world.look().states["a"] == ("ModelFault", "NonFiniteWeights")


@pytest.mark.parametrize(
    ("others", "attempts"),
    [
        pytest.param([(0, {}), (2, {})], 1, id="the others run"),
        pytest.param([(0, {"code": 143}), (2, {"deleted": 30})], 1, id="the others are being ended"),
        pytest.param([(0, {"code": 0, "message": shard_done(66)}), (2, {"code": 0})], 1, id="the others have ended"),
        pytest.param([(0, {"code": 139}), (2, {})], 1, id="another one has failed"),
        pytest.param([(1, {"code": 139}), (2, {})], 2, id="it had failed before"),
    ],
)
def test_attempts_are_those_of_the_shard_that_has_most(
    make: Make, plan: Plan, others: list[tuple[int, dict[str, Any]]], attempts: int
) -> None:
    """However late the others are seen to end."""
    world = World(make, plan)
    for index, state in others:
        world.pod(index, **state)
    world.pod(1, code=78, message=make.evaluate_fault("NonFiniteWeights"))
    found = world.look().results["a"]
    assert (found.state, found.attempts) == ("ModelFault", attempts)


@pytest.mark.parametrize(
    ("others", "state", "reason"),
    [
        pytest.param({}, "Running", "Evaluating", id="others run"),
        pytest.param({"code": 0, "message": shard_done(66)}, "Running", "WaitingForNode", id="others have ended"),
    ],
)
def test_a_shard_that_waits_for_a_node(make: Make, plan: Plan, others: dict[str, Any], state: str, reason: str) -> None:
    world = World(make, plan)
    world.pods.append(make.pod(world.job, name="p0", unschedulable=90))
    world.pod(1, **others)
    world.pod(2, **others)
    assert world.look().states["a"] == (state, reason)


def test_a_shard_that_never_starts_gives_up(make: Make, plan: Plan) -> None:
    world = World(make, plan)
    world.pods.append(make.pod(world.job, name="p0", unschedulable=10))
    world.pod(1, code=0, message=shard_done(66), at=20)
    world.pod(2, code=0, message=shard_done(66), at=30)
    assert world.look(now=89, startTimeoutSeconds=60).states["a"][0] == "Running"
    assert world.look(now=90, startTimeoutSeconds=60).states["a"] == ("InfraFault", "Unschedulable")


@pytest.mark.parametrize(
    ("codes", "holds"),
    [
        pytest.param([0], True, id="two have no pod yet"),
        pytest.param([0, 0, 1], True, id="one is tried again"),
        pytest.param([0, 0, 0], False, id="all have ended"),
        pytest.param([0, 78], False, id="the model's fault ends all"),
    ],
)
def test_a_job_holds_gpus_until_all_its_shards_have_ended(make: Make, codes: list[int], holds: bool) -> None:
    job = make.evaluation("k", shards=3)
    pods = [make.pod(job, name=f"p{index}", code=code) for index, code in enumerate(codes)]
    assert bool(holders([job], pods, make.at(100))) is holds


def test_progress_is_that_of_all_shards(make: Make, plan: Plan) -> None:
    world = World(make, plan)
    world.pod(0, code=0, message=shard_done(66))
    said = {
        world.pod(1).meta.uid: make.said(done=10, total=67, tokensPerSecond=100),
        world.pod(2).meta.uid: make.said(done=30, total=67, tokensPerSecond=50),
    }
    shown = world.look(progress=said).results["a"].progress
    assert shown is not None
    assert (shown.done, shown.total, shown.tokens_per_second) == (106, 200, 150)


def test_answers_of_an_earlier_job_are_not_counted_twice(make: Make, plan: Plan) -> None:
    """Its result was lost; the pods of the next Job find the answers again."""
    first = make.evaluation(make.key("1"), shards=3, started=0, ended="Complete")
    world = World(make, plan, attempt=2)
    old = [make.pod(first, name=f"old{index}", code=0, message=shard_done(66)) for index in range(3)]
    said = {world.pod(0).meta.uid: make.said(done=66, total=66), world.pod(1).meta.uid: make.said(done=67, total=67)}
    observed = make.started("a", workload=SHARDS)
    jobs, pods = [first, world.job], [*old, *world.pods]
    shown = plan(observed, [world.model], jobs=jobs, pods=pods, progress=said).results["a"].progress
    assert shown is not None and (shown.done, shown.total) == (133, 133)


def test_a_shard_that_stalls_stalls_the_evaluation(make: Make, plan: Plan) -> None:
    world = World(make, plan)
    said = {
        world.pod(0).meta.uid: make.said(read=2000, advanced=2000),
        world.pod(1).meta.uid: make.said(read=2000, advanced=10),
    }
    found = world.look(now=2000, progress=said)
    assert found.results["a"].reason == "EngineStalled" and len(found.results["a"].stalls) == 1


GAVE_UP = {"ended": "Failed", "reason": "MaxFailedIndexesExceeded", "failed": 1}


@pytest.mark.parametrize(
    ("ends", "state"),
    [
        pytest.param([("n1", 3), ("n1", 3)], "InfraFault", id="one machine that only failed"),
        pytest.param([("n1", 3), ("n2", 3)], "Unscored", id="two machines"),
        pytest.param([("n3", 3), ("n3", 3)], "Unscored", id="a machine where a shard of the control ended well"),
    ],
)
def test_only_the_machines_of_shards_that_failed_are_compared(
    make: Make, plan: Plan, ends: list[tuple[str, int]], state: str
) -> None:
    """The other shard of the model ended well, elsewhere."""
    models = [make.model("a", fetched=True), make.model("b", fetched=True, weights="2")]
    observed, jobs, pods = make.started("a", "b", workload={"shards": 2}), [], []

    def job(key: str, attempt: int, **more: Any) -> JobObject:
        jobs.append(make.evaluation(key, attempt=attempt, shards=2, started=0, **more))
        return jobs[-1]

    good = job(make.key("2"), 1, ended="Complete")
    pods.append(make.pod(good, name="good", node="n2", code=0, message=make.scored()))
    for attempt, (node, code) in enumerate(ends, 1):
        bad = job(make.key("1"), attempt, **GAVE_UP)
        pods.append(make.pod(bad, name=f"bad{attempt}", node=node, code=code, message="core dumped"))
        pods.append(make.pod(bad, name=f"beside{attempt}", node="n9", code=0, message=shard_done(100)))
        found = plan(observed, models, jobs=jobs, pods=pods)
        observed = type(observed)(observed.meta, observed.spec, found.status)
    (start,) = plan(observed, models, jobs=jobs, pods=pods).evaluate
    assert start.control
    control = job(start.key, 1, ended="Complete")
    pods.append(make.pod(control, name="c0", node="n3", code=0, message=shard_done(100)))
    pods.append(make.pod(control, name="c1", node="n2", code=0, message=make.scored()))
    assert plan(observed, models, jobs=jobs, pods=pods).states["a"][0] == state


@pytest.mark.parametrize(
    ("event", "other", "reason"),
    [
        pytest.param("FailedCreate", {"code": 0, "message": shard_done(66)}, "PodRefused", id="refused"),
        pytest.param("SuccessfulCreate", {"code": 0, "message": shard_done(66)}, "Starting", id="nothing is said"),
        pytest.param("FailedCreate", {"code": 143, "deleted": 25}, "PodRefused", id="after one that was deleted"),
        pytest.param("SuccessfulCreate", {"code": 3}, "Crashed", id="a pause after one that failed"),
    ],
)
def test_shards_without_pods_while_the_others_have_ended(
    make: Make, plan: Plan, event: str, other: dict[str, Any], reason: str
) -> None:
    """A pod that was deleted stays until its controller could make the next one."""
    world = World(make, plan)
    world.pod(0, at=20, **other)
    words = f'Error creating: pods "{world.job.meta.name}-2-x7k2p" is forbidden: exceeded quota'
    said = {world.job.meta.uid: LastEvent(event, words, warning=event == "FailedCreate")}
    observed = make.started("a", workload=SHARDS | {"startTimeoutSeconds": 600})
    found = plan(observed, [world.model], jobs=[world.job], pods=world.pods, now=100, events=said)
    assert found.states["a"] == ("Running", reason)
    assert "x7k2p" not in found.results["a"].message
    found = plan(observed, [world.model], jobs=[world.job], pods=world.pods, now=620, events=said)
    assert found.states["a"][0] == "InfraFault"


@pytest.mark.parametrize(
    ("times", "counted"),
    [
        pytest.param([10, 11, 12, 40], 1, id="at once"),
        pytest.param([10, 11, 70, 75, 130], 3, id="one after the other"),
    ],
)
def test_shards_of_a_node_are_disrupted_once(make: Make, plan: Plan, times: list[float], counted: int) -> None:
    world = World(make, plan)
    for index, at in enumerate(times):
        gone = {"type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager"}
        gone["lastTransitionTime"] = make.at(at).strftime("%Y-%m-%dT%H:%M:%SZ")
        world.pod(index, code=137, phase="Failed", status={"phase": "Failed", "conditions": [gone]})
    found = world.look(now=140, maxDisruptions=3)
    assert (found.states["a"][0], len(found.results["a"].disruptions)) == ("Running", counted)
