"""From Job and pods to an outcome."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.conditions import Reason
from bitagent_crds.jobs import EvaluateSummary
from bitagent_operator.plan.job_outcome import (
    Active,
    Done,
    InfraFault,
    Lost,
    ModelFault,
    Problem,
    Unseen,
    classify,
    next_unschedulable,
    started_pods,
)

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make


def outcome(
    make: Make, job: dict[str, Any], pods: list[dict[str, Any]], *, listed: bool = True, now: float = 1000
) -> Any:
    made = make.evaluation("k", **job)
    own = [make.pod(made, name=f"p{i}", **{"created": i} | p) for i, p in enumerate(pods)]
    return classify(made, own, EvaluateSummary, make.pass_(now=now, listed=[made] if listed else ()))


COMPLETE, FAILED = {"ended": "Complete"}, {"ended": "Failed", "reason": "BackoffLimitExceeded", "failed": 3}
DEADLINE, POLICY = {"ended": "Failed", "reason": "DeadlineExceeded"}, {"ended": "Failed", "reason": "PodFailurePolicy"}
SCORED = '{"reason": "Evaluated", "score": "0.500000"}'
FAULT = '{"reason": "NonFiniteWeights", "message": "NaN in layer 3"}'
PREEMPTED = {"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler", "message": "for another"}
HUB = '{"reason": "HubUnavailable", "message": "503"}'


@pytest.mark.parametrize(
    ("job", "pods", "kind", "reason"),
    [
        pytest.param({}, [], Active, None, id="no pod yet"),
        pytest.param({}, [{}], Active, None, id="running"),
        pytest.param({}, [{"code": 0, "message": SCORED}], Done, None, id="done before the Job says so"),
        pytest.param(COMPLETE, [{"code": 0, "message": SCORED}], Done, None, id="done"),
        pytest.param(COMPLETE, [{"code": 1}, {"code": 0, "message": SCORED}], Done, None, id="done at the second try"),
        pytest.param(
            COMPLETE, [{"code": 78, "message": FAULT}, {"code": 0, "message": SCORED}], Done, None, id="last: done"
        ),
        pytest.param(
            POLICY,
            [{"code": 0, "message": SCORED}, {"code": 78, "message": FAULT}],
            ModelFault,
            "NonFiniteWeights",
            id="last: model's fault",
        ),
        pytest.param({}, [{"code": 0, "message": SCORED}, {}], Done, None, id="done, and another pod was started"),
        pytest.param(FAILED, [{"code": 1, "message": FAULT}], InfraFault, "Crashed", id="a model's reason with 1"),
        pytest.param(FAILED, [{"code": 137, "message": SCORED}], InfraFault, "Crashed", id="killed after its score"),
        pytest.param(POLICY, [{"code": 78, "message": FAULT}], ModelFault, "NonFiniteWeights", id="model's fault"),
        pytest.param(POLICY, [{"code": 78, "message": "boom"}], ModelFault, "ModelLoadFailed", id="78 without summary"),
        pytest.param({"failed": 1}, [{"code": 1}, {}], Active, "Crashed", id="second try runs"),
        pytest.param(FAILED, [{"code": 1, "message": "Traceback"}], InfraFault, "Crashed", id="crashes"),
        pytest.param(FAILED, [{"code": 139, "terminated_reason": "Error"}], InfraFault, "Crashed", id="signal"),
        pytest.param(
            FAILED, [{"code": 128, "terminated_reason": "StartError"}], InfraFault, "InfrastructureFault", id="no start"
        ),
        pytest.param(
            FAILED,
            [{"code": 137, "terminated_reason": "ContainerStatusUnknown"}],
            InfraFault,
            "InfrastructureFault",
            id="its node was lost",
        ),
        pytest.param(
            FAILED,
            [{"code": 1, "message": '{"reason": "InfrastructureFault", "message": "the volume is full"}'}],
            InfraFault,
            "InfrastructureFault",
            id="a summary names no cause of its own",
        ),
        pytest.param(
            FAILED, [{"code": 1, "message": HUB}], InfraFault, "HubUnavailable", id="own infrastructure reason"
        ),
        pytest.param(
            FAILED, [{"code": 137, "terminated_reason": "OOMKilled"}], InfraFault, "OutOfMemory", id="out of memory"
        ),
        pytest.param(
            FAILED,
            [{"code": 1, "status": {"reason": "Evicted", "phase": "Failed"}}],
            InfraFault,
            "NodePressure",
            id="evicted",
        ),
        pytest.param(
            FAILED,
            [{"code": 143, "status": {"phase": "Failed", "conditions": [PREEMPTED]}}],
            InfraFault,
            "Evicted",
            id="preempted",
        ),
        pytest.param({}, [{"status": {"conditions": [PREEMPTED]}}], Active, "Evicted", id="its node does not answer"),
        pytest.param(
            {}, [{"status": {"conditions": [PREEMPTED | {"status": "False"}]}}], Active, None, id="not preempted"
        ),
        pytest.param(
            COMPLETE,
            [{"code": 0, "message": SCORED, "status": {"conditions": [PREEMPTED]}}],
            Done,
            None,
            id="preempted after its end",
        ),
        pytest.param(FAILED, [], InfraFault, "AttemptsExhausted", id="failed and no pod left"),
        pytest.param(DEADLINE, [], InfraFault, "DeadlineExceeded", id="deadline"),
        pytest.param(
            DEADLINE,
            [{"waiting": ("ImagePullBackOff", "x")}],
            InfraFault,
            "ImagePullFailed",
            id="deadline without image",
        ),
        pytest.param({}, [{"waiting": ("ErrImagePull", "no such image")}], Active, "ImagePullFailed", id="image pull"),
        pytest.param({}, [{"waiting": ("ContainerCreating", "")}], Active, None, id="being created"),
        pytest.param(
            {}, [{"waiting": ("CreateContainerConfigError", "x")}], Active, "InfrastructureFault", id="container config"
        ),
        pytest.param({}, [{"unschedulable": 0}], Active, "Unschedulable", id="no node for too long"),
        pytest.param({}, [{"unschedulable": 900}], Active, None, id="no node yet"),
        pytest.param({}, [{"unschedulable": 700}], Active, "Unschedulable", id="no node for just so long"),
        pytest.param(COMPLETE, [], Lost, None, id="complete, pod gone"),
        pytest.param(COMPLETE, [{"code": 0, "message": "not json"}], Lost, None, id="unreadable summary"),
        pytest.param(POLICY, [], Lost, None, id="model's fault, pod gone"),
    ],
)
def test_outcome(make: Make, job: dict[str, Any], pods: list[dict[str, Any]], kind: type, reason: str | None) -> None:
    found = outcome(make, job, pods)
    assert type(found) is kind
    cause = found.problem if isinstance(found, Active) else found
    assert getattr(cause, "reason", None) == reason


@pytest.mark.parametrize(
    ("pods", "nodes"),
    [
        pytest.param([], (), id="no pod is left"),
        pytest.param([{"code": 1, "node": "n1"}, {"code": 1, "node": "n1"}], ("n1",), id="one node"),
        pytest.param(
            [{"code": 1, "node": "n1"}, {"code": 1, "node": "n2"}, {"code": 1, "node": "n1"}],
            ("n2", "n1"),
            id="the last one at the end",
        ),
        pytest.param([{"waiting": ("ErrImagePull", "x"), "node": "n1"}], (), id="its container never started"),
    ],
)
def test_a_fault_names_the_nodes_on_which_a_container_ran(
    make: Make, pods: list[dict[str, Any]], nodes: tuple[str, ...]
) -> None:
    assert outcome(make, FAILED, pods).nodes == nodes


@pytest.mark.parametrize(
    ("code", "words"),
    [(137, "exit code 137 (SIGKILL)"), (139, "(SIGSEGV)"), (3, "exit code 3"), (128, "exit code 128")],
)
def test_a_signal_is_named(make: Make, code: int, words: str) -> None:
    assert words in outcome(make, FAILED, [{"code": code}]).message


@pytest.mark.parametrize("job", [COMPLETE, FAILED, DEADLINE, POLICY], ids=lambda j: j.get("reason", "Complete"))
def test_nothing_is_concluded_from_an_absent_pod_without_a_live_read(make: Make, job: dict[str, Any]) -> None:
    assert isinstance(outcome(make, job, [], listed=False), Unseen)


@pytest.mark.parametrize(
    ("more", "pods", "reported"),
    [
        pytest.param({}, [], True, id="refused"),
        pytest.param({"started": 701}, [], False, id="not for long"),
        pytest.param({"active": 1}, [], False, id="not in sight yet"),
        pytest.param({"failed": 1}, [], False, id="had one"),
        pytest.param({"suspended": True}, [], False, id="suspended"),
        pytest.param({}, [{}], False, id="has one"),
    ],
)
def test_a_job_whose_pods_are_rejected_is_reported(
    make: Make, more: dict[str, Any], pods: list[dict[str, Any]], reported: bool
) -> None:
    """By a quota, a limit range or a webhook: the Job's status does not show it."""
    started = make.at(more.pop("started", 700))
    made = replace(make.evaluation("k", **more), started=started)
    found = classify(made, [make.pod(made, **p) for p in pods], EvaluateSummary, make.pass_())
    assert isinstance(found, Active)
    assert (found.problem is not None) == reported
    if found.problem is not None:
        assert found.problem.reason == "InfrastructureFault"
        assert "kubectl describe job r-k" in found.problem.message


