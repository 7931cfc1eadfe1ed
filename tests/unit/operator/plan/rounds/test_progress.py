"""How far a round is: progress of results, the estimate, GPU time, phases, and how seldom it is written."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.model_result import ModelResult
from bitagent_crds.names import PACK_PREFIX
from bitagent_operator.observed.objects import RoundObject, changed
from bitagent_operator.plan.rounds.progress import estimate, with_progress

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make, Obj, Plan

    from bitagent_operator.observed.workloads import JobObject, PodObject


def running(make: Make, weights: str = "1", **more: Any) -> Obj:
    """The recorded entry of a model whose container runs since T0 + 5."""
    key = make.key(weights)
    made = {"state": "Running", "reason": "Evaluating", "key": key, "attempts": 1, "startedAt": "2026-01-01T00:00:01Z"}
    return make.admitted("a", weights=weights) | made | more


class World:
    """A round with one model that is evaluated, and what its pod says."""

    def __init__(self, make: Make, plan: Plan, **entry: Any) -> None:
        self.make, self._plan = make, plan
        self.job: JobObject = make.evaluation(make.key("1"), started=1, active=1)
        self.pod: PodObject = make.serving_pod(self.job, node="n1", scheduled=2, at=5)
        self.round: RoundObject = make.started("a", results={"a": running(make, node="n1", **entry)})

    def step(self, now: float, said: Any = None, **more: Any) -> Any:
        """Plan, and take over what it writes; return the plan."""
        progress = {self.pod.meta.uid: said} if said is not None else {}
        pods = more.pop("pods", [self.pod])
        jobs = more.pop("jobs", [self.job])
        model = self.make.model("a", fetched=True)
        found = self._plan(self.round, [model], jobs=jobs, pods=pods, now=now, progress=progress, **more)
        self.wrote = found.status != self.round.status
        self.round = RoundObject(self.round.meta, self.round.spec, found.status)
        return found


def test_a_result_shows_what_its_process_says(make: Make, plan: Plan) -> None:
    world = World(make, plan)
    found = world.step(100, make.said(done=50, tokensPerSecond=123.6))
    said = found.results["a"].progress
    assert said is not None
    assert (said.phase, said.done, said.total, said.tokens_per_second) == ("Generating", 50, 200, 124)
    assert said.idle_since is None
    assert found.results["a"].state == "Running"
    assert found.status.estimate.percent == 25


def test_a_pod_that_says_nothing_costs_no_write(make: Make, plan: Plan) -> None:
    world = World(make, plan)
    world.step(100)
    for now in (120, 1000, 100_000):
        found = world.step(now)
        assert not world.wrote
        assert found.results["a"].progress is None


def test_what_makes_no_progress_shows_since_when(make: Make, plan: Plan) -> None:
    found = World(make, plan).step(200, make.said(done=50, read=200, advanced=130))
    assert found.results["a"].progress.idle_since == make.at(130)


def test_progress_alone_is_written_every_ten_seconds_at_most(make: Make, plan: Plan) -> None:
    world = World(make, plan)
    world.step(100, make.said(done=1))
    writes = []
    for now in range(101, 140):
        found = world.step(now, make.said(read=now, advanced=now, done=now))
        if world.wrote:
            writes.append(now)
        else:
            assert found.requeue_after is not None and found.requeue_after <= 10
    assert writes == [110, 120, 130]


def test_the_same_progress_is_not_written_again(make: Make, plan: Plan) -> None:
    world = World(make, plan)
    world.step(100, make.said(done=50))
    for now in (120, 130, 140):
        world.step(now, make.said(read=now, advanced=now, done=50))
        assert not world.wrote


def test_an_end_is_written_at_once_and_takes_the_progress_away(make: Make, plan: Plan) -> None:
    world = World(make, plan)
    world.step(100, make.said(done=50))
    ended = make.serving_pod(world.job, code=0, message=make.scored(), node="n1", scheduled=2, at=103)
    found = world.step(103, make.said(done=60), pods=[ended])
    assert world.wrote
    assert found.states == {"a": ("Succeeded", "Evaluated")}
    assert found.results["a"].progress is None
    assert found.status.estimate is None


def test_another_change_takes_the_progress_along(make: Make, plan: Plan) -> None:
    world = World(make, plan)
    world.step(100, make.said(done=50))
    other = make.model("b", fetched="CorruptWeights")
    world.round = RoundObject(
        world.round.meta,
        world.round.spec,
        changed(world.round.status, results=[*world.round.status.results, ModelResult(model="b", model_uid="uid-b")]),
    )
    progress = {world.pod.meta.uid: make.said(done=90)}
    models = [make.model("a", fetched=True), other]
    found = plan(world.round, models, jobs=[world.job], pods=[world.pod], now=102, progress=progress)
    assert found.results["b"].state == "Rejected"
    assert found.results["a"].progress is not None and found.results["a"].progress.done == 90


@pytest.mark.parametrize(
    "reason",
    [pytest.param("Evicted", id="is being removed"), pytest.param("OutOfMemory", id="failed and is tried again")],
)
def test_what_does_not_run_at_present_has_no_progress(make: Make, plan: Plan, reason: str) -> None:
    world = World(make, plan, reason=reason, progress={"done": 50, "total": 200})
    pod = make.serving_pod(world.job, waiting=("ContainerCreating", ""), status={"phase": "Unknown"})
    assert world.step(100, pods=[pod]).results["a"].progress is None


def test_a_pod_speaks_for_its_own_evaluation_alone(make: Make, plan: Plan) -> None:
    """Its process runs a miner's model: it could name the key of another."""
    other = make.evaluation(make.key("2"), started=1, active=1)
    pods = [
        make.serving_pod(make.evaluation(make.key("1"), started=1, active=1), name="p1", uid="p1", node="n"),
        make.serving_pod(other, name="p2", uid="p2", node="n"),
    ]
    results = {"a": running(make), "b": running(make, "2") | make.admitted("b", weights="2")}
    models = [make.model("a", fetched=True), make.model("b", weights="2", fetched=True)]
    found = plan(
        make.started("a", "b", results=results),
        models,
        jobs=[make.evaluation(make.key("1"), started=1, active=1), other],
        pods=pods,
        progress={"p1": make.said(done=10, key=make.key("2"))},
    )
    assert found.results["b"].progress is None
    assert found.results["a"].progress is not None and found.results["a"].progress.done == 10


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        pytest.param("2", {"b": 10}, id="one of its evaluations"),
        pytest.param("3", {}, id="another one of the round"),
        pytest.param(None, {}, id="none"),
    ],
)
def test_a_pack_says_which_of_its_evaluations_it_is_at(
    make: Make, plan: Plan, key: str | None, shown: dict[str, int]
) -> None:
    models = {"a": "1", "b": "2", "c": "3"}
    results = {name: running(make, weights) | make.admitted(name, weights=weights) for name, weights in models.items()}
    observed = make.started(*models, results=results)
    labels = {f"{PACK_PREFIX}{make.key(weights)}": str(place) for place, weights in enumerate(("1", "2"))}
    pod = make.serving_pod(make.evaluation("pack"), node="n")
    pod = replace(pod, meta=replace(pod.meta, labels=pod.meta.labels | labels))
    said = {pod.meta.uid: make.said(done=10, key=make.key(key) if key is not None else None)}
    pass_ = replace(make.pass_(now=100), progress=said)
    found = with_progress(observed, observed.status, [pod], pass_)
    assert {r.model: r.progress.done for r in found.results if r.progress is not None} == shown


