"""Rounds with evaluations that give up, played to their end: whose trouble it was decides whether they complete."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bitagent_crds.model_result import ModelResult
from bitagent_operator.observed.objects import RoundObject
from bitagent_operator.plan.rounds.attribution import MAX_CONTROLS
from bitagent_operator.plan.rounds.settlement import control_candidates

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make, Plan, Planned

    from bitagent_operator.observed.workloads import JobObject, PodObject
    from bitagent_operator.plan.interface import StartEvaluation

Behaviour = Callable[[int, int], str]
"""Given the numbers of the Jobs before it, of the model and of the round: `ok`, or a reason, and `@node`."""
OK = "ok@n1"


def always(end: str) -> Behaviour:
    return lambda own, all_: end


def first(count: int, end: str, then: str = OK) -> Behaviour:
    """Its first Jobs end in one way, the others in another."""
    return lambda own, all_: end if own < count else then


def until(job: int, end: str, then: str) -> Behaviour:
    """Before this Job of the round one way, from it on another."""
    return lambda own, all_: end if all_ < job else then


@dataclass
class Game:
    """A round, and a Job controller that ends each Job at once as the model's behaviour says."""

    make: Make
    plan: Plan
    behaviours: dict[str, Behaviour]
    workload: dict[str, Any] = field(default_factory=dict)
    forget: bool = False
    """Whether Jobs and pods vanish as soon as they are recorded."""
    unowned: tuple[str, ...] | None = None
    """Models without a miner, the others are of a hotkey each; None: no model has a miner."""
    jobs: list[JobObject] = field(default_factory=list)
    pods: list[PodObject] = field(default_factory=list)
    started: list[str] = field(default_factory=list)
    """Models of all Jobs, in order."""
    starts: list[StartEvaluation] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    series: int = 0
    """Series of the round's Jobs."""

    @property
    def controls(self) -> set[str]:
        """Keys of the controls."""
        return {start.key for start in self.starts if start.control}

    def run(self) -> Planned:
        """Play it to the end."""
        self.models = [
            self.make.model(name, fetched=True, weights=str(i + 1), hotkey=self._hotkey(name))
            for i, name in enumerate(self.behaviours)
        ]
        return self._play(self.make.started(*self.behaviours, workload=self.workload))

    def _hotkey(self, name: str) -> str:
        return "" if self.unowned is None or name in self.unowned else name

    def retry(self, ended: Planned) -> Planned:
        """Raise `spec.retry` of the round that has ended so, and play it to its end again."""
        observed = self.make.started(*self.behaviours, workload=self.workload, retry=ended.status.retry + 1)
        return self._play(RoundObject(observed.meta, observed.spec, ended.status))

    def _play(self, observed: RoundObject) -> Planned:
        for _ in range(60 + 8 * len(self.behaviours)):
            found = self.plan(observed, self.models, jobs=self.jobs, pods=self.pods)
            assert not found.reads
            self.events += [event.reason for event in found.events]
            settled = found.status == observed.status and not found.evaluate
            observed, self.series = RoundObject(observed.meta, observed.spec, found.status), found.status.series
            if found.status.finished_at is not None:
                return found
            assert not settled, f"the round is stuck: {found.states}"
            if self.forget:  # a control is recorded by what it decides: its Job stays until then
                self.jobs = [job for job in self.jobs if job.key in self.controls]
                kept = {job.meta.uid for job in self.jobs}
                self.pods = [pod for pod in self.pods if pod.meta.owner_uid in kept]
            for start in found.evaluate:
                self._work(start)
        raise AssertionError(f"the round does not end: {found.states}")

    def _work(self, start: StartEvaluation) -> None:
        name = start.entry.model
        end, _, node = self.behaviours[name](self.started.count(name), len(self.started)).partition("@")
        self.started.append(name)
        self.starts.append(start)
        this: dict[str, Any] = {"attempt": start.attempt, "series": self.series}
        if end == "ok":
            job = self.make.evaluation(start.key, **this, ended="Complete")
            pod = self.make.pod(job, code=0, message=self.make.scored(), node=node)
        elif end == "DeadlineExceeded":
            job = self.make.evaluation(start.key, **this, ended="Failed", reason=end, failed=1)
            pod = self.make.pod(job, code=137, message="", node=node, status={"phase": "Failed"})
        else:
            job = self.make.evaluation(start.key, **this, ended="Failed", reason="BackoffLimitExceeded", failed=1)
            pod = self.make.pod(job, code=1, message=self.make.evaluate_fault(end), node=node)
        self.jobs.append(job)
        self.pods.append(pod)