@pytest.mark.parametrize(
    ("reported", "reason", "words"),
    [
        pytest.param(("Unschedulable", "no GPUs"), "Unschedulable", "the deadline passed; no GPUs", id="no node"),
        pytest.param(("Unschedulable", ""), "Unschedulable", "while it was still running", id="without words"),
        pytest.param(("Evaluating", ""), "DeadlineExceeded", "while it was still running", id="it ran"),
        pytest.param(None, "DeadlineExceeded", "while it was still running", id="nothing was reported"),
    ],
)
def test_a_deadline_is_explained_by_the_last_reported_problem(
    make: Make, reported: Any, reason: str, words: str
) -> None:
    """At its deadline a Job deletes its pods."""
    job = make.evaluation("k", ended="Failed", reason="DeadlineExceeded")
    last_reported = Problem(Reason(reported[0]), reported[1]) if reported else None
    found = classify(job, [], EvaluateSummary, make.pass_(listed=[job]), last_reported=last_reported)
    assert isinstance(found, InfraFault)
    assert found.reason == reason
    assert words in found.message


@pytest.mark.parametrize(
    ("job", "pods"),
    [
        pytest.param({}, 0, id="none yet"),
        pytest.param({"active": 1}, 1, id="the first runs"),
        pytest.param({"failed": 2, "active": 1}, 3, id="the third runs"),
        pytest.param({"failed": 1, "active": 2}, 2, id="one is being replaced"),
        pytest.param({"ended": "Complete", "failed": 1}, 2, id="the second was the last"),
        pytest.param({"ended": "Failed", "failed": 3}, 3, id="given up"),
    ],
)
def test_started_pods(make: Make, job: dict[str, Any], pods: int) -> None:
    assert started_pods(make.evaluation("k", **job)) == pods


