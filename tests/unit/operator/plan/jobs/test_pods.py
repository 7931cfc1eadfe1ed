"""One pod: its problem, what it waits for, and whether it should have ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.jobs import EvaluateSummary
from bitagent_operator.plan.inputs import MAX_EVENT_READS, LastEvent
from bitagent_operator.plan.jobs.pods import (
    STARTS,
    disruption_of,
    interrupted,
    leaving,
    next_unschedulable,
    overdue,
    pod_problem,
    waiting,
)

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make

CREATED = {"waiting": ("ContainerCreating", ""), "node": "n1"}
PREEMPTED = {"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler", "message": "for another"}


def init(state: dict[str, Any], *, phase: str = "Pending", **more: Any) -> dict[str, Any]:
    """A pod that waits for an init container, which somebody else has added."""
    status = {"phase": phase, "initContainerStatuses": [{"name": "mesh", "state": state} | more]}
    return {"waiting": ("PodInitializing", ""), "node": "n1", "status": status}


@pytest.mark.parametrize(
    ("pod", "reason", "words"),
    [
        pytest.param({"gates": ["a.b/c", "d"]}, None, "", id="gates of a pod that runs"),
        pytest.param({"gates": ["a.b/c", "d"], "unschedulable": 0}, "SchedulingGated", "a.b/c, d", id="gates"),
        pytest.param({"unschedulable": 0}, "Unschedulable", "no GPUs", id="no node for too long"),
        pytest.param({"unschedulable": 900}, None, "", id="no node just now"),
        pytest.param(
            init({"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}),
            "ImagePullFailed",
            "mesh: ImagePullBackOff: no such image",
            id="image of an init container",
        ),
        pytest.param(
            init({"terminated": {"exitCode": 2, "reason": "Error"}}),
            "PodNotStarted",
            "mesh: exit code 2",
            id="an init container failed",
        ),
        pytest.param(
            init({"terminated": {"exitCode": 1, "message": "no route to the vault"}}, phase="Failed"),
            "PodNotStarted",
            "mesh: exit code 1: no route to the vault",
            id="and has ended the pod",
        ),
        pytest.param(
            {
                "node": "n1",
                "status": {
                    "phase": "Failed",
                    "reason": "UnexpectedAdmissionError",
                    "message": "no healthy devices present",
                    "containerStatuses": [],
                },
            },
            "PodNotStarted",
            "node n1 refused the pod: UnexpectedAdmissionError: no healthy devices present",
            id="its node has no device for it",
        ),
        pytest.param(init({"running": {}}), None, "", id="an init container runs"),
        pytest.param({"phase": "Unknown", "node": "n1"}, "Evicted", "n1", id="its node does not report"),
        pytest.param({"waiting": ("ErrImagePull", "x")}, "ImagePullFailed", "ErrImagePull: x", id="image"),
        pytest.param({"waiting": ("RegistryUnavailable", "x")}, "ImagePullFailed", "x", id="registry"),
        pytest.param({"waiting": ("SignatureValidationFailed", "x")}, "ImagePullFailed", "x", id="signature"),
        pytest.param({"waiting": ("PostStartHookError", "x")}, "InfrastructureFault", "x", id="added hook"),
        pytest.param({"waiting": ("OfTomorrow", "x")}, "InfrastructureFault", "OfTomorrow: x", id="later kubelet"),
        pytest.param({"waiting": ("ContainerCreating", "x")}, None, "", id="on its way"),
        pytest.param(init({"waiting": {"reason": "PodInitializing"}}), None, "", id="init container in its turn"),
        pytest.param(
            init({"terminated": {"exitCode": 137, "reason": "OOMKilled"}}),
            "PodNotStarted",
            "mesh: exit code 137 (OOMKilled)",
            id="init container without memory",
        ),
        pytest.param(
            {"code": 3, "phase": "Running"}, "Crashed", "exit code 3", id="failed beside a container that runs"
        ),
        pytest.param({"code": 0, "phase": "Running"}, None, "", id="ended beside a container that runs"),
        pytest.param({"deleted": 990}, None, "", id="being deleted is none by itself"),
    ],
)
def test_problem(make: Make, pod: dict[str, Any], reason: str | None, words: str) -> None:
    found = pod_problem(make.pod(make.evaluation("k"), **pod), EvaluateSummary, make.pass_())
    assert (found.reason if found else None) == reason
    assert words in (found.message if found else "")


FAILED_MOUNT = LastEvent("FailedMount", 'configmap "tasks" not found', warning=True)


@pytest.mark.parametrize(
    ("pod", "event", "reason", "words"),
    [
        pytest.param({"unschedulable": 900}, None, "WaitingForNode", "no GPUs", id="no node"),
        pytest.param({"status": {"phase": "Pending"}}, None, "Starting", "waits for the scheduler", id="not seen yet"),
        pytest.param(CREATED, None, "Starting", "ContainerCreating", id="being created"),
        pytest.param(CREATED, FAILED_MOUNT, "PodNotStarted", 'configmap "tasks" not found', id="a volume is missing"),
        pytest.param(
            CREATED, LastEvent("Pulling", "the image", warning=False), "Starting", "ContainerCreating", id="all is well"
        ),
        pytest.param(init({"running": {}}), None, "Starting", "init container mesh: runs", id="an init container runs"),
        pytest.param(
            init({"terminated": {"exitCode": 0}}), None, "Starting", "PodInitializing", id="the init container is done"
        ),
        pytest.param(
            init({"running": {}}, started=True), None, "Starting", "PodInitializing", id="it runs beside the others"
        ),
    ],
)
def test_waiting(make: Make, pod: dict[str, Any], event: LastEvent | None, reason: str, words: str) -> None:
    made = make.pod(make.evaluation("k"), **pod)
    found = waiting(made, make.pass_(events={made.meta.uid: event}))
    assert found.reason == reason
    assert words in found.message


@pytest.mark.parametrize(
    ("created", "read", "look"),
    [pytest.param(996, False, 1, id="just created"), pytest.param(995, True, 15, id="for five seconds")],
)
def test_events_are_read_when_a_pod_stays_silent(make: Make, created: float, read: bool, look: float) -> None:
    made, pass_ = make.pod(make.evaluation("k"), created=created, **CREATED), make.pass_()
    found = waiting(made, pass_)
    assert (bool(pass_.requests.reads().events_of), pass_.next_look()) == (read, look)
    assert (found == STARTS) is not read, "a status is not written for each of the first steps"


def test_one_pass_reads_the_events_of_few_objects(make: Make) -> None:
    """Many that wait do so for one cause; and a plan that asks for others each time would not converge."""
    pods = [make.pod(make.evaluation("k"), name=f"p{i}", **CREATED) for i in range(MAX_EVENT_READS + 3)]
    first = make.pass_()
    for pod in pods:
        waiting(pod, first)
    assert len(first.requests.events_of) == MAX_EVENT_READS
    second = make.pass_(events=dict.fromkeys(first.requests.events_of))
    for pod in pods:
        waiting(pod, second)
    assert not second.requests.reads()


def test_the_plan_looks_again_when_a_pod_becomes_unschedulable(make: Make) -> None:
    pass_ = make.pass_()
    waiting(make.pod(make.evaluation("k"), unschedulable=900), pass_)
    assert pass_.next_look() == 200


DONE = '{"reason": "ShardEvaluated", "total": 3}'


@pytest.mark.parametrize(
    ("pod", "reason", "look"),
    [
        pytest.param({}, None, None, id="it runs"),
        pytest.param({"deleted": 941, "node": "n1"}, None, 1, id="its node has time left to end it"),
        pytest.param({"deleted": 940, "node": "n1"}, "Evicted", None, id="its node is gone"),
        pytest.param({"code": 3, "phase": "Running", "at": 941}, None, 1, id="other containers have time left to end"),
        pytest.param(
            {"code": 137, "phase": "Running", "at": 940, "terminated_reason": "OOMKilled"},
            "OutOfMemory",
            None,
            id="another container keeps it",
        ),
        pytest.param({"code": 3, "phase": "Pending", "at": 940}, "Crashed", None, id="another container cannot start"),
        pytest.param(
            {"code": 3, "phase": "Pending", "at": 941}, None, 1, id="another container has time left to start"
        ),
        pytest.param({"code": 0, "phase": "Running", "at": 940}, "ResultLost", None, id="it has left no result"),
        pytest.param({"code": 0, "phase": "Running", "at": 0, "message": DONE}, None, None, id="it has done its share"),
        pytest.param({"code": 3, "at": 0}, None, None, id="it has failed as a whole"),
    ],
)
def test_a_pod_that_does_not_end(make: Make, pod: dict[str, Any], reason: str | None, look: float | None) -> None:
    pass_ = make.pass_()
    found = overdue(make.pod(make.evaluation("k"), **pod), EvaluateSummary, pass_)
    assert (found.problem.reason if found else None) == reason
    assert pass_.next_look() == look
    if found is not None:
        assert found.since == make.at(1000), "it does not move: the next attempt may wait for it"


def test_a_pod_that_is_being_deleted_says_so(make: Make) -> None:
    job = make.evaluation("k")
    found = leaving(make.pod(job, deleted=990, node="n1"))
    assert found is not None
    assert (found.reason, "n1" in found.message) == ("Evicted", True)
    assert leaving(make.pod(job)) is None


AT = {"lastTransitionTime": "2026-01-01T00:00:07Z"}


@pytest.mark.parametrize(
    ("pod", "at", "outside"),
    [
        pytest.param({}, None, False, id="it runs"),
        pytest.param({"status": {"conditions": [PREEMPTED | AT]}}, 7, True, id="preempted"),
        pytest.param({"status": {"conditions": [PREEMPTED]}, "created": 3}, 3, True, id="at an unknown time"),
        pytest.param({"code": 0, "status": {"conditions": [PREEMPTED | AT]}}, None, True, id="after its end"),
        pytest.param({"code": 1, "status": {"reason": "Evicted"}}, None, True, id="evicted for its own limits"),
        pytest.param({"code": 1, "status": {"reason": "DeadlineExceeded"}}, None, True, id="its deadline"),
        pytest.param({"code": 139}, None, False, id="a signal counts as an attempt"),
        pytest.param({"code": 78, "deleted": 35}, None, True, id="somebody deletes it"),
    ],
)
def test_disruptions(make: Make, pod: dict[str, Any], at: float | None, outside: bool) -> None:
    made = make.pod(make.evaluation("k"), **pod)
    assert disruption_of(made) == (make.at(at) if at is not None else None)
    assert interrupted(made) is outside


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