OOM = "OutOfMemory@n1"
GOOD, BAD, INFRA = ("Succeeded", "Evaluated"), ("Unscored", "OutOfMemory"), ("InfraFault", "OutOfMemory")


@pytest.mark.parametrize("forget", [False, True], ids=["kept", "forgotten"])
@pytest.mark.parametrize(
    ("behaviours", "phase", "states"),
    [
        pytest.param({"a": always(OOM), "b": always(OK)}, "Complete", {"a": BAD, "b": GOOD}, id="one of two"),
        pytest.param(
            {"a": always(OOM), "b": always(OK), "c": always(OOM), "d": always(OOM)},
            "Complete",
            {"a": BAD, "b": GOOD, "c": BAD, "d": BAD},
            id="colluding miners, beside one success",
        ),
        pytest.param({"a": always(OOM)}, "Failed", {"a": INFRA}, id="the only model"),
        pytest.param({"a": always(OOM), "b": always(OOM)}, "Failed", {"a": INFRA, "b": INFRA}, id="everybody"),
        pytest.param(
            {"a": always(OOM), "b": first(1, OK, OOM)}, "Failed", {"a": INFRA, "b": GOOD}, id="the control fails too"
        ),
        pytest.param(
            {"a": always(OOM), "b": first(1, OK, OOM), "c": always(OK)},
            "Complete",
            {"a": BAD, "b": GOOD, "c": GOOD},
            id="a control that fails on purpose",
        ),
        pytest.param(
            {"a": always(OOM), "b": first(1, OK, "DeadlineExceeded@n1"), "c": always(OK)},
            "Complete",
            {"a": BAD, "b": GOOD, "c": GOOD},
            id="a control that sleeps until its deadline",
        ),
        pytest.param(
            {"a": always(OOM), "b": first(1, OK, "ImagePullFailed@n1"), "c": always(OK)},
            "Failed",
            {"a": INFRA, "b": GOOD, "c": GOOD},
            id="the infrastructure fails a control",
        ),
        pytest.param(
            {"a": always(OOM), "b": first(1, OK, OOM), "c": first(1, OK, OOM), "d": always(OK)},
            "Complete",
            {"a": BAD, "b": GOOD, "c": GOOD, "d": GOOD},
            id="two controls fail on purpose",
        ),
        pytest.param(
            {
                "a": always(OOM),
                "b": first(1, OK, OOM),
                "c": first(1, OK, "DeadlineExceeded@n1"),
                "d": first(1, OK, OOM),
            },
            "Failed",
            {"a": INFRA, "b": GOOD, "c": GOOD, "d": GOOD},
            id="a machine that broke: all controls fail",
        ),
        pytest.param(
            {"a": always(OOM), "b": first(1, OK, OOM), "c": first(1, OK, "ok@n2"), "d": always(OK)},
            "Complete",
            {"a": BAD, "b": GOOD, "c": GOOD, "d": GOOD},
            id="a control fails on purpose, and the next one runs elsewhere",
        ),
        pytest.param(
            {"a": always(OOM), "b": first(1, OK, "ModelFilesMissing@n1"), "c": always(OK)},
            "Complete",
            {"a": BAD, "b": GOOD, "c": GOOD},
            id="a control whose files the cache lacks",
        ),
        pytest.param(
            {"a": first(1, OOM), "b": always(OK)}, "Complete", {"a": GOOD, "b": GOOD}, id="the repetition succeeds"
        ),
        pytest.param(
            {"a": first(1, OOM), "b": first(1, OOM)},
            "Failed",
            {"a": INFRA, "b": INFRA},
            id="none succeeded before the repetition",
        ),
        pytest.param(
            {"a": first(1, OOM, "ImagePullFailed@n1"), "b": always(OK)},
            "Failed",
            {"a": ("InfraFault", "ImagePullFailed"), "b": GOOD},
            id="the repetition fails by the infrastructure",
        ),
        pytest.param(
            {"a": always("HubUnavailable@n1"), "b": always(OK)},
            "Failed",
            {"a": ("InfraFault", "HubUnavailable"), "b": GOOD},
            id="a cause that no model can have",
        ),
        pytest.param(
            {"a": always("OutOfMemory@n2"), "b": always(OK)}, "Failed", {"a": INFRA, "b": GOOD}, id="a broken node"
        ),
        pytest.param(
            {"a": first(1, "OutOfMemory@n2", OOM), "b": always(OK)},
            "Complete",
            {"a": BAD, "b": GOOD},
            id="on another node too",
        ),
        pytest.param(
            {"a": always(OOM), "b": always(OK), "c": always("ResultLost@n1")},
            "Failed",
            {"a": INFRA, "b": GOOD, "c": ("InfraFault", "ResultLost")},
            id="the infrastructure failed another",
        ),
        pytest.param(
            {"a": first(1, OOM, "EngineFailed@n1"), "b": always(OK)},
            "Complete",
            {"a": ("Unscored", "EngineFailed"), "b": GOOD},
            id="the last cause is kept",
        ),
    ],
)
def test_the_end_of_a_round(
    make: Make, plan: Plan, behaviours: dict[str, Behaviour], phase: str, states: dict[str, Any], *, forget: bool
) -> None:
    found = Game(make, plan, behaviours, forget=forget).run()
    assert (found.status.phase, found.states) == (phase, states)
    if phase == "Failed":
        assert found.condition("Failed").reason == "InfrastructureFaults"
    else:
        assert [r.rank for r in found.status.results] == [
            1 if r.state == "Succeeded" else None for r in found.status.results
        ]
        assert found.status.counts.unscored == sum(state == "Unscored" for state, _ in states.values())


