"""Packs: which evaluations share a Job, and how each of them sees its part of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.operator.conftest import Make
from tests.unit.schema_strategies import examples

from bitagent_crds.conditions import Reason
from bitagent_crds.jobs import EXIT_NOT_BEGUN, EXIT_PACK_LOST, EXIT_STOPPED, outcome_container
from bitagent_crds.model_result import FINAL_STATES
from bitagent_crds.names import ATTEMPT_LABEL, KEY_LABEL, PACK_PREFIX, ROUND_LABEL, Component, pack_key
from bitagent_operator import naming
from bitagent_operator.observed.objects import ModelObject
from bitagent_operator.observed.workloads import JobObject, PodObject
from bitagent_operator.plan.inputs import Refusal
from bitagent_operator.plan.jobs.pods import pod_problem
from bitagent_operator.plan.rounds.packing import packs
from bitagent_operator.plan.rounds.round import plan as plan_round

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Plan

Obj = dict[str, Any]
PACKING = {"packing": {"mode": "SameArchitecture", "maxModels": 3}}
SHAPE, OTHER = "1" * 16, "2" * 16
STUCK = (-1, "")
"""Of a container: its image cannot be pulled."""
NOT_BEGUN = json.dumps({"reason": "PackEnded", "message": "before its turn"})


@pytest.mark.parametrize(
    ("ready", "most", "groups"),
    [
        pytest.param("aaa", 4, ["012"], id="one family"),
        pytest.param("aaaaa", 4, ["012", "34"], id="split evenly"),
        pytest.param("abab", 4, ["02", "13"], id="two families, in order"),
        pytest.param("a-a-", 4, ["02", "1", "3"], id="those that share none"),
        pytest.param("", 4, [], id="nothing"),
        pytest.param("aaaaaaaaa", 8, ["01234", "5678"], id="nine of eight"),
    ],
)
def test_groups(ready: str, most: int, groups: list[str]) -> None:
    items = list(enumerate(ready))
    found = packs(items, lambda item: None if item[1] == "-" else item[1], max_models=most)
    assert ["".join(str(n) for n, _ in group) for group in found] == groups


def model(make: Make, name: str, *, shape: str | None = SHAPE, **more: Any) -> ModelObject:
    facts = {"engineShape": shape} if shape is not None else {}
    return make.model(name, fetched=True, weights=name, facts=facts, **more)


def models(make: Make, names: str = "123") -> list[ModelObject]:
    return [model(make, name) for name in names]


def keys(make: Make, names: str = "123") -> list[str]:
    return [make.key(name) for name in names]


def pack(make: Make, names: str = "123", **more: Any) -> JobObject:
    """The Job of a pack of these models."""
    found, attempt = keys(make, names), more.pop("attempt", 1)
    purpose = {ROUND_LABEL: "r", KEY_LABEL: pack_key(found), ATTEMPT_LABEL: str(attempt)}
    purpose |= {f"{PACK_PREFIX}{key}": str(n) for n, key in enumerate(found)}
    name = naming.round_job_name("r", key=pack_key(found), attempt=attempt)
    return make.job(name, owner="uid-r", labels=naming.labels(Component.EVALUATE, purpose), **more)


def pod(make: Make, job: JobObject, *ends: tuple[int, str] | None, engine: int | None = None, **more: Any) -> PodObject:
    """Its pod; `ends`: exit code and message of each model's container, None while it waits."""
    state: Obj = {"running": {"startedAt": "2026-01-01T00:00:01Z"}}
    if engine is not None:
        state = {"terminated": {"exitCode": engine, "reason": more.pop("why", "Error"), "message": more.pop("log", "")}}
        state["terminated"] |= {"startedAt": "2026-01-01T00:00:01Z", "finishedAt": "2026-01-01T00:00:40Z"}
    found = [{"name": "evaluate", "state": state}]
    for key, end in zip(job.members, ends, strict=True):
        waits: Obj = {"running": {}}
        if end == STUCK:
            waits = {"waiting": {"reason": "ErrImagePull", "message": "not found"}}
        elif end is not None:
            waits = {"terminated": {"exitCode": end[0], "message": end[1], "reason": "x"}}
            waits["terminated"]["finishedAt"] = "2026-01-01T00:00:30Z"
        found.append({"name": outcome_container(key), "state": waits})
    status = {"phase": more.pop("phase", "Running"), "containerStatuses": found} | more.pop("status", {})
    return make.pod(job, status=status, node="n", **more)


