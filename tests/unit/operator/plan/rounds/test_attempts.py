"""One evaluation from its Jobs: waiting or running, disruptions, attempts, deadlines, pods that never end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.model_result import ModelResult
from bitagent_operator.plan.rounds.attempts import GaveUp, StartAttempt, Update, evaluation_state

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make

    from bitagent_operator.plan.inputs import Pass

SCORED = '{"reason": "Evaluated", "score": "0.500000"}'
STARTED = "2026-01-01T00:00:01Z"
LATE = {"reason": "DeadlineExceeded", "phase": "Failed"}


def disrupted(second: int, reason: str = "PreemptionByScheduler") -> dict[str, Any]:
    """Status of a pod that was removed from its node at that second."""
    condition = {"type": "DisruptionTarget", "status": "True", "reason": reason, "message": "for another"}
    return {"conditions": [condition | {"lastTransitionTime": f"2026-01-01T00:00:{second:02}Z"}], "phase": "Failed"}


def state(
    make: Make,
    jobs: list[dict[str, Any]],
    pods: list[dict[str, Any]],
    *,
    recorded: dict[str, Any] | None = None,
    pass_: Pass | None = None,
    **workload: Any,
) -> Update | StartAttempt | GaveUp:
    """The state of an evaluation; `pods` may have the index of their Job, which is the last one otherwise."""
    made = [make.evaluation("k", **{"attempt": i, "started": 1} | job) for i, job in enumerate(jobs, start=1)]
    own = [make.pod(made[p.pop("job", -1)], name=f"p{i}", **{"created": i} | p) for i, p in enumerate(pods)]
    entries = [ModelResult.model_validate(make.admitted("a") | recorded)] if recorded is not None else []
    spec = make.round(workload=workload).spec
    return evaluation_state(made, entries, spec, own, pass_ or make.pass_(listed=made))


@pytest.mark.parametrize(
    ("pods", "recorded", "expected"),
    [
        pytest.param([], None, ("Pending", "Starting"), id="no pod"),
        pytest.param([{"unschedulable": 900}], None, ("Pending", "WaitingForNode"), id="no node"),
        pytest.param([{"unschedulable": 0}], None, ("Pending", "Unschedulable"), id="no node for long"),
        pytest.param([{"waiting": ("ContainerCreating", "")}], None, ("Pending", "Starting"), id="being created"),
        pytest.param([{"waiting": ("ErrImagePull", "x")}], None, ("Pending", "ImagePullFailed"), id="no image"),
        pytest.param([{}], None, ("Running", "Evaluating"), id="its container runs"),
        pytest.param([{"code": 3}, {"unschedulable": 900}], None, ("Running", "Crashed"), id="its container ran"),
        pytest.param([], {"state": "Running", "startedAt": STARTED}, ("Running", "Starting"), id="it was Running"),
        pytest.param(
            [{"unschedulable": 900}],
            {"state": "Pending", "startedAt": STARTED, "reason": "PodRefused"},
            ("Pending", "WaitingForNode"),
            id="the pod that was refused is there",
        ),
        pytest.param(
            [],
            {"state": "Pending", "startedAt": STARTED, "reason": "PodRefused"},
            ("Pending", "PodRefused"),
            id="refused, and no Event is left",
        ),
        pytest.param(
            [], {"state": "Pending", "reason": "JobRefused"}, ("Pending", "Starting"), id="its Job was refused before"
        ),
    ],
)
def test_it_is_running_from_its_first_container_on(
    make: Make, pods: list[dict[str, Any]], recorded: dict[str, Any] | None, expected: tuple[str, str]
) -> None:
    found = state(make, [{}], pods, recorded=recorded)
    assert isinstance(found, Update)
    assert (found.state, found.reason) == expected


@pytest.mark.parametrize(
    ("workload", "state_", "reason"),
    [
        pytest.param({"startTimeoutSeconds": 300}, "InfraFault", "Unschedulable", id="past the bound"),
        pytest.param({"startTimeoutSeconds": 3000}, "Pending", "WaitingForNode", id="within the bound"),
        pytest.param({}, "Pending", "WaitingForNode", id="no bound"),
    ],
)
def test_waiting_ends_at_its_bound(make: Make, workload: dict[str, Any], state_: str, reason: str) -> None:
    found = state(make, [{}], [{"unschedulable": 900}], **workload)
    assert isinstance(found, Update)
    assert (found.state, found.reason, found.attempts) == (state_, reason, 0)
    assert "no GPUs" in found.message


def test_a_deadline_is_final_for_its_job_and_repeated_like_any_cause_that_a_model_can_have(make: Make) -> None:
    found = state(make, [{"failed": 1, "active": 1}], [{"code": 137, "status": LATE, "node": "n1"}, {}])
    assert isinstance(found, GaveUp)
    assert (found.update.reason, found.next_attempt) == ("DeadlineExceeded", 2)
    assert [(f.attempt, f.attempts, f.nodes) for f in found.update.failures] == [(1, 2, ["n1"])]


EVICTIONS: list[dict[str, Any]] = [
    {"code": 137, "status": disrupted(at, "TerminationByKubelet") | {"reason": "Evicted"}, "node": "n1"}
    for at in (10, 20, 30)
]


@pytest.mark.parametrize(
    ("most", "pods", "recorded", "expected"),
    [
        pytest.param(3, EVICTIONS, None, ("Running", "NodePressure"), id="as many as allowed"),
        pytest.param(2, EVICTIONS, None, ("Running", "NodePressure"), id="one more: it gives up"),
        pytest.param(
            2,
            [{"code": 1, "status": disrupted(at)} for at in (10, 20, 30)],
            None,
            ("InfraFault", "Evicted"),
            id="other",
        ),
        pytest.param(
            2, [{}], ["10", "20", "30"], ("InfraFault", "Evicted"), id="their pods were deleted, the times are recorded"
        ),
        pytest.param(3, EVICTIONS[:1], ["10", "20"], ("Running", "NodePressure"), id="seen again"),
        pytest.param(0, [{"code": 139}, {}], None, ("Running", "Crashed"), id="a signal is an attempt"),
    ],
)
def test_disruptions_have_a_bound_of_their_own(
    make: Make, most: int, pods: list[dict[str, Any]], recorded: list[str] | None, expected: tuple[str, str]
) -> None:
    known = {"state": "Running", "startedAt": STARTED}
    known |= {"disruptions": [f"2026-01-01T00:00:{s}Z" for s in recorded]} if recorded else {}
    found = state(make, [{"active": 1}], [dict(pod) for pod in pods], recorded=known, maxDisruptions=most)
    update = found.update if isinstance(found, GaveUp) else found
    assert isinstance(update, Update)
    assert (update.state, update.reason) == expected
    assert isinstance(found, GaveUp) == (most == 2 and pods is EVICTIONS), "the model may have filled the disk"


def test_a_repetition_has_disruptions_of_its_own(make: Make) -> None:
    failure = {"attempt": 1, "reason": "NodePressure", "attempts": 3, "at": "2026-01-01T00:00:31Z", "nodes": ["n1"]}
    known = {"state": "Running", "startedAt": STARTED, "failures": [failure], "attempts": 3}
    pods = [dict(EVICTIONS[2], job=0), {"code": 1, "status": disrupted(40), "created": 39}, {"created": 41}]
    found = state(make, [{}, {"active": 1}], pods, recorded=known, maxDisruptions=1)
    assert isinstance(found, Update)
    assert (found.state, found.disruptions, found.attempts) == ("Running", [make.at(40)], 5)


@pytest.mark.parametrize(
    ("jobs", "pods", "recorded", "attempts"),
    [
        pytest.param([{}], [{"code": 0, "message": SCORED}], None, 1, id="the Job has not counted it yet"),
        pytest.param([{"active": 1}], [{"code": 0, "message": SCORED}], None, 1, id="it counts it as active"),
        pytest.param(
            [{"failed": 1}], [{"code": 3}, {"code": 0, "message": SCORED}], None, 2, id="at the second attempt"
        ),
        pytest.param([{"ended": "Complete"}, {}], [{"code": 0, "message": SCORED}], None, 2, id="in the second Job"),
        pytest.param([{}], [{"code": 0, "message": SCORED}], 4, 4, id="more were recorded"),
        pytest.param([{}], [{"waiting": ("ErrImagePull", "x")}], None, 0, id="none has started"),
        pytest.param([{"attempt": 2}], [{}], None, 2, id="the Job that was given up is gone"),
    ],
)
def test_attempts_are_right_however_late_the_counters_are(
    make: Make, jobs: list[dict[str, Any]], pods: list[dict[str, Any]], recorded: int | None, attempts: int
) -> None:
    known = {"state": "Running", "attempts": recorded, "startedAt": STARTED} if recorded else None
    found = state(make, jobs, pods, recorded=known)
    assert isinstance(found, Update)
    assert found.attempts == attempts


GONE: dict[str, Any] = {"deleted": 940, "node": "n1", "status": disrupted(30) | {"phase": "Running"}}
BESIDE: dict[str, Any] = {"code": 137, "terminated_reason": "OOMKilled", "phase": "Running", "at": 900, "node": "n1"}


@pytest.mark.parametrize(
    ("attempt", "pod", "expected"),
    [
        pytest.param(1, GONE, 2, id="the node is gone: the next Job"),
        pytest.param(3, GONE, ("InfraFault", "Evicted"), id="each time"),
        pytest.param(1, BESIDE, 2, id="another container keeps the pod: the next Job"),
        pytest.param(3, BESIDE, ("Running", "OutOfMemory"), id="each time, and the model may be the cause"),
    ],
)
def test_a_pod_that_never_ends_is_given_up(make: Make, attempt: int, pod: dict[str, Any], expected: Any) -> None:
    jobs: list[dict[str, Any]] = [{"ended": "Failed"}] * (attempt - 1) + [{"active": 1}]
    found = state(make, jobs, [dict(pod)], maxAttempts=3)
    if isinstance(found, StartAttempt):
        assert found.number == expected
        return
    update = found.update if isinstance(found, GaveUp) else found
    assert (update.state, update.reason) == expected
    assert isinstance(found, GaveUp) == (pod is BESIDE)


def test_a_result_of_an_earlier_job_does_not_count_once_it_was_given_up(make: Make) -> None:
    """Its pod may come back with its node: both would write the same answers, and one Job is read."""
    found = state(make, [{}, {"active": 1}], [{"code": 0, "message": SCORED, "job": 0}, {}])
    assert isinstance(found, Update)
    assert (found.state, found.score) == ("Running", None)


REFUSED = {"phase": "Failed", "reason": "UnexpectedAdmissionError", "message": "no devices", "containerStatuses": []}


@pytest.mark.parametrize(
    ("jobs", "pods", "expected"),
    [
        pytest.param(1, [{"node": "n1", "status": REFUSED}] * 3, StartAttempt(2), id="another Job follows"),
        pytest.param(3, [{"node": "n1", "status": REFUSED}] * 3, "InfraFault", id="as often as attempts may fail"),
        pytest.param(
            1, [{"node": "n1", "status": REFUSED}, {"code": 3, "node": "n1"}], "Running", id="a container of it has run"
        ),
        pytest.param(1, [{"code": 3}, {"node": "n1", "status": REFUSED}], "InfraFault", id="or had before"),
    ],
)
def test_a_node_without_its_devices_uses_up_a_job(
    make: Make, jobs: int, pods: list[dict[str, Any]], expected: StartAttempt | str
) -> None:
    """A container ran in no pod of it: they follow each other within seconds, which is no time for a node to start."""
    ended = {"ended": "Failed", "reason": "BackoffLimitExceeded", "failed": len(pods)}
    found = state(make, [ended] * jobs, pods)
    if isinstance(expected, StartAttempt):
        assert found == expected
    else:
        update = found.update if isinstance(found, GaveUp) else found
        assert isinstance(update, Update)
        assert update.state == expected