def test_a_repetition_and_a_control_run_once_on_the_machines_that_tell_most(make: Make, plan: Plan) -> None:
    game = Game(make, plan, {"a": always("OutOfMemory@n2"), "b": always(OK), "c": first(1, "ok@n3")})
    game.run()
    assert game.started[:3] == ["a", "b", "c"]
    repetition, control = game.starts[3:]
    assert (repetition.entry.model, repetition.attempt, repetition.pods) == ("a", 2, 1)
    assert repetition.preferred_nodes == ("n1", "n3"), "where others succeeded, and not where it failed"
    assert (control.entry.model, control.attempt, control.control) == ("b", 1, True)
    assert control.preferred_nodes == ("n2",), "where the failure was"
    assert control.key not in {start.key for start in game.starts[:4]}, "it is asked afresh"


@pytest.mark.parametrize(
    ("hotkeys", "controls"),
    [
        pytest.param({"b": "5C", "c": "5C"}, ["b"], id="all of one hotkey"),
        pytest.param({"b": "5C", "c": "5C", "d": "5D"}, ["b", "d"], id="of another hotkey"),
        pytest.param({"b": "5C", "c": "5D", "d": None}, ["b", "d", "c"], id="the second is the operator's own"),
        pytest.param({"b": None, "c": None}, ["b", "c"], id="without miners"),
    ],
)
def test_each_control_is_of_another_hotkey(
    make: Make, plan: Plan, hotkeys: dict[str, str | None], controls: list[str]
) -> None:
    failure = {"reason": "OutOfMemory", "at": "2026-01-01T00:00:05Z", "nodes": ["n1"]}
    failures = [failure | {"attempt": n} for n in (1, 2)]
    results = {"a": make.admitted("a") | {"state": "Running", "reason": "OutOfMemory", "failures": failures}}
    models = [make.model("a", fetched=True)]
    for i, (name, hotkey) in enumerate(hotkeys.items(), start=2):
        good = {"state": "Succeeded", "score": "0.500000", "node": "n1"} | ({"hotkey": hotkey * 24} if hotkey else {})
        results[name] = make.admitted(name, weights=str(i)) | good
        models.append(make.model(name, fetched=True, weights=str(i)))
    observed = make.started("a", *hotkeys, results=results, workload={"maxAttempts": 1})
    started: list[str] = []
    jobs: list[JobObject] = []
    pods: list[PodObject] = []
    while starts := plan(observed, models, jobs=jobs, pods=pods).evaluate:
        (start,) = starts
        started.append(start.entry.model)
        job = make.evaluation(start.key, ended="Failed", reason="BackoffLimitExceeded", failed=1)
        jobs.append(job)
        pods.append(make.pod(job, code=1, message=make.evaluate_fault("OutOfMemory"), node="n1"))
    assert started == controls
    found = plan(observed, models, jobs=jobs, pods=pods)
    assert found.states["a"] == INFRA
    assert all(name in found.results["a"].message for name in controls)