def starts(found: Any) -> list[list[str]]:
    """The models of each Job to start."""
    return [[e.entry.model, *(other.entry.model for other in e.others)] for e in found.evaluate]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        pytest.param(PACKING, [["1", "2", "3"]], id="same architecture"),
        pytest.param({"packing": {"mode": "SameArchitecture", "maxModels": 2}}, [["1", "2"], ["3"]], id="at most two"),
        pytest.param({"packing": {"mode": "PerModel"}}, [["1"], ["2"], ["3"]], id="a Job for each"),
        pytest.param({}, [["1"], ["2"], ["3"]], id="nothing said"),
        pytest.param(PACKING | {"workload": {"resources": {"gpus": 2}}}, [["1"], ["2"], ["3"]], id="several GPUs"),
        pytest.param(PACKING | {"workload": {"shards": 2}}, [["1"], ["2"], ["3"]], id="shards"),
        pytest.param(PACKING | {"workload": {"parallelism": 1}}, [["1", "2", "3"]], id="one slot"),
        pytest.param(PACKING | {"workload": {"queueName": "q"}}, [["1", "2", "3"]], id="a queue"),
        pytest.param({**PACKING, "suspend": True}, [], id="suspended"),
    ],
)
def test_what_shares_a_job(make: Make, plan: Plan, spec: Obj, expected: list[list[str]]) -> None:
    assert starts(plan(make.started("1", "2", "3", **spec), models(make))) == expected


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"shape": OTHER}, id="another shape"),
        pytest.param({"shape": None}, id="a shape that is not known"),
        pytest.param({"raw_spec": {"engine": {"dtype": "Float32"}}}, id="another number format"),
    ],
)
def test_what_does_not_fit_has_its_own(make: Make, plan: Plan, other: Obj) -> None:
    found = plan(make.started("1", "2", "3", **PACKING), [*models(make, "12"), model(make, "3", **other)])
    assert starts(found) == [["1", "2"], ["3"]]


def test_what_is_ready_does_not_wait(make: Make, plan: Plan) -> None:
    found = plan(make.started("1", "2", "3", **PACKING), [*models(make, "12"), make.model("3")])
    assert starts(found) == [["1", "2"]]


def test_a_pack_takes_one_slot(make: Make, plan: Plan) -> None:
    observed = make.started("1", "2", "3", "4", workload={"parallelism": 2}, **PACKING)
    job = pack(make)
    found = plan(observed, models(make, "1234"), jobs=[job], pods=[pod(make, job, None, None, None)])
    assert starts(found) == [["4"]]


def states(found: Any) -> dict[str, tuple[str, str]]:
    return {name: (str(state), str(reason)) for name, (state, reason) in found.states.items()}


def test_one_runs_and_the_others_wait(make: Make, plan: Plan) -> None:
    job = pack(make, started=1)
    pods = [pod(make, job, None, None, None)]
    found = plan(make.started("1", "2", "3", **PACKING), models(make), jobs=[job], pods=pods)
    assert states(found) == {
        "1": ("Running", "Evaluating"), "2": ("Pending", "WaitingInPack"), "3": ("Pending", "WaitingInPack"),
    }  # fmt: skip
    assert [found.results[name].attempts for name in "123"] == [1, 0, 0]
    assert "2 other models" in found.results["3"].message
    assert {found.results[name].key for name in "123"} == set(keys(make))


def test_each_result_counts_as_soon_as_it_is_there(make: Make, plan: Plan) -> None:
    job = pack(make, started=1)
    pods = [pod(make, job, (0, make.scored("0.750000")), (78, make.evaluate_fault("NonFiniteWeights")), None)]
    found = plan(make.started("1", "2", "3", **PACKING), models(make), jobs=[job], pods=pods)
    assert states(found) == {
        "1": ("Succeeded", "Evaluated"), "2": ("ModelFault", "NonFiniteWeights"), "3": ("Running", "Evaluating"),
    }  # fmt: skip
    assert (found.results["1"].score, found.results["2"].score) == ("0.750000", "0.000000")
    assert (found.evaluate, found.delete) == ((), ())


