"""Pods that wait, are refused, are removed or never end: the round says so in seconds, and ends.

What the API server and the controllers say is theirs; a node's words are written here, where a kubelet would.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.jobs import JOB_ANNOTATION
from bitagent_crds.names import COMPONENT_LABEL

if TYPE_CHECKING:
    from tests.integration.operator.conftest import Exit, Outcomes, World

pytestmark = pytest.mark.integration
Obj = dict[str, Any]
TEN_SECONDS = 10.0
"""Within this time a status says why nothing happens."""


def component(pod: Obj) -> str:
    return str(pod["metadata"].get("labels", {}).get(COMPONENT_LABEL))


def evaluates(pod: Obj) -> bool:
    return component(pod) == "evaluate"


def pods(world: World, kind: str) -> list[Obj]:
    return [pod for pod in world.all("pods") if component(pod) == kind]


def report(world: World, pod: Obj, status: Obj) -> None:
    """Write a pod's status, as scheduler and kubelet do."""
    world.api.merge(world.path("pods", pod["metadata"]["name"]) + "/status", {"status": status})


def until_result(world: World, name: str, model: str, **expected: Any) -> Obj:
    """Wait until a model's result has these fields."""

    def found() -> Obj | None:
        result = world.results(name)[model]
        return result if {field: result.get(field) for field in expected} == expected else None

    result: Obj = world.until(f"{model} of {name}: {expected}", found)
    return result


def by_attempt(outcomes: Outcomes, *exits: Exit | None) -> Callable[[Obj, Obj], Exit | None]:
    """A script in which the evaluations of `m-500` end one after the other like this, and all else as usual."""
    left: dict[str, Exit | None] = {}
    rest = list(exits)

    def script(pod: Obj, document: Obj) -> Exit | None:
        uid = pod["metadata"]["uid"]
        if document.get("repo") != "org/m-500" or not evaluates(pod):
            return outcomes.usual(pod, document)
        if uid not in left:
            left[uid] = rest.pop(0) if rest else outcomes.usual(pod, document)
        return left[uid]

    return script


def test_a_model_that_waits_for_a_node_is_not_being_evaluated(operator: World) -> None:
    """And past its bound of waiting it ends with the scheduler's words; without a container no attempt counts."""
    operator.kubelet.neglects = evaluates
    operator.model("m-500")
    operator.round("waits", workload={"startTimeoutSeconds": 15})
    (pod,) = operator.until("a pod", lambda: pods(operator, "evaluate"))
    words = "0/1 nodes are available: 1 Insufficient nvidia.com/gpu."
    unschedulable = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": words}
    report(
        operator, pod, {"conditions": [unschedulable | {"lastTransitionTime": pod["metadata"]["creationTimestamp"]}]}
    )
    waiting = until_result(operator, "waits", "m-500", reason="WaitingForNode")
    assert waiting["state"] == "Pending"
    assert words in waiting["message"]
    status = operator.get("evalrounds", "waits")["status"]
    assert (status["counts"]["pending"], status["counts"]["running"]) == (1, 0)
    running = operator.condition("evalrounds", "waits", "Running")
    assert (running["status"], running["reason"]) == ("False", "WaitingForNode")
    operator.until_condition("evalrounds", "waits", "Failed")
    result = operator.results("waits")["m-500"]
    assert (result["state"], result["reason"], result["attempts"]) == ("InfraFault", "Unschedulable", 0)
    assert words in result["message"]
    operator.until("its Job lets go", lambda: not pods(operator, "evaluate"))


def test_a_class_that_does_not_exist_is_named_in_seconds(operator: World) -> None:
    name = f"missing-{operator.namespace}"
    operator.model("m-500")
    operator.round("classless", workload={"runtimeClassName": name})
    job = operator.until("a Job", lambda: operator.all("jobs", **{COMPONENT_LABEL: "evaluate"}))

    def named() -> bool:
        result = operator.results("classless")["m-500"]
        refused = (result["state"], result["reason"]) == ("Pending", "PodRefused")
        return refused and f'RuntimeClass "{name}" not found' in result["message"]

    operator.until("the API server's words are in the status", named, seconds=TEN_SECONDS)
    runtime = {"metadata": {"name": name}, "handler": "runc"}
    operator.api.create("/apis/node.k8s.io/v1/runtimeclasses", runtime)
    operator.until_condition("evalrounds", "classless", "Complete")
    assert operator.results("classless")["m-500"]["attempts"] == 1
    assert [each["metadata"]["uid"] for each in operator.all("jobs", **{COMPONENT_LABEL: "evaluate"})] == [
        job[0]["metadata"]["uid"]
    ]


