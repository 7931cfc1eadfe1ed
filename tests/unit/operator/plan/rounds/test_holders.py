"""What holds a round's GPUs, and the Jobs that must let go of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.names import CACHE_LABEL, cache_id
from bitagent_operator.plan.identity import cached_directory
from bitagent_operator.plan.jobs.pods import GONE_AFTER
from bitagent_operator.plan.rounds.holders import (
    END_GRACE,
    holders,
    keeping_volumes,
    leave_slots_at,
    leaves_slot_at,
)

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make, Plan

DONE = {"state": "Succeeded", "reason": "Evaluated", "score": "0.500000"}
END = "2026-01-01T00:01:40Z"
"""100 s after T0, when `plan` plans."""
GRACE, GONE = END_GRACE.total_seconds(), GONE_AFTER.total_seconds()
DELETED = "2026-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("job", "pod", "holds"),
    [
        pytest.param({}, None, True, id="no pod yet"),
        pytest.param({"active": 1}, {}, True, id="running"),
        pytest.param({"active": 1}, {"code": 0}, False, id="its pod has ended with a verdict"),
        pytest.param({"active": 1}, {"code": 78}, False, id="with the model's fault"),
        pytest.param({"active": 1}, {"code": 1}, True, id="with a failure: another pod follows"),
        pytest.param({"active": 1}, {"code": 0, "phase": "Running"}, True, id="a sidecar runs on"),
        pytest.param({"active": 1}, {"code": 0, "phase": "Pending"}, True, id="a sidecar cannot start"),
        pytest.param({"ended": "Complete"}, {"code": 0}, False, id="ended"),
        pytest.param({"deletionTimestamp": DELETED}, {}, True, id="being deleted"),
        pytest.param({"ended": "Failed", "deletionTimestamp": DELETED}, None, False, id="ended and being deleted"),
    ],
)
def test_holders(make: Make, job: dict[str, Any], pod: dict[str, Any] | None, *, holds: bool) -> None:
    made = make.evaluation("k", **job)
    pods = [make.pod(made, **pod)] if pod is not None else []
    assert holders([made], pods, make.at(100)) == ({made.meta.uid: {"k"}} if holds else {})


def test_pods_that_nothing_owns_any_more_hold_what_each_of_them_works_on(make: Make) -> None:
    """As after a deletion of their Jobs that leaves them."""
    made = [make.pod(make.evaluation(key), node="n") for key in ("k", "l")]
    pods = [replace(pod, meta=replace(pod.meta, owner_uid="")) for pod in made]
    assert holders([], pods, make.at(100)) == {pod.meta.uid: {key} for pod, key in zip(pods, "kl", strict=True)}


@pytest.mark.parametrize(
    ("pod", "now", "holds"),
    [
        pytest.param({"node": "n"}, 100, True, id="it runs"),
        pytest.param({"node": "n", "deleted": 30}, 100, True, id="it ends"),
        pytest.param({"node": "n", "deleted": 30}, 30 + GONE, False, id="its node is lost"),
        pytest.param({"node": "n", "code": 0}, 100, False, id="it has ended"),
        pytest.param({}, 100, False, id="it has no node"),
    ],
)
def test_pods_of_a_job_that_is_gone(make: Make, pod: dict[str, Any], now: float, *, holds: bool) -> None:
    gone = make.evaluation("k")
    assert holders([], [make.pod(gone, **pod)], make.at(now)) == ({gone.meta.uid: {"k"}} if holds else {})


@pytest.mark.parametrize(
    ("job", "pods", "due"),
    [
        pytest.param({}, [], 60, id="no pod"),
        pytest.param({"active": 1}, [], None, id="its controller counts one that is not seen yet"),
        pytest.param({"suspended": True}, [], None, id="suspended"),
        pytest.param({}, [{}], None, id="it runs"),
        pytest.param({"shards": 2}, [{"code": 0, "at": 50}], 110, id="the next shard has no pod"),
        pytest.param({"shards": 2}, [{"code": 0, "at": 50}, {}], None, id="the next shard runs"),
        pytest.param({}, [{"code": 1, "at": 50}], 120, id="the next attempt has no pod"),
        pytest.param({"failed": 9}, [{"code": 1, "at": 50}], 710, id="after a long pause"),
    ],
)
def test_when_a_job_leaves_its_slot(
    make: Make, job: dict[str, Any], pods: list[dict[str, Any]], due: float | None
) -> None:
    made = make.evaluation("k", started=0, **job)
    own = [make.pod(made, name=f"p{index}", **pod) for index, pod in enumerate(pods)]
    assert leaves_slot_at(made, own) == (make.at(due) if due is not None else None)


@pytest.mark.parametrize(
    ("key", "pods", "due"),
    [
        pytest.param("k", [], 160, id="its pod was preempted, and is gone"),
        pytest.param("other", [], 60, id="that of another evaluation"),
        pytest.param("k", [{}], None, id="the next one is there"),
    ],
)
def test_a_job_whose_pod_was_preempted_keeps_its_slot_for_the_next_one(
    make: Make, key: str, pods: list[dict[str, Any]], due: float | None
) -> None:
    job = make.evaluation("k", started=0)
    state = {"state": "Running", "disruptions": ["2026-01-01T00:01:40Z"], "key": key}
    (result,) = make.started("a", results={"a": make.admitted("a") | state}).status.results
    found = leave_slots_at([job], [make.pod(job, **pod) for pod in pods], [result])
    assert found == ({job.meta.uid: make.at(due)} if due is not None else {})


def test_a_job_that_is_never_gone_holds_nothing(make: Make) -> None:
    job = make.evaluation("k", deletionTimestamp=DELETED)
    assert holders([job], [], make.at(GONE - 1)) == {job.meta.uid: {"k"}}
    assert holders([job], [], make.at(GONE)) == {}


@pytest.mark.parametrize(
    ("now", "deleted"),
    [
        pytest.param(100 + GRACE - 1, False, id="it may still end by itself"),
        pytest.param(100 + GRACE, True, id="in time"),
        pytest.param(99, True, id="the node's clock is ahead"),
    ],
)
def test_a_sidecar_does_not_keep_the_gpu(make: Make, plan: Plan, now: float, *, deleted: bool) -> None:
    """The result is recorded, its Job has not ended."""
    job = make.evaluation(make.key("1"), active=1)
    results = {"a": make.admitted("a") | DONE | {"finishedAt": END}, "b": {"state": "Pending"}}
    models = [make.model("a", fetched=True), make.model("b")]
    pods = [make.pod(job, code=0, message=make.scored(), phase="Running")]
    found = plan(make.started("a", "b", results=results), models, jobs=[job], pods=pods, now=now)
    assert [d.uid for d in found.delete] == ([job.meta.uid] if deleted else [])
    assert deleted or found.requeue_after == 1


def test_no_job_is_deleted_before_its_result_is_in_the_observed_status(make: Make, plan: Plan) -> None:
    job = make.evaluation(make.key("1"), active=1)
    pods = [make.pod(job, code=0, message=make.scored(), phase="Running")]
    found = plan(make.started("a", "b"), [make.model("a", fetched=True), make.model("b")], jobs=[job], pods=pods)
    assert found.states["a"] == ("Succeeded", "Evaluated")
    assert found.delete == ()


def test_a_job_that_has_ended_stays(make: Make, plan: Plan) -> None:
    job = make.evaluation(make.key("1"), ended="Complete")
    results = {"a": make.admitted("a") | DONE | {"finishedAt": END}, "b": {"state": "Pending"}}
    found = plan(
        make.started("a", "b", results=results), [make.model("a", fetched=True), make.model("b")], jobs=[job], now=1e6
    )
    assert found.delete == ()


def test_a_job_whose_pods_have_ended_ends_by_itself(make: Make, plan: Plan) -> None:
    """However far the clock of its node is off."""
    job = make.evaluation(make.key("1"), active=1)
    results = {"a": make.admitted("a") | DONE | {"finishedAt": END}, "b": {"state": "Pending"}}
    models, pods = [make.model("a", fetched=True), make.model("b")], [make.pod(job, code=0)]
    assert plan(make.started("a", "b", results=results), models, jobs=[job], pods=pods, now=1e6).delete == ()
    assert [d.uid for d in plan(make.started("a", "b", results=results), models, jobs=[job], now=1e6).delete] == [
        job.meta.uid
    ], "its pod is gone, and another one would follow"


@pytest.mark.parametrize(
    "job",
    [
        pytest.param({"active": 1}, id="a sidecar"),
        pytest.param({"deletionTimestamp": DELETED}, id="being deleted"),
    ],
)
def test_no_slot_is_free_while_the_gpu_is_held(make: Make, plan: Plan, job: dict[str, Any]) -> None:
    made = make.evaluation(make.key("1"), **job)
    results = {"a": make.admitted("a") | DONE | {"finishedAt": END}}
    models = [make.model("a", fetched=True), make.model("b", fetched=True, weights="2")]
    observed = make.started("a", "b", results=results, workload={"parallelism": 1})
    found = plan(observed, models, jobs=[made], pods=[make.pod(made, code=0, phase="Running")])
    assert (found.evaluate, found.states["b"]) == ((), ("Pending", "WaitingForSlot"))
    gone = plan(observed, models)
    assert [e.entry.model for e in gone.evaluate] == ["b"]


def test_the_task_set_lets_go_too(make: Make, plan: Plan) -> None:
    job = make.evaluation("tasks", active=1)
    ready = {"conditions": [make.condition("TasksReady", "True", "TasksReady", at=90)]}
    found = plan(make.started("a", status=ready), [make.model("a")], jobs=[job])
    assert [d.uid for d in found.delete] == [job.meta.uid]


@pytest.mark.parametrize("key", ["tasks", "model"])
def test_what_somebody_deletes_is_made_again_once_it_is_gone(make: Make, plan: Plan, key: str) -> None:
    """Its name is taken until then, and two pods must never write to one directory."""
    key = make.key("1") if key == "model" else key

    def starts(**more: Any) -> list[int]:
        found = plan(make.started("a", tasks=key != "tasks"), [make.model("a", fetched=True)], **more)
        return [e.attempt for e in found.evaluate] + ([found.task_set_attempt] if found.task_set_attempt else [])

    job = make.evaluation(key, active=1, deletionTimestamp=DELETED)
    running = make.pod(job, node="n")
    assert starts(jobs=[job], pods=[running]) == []
    assert starts(jobs=[job]) == []
    assert starts(pods=[running]) == [], "the Job is gone, its pod is not"
    assert starts(pods=[make.pod(job, node="n", code=137)]) == [1]
    assert starts() == [1]


@pytest.mark.parametrize("key", ["tasks", "model"])
def test_a_job_with_a_finalizer_does_not_stop_the_round(make: Make, plan: Plan, key: str) -> None:
    key = make.key("1") if key == "model" else key
    job = make.evaluation(key, active=1, deletionTimestamp=DELETED)
    observed, models = make.started("a", tasks=key != "tasks"), [make.model("a", fetched=True)]
    waits = plan(observed, models, jobs=[job], pods=[make.pod(job)], now=GONE - 10)
    assert waits.requeue_after == 10
    found = plan(observed, models, jobs=[job], pods=[make.pod(job)], now=GONE)
    assert ([e.attempt for e in found.evaluate], found.task_set_attempt) in (([2], None), ([], 2))


def test_a_result_counts_though_its_job_is_being_deleted(make: Make, plan: Plan) -> None:
    job = make.evaluation(make.key("1"), deletionTimestamp=DELETED)
    pods = [make.pod(job, code=0, message=make.scored())]
    found = plan(make.started("a"), [make.model("a", fetched=True)], jobs=[job], pods=pods)
    assert found.results["a"].score == "0.500000"


def test_a_job_whose_failure_is_recorded_is_deleted_before_the_repetition(make: Make, plan: Plan) -> None:
    failure = {"attempt": 1, "reason": "DeadlineExceeded", "at": DELETED, "nodes": ["n"]}
    results = {
        "a": make.admitted("a") | {"state": "Running", "reason": "DeadlineExceeded", "failures": [failure]},
        "b": make.admitted("b", weights="2") | DONE | {"finishedAt": DELETED},
    }
    job = make.evaluation(make.key("1"), active=1)
    models = [make.model("a", fetched=True), make.model("b", fetched=True, weights="2")]
    observed = make.started("a", "b", results=results)
    found = plan(observed, models, jobs=[job], pods=[make.pod(job, node="n")])
    assert ([d.uid for d in found.delete], found.evaluate) == ([job.meta.uid], ())
    again = plan(observed, models, jobs=[replace(job, ended=make.evaluation("x", ended="Failed").ended)])
    assert [e.attempt for e in again.evaluate] == [2]


def test_nothing_runs_after_the_end(make: Make, plan: Plan) -> None:
    jobs = [make.evaluation(make.key("1"), active=1), make.evaluation(make.key("2"), ended="Complete")]
    observed = make.started("a", results={"a": make.admitted("a") | DONE}, status={"finishedAt": END})
    assert plan(observed, jobs=jobs, now=100).delete == ()
    assert plan(observed, jobs=jobs, now=100).requeue_after == GRACE
    assert [d.uid for d in plan(observed, jobs=jobs, now=100 + GRACE).delete] == [jobs[0].meta.uid]


@pytest.mark.parametrize(
    ("models", "result", "job", "gone"),
    [
        pytest.param("b", DONE, {"ended": "Complete"}, True, id="its result is recorded"),
        pytest.param("ab", DONE, {"ended": "Complete"}, False, id="the model exists"),
        pytest.param("b", {"state": "Running"}, {"ended": "Complete"}, False, id="its result is not recorded yet"),
        pytest.param("b", DONE, {}, False, id="its Job has not ended"),
        pytest.param("b", DONE, {"ended": "Complete", "deletionTimestamp": DELETED}, False, id="it is being deleted"),
    ],
)
def test_an_ended_job_does_not_keep_the_volume_of_a_deleted_model(
    make: Make, plan: Plan, models: str, result: dict[str, Any], job: dict[str, Any], *, gone: bool
) -> None:
    """A claim stays while there is a pod that mounts it, also one that has ended."""
    admitted = {name: make.admitted(name, weights=name) for name in "ab"}
    done = {"a": admitted["a"] | result | {"key": make.key("a"), "finishedAt": END}, "b": admitted["b"]}
    (entry, _) = make.started("a", "b", results=done).status.results
    made = make.evaluation(make.key("a"), **job)
    labels = {**made.meta.labels, CACHE_LABEL: cache_id(cached_directory(entry))}
    made = replace(made, meta=replace(made.meta, labels=labels))
    known = [make.model(name, fetched=True, weights=name) for name in models]
    pods = [make.pod(made, code=0, message=make.scored())]
    found = plan(make.started("a", "b", results=done), known, jobs=[made], pods=pods)
    assert (made.meta.uid in [d.uid for d in found.delete]) == gone


@pytest.mark.parametrize(("models", "gone"), [("b", True), ("ab", False)], ids=["deleted", "it exists"])
def test_nor_does_it_in_a_round_that_has_ended(make: Make, models: str, *, gone: bool) -> None:
    results = {"a": make.admitted("a") | DONE, "b": {"state": "Rejected"}}
    status = make.started("a", "b", results=results).status
    finished = status.model_copy(update={"finished_at": make.at(50)})
    job = make.evaluation("control", ended="Complete")
    labels = {**job.meta.labels, CACHE_LABEL: cache_id(cached_directory(status.results[0]))}
    job = replace(job, meta=replace(job.meta, labels=labels))
    assert keeping_volumes(finished, [job], models) == ([job] if gone else [])