def test_what_failed_is_evaluated_alone_while_the_pack_continues(make: Make, plan: Plan) -> None:
    job = pack(make, started=1)
    pods = [pod(make, job, (0, make.scored()), (1, make.evaluate_fault("Crashed")), None)]
    found = plan(make.started("1", "2", "3", **PACKING), models(make), jobs=[job], pods=pods)
    assert [(e.entry.model, e.attempt, e.others) for e in found.evaluate] == [("2", 2, ())]
    assert states(found)["3"] == ("Running", "Evaluating")


def test_a_later_job_that_stalls_ends_no_pack(make: Make, plan: Plan) -> None:
    """What failed in the pack is evaluated alone by then; the others have their turns in the pack still."""
    job, alone = pack(make, started=1), make.evaluation(make.key("2"), attempt=2, created=40, started=41)
    ends = ((0, make.scored()), (1, make.evaluate_fault("Crashed")), None)
    pods = [pod(make, job, *ends, name="pack"), make.pod(alone, status={"phase": "Running"}, name="alone")]
    stalled = {"2": {"state": "Running", "reason": "EngineStalled", "stalls": [f"{make.at(80):%Y-%m-%dT%H:%M:%SZ}"]}}
    stalled["2"]["key"] = make.key("2")
    observed = make.started("1", "2", "3", results=stalled, **PACKING)
    found = plan(observed, models(make), jobs=[job, alone], pods=pods)
    assert [deletion.uid for deletion in found.delete] == [alone.meta.uid]


def test_files_that_are_missing_are_fetched_first(make: Make, plan: Plan) -> None:
    job = pack(make, started=1)
    pods = [pod(make, job, (75, make.evaluate_fault("ModelFilesMissing")), None, None)]
    found = plan(make.started("1", "2", "3", **PACKING), models(make), jobs=[job], pods=pods)
    assert states(found)["1"] == ("Pending", "ModelFilesMissing")
    assert found.evaluate == ()


@pytest.mark.parametrize(
    ("engine", "why", "reason"),
    [pytest.param(137, "OOMKilled", "OutOfMemory", id="memory"), pytest.param(139, "Error", "Crashed", id="signal")],
)
def test_an_engine_container_that_dies(make: Make, plan: Plan, engine: int, why: str, reason: str) -> None:
    """Its present model is evaluated alone, those after it may share a Job again, and none has a zero."""
    job = pack(make, started=1, ended="Failed", reason="BackoffLimitExceeded")
    ends = ((0, make.scored()), (EXIT_PACK_LOST, ""), (EXIT_NOT_BEGUN, NOT_BEGUN))
    pods = [pod(make, job, *ends, engine=engine, why=why, phase="Failed")]
    observed = make.started("1", "2", "3", **PACKING)
    found = plan(observed, models(make), jobs=[job], pods=pods)
    assert [(e.entry.model, e.attempt, e.others) for e in found.evaluate] == [("2", 2, ()), ("3", 2, ())]
    once = make.started("1", "2", "3", workload={"maxAttempts": 1}, **PACKING)
    last = plan(once, models(make), jobs=[job], pods=pods)
    assert states(last)["2"] == ("Running", reason)  # it gave up; the last one's evaluation is waited for
    assert last.results["2"].score is None
    assert (starts(last), last.results["3"].attempts) == ([["3"]], 0)


def test_those_whose_turn_never_came_share_a_job_again(make: Make, plan: Plan) -> None:
    job = pack(make, started=1, ended="Failed", reason="BackoffLimitExceeded")
    ends = ((EXIT_PACK_LOST, ""), (EXIT_NOT_BEGUN, NOT_BEGUN), (EXIT_NOT_BEGUN, NOT_BEGUN))
    pods = [pod(make, job, *ends, engine=137, phase="Failed")]
    found = plan(make.started("1", "2", "3", **PACKING), models(make), jobs=[job], pods=pods)
    assert starts(found) == [["1"], ["2", "3"]]
    assert {e.attempt for e in found.evaluate} == {2}