def results_of(make: Make, count: int) -> dict[str, Any]:
    """One failure after its repetition, and successes of so many hotkeys."""
    failures = [{"attempt": n, "reason": "OutOfMemory", "at": "2026-01-01T00:00:05Z", "nodes": ["n1"]} for n in (1, 2)]
    results = {"a": make.admitted("a") | {"state": "Running", "reason": "OutOfMemory", "failures": failures}}
    for i in range(count):
        good = {
            "state": "Succeeded",
            "score": "0.500000",
            "node": "n1",
            "hotkey": f"5{i + 11}".replace("0", "z").ljust(48, "x"),
        }
        results[f"m{i:02}"] = make.admitted(f"m{i:02}", weights=f"{i + 2}") | good
    return results


def test_after_two_controls_the_others_run_beside_each_other(make: Make, plan: Plan) -> None:
    results = results_of(make, 20)
    models = [make.model(name, fetched=True, weights=str(i + 1)) for i, name in enumerate(results)]
    observed = make.started(*results, results=results, workload={"parallelism": 20, "maxAttempts": 1})
    jobs: list[JobObject] = []
    pods: list[PodObject] = []
    waves: list[set[str]] = []
    while starts := plan(observed, models, jobs=jobs, pods=pods).evaluate:
        waves.append({start.entry.model for start in starts})
        running = [make.evaluation(start.key, active=1) for start in starts]
        found = plan(observed, models, jobs=[*jobs, *running], pods=pods)
        assert (found.evaluate, found.delete) == ((), ()), "the others are not begun before, and none is removed"
        ended = [make.evaluation(s.key, ended="Failed", reason="BackoffLimitExceeded", failed=1) for s in starts]
        pods += [make.pod(job, code=1, message=make.evaluate_fault("OutOfMemory"), node="n1") for job in ended]
        jobs += ended
    assert [len(wave) for wave in waves] == [1, 1, MAX_CONTROLS - 2]
    assert len(set.union(*waves)) == MAX_CONTROLS, "each is of another hotkey"
    assert plan(observed, models, jobs=jobs, pods=pods).states["a"] == INFRA


def test_controls_are_drawn_by_the_tasks(make: Make) -> None:
    results = [ModelResult.model_validate({"model": n} | r) for n, r in results_of(make, 20).items()]
    drawn = {digest: [result.model for result in control_candidates(results, {}, drawn_by=digest)] for digest in "123"}
    assert {len(names) for names in drawn.values()} == {MAX_CONTROLS}
    assert len({names[0] for names in drawn.values()}) == 1, "the largest comes first"
    assert len({tuple(names[2:]) for names in drawn.values()}) == 3
    again = control_candidates(reversed(results), {}, drawn_by="1")
    assert [result.model for result in again] == drawn["1"]


def test_what_happens_is_told(make: Make, plan: Plan) -> None:
    game = Game(make, plan, {"bad": always(OOM), "good": always(OK)})
    found = game.run()
    assert game.events == [
        "EvaluationDelayed",
        "ModelEvaluated",
        "EvaluationDelayed",
        "ControlStarted",
        "ModelUnscored",
        "RoundComplete",
    ]
    assert "bad (OutOfMemory)" in found.condition("Complete").message
    result = found.results["bad"]
    assert [(f.attempt, f.reason, f.nodes) for f in result.failures] == [
        (1, "OutOfMemory", ["n1"]),
        (2, "OutOfMemory", ["n1"]),
    ]
    assert (result.attempts, result.score, result.rank) == (2, None, None)
    assert "while good succeeded again" in result.message