BEGUN = "2026-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("entries", "percent", "end"),
    [
        pytest.param([{}, {}], 0, None, id="nothing is done"),
        pytest.param([{"progress": {"done": 5, "total": 100}}, {}], 2, None, id="too little to say when it ends"),
        pytest.param([{"progress": {"done": 50, "total": 100}}, {}], 25, 100 + 300, id="a half of one of two"),
        pytest.param([{"progress": {"done": 500, "total": 100}}, {}], 50, 100 + 100, id="more than all is all"),
        pytest.param([{"state": "Succeeded"}, {}], 50, 100 + 100, id="one of two"),
        pytest.param([{"state": "Succeeded"}, {"state": "ModelFault"}], 100, None, id="all"),
        pytest.param([{"state": "Rejected"}, {"state": "Duplicate"}], None, None, id="none is evaluated"),
        pytest.param([{"state": "Rejected"}, {"progress": {"done": 1, "total": 2}}], 50, 200, id="others do not count"),
    ],
)
def test_estimate(make: Make, entries: list[Obj], percent: int | None, end: float | None) -> None:
    base = {"state": "Running", "reason": "Evaluating", "startedAt": BEGUN, "finishedAt": BEGUN}
    results = {f"m{i}": base | entry for i, entry in enumerate(entries)}
    observed = make.started(*results, results=results)
    found = estimate(observed, observed.status, make.at(100))
    assert (found.percent if found is not None else None) == percent
    assert (found.end if found is not None else None) == (make.at(end) if end is not None else None)


