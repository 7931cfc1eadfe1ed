"""The end of a round: its own bound, and what is said of every model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.conditions import Reason
from bitagent_operator import naming
from bitagent_operator.plan.inputs import Refusal

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make, Obj, Plan

    from bitagent_operator.observed.workloads import JobObject, PodObject

SINCE = {"activeSince": "2026-01-01T00:00:00Z"}
BOUND = 3600


def infra(make: Make, name: str, reason: str, message: str) -> Obj:
    return make.admitted(name, weights=name.encode().hex()) | {
        "state": "InfraFault",
        "reason": reason,
        "message": message,
    }


def test_a_failed_round_names_every_fault(make: Make, plan: Plan) -> None:
    faults = {f"m{i}": infra(make, f"m{i}", "Unschedulable", "no node has 8 GPUs") for i in range(6)}
    faults["last"] = infra(make, "last", "ImagePullFailed", "no such image")
    faults["good"] = make.admitted("good", weights="77") | {"state": "Succeeded", "score": "0.500000"}
    failed = plan(make.started(*faults, results=faults)).condition("Failed")
    assert (failed.status, failed.reason) == ("True", "InfrastructureFaults")
    for text in ("7 of 8", "6 Unschedulable (m0, m1, m2, m3 and 2 more)", "1 ImagePullFailed (last)"):
        assert text in failed.message
    for words in ("m0: no node has 8 GPUs", "last: no such image"):
        assert words in failed.message


@pytest.mark.parametrize(
    ("others", "condition", "reason"),
    [
        pytest.param({}, "Failed", "NoModels", id="all"),
        pytest.param({"c": ("Rejected", "BadConfig")}, "Complete", "RoundComplete", id="one has its verdict"),
    ],
)
def test_a_round_whose_models_are_all_deleted_fails(
    make: Make, plan: Plan, others: dict[str, tuple[str, str]], condition: str, reason: str
) -> None:
    """A complete one would say that no miner has a score."""
    entries = {"b": {"state": "Rejected", "reason": "ModelReplaced", "message": ""}}
    entries |= {name: {"state": state, "reason": why, "message": ""} for name, (state, why) in others.items()}
    found = plan(make.started("a", *entries, results=entries), gone=["a"]).condition(condition)
    assert (found.status, found.reason) == ("True", reason)


@pytest.mark.parametrize("state", ["Pending", "Running"])
def test_what_has_no_verdict_when_the_round_fails_is_not_evaluated(make: Make, plan: Plan, state: str) -> None:
    tasks = make.evaluation("tasks", ended="Failed", reason="BackoffLimitExceeded")
    entry = {"state": state, "reason": "WaitingForModel", "message": "Job f is fetching it"}
    found = plan(make.started("a", tasks=False, results={"a": entry}), [make.model("a")], jobs=[tasks])
    assert found.condition("Failed").status == "True"
    assert found.states == {"a": ("NotEvaluated", "NotEvaluated")}
    assert found.results["a"].finished_at == make.at(100)
    assert "WaitingForModel" in found.results["a"].message
    assert (found.status.counts.not_evaluated, found.status.counts.pending, found.status.progress) == (1, 0, "0/1")


class Trouble:
    """One of the ways in which a round used never to end: its spec, Jobs, pods, and Jobs that are refused."""

    def __init__(self, make: Make) -> None:
        self.spec: dict[str, Any] = {}
        self.jobs: list[JobObject] = []
        self.pods: list[PodObject] = []
        self.refusals: Mapping[str, Refusal] = {}
        self.key = make.key("1")

    @classmethod
    def refused_for_ever(cls, make: Make) -> Trouble:
        made = cls(make)
        refusal = Refusal(Reason.JOB_REFUSED, "quota", retry_at=make.at(1e9))
        made.refusals = {naming.round_job_name("r", key=made.key, attempt=1): refusal}
        return made

    @classmethod
    def absent_queue(cls, make: Make) -> Trouble:
        made = cls(make)
        made.spec = {"workload": {"queueName": "gpu"}}
        made.jobs = [make.evaluation(made.key, suspended=True)]
        return made

    @classmethod
    def suspended_by_others(cls, make: Make) -> Trouble:
        made = cls(make)
        made.jobs = [make.evaluation(made.key, suspended=True)]
        return made

    @classmethod
    def finalizer(cls, make: Make) -> Trouble:
        made = cls(make)
        made.jobs = [make.evaluation(made.key, deletionTimestamp="2026-01-01T00:59:00Z")]
        made.pods = [make.pod(made.jobs[0])]
        return made

    @classmethod
    def dead_node(cls, make: Make) -> Trouble:
        made = cls(make)
        made.jobs = [make.evaluation(made.key, active=1)]
        made.pods = [make.pod(made.jobs[0], node="n", phase="Unknown")]
        return made


@pytest.mark.parametrize(
    "trouble", ["refused_for_ever", "absent_queue", "suspended_by_others", "finalizer", "dead_node"]
)
def test_a_round_ends_whatever_its_jobs_do(make: Make, plan: Plan, trouble: str) -> None:
    this: Trouble = getattr(Trouble, trouble)(make)

    def at(now: float) -> Any:
        observed = make.started("a", status=SINCE, activeDeadlineSeconds=BOUND, **this.spec)
        models = [make.model("a", fetched=True)]
        return plan(observed, models, jobs=this.jobs, pods=this.pods, refusals=this.refusals, now=now)

    before = at(BOUND - 1)
    assert before.status.finished_at is None
    assert before.requeue_after <= 1
    found = at(BOUND)
    assert (found.condition("Failed").status, found.condition("Failed").reason) == ("True", "RoundDeadlineExceeded")
    assert "a" in found.condition("Failed").message
    assert found.states == {"a": ("NotEvaluated", "NotEvaluated")}
    assert (found.evaluate, found.task_set_attempt) == ((), None)


def test_a_model_that_cannot_be_read_does_not_keep_a_round_from_its_end(make: Make, plan: Plan) -> None:
    """It has started: questions about it would be asked for ever. Before its start: `test_plan_of_random_objects`."""
    observed = make.started("a", "b", status=SINCE, activeDeadlineSeconds=BOUND)
    found = plan(observed, [make.model("a", fetched="HubUnavailable", at=-1000), make.model("b")], now=BOUND)
    assert found.condition("Failed").reason == "RoundDeadlineExceeded"


def test_a_round_that_never_starts_ends_too(make: Make, plan: Plan) -> None:
    found = plan(make.round(status=SINCE, activeDeadlineSeconds=60), selected=True, now=60)
    assert (found.condition("Failed").reason, found.status.started_at) == ("RoundDeadlineExceeded", None)
    assert [e.reason for e in found.events] == ["RoundFailed"]


def test_a_result_that_comes_at_the_bound_counts(make: Make, plan: Plan) -> None:
    job = make.evaluation(make.key("1"))
    pods = [make.pod(job, code=0, message=make.scored())]
    observed = make.started("a", status=SINCE, activeDeadlineSeconds=60)
    assert plan(observed, [make.model("a", fetched=True)], jobs=[job], pods=pods, now=1e6).status.phase == "Complete"


@pytest.mark.parametrize(
    ("spec", "since"),
    [
        pytest.param({"activeDeadlineSeconds": 60, "suspend": True}, None, id="suspended"),
        pytest.param({}, "2026-01-01T00:00:00Z", id="no bound"),
    ],
)
def test_no_bound(make: Make, plan: Plan, spec: dict[str, Any], since: str | None) -> None:
    found = plan(make.started("a", status=SINCE, **spec), [make.model("a")], now=1e6)
    assert found.status.finished_at is None
    assert (found.status.active_since is None) == (since is None)


def test_the_bound_counts_from_the_resumption(make: Make, plan: Plan) -> None:
    found = plan(make.started("a", activeDeadlineSeconds=60), [make.model("a")], now=1000)
    assert (found.status.finished_at, found.status.active_since) == (None, make.at(1000))