def test_a_model_that_gave_up_holds_no_slot(make: Make, plan: Plan) -> None:
    game = Game(make, plan, {"a": always(OOM), "b": always(OOM), "c": always(OK)}, workload={"parallelism": 1})
    assert game.run().status.phase == "Complete"
    assert game.started == ["a", "b", "c", "a", "b", "c"]


def test_nothing_is_repeated_while_the_round_is_suspended(make: Make, plan: Plan) -> None:
    failure = {"attempt": 1, "reason": "OutOfMemory", "at": "2026-01-01T00:00:05Z", "nodes": ["n1"]}
    results = {
        "a": make.admitted("a") | {"state": "Running", "reason": "OutOfMemory", "failures": [failure]},
        "b": make.admitted("b", weights="2") | {"state": "Succeeded", "score": "0.500000", "node": "n1"},
    }
    models = [make.model("a", fetched=True), make.model("b", fetched=True, weights="2")]
    assert [s.attempt for s in plan(make.started("a", "b", results=results), models).evaluate] == [2]
    found = plan(make.started("a", "b", results=results, suspend=True), models)
    assert (found.evaluate, found.states["a"]) == ((), ("Running", "OutOfMemory"))


def test_a_deadline_without_a_pod_that_ran_is_never_the_models_own(make: Make, plan: Plan) -> None:
    """It may have waited for a machine all the time; the Job's pods are gone."""
    models = [make.model("a", fetched=True), make.model("b", fetched=True, weights="2")]
    good = make.evaluation(make.key("2"), ended="Complete")
    pods = [make.pod(good, code=0, message=make.scored(), node="n1")]
    late = make.evaluation(make.key("1"), ended="Failed", reason="DeadlineExceeded")
    running = make.admitted("a") | {"state": "Running", "reason": "Evaluating"}
    unseen = plan(make.started("a", "b", results={"a": running}), models, jobs=[late, good], pods=pods)
    assert unseen.states["a"] == ("InfraFault", "DeadlineExceeded")
    seen = plan(make.started("a", "b", results={"a": running | {"node": "n1"}}), models, jobs=[late, good], pods=pods)
    assert seen.states["a"] == ("Running", "DeadlineExceeded")
    assert [f.nodes for f in seen.results["a"].failures] == [["n1"]]


def test_the_node_of_a_running_evaluation_is_recorded(make: Make, plan: Plan) -> None:
    job = make.evaluation(make.key("1"), active=1)
    found = plan(make.started("a"), [make.model("a", fetched=True)], jobs=[job], pods=[make.pod(job, node="n1")])
    assert found.results["a"].node == "n1"
    waiting = make.pod(job, node="n1", waiting=("ErrImagePull", "x"))
    found = plan(make.started("a"), [make.model("a", fetched=True)], jobs=[job], pods=[waiting])
    assert found.results["a"].node is None


def test_a_control_that_reached_its_deadline_holds_no_gpu_while_another_runs(make: Make, plan: Plan) -> None:
    """With one slot: the second one starts when the first one's Job has ended, and that has one pod."""
    failures = [{"attempt": n, "reason": "OutOfMemory", "at": "2026-01-01T00:00:05Z", "nodes": ["n1"]} for n in (1, 2)]
    results = {"a": make.admitted("a") | {"state": "Running", "reason": "OutOfMemory", "failures": failures}}
    for name, weights in (("b", "2"), ("c", "3")):
        results[name] = make.admitted(name, weights=weights) | {"state": "Succeeded", "score": "0.500000", "node": "n1"}
    observed = make.started("a", "b", "c", results=results, workload={"parallelism": 1})
    models = [make.model(name, fetched=True, weights=str(i)) for i, name in enumerate("abc", start=1)]
    (first_control,) = plan(observed, models).evaluate
    assert (first_control.entry.model, first_control.pods) == ("b", 1)
    job = make.evaluation(first_control.key, active=1)
    late = make.pod(job, code=137, message="", node="n1", status={"phase": "Failed", "reason": "DeadlineExceeded"})
    found = plan(observed, models, jobs=[job], pods=[late])
    assert (found.evaluate, found.status.finished_at) == ((), None)
    ended = make.evaluation(first_control.key, ended="Failed", reason="BackoffLimitExceeded", failed=1)
    (second,) = plan(observed, models, jobs=[ended], pods=[late]).evaluate
    assert (second.entry.model, second.control) == ("c", True)


