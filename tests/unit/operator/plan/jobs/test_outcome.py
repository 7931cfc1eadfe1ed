"""From Job and pods to an outcome."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.conditions import Reason
from bitagent_crds.jobs import EvaluateSummary
from bitagent_operator.plan.inputs import LastEvent
from bitagent_operator.plan.jobs.outcome import (
    Active,
    Done,
    InfraFault,
    Lost,
    ModelFault,
    Unseen,
    classify,
)
from bitagent_operator.plan.jobs.pods import Problem

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
LATE = {"reason": "DeadlineExceeded", "phase": "Failed"}
NO_IMAGE = Problem(Reason.IMAGE_PULL_FAILED, "no such image")
CREATING: dict[str, Any] = {"waiting": ("ContainerCreating", ""), "status": LATE}
HUB = '{"reason": "HubUnavailable", "message": "503"}'


@pytest.mark.parametrize(
    ("job", "pods", "kind", "reason"),
    [
        pytest.param({}, [], Active, "Starting", id="no pod yet"),
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
        pytest.param({}, [{"waiting": ("ContainerCreating", "")}], Active, "Starting", id="being created"),
        pytest.param(
            {}, [{"waiting": ("CreateContainerConfigError", "x")}], Active, "InfrastructureFault", id="container config"
        ),
        pytest.param({}, [{"unschedulable": 0}], Active, "Unschedulable", id="no node for too long"),
        pytest.param({}, [{"unschedulable": 900}], Active, "WaitingForNode", id="no node yet"),
        pytest.param({}, [{"unschedulable": 700}], Active, "Unschedulable", id="no node for just so long"),
        pytest.param(COMPLETE, [], Lost, "ResultLost", id="complete, pod gone"),
        pytest.param(COMPLETE, [{"code": 0, "message": "not json"}], Lost, "ResultLost", id="unreadable summary"),
        pytest.param(COMPLETE, [{"code": 0, "message": ""}], Lost, "ResultLost", id="no summary"),
        pytest.param(COMPLETE, [{"code": 0, "message": SCORED[:-9]}], Lost, "ResultLost", id="half a summary"),
        pytest.param(COMPLETE, [{"code": 0, "message": "[]"}], Lost, "ResultLost", id="JSON of another form"),
        pytest.param(POLICY, [], Lost, "ResultLost", id="model's fault, pod gone"),
        pytest.param(
            {},
            [{"code": 78, "message": FAULT, "status": {"conditions": [PREEMPTED]}}, {}],
            Active,
            "Evicted",
            id="78 of a pod that was being preempted",
        ),
        pytest.param(
            POLICY,
            [{"code": 78, "message": FAULT, "status": {"conditions": [PREEMPTED]}}],
            Lost,
            "ResultLost",
            id="78 of a preempted pod ended the Job",
        ),
        pytest.param(
            POLICY, [{"code": 78, "message": FAULT, "deleted": 35}], Lost, "ResultLost", id="78 of a deleted pod"
        ),
        pytest.param(
            {},
            [{"code": 78, "message": FAULT, "status": LATE}],
            InfraFault,
            "DeadlineExceeded",
            id="78 of a pod that its deadline ended",
        ),
        pytest.param(
            {"failed": 1},
            [{"code": 137, "status": LATE}, {}],
            InfraFault,
            "DeadlineExceeded",
            id="an attempt that reaches its deadline is the last one",
        ),
        pytest.param(
            {"failed": 1},
            [{"waiting": ("ErrImagePull", "no"), "status": LATE}, {}],
            Active,
            "DeadlineExceeded",
            id="unless it had no container, and another one runs",
        ),
        pytest.param(
            {"failed": 1},
            [{"waiting": ("ErrImagePull", "no"), "status": LATE}, {"unschedulable": 1}],
            InfraFault,
            "StartTimedOut",
            id="and none while the next one waits, too",
        ),
        pytest.param(
            {},
            [
                {"code": 137, "status": LATE},
                {"code": 0, "message": SCORED},
            ],
            Done,
            None,
            id="or another one has a result",
        ),
        pytest.param({}, [{"gates": ["example.com/quota"]}], Active, None, id="gates of a pod that runs"),
        pytest.param({"ending": "DeadlineExceeded"}, [], Active, None, id="it fails, and nothing was reported"),
        pytest.param({}, [{"deleted": 990}], Active, "Evicted", id="being deleted"),
        pytest.param({}, [{"deleted": 940, "node": "n1"}], Lost, "Evicted", id="deleted, and never gone"),
        pytest.param(
            {"ending": "DeadlineExceeded"},
            [{"deleted": 940, "node": "n1"}],
            Lost,
            "Evicted",
            id="its Job fails, and its node is gone",
        ),
        pytest.param(
            {"ending": "BackoffLimitExceeded", "failed": 2},
            [{"code": 3}, {"deleted": 940, "node": "n1"}],
            InfraFault,
            "Crashed",
            id="given up, and its node is gone",
        ),
        pytest.param(
            {},
            [{"code": 3, "phase": "Running", "at": 941}],
            Active,
            "Crashed",
            id="failed beside another one",
        ),
        pytest.param(
            {}, [{"code": 3, "phase": "Running", "at": 940}], Lost, "Crashed", id="for longer than a pod takes to end"
        ),
        pytest.param(
            {"failed": 1},
            [{"code": 3}, {"waiting": ("ContainerCreating", "")}],
            Active,
            "Crashed",
            id="the next attempt starts after a crash",
        ),
        pytest.param({"suspended": True}, [], Active, "JobSuspended", id="suspended by something else"),
        pytest.param({"parallelism": 0}, [], Active, "JobSuspended", id="scaled down by something else"),
        pytest.param({"parallelism": 0}, [{"deleted": 990}], Active, "JobSuspended", id="and its pod is leaving"),
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


REFUSED = LastEvent("FailedCreate", 'pods "r-k-x7v2q" is forbidden: exceeded quota: gpus', warning=True)


@pytest.mark.parametrize(
    ("started", "event", "reason", "read"),
    [
        pytest.param(995, REFUSED, "PodRefused", True, id="refused"),
        pytest.param(996, REFUSED, "Starting", False, id="not for long"),
        pytest.param(995, None, "Starting", True, id="no Event"),
        pytest.param(
            995, LastEvent("BackoffLimitExceeded", "x", warning=True), "Starting", True, id="an Event of another kind"
        ),
    ],
)
def test_a_job_without_a_pod_is_explained_by_its_newest_event(
    make: Make, started: float, event: LastEvent | None, reason: str, read: bool
) -> None:
    """By a quota, a limit range, a missing class or a webhook: the Job's status does not show it."""
    job = make.evaluation("k", started=started)
    unread = make.pass_()
    classify(job, [], EvaluateSummary, unread)
    assert unread.requests.events_of == ({job.meta.uid} if read else set())
    assert unread.next_look() == (15 if read else 1)
    found = classify(job, [], EvaluateSummary, make.pass_(events={job.meta.uid: event}))
    assert isinstance(found, Active)
    assert found.problem is not None
    assert found.problem.reason == reason
    assert ("its pod is forbidden: exceeded quota: gpus" in found.problem.message) == (reason == "PodRefused")