@pytest.mark.parametrize(
    ("attempt", "most", "expected"),
    [
        pytest.param(1, 3, [["2", "3"]], id="the second of three"),
        pytest.param(2, 3, [["2"], ["3"]], id="the last of three is never shared"),
        pytest.param(1, 1, [["2"], ["3"]], id="the only one was another model's"),
        pytest.param(9, 3, [], id="no name is left"),
    ],
)
def test_models_that_end_their_packs_take_no_attempt_of_others(
    make: Make, plan: Plan, attempt: int, most: int, expected: list[list[str]]
) -> None:
    """A miner with as many models as there are attempts could else keep others from being evaluated."""
    job = pack(make, started=1, ended="Failed", reason="BackoffLimitExceeded", attempt=attempt)
    ends = ((EXIT_PACK_LOST, ""), (EXIT_NOT_BEGUN, NOT_BEGUN), (EXIT_NOT_BEGUN, NOT_BEGUN))
    pods = [pod(make, job, *ends, engine=137, why="OOMKilled", phase="Failed")]
    observed = make.started("1", "2", "3", workload={"maxAttempts": most}, **PACKING)
    found = plan(observed, models(make), jobs=[job], pods=pods)
    assert [start for start in starts(found) if start != ["1"]] == expected


@pytest.mark.parametrize(
    ("reason", "again"),
    [pytest.param("DeadlineExceeded", [["2"], ["3"]], id="the pod's"), pytest.param("", [["3"]], id="its own")],
)
def test_the_deadline_of_the_pod_is_not_that_of_a_model(make: Make, plan: Plan, reason: str, again: Any) -> None:
    """Those before it may have taken all of their time, and the image its own."""
    job = pack(make, started=1)
    end = (EXIT_STOPPED, make.evaluate_fault("Stopped")) if reason else (1, make.evaluate_fault("DeadlineExceeded"))
    log = make.evaluate_fault("Stopped")
    ends = ((0, make.scored()), end, (EXIT_NOT_BEGUN, NOT_BEGUN))
    pods = [
        pod(
            make, job, *ends, engine=EXIT_STOPPED if reason else 137, log=log, phase="Failed", status={"reason": reason}
        )
    ]
    observed = make.started("1", "2", "3", **PACKING)
    assert starts(plan(observed, models(make), jobs=[job], pods=pods)) == again


def test_a_container_that_waits_and_is_killed_starts_no_second_writer(make: Make, plan: Plan) -> None:
    job = pack(make, started=1)
    pods = [pod(make, job, (137, ""), None, None)]
    found = plan(make.started("1", "2", "3", **PACKING), models(make), jobs=[job], pods=pods)
    assert (found.evaluate, states(found)["1"]) == ((), ("Running", "Evaluating"))
    ended = [pod(make, job, (137, ""), (0, make.scored()), (0, make.scored()), engine=1, phase="Failed")]
    after = plan(make.started("1", "2", "3", **PACKING), models(make), jobs=[job], pods=ended)
    assert starts(after) == [["1"]]


def test_no_job_is_made_for_what_is_disrupted_too_often(make: Make, plan: Plan) -> None:
    job = pack(make, started=1)
    times = [f"2026-01-01T00:00:0{n}Z" for n in range(2)]
    known = {
        n: make.admitted(n, weights=n) | {"state": "Running", "reason": "Evaluating", "disruptions": times}
        for n in "123"
    }
    observed = make.started("1", "2", "3", results=known, workload={"maxDisruptions": 1}, **PACKING)
    found = plan(observed, models(make), jobs=[job], pods=[pod(make, job, None, None, None)])
    assert (found.evaluate, states(found)["1"]) == ((), ("InfraFault", "Evicted"))


def test_a_status_of_the_engine_that_comes_late_is_waited_for(make: Make, plan: Plan) -> None:
    job = pack(make, started=1)
    pods = [pod(make, job, (0, make.scored()), (EXIT_PACK_LOST, ""), (EXIT_NOT_BEGUN, NOT_BEGUN))]
    found = plan(make.started("1", "2", "3", **PACKING), models(make), jobs=[job], pods=pods)
    assert (found.evaluate, states(found)["2"]) == ((), ("Running", "Evaluating"))