@pytest.mark.parametrize("attempts", [1, 3])
def test_a_control_has_as_many_tries_as_an_evaluation(make: Make, plan: Plan, attempts: int) -> None:
    def last_time(own: int, all_: int) -> str:
        return OK if own in (0, attempts) else OOM

    game = Game(make, plan, {"a": always(OOM), "b": last_time}, {"maxAttempts": attempts})
    assert game.run().status.phase == "Complete"
    assert [s.attempt for s in game.starts if s.control] == list(range(1, attempts + 1))


def test_a_control_whose_result_was_lost_is_repeated(make: Make, plan: Plan) -> None:
    game = Game(make, plan, {"a": always(OOM), "b": always(OK)})
    work = game._work

    def lose(start: StartEvaluation) -> None:
        work(start)
        if start.control and start.attempt == 1:
            game.pods.pop()

    game._work = lose  # type: ignore[method-assign]
    assert game.run().status.phase == "Complete"
    assert [s.attempt for s in game.starts if s.control] == [1, 2]


@pytest.mark.parametrize(
    ("reason", "peer_fetched_at", "state"),
    [
        pytest.param("OutOfMemory", 20, "Unscored", id="another was fetched meanwhile"),
        pytest.param("OutOfMemory", -3600, "Pending", id="the others were fetched before: a control decides"),
        pytest.param("HubUnavailable", 20, "InfraFault", id="the hub"),
    ],
)
def test_a_fetch_that_gives_up(make: Make, plan: Plan, reason: str, peer_fetched_at: float, state: str) -> None:
    models = [make.model("good", fetched=True, at=peer_fetched_at, weights="2"), make.model("x", fetched=reason, at=30)]
    names = ["good", "x"]
    waiting = plan(make.started(*names, at=10), models)
    final = reason == "HubUnavailable"
    assert waiting.states["x"] == ("InfraFault" if final else "Pending", reason)
    good = make.admitted("good", weights="2") | {"state": "Succeeded", "score": "0.500000"}
    found = plan(make.started(*names, at=10, results={"good": good}), models)
    assert found.states["x"] == (state, reason)
    assert found.status.phase == {"Unscored": "Complete", "InfraFault": "Failed"}.get(state, "Running")


def test_a_control_after_a_retry_is_asked_afresh(make: Make, plan: Plan) -> None:
    """With the key of the control before it would find that one's answers, and need no machine."""
    game = Game(make, plan, {"a": always("OutOfMemory@n2"), "b": always(OK)})
    found = game.run()
    assert found.status.phase == "Failed"
    game.retry(found)
    before, after = [start.key for start in game.starts if start.control]
    assert before != after


def test_a_fetch_that_gave_up_by_the_infrastructure_fails_what_gave_up_on_a_gpu_too(make: Make, plan: Plan) -> None:
    """The round cannot complete, so nothing is repeated."""
    failure = {"attempt": 1, "reason": "OutOfMemory", "at": "2026-01-01T00:00:05Z", "nodes": ["n1"]}
    owner = {"hotkey": make.hotkey("m")}  # of the same hotkey, so that it is no control
    results = {
        "a": make.admitted("a") | {"state": "Running", "reason": "OutOfMemory", "failures": [failure]},
        "b": make.admitted("b", weights="2") | {"state": "Succeeded", "score": "0.500000", "node": "n1"} | owner,
    }
    models = [
        make.model("a", fetched=True, at=-7200),
        make.model("b", fetched=True, at=-7200, weights="2", hotkey="m"),
        make.model("x", fetched="Crashed", at=30, hotkey="m"),
    ]
    found = plan(make.started("a", "b", "x", results=results), models)
    assert found.states["x"] == ("InfraFault", "Crashed")
    assert found.states["a"] == ("InfraFault", "OutOfMemory")
    assert (found.evaluate, found.status.phase) == ((), "Failed")