def test_a_volume_that_is_not_mounted_is_named_in_seconds(operator: World) -> None:
    operator.kubelet.neglects = lambda pod: (
        component(pod) == "task-set" and not pod["metadata"].get("deletionTimestamp")
    )
    operator.model("m-500")
    source = {"jsonl": {"configMap": {"name": "questions", "key": "tasks.jsonl"}}}
    operator.round("unmounted", tasks={"sources": [source], "count": 10, "seed": "1"})
    (pod,) = operator.until("a pod", lambda: pods(operator, "task-set"))
    name, words = (
        pod["metadata"]["name"],
        'MountVolume.SetUp failed for volume "source-0": configmap "questions" not found',
    )
    target = {"apiVersion": "v1", "kind": "Node", "name": "fake-0"}
    operator.api.create(operator.path("pods", name) + "/binding", {"metadata": {"name": name}, "target": target})
    container = {"name": "task-set", "image": "i", "imageID": "", "ready": False, "restartCount": 0}
    waiting = container | {"state": {"waiting": {"reason": "ContainerCreating"}}}
    report(operator, pod, {"phase": "Pending", "containerStatuses": [waiting]})
    about = {"apiVersion": "v1", "kind": "Pod", "name": name, "namespace": operator.namespace}
    event = {
        "metadata": {"name": f"{name}.1"},
        "involvedObject": about | {"uid": pod["metadata"]["uid"]},
        "reason": "FailedMount",
        "message": words,
        "type": "Warning",
        "lastTimestamp": pod["metadata"]["creationTimestamp"],
        "source": {"component": "kubelet"},
    }
    operator.api.create(operator.path("events"), event)

    def named() -> bool:
        condition = operator.condition("evalrounds", "unmounted", "TasksReady")
        return bool(condition["reason"] == "PodNotStarted" and words in condition["message"])

    operator.until("the node's words are in the status", named, seconds=TEN_SECONDS)
    operator.kubelet.neglects = lambda pod: False
    operator.until_condition("evalrounds", "unmounted", "Complete")


def test_an_attempt_that_reaches_its_deadline_ends_its_job(operator: World, outcomes: Outcomes) -> None:
    """Waiting does not count, so the deadline is the pod's; the Job would start further pods by itself."""
    late = outcomes.crashed(137, "", "Error", {"reason": "DeadlineExceeded", "message": "Pod was active too long"})
    operator.kubelet.script = by_attempt(outcomes, late)
    for name in ("m-500", "m-250"):
        operator.model(name)
    operator.round("late", workload={"deadlineSeconds": 77})
    job = operator.until("a Job", lambda: operator.all("jobs", **{COMPONENT_LABEL: "evaluate"}))[0]
    assert job["spec"]["template"]["spec"]["activeDeadlineSeconds"] == 77
    assert "activeDeadlineSeconds" not in job["spec"]
    operator.until_condition("evalrounds", "late", "Complete")
    result = operator.results("late")["m-500"]
    assert (result["state"], result["score"], result["attempts"]) == ("Succeeded", "0.500000", 2)
    started = [pod for pod in pods(operator, "evaluate") if "m-500" in json.loads(_document(pod))["repo"]]
    assert len({pod["metadata"]["ownerReferences"][0]["uid"] for pod in started}) == len(started), "one for each Job"


def _document(pod: Obj) -> str:
    return str(pod["metadata"]["annotations"][JOB_ANNOTATION])


DISRUPTION = {"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler", "message": "for another"}


@pytest.mark.parametrize(
    ("most", "state", "attempts"),
    [pytest.param(1, "Succeeded", 2, id="within the bound"), pytest.param(0, "InfraFault", 1, id="beyond it")],
)
def test_disruptions_are_bounded(operator: World, outcomes: Outcomes, most: int, state: str, attempts: int) -> None:
    """Exit code 78 of a pod that is being removed is not the model's fault."""
    end = outcomes.refused_evaluation("ModelLoadFailed", "the engine was killed")
    removed = outcomes.crashed(end.code, end.message, end.reason, {"conditions": [DISRUPTION]})
    operator.kubelet.script = by_attempt(outcomes, removed)
    operator.model("m-500")
    operator.round("disrupted", workload={"maxDisruptions": most, "deadlineSeconds": 120})
    finished = "Complete" if state == "Succeeded" else "Failed"
    operator.until_condition("evalrounds", "disrupted", finished)
    result = operator.results("disrupted")["m-500"]
    assert (result["state"], result["attempts"], len(result["disruptions"])) == (state, attempts, 1)
    assert result["reason"] == ("Evaluated" if most else "Evicted")


def test_a_pod_on_a_lost_node_holds_its_evaluation_for_a_bounded_time(world: World, outcomes: Outcomes) -> None:
    """The Job waits for the pod's end for ever, and nothing else starts another attempt."""
    world.constants = {"bitagent_operator.plan.jobs.pods:LEAVING": timedelta(seconds=8)}
    world.start_operator()
    world.kubelet.script = by_attempt(outcomes, None)
    world.model("m-500")
    world.round("lost")
    until_result(world, "lost", "m-500", state="Running")
    (pod,) = pods(world, "evaluate")
    lost = pod["metadata"]["uid"]
    world.kubelet.neglects = lambda pod: bool(pod["metadata"]["uid"] == lost)
    taint = DISRUPTION | {
        "reason": "DeletionByTaintManager",
        "message": "Taint manager: deleting due to NoExecute taint",
    }
    report(world, pod, {"conditions": [taint]})
    world.api.delete(world.path("pods", pod["metadata"]["name"]) + "?gracePeriodSeconds=1")
    until_result(world, "lost", "m-500", reason="Evicted")
    world.until_condition("evalrounds", "lost", "Complete", seconds=150)
    result = world.results("lost")["m-500"]
    assert (result["state"], result["score"], result["attempts"]) == ("Succeeded", "0.500000", 2)
    left = world.get("pods", pod["metadata"]["name"])["metadata"]
    assert (left["uid"], "deletionTimestamp" in left) == (lost, True), "the pod is still there, and decides nothing"
