"""What is reported about a Validator's pod."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.names import COMPONENT_LABEL
from bitagent_operator.observed.workloads import DeploymentObject, PodObject
from bitagent_operator.plan.interface import ValidatorPlan
from bitagent_operator.plan.validators.validator import plan

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make

MISSING = 'MountVolume.SetUp failed for volume "wallet" : secret "wallet" not found'


def pod(make: Make, **more: Any) -> PodObject:
    return make.pod(make.job("d", owner="x"), **more)


def decide(
    make: Make,
    *,
    pods: list[PodObject] | None = None,
    available: int | None = None,
    events: list[str] | None = None,
    refusal: str | None = None,
    failure: str = "",
    **more: Any,
) -> ValidatorPlan:
    deployment = None
    if available is not None:
        status: dict[str, Any] = {"observedGeneration": 1, "updatedReplicas": 1, "availableReplicas": available}
        if failure:
            status["conditions"] = [{"type": "ReplicaFailure", "status": "True", "message": failure}]
        raw = {"metadata": make.meta("d"), "spec": {"replicas": 1}, "status": status}
        deployment = DeploymentObject.parse(raw)
    return plan(
        make.validator(**more),
        deployment=deployment,
        pods=pods or [],
        mount_failures=events,
        refusal=refusal,
        pass_=make.pass_(now=1000),
    )


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        pytest.param({"running": {}}, "DeploymentProgressing", id="runs"),
        pytest.param({"waiting": {"reason": "ContainerCreating"}}, "DeploymentProgressing", id="is created"),
        pytest.param(
            {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}, "PodNotStarted", id="image"
        ),
        pytest.param({"waiting": {"reason": "CrashLoopBackOff"}}, "PodNotStarted", id="crashes"),
    ],
)
def test_an_examiner_that_does_not_run_is_named(make: Make, state: dict[str, Any], reason: str) -> None:
    own = {"name": "validator", "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}}
    both = [{"name": "examiner", "state": state}, own]
    job = make.job("d", owner="x", labels={COMPONENT_LABEL: "validator"})
    deployed = decide(make, pods=[make.pod(job, status={"containerStatuses": both})], available=0).deployed
    assert (deployed.status, deployed.reason) == ("False", reason)
    assert ("container examiner" in deployed.message) is (reason == "PodNotStarted")


@pytest.mark.parametrize(
    ("case", "status", "reason"),
    [
        pytest.param({"available": 1}, "True", "DeploymentAvailable", id="available"),
        pytest.param({"available": 0}, "False", "DeploymentProgressing", id="no pod"),
        pytest.param({"available": 0, "failure": "exceeded quota"}, "False", "InfrastructureFault", id="quota"),
        pytest.param({"available": 1, "suspend": True}, "False", "Suspended", id="suspended"),
        pytest.param(
            {"events": [MISSING], "pod": {"waiting": ("ContainerCreating", "")}}, "False", "SecretNotFound", id="secret"
        ),
        pytest.param(
            {"pod": {"waiting": ("CreateContainerConfigError", 'secret "w" not found')}},
            "False",
            "SecretNotFound",
            id="key",
        ),
        pytest.param({"pod": {"waiting": ("ImagePullBackOff", "x")}}, "False", "ImagePullFailed", id="image"),
        pytest.param({"pod": {"waiting": ("CrashLoopBackOff", "x")}}, "False", "InfrastructureFault", id="crashes"),
        pytest.param({"pod": {"unschedulable": 0}}, "False", "Unschedulable", id="no node"),
        pytest.param({"pod": {}}, "False", "DeploymentProgressing", id="starting"),
        pytest.param(
            {"available": 1, "refusal": "no"}, "False", "InfrastructureFault", id="refused while an older runs"
        ),
        pytest.param({"suspend": True, "refusal": "no"}, "False", "InfrastructureFault", id="not stopped"),
    ],
)
def test_deployed(make: Make, case: dict[str, Any], status: str, reason: str) -> None:
    pods = [pod(make, **case.pop("pod"))] if "pod" in case else None
    found = decide(make, pods=pods, **case)
    assert (found.deployed.status, found.deployed.reason) == (status, reason)


@pytest.mark.parametrize(
    ("state", "seconds"),
    [
        pytest.param({"waiting": ("ContainerCreating", ""), "created": 998}, 3, id="creating, until Events are read"),
        pytest.param({"waiting": ("ContainerCreating", ""), "created": 990}, 10, id="creating, later"),
        pytest.param({"waiting": ("ContainerCreating", ""), "created": 0}, 300, id="creating, for long"),
        pytest.param({"unschedulable": 800}, 100, id="until it counts as unschedulable"),
        pytest.param({"unschedulable": 0}, None, id="unschedulable"),
        pytest.param({"waiting": ("ImagePullBackOff", "x")}, None, id="a change will come by watch"),
        pytest.param({}, None, id="running"),
    ],
)
def test_it_is_looked_at_again_only_when_time_decides(make: Make, state: dict[str, Any], seconds: float | None) -> None:
    assert decide(make, pods=[pod(make, **state)]).requeue_after == seconds


def test_events_are_read_only_for_a_container_that_does_not_come(make: Make) -> None:
    creating = pod(make, waiting=("ContainerCreating", ""))
    assert decide(make, pods=[creating]).mount_events_of is creating
    assert decide(make, pods=[pod(make)]).mount_events_of is None
    fresh = pod(make, waiting=("ContainerCreating", ""), created=999)
    assert decide(make, pods=[fresh]).mount_events_of is None


def test_a_refusal_is_reported_as_the_server_put_it(make: Make) -> None:
    found = decide(make, refusal="403 Forbidden: exceeded quota: pods")
    assert found.deployed.message == "403 Forbidden: exceeded quota: pods"
    assert [(n.reason, n.warning) for n in found.events] == [("ValidatorNotRunning", True)]


def test_the_same_state_is_reported_once(make: Make) -> None:
    pods = [pod(make, waiting=("ImagePullBackOff", "x"))]
    first = decide(make, pods=pods)
    assert [n.reason for n in first.events] == ["ValidatorNotRunning"]
    assert decide(make, pods=pods, conditions=[first.deployed.to_wire()]).events == ()