def test_the_model_of_a_control_does_not_change_once_it_has_a_job(make: Make, plan: Plan) -> None:
    """Its facts may: a branch moves, and they are those of another commit."""
    failures = [{"attempt": n, "reason": "OutOfMemory", "at": "2026-01-01T00:00:05Z", "nodes": ["n1"]} for n in (1, 2)]
    results = {"a": make.admitted("a") | {"state": "Running", "reason": "OutOfMemory", "failures": failures}}
    for name, weights in (("large", "2"), ("small", "3")):
        results[name] = make.admitted(name, weights=weights) | {"state": "Succeeded", "score": "0.500000", "node": "n1"}
    observed = make.started("a", "large", "small", results=results)
    others = [make.model("a", fetched=True), make.model("small", fetched=True, weights="3")]
    large = make.model("large", fetched=True, weights="2", facts={"parameters": 10_000})
    (start,) = plan(observed, [*others, large]).evaluate
    assert (start.entry.model, start.control) == ("large", True)
    job = make.evaluation(start.key, active=1)
    moved = make.model("large", fetched=True, weights="2", facts={"parameters": 1, "commit": "f" * 40})
    found = plan(observed, [*others, moved], jobs=[job], pods=[make.pod(job, node="n1")])
    assert (found.evaluate, found.delete) == ((), ())


PROPERTY = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
CAUSES = st.sampled_from(["OutOfMemory", "DeadlineExceeded", "EngineFailed", "Crashed"])


@PROPERTY
@given(
    honest=st.integers(1, 5),
    attackers=st.lists(CAUSES, max_size=12),
    mixed=st.randoms(use_true_random=False),
    parallelism=st.integers(1, 4),
    forget=st.booleans(),
)
def test_no_number_of_failing_models_ends_a_round_in_which_one_honest_model_succeeds(
    make: Make, plan: Plan, *, honest: int, attackers: list[str], mixed: Any, parallelism: int, forget: bool
) -> None:
    behaviours = {f"h{i}": always(OK) for i in range(honest)} | {
        f"x{i}": always(f"{cause}@n1") for i, cause in enumerate(attackers)
    }
    names = list(behaviours)
    mixed.shuffle(names)
    game = Game(make, plan, {n: behaviours[n] for n in names}, workload={"parallelism": parallelism}, forget=forget)
    found = game.run()
    assert found.status.phase == "Complete"
    assert {m: s for m, (s, _) in found.states.items()} == {
        n: "Succeeded" if n[0] == "h" else "Unscored" for n in names
    }
    assert len(game.started) == honest + 2 * len(attackers) + bool(attackers), (
        "each is repeated once, beside one control"
    )


@PROPERTY
@given(
    honest=st.integers(1, 12),
    liars=st.lists(CAUSES, max_size=MAX_CONTROLS - 1),
    attackers=st.lists(CAUSES, min_size=1, max_size=4),
    mixed=st.randoms(use_true_random=False),
    forget=st.booleans(),
)
def test_no_miners_of_fewer_hotkeys_than_there_are_controls_end_a_round(
    make: Make, plan: Plan, *, honest: int, liars: list[str], attackers: list[str], mixed: Any, forget: bool
) -> None:
    """Some fail always, others once they are a control."""
    behaviours = (
        {f"h{i}": always(OK) for i in range(honest)}
        | {f"l{i}": first(1, OK, f"{cause}@n1") for i, cause in enumerate(liars)}
        | {f"x{i}": always(f"{cause}@n1") for i, cause in enumerate(attackers)}
    )
    names = list(behaviours)
    mixed.shuffle(names)
    found = Game(make, plan, {n: behaviours[n] for n in names}, forget=forget).run()
    assert found.status.phase == "Complete"
    assert {m: s for m, (s, _) in found.states.items()} == {
        n: "Unscored" if n[0] == "x" else "Succeeded" for n in names
    }