@pytest.mark.parametrize(
    ("since", "seconds"),
    [
        pytest.param([900, 800, None], 100, id="the one that has waited longest"),
        pytest.param([700, 900], 200, id="one is over its time this very moment"),
        pytest.param([100], None, id="it was over long ago"),
        pytest.param([None], None, id="none waits"),
    ],
)
def test_next_unschedulable(make: Make, since: list[float | None], seconds: float | None) -> None:
    pods = [make.pod(make.evaluation("k"), unschedulable=moment) for moment in since]
    assert next_unschedulable(pods, make.pass_(now=1000)) == seconds


def test_another_jobs_pod_is_not_a_result(make: Make) -> None:
    job, other = make.evaluation("k"), make.evaluation("other")
    pods = [make.pod(other, code=0, message=SCORED)]
    assert isinstance(classify(job, pods, EvaluateSummary, make.pass_(now=0)), Active)


def test_the_end_of_the_log_is_in_the_message(make: Make) -> None:
    found = outcome(make, FAILED, [{"code": 3, "message": "line 1\nCUDA error: device lost"}])
    assert "exit code 3" in found.message
    assert "CUDA error: device lost" in found.message
    assert len(found.message) <= 512


@pytest.mark.parametrize("length", [1000, 4096])
def test_messages_are_bounded(make: Make, length: int) -> None:
    assert len(outcome(make, FAILED, [{"code": 3, "message": "x" * length}]).message) <= 512


def test_a_reason_of_a_later_evaluator_is_quoted(make: Make) -> None:
    message = '{"reason": "TooCold", "message": "below zero", "added": 1}'
    found = outcome(make, FAILED, [{"code": 1, "message": message}])
    assert isinstance(found, InfraFault)
    assert found.reason is Reason.INFRASTRUCTURE_FAULT
    assert "TooCold: below zero" in found.message
    own = outcome(make, POLICY, [{"code": 78, "message": message}])
    assert isinstance(own, ModelFault)
    assert own.reason == "TooCold"


def test_a_member_of_a_later_evaluator_hides_no_result(make: Make) -> None:
    message = '{"reason": "Evaluated", "score": "0.500000", "added": {"later": [1]}, "unanswered": {"too_shy": 1}}'
    found = outcome(make, COMPLETE, [{"code": 0, "message": message}])
    assert isinstance(found, Done)
    assert found.summary.score == "0.500000"