def test_a_pod_that_is_stopped_has_a_successor(make: Make, plan: Plan) -> None:
    job = pack(make, started=1)
    ends = ((0, make.scored()), (EXIT_STOPPED, make.evaluate_fault("Stopped")), (EXIT_NOT_BEGUN, NOT_BEGUN))
    log = make.evaluate_fault("Stopped")
    first = pod(make, job, *ends, engine=EXIT_STOPPED, log=log, phase="Failed", name="first")
    observed = make.started("1", "2", "3", **PACKING)
    found = plan(observed, models(make), jobs=[job], pods=[first])
    assert found.evaluate == ()
    second = pod(make, job, (0, make.scored()), None, None, name="second", created=50)
    later = plan(observed, models(make), jobs=[job], pods=[first, second])
    assert states(later) == {
        "1": ("Succeeded", "Evaluated"), "2": ("Running", "Stopped"), "3": ("Pending", "WaitingInPack"),
    }  # fmt: skip


def test_a_model_that_takes_too_long_is_not_simply_tried_again(make: Make, plan: Plan) -> None:
    job = pack(make, started=1)
    pods = [pod(make, job, (1, make.evaluate_fault("DeadlineExceeded")), None, None)]
    found = plan(make.started("1", "2", "3", **PACKING), models(make), jobs=[job], pods=pods)
    assert found.evaluate == ()
    assert [failure.reason for failure in found.results["1"].failures] == ["DeadlineExceeded"]


def test_the_job_is_deleted_once_all_its_results_are_recorded(make: Make, plan: Plan) -> None:
    """A sidecar keeps its pod running."""
    job = pack(make, started=1)
    pods = [pod(make, job, *[(0, make.scored())] * 3, engine=0)]
    two = {name: make.admitted(name, weights=name) | {"state": "Succeeded", "score": "0.500000"} for name in "12"}
    ended = {"finishedAt": "2026-01-01T00:00:30Z"}
    results = {name: made | ended | {"key": make.key(name)} for name, made in two.items()}
    some = plan(make.started("1", "2", "3", results=results, **PACKING), models(make), jobs=[job], pods=pods)
    assert some.delete == ()
    third = make.admitted("3", weights="3") | {"state": "InfraFault", "reason": "Crashed", "key": make.key("3")} | ended
    observed = make.started("1", "2", "3", results=results | {"3": third}, **PACKING)
    assert [d.uid for d in plan(observed, models(make), jobs=[job], pods=pods).delete] == [job.meta.uid]


def test_a_pod_that_never_ends_keeps_no_slot(make: Make, plan: Plan) -> None:
    job = pack(make, started=1)
    pods = [pod(make, job, (0, make.scored()), (1, make.evaluate_fault("Crashed")), (0, make.scored()), engine=1)]
    observed = make.started("1", "2", "3", workload={"parallelism": 1}, **PACKING)
    assert plan(observed, models(make), jobs=[job], pods=pods, now=60).evaluate == ()
    assert starts(plan(observed, models(make), jobs=[job], pods=pods, now=91)) == [["2"]]


def test_a_result_that_no_container_passes_on(make: Make, plan: Plan) -> None:
    """It is said while the engine runs; then its evaluation is repeated, from its answers, and the GPU is free."""
    job, observed = pack(make, started=1), make.started("1", "2", "3", workload={"parallelism": 1}, **PACKING)

    def at(now: float, *pods: PodObject, jobs: Any = (job,)) -> Any:
        return plan(observed, models(make), jobs=list(jobs), pods=list(pods), now=now)

    runs = at(35, pod(make, job, STUCK, (0, make.scored()), None, phase="Pending"))
    assert states(runs) == {
        "1": ("Running", "ImagePullFailed"), "2": ("Succeeded", "Evaluated"), "3": ("Running", "Evaluating"),
    }  # fmt: skip
    before = at(35, pod(make, job, None, STUCK, None, phase="Pending"))
    assert states(before)["2"] == ("Pending", "ImagePullFailed")
    assert states(before)["3"] == ("Pending", "WaitingInPack")
    ended = pod(make, job, STUCK, (0, make.scored()), (0, make.scored()), engine=0, phase="Pending")
    assert (starts(at(99, ended)), at(99, ended).delete) == ([], ())
    found = at(100, ended)
    assert [(e.entry.model, e.attempt, e.others) for e in found.evaluate] == [("1", 2, ())]
    alone = make.evaluation(make.key("1"), attempt=2, started=100)
    assert [d.uid for d in at(101, ended, jobs=(job, alone)).delete] == [job.meta.uid]