@PROPERTY
@given(
    liars=st.lists(CAUSES, min_size=1, max_size=40),
    cause=CAUSES,
    mixed=st.randoms(use_true_random=False),
    parallelism=st.integers(1, 8),
)
def test_no_number_of_colluding_hotkeys_ends_a_round_with_a_model_of_the_operators_own(
    make: Make, plan: Plan, *, liars: list[str], cause: str, mixed: Any, parallelism: int
) -> None:
    """All miners but one collude: their models succeed, and fail once they are controls."""
    behaviours = {"own": always(OK), "h": always(OK), "x": always(f"{cause}@n1")} | {
        f"l{i}": first(1, OK, f"{each}@n1") for i, each in enumerate(liars)
    }
    names = list(behaviours)
    mixed.shuffle(names)
    workload = {"parallelism": parallelism, "maxAttempts": 1}
    game = Game(make, plan, {n: behaviours[n] for n in names}, workload=workload, unowned=("own",))
    found = game.run()
    assert found.status.phase == "Complete"
    assert {m: s for m, (s, _) in found.states.items()} == {n: "Unscored" if n == "x" else "Succeeded" for n in names}
    assert len(game.controls) <= 2, "its own is the second control, so the others cost nothing"


@pytest.mark.parametrize(
    ("liars", "least", "most"),
    [
        pytest.param(7, 0, 0, id="seven never"),
        pytest.param(10, 0, 0.02, id="half of them hardly ever"),
        pytest.param(19, 0.55, 0.78, id="all but one in two of three cases"),
    ],
)
def test_how_often_the_controls_are_all_of_colluding_hotkeys(make: Make, liars: int, least: float, most: float) -> None:
    """Without a model of the operator's own, by 200 draws among 20 hotkeys; the two largest are of them, too."""
    results = [ModelResult.model_validate({"model": n} | r) for n, r in results_of(make, 20).items()]
    models = {f"m{i:02}": make.model(f"m{i:02}", fetched=True, facts={"parameters": 1000 - i}) for i in range(20)}
    colluding = {f"m{i:02}" for i in range(liars)}
    drawn = [control_candidates(results, models, drawn_by=str(digest)) for digest in range(200)]
    alone = sum({result.model for result in each} <= colluding for each in drawn) / len(drawn)
    assert least <= alone <= most


@PROPERTY
@given(count=st.integers(1, 8), since=st.integers(0, 30), cause=CAUSES, forget=st.booleans())
def test_an_outage_that_hits_everybody_and_lasts_never_completes_a_round(
    make: Make, plan: Plan, *, count: int, since: int, cause: str, forget: bool
) -> None:
    behaviours = {f"m{i}": until(since, OK, f"{cause}@n1") for i in range(count)}
    found = Game(make, plan, behaviours, workload={"parallelism": 1}, forget=forget).run()
    assert found.status.phase == ("Complete" if since >= count else "Failed")
    assert "Unscored" not in {state for state, _ in found.states.values()}


@PROPERTY
@given(count=st.integers(2, 8), ends=st.integers(1, 7), cause=CAUSES)
def test_an_outage_that_passes_costs_nobody_a_score(
    make: Make, plan: Plan, *, count: int, ends: int, cause: str
) -> None:
    """As long as one model has succeeded at the first time."""
    behaviours = {f"m{i}": until(min(ends, count - 1), f"{cause}@n1", OK) for i in range(count)}
    found = Game(make, plan, behaviours, workload={"parallelism": 1}).run()
    assert {state for state, _ in found.states.values()} == {"Succeeded"}


@PROPERTY
@given(
    count=st.integers(1, 8),
    outages=st.lists(st.tuples(st.integers(0, 20), CAUSES | st.just("ImagePullFailed")), max_size=3),
    forget=st.booleans(),
)
def test_retries_end_a_round_as_without_its_outages(
    make: Make, plan: Plan, *, count: int, outages: list[tuple[int, str]], forget: bool
) -> None:
    """From some Job on everybody fails, until the round is retried; what has a score is never evaluated again."""
    names = [f"m{i}" for i in range(count)]
    game = Game(make, plan, dict.fromkeys(names, always(OK)), workload={"parallelism": 1}, forget=forget)
    found: Planned | None = None
    for good, cause in [*outages, (10_000, OOM)]:
        game.behaviours = dict.fromkeys(names, until(len(game.started) + good, OK, f"{cause}@n1"))
        scored = set() if found is None else {n for n, (state, _) in found.states.items() if state == "Succeeded"}
        before = len(game.started)
        found = game.run() if found is None else game.retry(found)
        if found.status.phase == "Complete":
            assert not scored & set(game.started[before:])
            break
    assert found is not None
    assert (found.status.phase, set(found.states.values())) == ("Complete", {GOOD})
    assert {result.rank for result in found.status.results} == {1}