def test_the_rate_is_that_since_the_last_retry(make: Make) -> None:
    before = {"state": "Succeeded", "startedAt": BEGUN, "finishedAt": BEGUN}
    now = {"state": "Running", "startedAt": "2026-01-01T01:00:00Z", "progress": {"done": 1, "total": 2}}
    observed = make.started("a", "b", results={"a": before, "b": now}, status={"retriedAt": "2026-01-01T01:00:00Z"})
    found = estimate(observed, observed.status, make.at(3700))
    assert found is not None
    assert (found.percent, found.end) == (75, make.at(3800))


@pytest.mark.parametrize(
    ("end", "text"), [pytest.param(100, "50%, 00:03", id="today"), pytest.param(86400, "50%, 01-03 00:00", id="later")]
)
def test_the_text_of_an_estimate(make: Make, end: float, text: str) -> None:
    observed = make.started(
        "a", results={"a": {"state": "Running", "startedAt": BEGUN, "progress": {"done": 1, "total": 2}}}
    )
    found = estimate(observed, observed.status, make.at(end))
    assert found is not None and found.text == text


def test_a_suspended_round_has_no_end(make: Make) -> None:
    entry = {"state": "Running", "startedAt": BEGUN, "progress": {"done": 1, "total": 2}}
    observed = make.started("a", results={"a": entry}, suspend=True)
    found = estimate(observed, observed.status, make.at(100))
    assert found is not None and found.end is None


def seconds(load: float, generate: float, score: float) -> Obj:
    return {"load": f"{load:.3f}", "generate": f"{generate:.3f}", "score": f"{score:.3f}"}


def summary(make: Make, **more: Any) -> str:
    made = make.scored()
    return made[:-1] + f', "seconds": {str(seconds(20, 60, 5)).replace(chr(39), chr(34))}' + "}"


def test_an_evaluation_that_ends_has_the_seconds_of_all_phases(make: Make, plan: Plan) -> None:
    world = World(make, plan)
    failed = make.serving_pod(world.job, name="p1", code=1, node="n1", scheduled=11, at=31)
    good = make.serving_pod(world.job, name="p2", code=0, message=summary(make), node="n1", scheduled=40, at=150)
    # Containers begin a second before they end here: give the second one its real length.
    terminated = good.terminated
    assert terminated is not None
    good = replace(good, started=make.at(50), terminated=replace(terminated, started=make.at(50)))
    found = world.step(150, pods=[failed, good])
    said = found.results["a"].seconds
    assert said is not None
    # From 1 to 150; held 11..31 and 40..150; pulled 11..30 and 40..50; 1 s of the first and 15 s of the second.
    assert (said.waiting, said.pulling, said.idle) == ("19.000", "29.000", "16.000")
    assert (said.load, said.generate, said.score) == ("20.000", "60.000", "5.000")
    gone = world.step(200, pods=[])
    assert gone.results["a"].seconds == said


def test_a_failure_without_a_summary_is_idle_time(make: Make, plan: Plan) -> None:
    world = World(make, plan)
    pod = make.serving_pod(
        world.job, code=78, message=make.evaluate_fault("NonFiniteWeights"), node="n", scheduled=90, at=100
    )
    said = world.step(100, pods=[pod]).results["a"].seconds
    assert said is not None and (said.pulling, said.idle, said.generate) == ("9.000", "1.000", "0.000")


def test_gpu_time_adds_up_and_outlives_pods(make: Make, plan: Plan) -> None:
    world = World(make, plan)
    assert world.step(102, make.said(done=1)).status.gpu_seconds.held == 100
    assert world.step(122, make.said(done=2)).status.gpu_seconds.held == 120
    second = make.serving_pod(world.job, name="p2", code=0, message=summary(make), node="n", scheduled=130, at=190)
    found = world.step(200, pods=[second])  # the first one is gone, and what it held since is not known
    assert (found.status.gpu_seconds.held, found.status.gpu_seconds.generating) == (180, 60)
    assert found.status.gpu_seconds.until == make.at(200)


@pytest.mark.parametrize(("gpus", "held"), [(2, 200), (0, None)])
def test_gpu_time_is_seconds_times_gpus(make: Make, plan: Plan, gpus: int, held: int | None) -> None:
    job = make.evaluation(make.key("1"), started=1, active=1)
    pod = make.serving_pod(job, node="n1", scheduled=2)
    observed = make.started("a", results={"a": running(make)}, workload={"resources": {"gpus": gpus}})
    model = make.model("a", fetched=True)
    found = plan(observed, [model], jobs=[job], pods=[pod], now=102, progress={pod.meta.uid: make.said(done=1)})
    said = found.status.gpu_seconds
    assert (said.held if said is not None else None) == held