WORDS = Problem(Reason.POD_REFUSED, "quota")


@pytest.mark.parametrize(
    ("job", "last_reported", "reason"),
    [
        pytest.param({}, WORDS, "PodRefused", id="no pod, and no Event any longer"),
        pytest.param({}, Problem(Reason.EVALUATING, ""), "Starting", id="nothing was wrong"),
        pytest.param({"ending": "DeadlineExceeded"}, WORDS, "PodRefused", id="it fails, and its pods are gone"),
        pytest.param(
            {"ending": "DeadlineExceeded"}, Problem(Reason.WAITING_FOR_NODE, "no GPU"), "WaitingForNode", id="it waited"
        ),
    ],
)
def test_what_was_reported_is_kept_while_no_pod_shows_more(
    make: Make, job: dict[str, Any], last_reported: Problem, reason: str
) -> None:
    made = make.evaluation("k", started=999, **job)
    found = classify(made, [], EvaluateSummary, make.pass_(), last_reported=last_reported)
    assert isinstance(found, Active)
    assert found.problem is not None
    assert found.problem.reason == reason


@pytest.mark.parametrize(
    ("reported", "reason", "words"),
    [
        pytest.param(("Unschedulable", "no GPUs"), "Unschedulable", "the deadline passed; no GPUs", id="no node"),
        pytest.param(("WaitingForNode", "no GPU yet"), "Unschedulable", "before a container of it ran", id="waited"),
        pytest.param(("Starting", "no pod yet"), "StartTimedOut", "before a container of it ran", id="it had no pod"),
        pytest.param(("Evaluating", ""), "DeadlineExceeded", "no pod is left", id="it ran"),
        pytest.param(None, "DeadlineExceeded", "no pod is left", id="nothing was reported"),
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
    ("pod", "reported", "reason", "ran"),
    [
        pytest.param({"code": 137, "status": LATE, "node": "n1"}, NO_IMAGE, "DeadlineExceeded", True, id="it ran"),
        pytest.param(
            {"waiting": ("ImagePullBackOff", ""), "status": LATE}, NO_IMAGE, "ImagePullFailed", False, id="no image"
        ),
        pytest.param(CREATING, Problem(Reason.STARTING, "m"), "StartTimedOut", False, id="it was starting"),
        pytest.param(CREATING, None, "StartTimedOut", False, id="nothing was reported"),
    ],
)
def test_a_deadline_of_an_attempt_says_whether_it_ran(
    make: Make, pod: dict[str, Any], reported: Problem | None, reason: str, ran: bool
) -> None:
    job = make.evaluation("k", active=1)
    found = classify(job, [make.pod(job, **pod)], EvaluateSummary, make.pass_(), last_reported=reported)
    assert isinstance(found, InfraFault)
    assert (found.reason, bool(found.nodes), "while it was still running" in found.message) == (reason, ran, ran)


FIVE_MINUTES = timedelta(seconds=300)


@pytest.mark.parametrize(
    ("pods", "reason"),
    [
        pytest.param([], "StartTimedOut", id="no pod, and no word"),
        pytest.param([{"unschedulable": 900}], "Unschedulable", id="no node"),
        pytest.param([{"waiting": ("ErrImagePull", "no such image")}], "ImagePullFailed", id="no image"),
        pytest.param([{"waiting": ("ContainerCreating", "")}], "StartTimedOut", id="being created"),
        pytest.param([{"gates": ["example.com/quota"], "unschedulable": 0}], "SchedulingGated", id="gates"),
        pytest.param([{"code": 3, "at": 700}, {"unschedulable": 900}], "Crashed", id="the second attempt waits"),
        pytest.param([{"code": 3, "at": 701}, {"unschedulable": 900}], None, id="the first attempt ran just now"),
        pytest.param([{}], None, id="it runs"),
        pytest.param([{"deleted": 999}], None, id="it ran, and is being deleted"),
    ],
)
def test_waiting_has_a_bound_of_its_own(make: Make, pods: list[dict[str, Any]], reason: str | None) -> None:
    job = make.evaluation("k", started=700)
    own = [make.pod(job, name=f"p{i}", created=i, **p) for i, p in enumerate(pods)]
    found = classify(job, own, EvaluateSummary, make.pass_(), start_timeout=FIVE_MINUTES)
    assert getattr(found, "reason", None) == reason
    assert isinstance(found, InfraFault) == (reason is not None)
    assert isinstance(classify(job, own, EvaluateSummary, make.pass_()), Active), "without a bound it waits"


def test_the_plan_looks_again_when_the_bound_of_waiting_is_over(make: Make) -> None:
    job, pass_ = make.evaluation("k", started=710), make.pass_(events={"uid-r-k": None})
    assert isinstance(classify(job, [], EvaluateSummary, pass_, start_timeout=FIVE_MINUTES), Active)
    assert pass_.next_look() == 10


def test_a_suspended_job_has_no_bound_of_waiting(make: Make) -> None:
    job = make.evaluation("k", started=0, suspended=True)
    assert isinstance(classify(job, [], EvaluateSummary, make.pass_(), start_timeout=FIVE_MINUTES), Active)


def test_another_jobs_pod_is_not_a_result(make: Make) -> None:
    job, other = make.evaluation("k"), make.evaluation("other")
    pods = [make.pod(other, code=0, message=SCORED)]
    assert isinstance(classify(job, pods, EvaluateSummary, make.pass_(now=0)), Active)


@pytest.mark.parametrize("message", ["", "{", "x" * 4096], ids=["nothing", "half", "too much"])
def test_a_pod_whose_result_cannot_be_read_is_named(make: Make, message: str) -> None:
    found = outcome(make, COMPLETE, [{"code": 0, "message": message}])
    assert "pod p0 " in found.message
    assert len(found.message) <= 512


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