def test_a_result_that_is_lost_for_good_has_the_true_reason(make: Make, plan: Plan) -> None:
    job, observed = pack(make, started=1), make.started("1", "2", "3", workload={"maxAttempts": 1}, **PACKING)
    ended = pod(make, job, STUCK, (0, make.scored()), (1, make.evaluate_fault("Crashed")), engine=1, phase="Pending")
    found = plan(observed, models(make), jobs=[job], pods=[ended], now=100)
    assert states(found)["1"] == ("InfraFault", "ImagePullFailed")


@pytest.mark.parametrize(
    ("refusal", "state", "expected"),
    [
        pytest.param({"final": True}, "WaitingForSlot", [["1"], ["2"], ["3"]], id="for good: each alone"),
        pytest.param({"retry_at": 500}, "JobRefused", [], id="for now: later"),
        pytest.param({"retry_at": 50}, "WaitingForSlot", [["1", "2", "3"]], id="due again"),
    ],
)
def test_a_pack_that_is_refused(make: Make, plan: Plan, refusal: Obj, state: str, expected: list[list[str]]) -> None:
    at = refusal.pop("retry_at", None)
    known = Refusal(Reason.JOB_REFUSED, "no", retry_at=make.at(at) if at is not None else None, **refusal)
    name = naming.round_job_name("r", key=pack_key(keys(make)), attempt=1)
    found = plan(make.started("1", "2", "3", **PACKING), models(make), refusals={name: known})
    assert (starts(found), states(found)["1"][1]) == (expected, state)


def test_what_somebody_deletes_is_packed_again_once_it_is_gone(make: Make, plan: Plan) -> None:
    job = pack(make, started=1, deletionTimestamp="2026-01-01T00:01:30Z")
    pods = [pod(make, job, None, None, None, deleted=90)]
    observed = make.started("1", "2", "3", **PACKING)
    assert plan(observed, models(make), jobs=[job], pods=pods).evaluate == ()
    assert starts(plan(observed, models(make))) == [["1", "2", "3"]]


@pytest.mark.parametrize(
    ("engine", "status", "gone"),
    [
        pytest.param(None, {}, False, id="its first pod runs"),
        pytest.param(EXIT_STOPPED, {}, True, id="a successor of one that was stopped"),
        pytest.param(137, {"conditions": [{"type": "DisruptionTarget", "status": "True"}]}, True, id="evicted"),
    ],
)
def test_a_successor_of_its_pod_repeats_nothing_that_a_later_job_does(
    make: Make, plan: Plan, engine: int | None, status: Obj, gone: bool
) -> None:
    job, alone = pack(make, started=1), make.evaluation(make.key("1"), attempt=2, started=40)
    ends = ((1, make.evaluate_fault("Crashed")), None, None)
    phase = "Running" if engine is None else "Failed"
    running = {"phase": "Running", "containerStatuses": [{"state": {"running": {"startedAt": "2026-01-01T00:00:50Z"}}}]}
    pods = [make.pod(alone, status=running, name="alone")]
    pods.append(pod(make, job, *ends, engine=engine, phase=phase, status=status, name="first"))
    if gone:
        pods.append(pod(make, job, None, None, None, name="second", created=50))
    observed = make.started("1", "2", "3", **PACKING)
    found = plan(observed, models(make), jobs=[job, alone], pods=pods)
    assert [d.uid for d in found.delete] == ([job.meta.uid] if gone else [])