def test_a_pod_that_waits_for_a_node_holds_nothing(make: Make, plan: Plan) -> None:
    world = World(make, plan)
    pending = make.pod(make.evaluation(make.key("9")), unschedulable=0)
    found = world.step(102, make.said(done=1), pods=[world.pod, pending])
    assert found.status.gpu_seconds.held == 100


def test_a_stalled_evaluation_lets_go_of_its_gpu_and_is_made_again(make: Make, plan: Plan) -> None:
    world = World(make, plan)
    said = make.said(done=50, read=1000, advanced=90)
    found = world.step(1000, said)
    assert found.states == {"a": ("Running", "EngineStalled")}
    assert (found.results["a"].stalls, found.results["a"].progress) == ([make.at(1000)], None)
    assert [event.reason for event in found.events] == ["EvaluationDelayed"]
    assert found.delete == ()  # not before it is recorded
    again = world.step(1003, said)
    assert not world.wrote and again.delete == () and again.evaluate == ()
    later = world.step(1005, said)
    assert [deletion.name for deletion in later.delete] == [world.job.meta.name]
    assert later.events == () and later.evaluate == ()
    leaving = make.evaluation(make.key("1"), started=1, active=1, deletionTimestamp="2026-01-01T00:16:45Z")
    assert world.step(1006, said, jobs=[leaving]).evaluate == ()
    gone = world.step(1020, jobs=[], pods=[])
    assert [(start.attempt, start.key) for start in gone.evaluate] == [(1, make.key("1"))]
    assert gone.results["a"].stalls == [make.at(1000)]
    job = make.evaluation(make.key("1"), created=1021, started=1021, active=1)
    ran = world.step(1030, jobs=[job], pods=[make.serving_pod(job, node="n2", at=1025)])
    assert (ran.states["a"], ran.results["a"].attempts) == (("Running", "Evaluating"), 2)
    for now in (1031, 1032):  # counted once
        assert world.step(now, jobs=[job], pods=[make.serving_pod(job, node="n2", at=1025)]).results["a"].attempts == 2


def test_the_last_stall_gives_up_as_a_deadline_does(make: Make, plan: Plan) -> None:
    world = World(make, plan, stalls=["2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"])
    world.job = make.evaluation(make.key("1"), created=1, started=1, active=1)
    world.pod = make.serving_pod(world.job, node="n1", scheduled=2, at=5)
    good = make.admitted("b", weights="2") | {"state": "Succeeded", "score": "0.500000", "key": make.key("2")}
    results = {"a": running(make, node="n1", stalls=["2026-01-01T00:00:00Z"] * 2), "b": good}
    observed = make.started("a", "b", results=results)
    models = [make.model("a", fetched=True), make.model("b", weights="2", fetched=True)]
    said = {world.pod.meta.uid: make.said(done=50, read=1000, advanced=90)}
    found = plan(observed, models, jobs=[world.job], pods=[world.pod], now=1000, progress=said)
    (failure,) = found.results["a"].failures
    assert (failure.reason, failure.nodes, found.results["a"].stalls) == ("EngineStalled", ["n1"], [])
    assert found.status.finished_at is None
    later = plan(
        RoundObject(observed.meta, observed.spec, found.status), models, jobs=[world.job], pods=[world.pod], now=1005
    )
    assert [deletion.name for deletion in later.delete] == [world.job.meta.name]


def test_a_result_that_comes_after_all_counts(make: Make, plan: Plan) -> None:
    world = World(make, plan)
    world.step(1000, make.said(read=1000, advanced=90))
    pod = make.serving_pod(world.job, code=0, message=make.scored(), node="n1", at=1002)
    assert world.step(1003, pods=[pod]).states["a"] == ("Succeeded", "Evaluated")


@pytest.mark.parametrize(
    ("workload", "now", "stalls"),
    [
        pytest.param({}, 999, True, id="900 s by default"),
        pytest.param({}, 980, False, id="not before"),
        pytest.param({"stallSeconds": 100}, 200, True, id="as the workload says"),
        pytest.param({"stallSeconds": 604800}, 5000, False, id="never"),
    ],
)
def test_the_bound_of_a_stall(make: Make, plan: Plan, workload: Obj, now: float, stalls: bool) -> None:
    job = make.evaluation(make.key("1"), started=1, active=1)
    pod = make.serving_pod(job, node="n1")
    observed = make.started("a", results={"a": running(make)}, workload=workload)
    progress = {pod.meta.uid: make.said(read=now, advanced=90)}
    found = plan(observed, [make.model("a", fetched=True)], jobs=[job], pods=[pod], now=now, progress=progress)
    assert bool(found.results["a"].stalls) == stalls
