"""Evaluations whose tasks are shared out between the pods of one Job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.jobs import EvaluateSummary, termination_message
from bitagent_operator.plan.inputs import PodProgress
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
        found = self.make.pod(self.job, name=f"p{index}", node=f"n{index}", **state)
        self.pods.append(found)
        return found

    def look(self, *, now: float = 100, progress: dict[str, PodProgress] | None = None, **workload: Any) -> Planned:
        observed = self.make.started("a", workload=SHARDS | workload)
        return self.plan(observed, [self.model], jobs=[self.job], pods=self.pods, now=now, progress=progress)


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


def test_a_shard_that_stalls_stalls_the_evaluation(make: Make, plan: Plan) -> None:
    world = World(make, plan)
    said = {
        world.pod(0).meta.uid: make.said(read=2000, advanced=2000),
        world.pod(1).meta.uid: make.said(read=2000, advanced=10),
    }
    found = world.look(now=2000, progress=said)
    assert found.results["a"].reason == "EngineStalled" and len(found.results["a"].stalls) == 1