@pytest.mark.parametrize("first", [0, 1], ids=["seen first", "seen last"])
def test_a_pack_whose_creation_was_not_answered_is_not_made_twice(make: Make, plan: Plan, first: int) -> None:
    """More is ready by the next try, so that its name is another one: the later Job goes."""
    job, twin = pack(make, "12"), pack(make, "123", creationTimestamp="2026-01-01T00:00:20Z")
    blocked = (1, make.evaluate_fault("InfrastructureFault"))
    pods = [pod(make, job, (0, make.scored()), None, name="a"), pod(make, twin, blocked, None, None, name="b")]
    jobs, observed = [job, twin] if first == 0 else [twin, job], make.started("1", "2", "3", **PACKING)
    found = plan(observed, models(make), jobs=jobs, pods=pods)
    assert ([d.uid for d in found.delete], found.evaluate) == ([twin.meta.uid], ())
    assert states(found) == {
        "1": ("Succeeded", "Evaluated"), "2": ("Running", "Evaluating"), "3": ("Pending", "WaitingForSlot"),
    }  # fmt: skip
    assert starts(plan(observed, models(make), jobs=[job], pods=pods[:1])) == [["3"]]


def test_a_model_at_fault_is_not_the_pods_problem(make: Make) -> None:
    job = pack(make)
    ends = [(0, make.scored()), (78, make.evaluate_fault("NonFiniteWeights")), (0, make.scored())]
    assert pod_problem(pod(make, job, *ends, engine=0, phase="Failed"), None, make.pass_()) is None


WAITS = [
    {"reason": "ContainerCreating"},
    {"reason": "ErrImagePull"},
    {"reason": "CreateContainerError", "message": "x"},
]
MESSAGES = st.sampled_from(["scored", "fault", "garbage", ""])
CONTAINER = st.one_of(
    st.just({"running": {"startedAt": "2026-01-01T00:00:01Z"}}),
    st.sampled_from(WAITS).map(lambda why: {"waiting": why}),
    st.tuples(st.sampled_from([0, 1, 70, 71, 75, 78, 128, 137]), MESSAGES, st.booleans()).map(
        lambda end: {
            "terminated": {"exitCode": end[0], "message": end[1], "finishedAt": "2026-01-01T00:00:30Z"}
            | ({"startedAt": "2026-01-01T00:00:01Z"} if end[2] else {})
        }
    ),
)


def phase_of(states: list[Obj]) -> str:
    """The phase that a kubelet gives a pod whose containers are not started again."""
    if any("waiting" in state for state in states):
        return "Pending"
    if any("running" in state for state in states):
        return "Running"
    return "Succeeded" if all(state["terminated"]["exitCode"] == 0 for state in states) else "Failed"


@examples(100)
@given(CONTAINER, st.lists(CONTAINER, min_size=3, max_size=3), st.integers(1, 3))
def test_whatever_its_containers_say_a_pack_whose_engine_has_ended_holds_nothing_for_long(
    engine: Obj, ends: list[Obj], attempts: int
) -> None:
    """And a result has a score only from an outcome of its own."""
    make, says = Make(), {"scored": Make().scored(), "fault": Make().evaluate_fault("NonFiniteWeights")}
    for state in (engine, *ends):
        if (end := state.get("terminated")) is not None:
            state["terminated"] = end | {"message": says.get(end["message"], end["message"]), "reason": "x"}
    phase = phase_of([engine, *ends])
    ended = {"Succeeded": {"ended": "Complete"}, "Failed": {"ended": "Failed", "reason": "BackoffLimitExceeded"}}
    job = pack(make, started=1, **ended.get(phase, {}))
    names = ["evaluate", *map(outcome_container, job.members)]
    found = [{"name": name, "state": state} for name, state in zip(names, [engine, *ends], strict=True)]
    own = make.pod(job, status={"phase": phase, "containerStatuses": found}, node="n")
    observed = make.started("1", "2", "3", workload={"maxAttempts": attempts}, **PACKING)
    listed = {"jobs": [job], "pods": [own]}
    planned = plan_round(
        observed,
        models={each.meta.name: each for each in models(make)},
        pass_=make.pass_(now=500, listed=[job], events={job.meta.uid: None, own.meta.uid: None}),
        **listed,
    )
    assert not planned.reads
    results = {result.model: result for result in planned.status.results}
    again = {e.entry.model for start in planned.evaluate for e in (start, *start.others)}
    for name, end in zip("123", ends, strict=True):
        result, code = results[name], end.get("terminated", {}).get("exitCode")
        if result.score is not None:
            assert code in (0, 78), "no verdict without one"
        if "terminated" in engine:
            over = result.state in FINAL_STATES or name in again or result.failures
            assert over or result.reason in ("ModelFilesMissing", "WaitingForSlot"), (name, result)
