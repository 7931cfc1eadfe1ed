"""The Job of a task set on a real API server: waiting is not building, and a node that is gone ends nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.names import COMPONENT_LABEL

if TYPE_CHECKING:
    from tests.integration.operator.conftest import Exit, Outcomes, World

pytestmark = pytest.mark.integration
Obj = dict[str, Any]
BUILDS = {COMPONENT_LABEL: "task-set"}


def builds(pod: Obj) -> bool:
    return str(pod["metadata"].get("labels", {}).get(COMPONENT_LABEL)) == "task-set"


def test_a_pod_that_waits_for_longer_than_it_may_build_is_waited_for(world: World) -> None:
    world.constants = {"bitagent_operator.manifests.task_set:ATTEMPT_SECONDS": 2}
    world.start_operator()
    world.kubelet.neglects = builds
    world.model("m-500")
    world.round("waits")
    (pod,) = world.until("a pod", lambda: world.all("pods", **BUILDS))
    assert pod["spec"]["activeDeadlineSeconds"] == 2
    world.pause(5)
    assert world.get("evalrounds", "waits")["status"]["phase"] == "Preparing"
    world.kubelet.neglects = lambda pod: False
    world.until_condition("evalrounds", "waits", "Complete")
    assert [each["metadata"]["uid"] for each in world.all("pods", **BUILDS)] == [pod["metadata"]["uid"]]


def test_a_pod_on_a_lost_node_is_followed_by_another_attempt(world: World, outcomes: Outcomes) -> None:
    world.constants = {"bitagent_operator.plan.jobs.pods:LEAVING": timedelta(seconds=5)}
    world.start_operator()
    first: list[str] = []

    def script(pod: Obj, document: Obj) -> Exit | None:
        if builds(pod) and (not first or pod["metadata"]["uid"] in first):
            first[:] = [pod["metadata"]["uid"]]
            return None
        return outcomes.usual(pod, document)

    world.kubelet.script = script
    world.model("m-500")
    world.round("lost")
    (pod,) = world.until("a pod that runs", lambda: [p for p in world.all("pods", **BUILDS) if first])
    world.kubelet.neglects = lambda pod: pod["metadata"]["uid"] in first
    world.api.delete(world.path("pods", pod["metadata"]["name"]) + "?gracePeriodSeconds=1")
    world.until_condition("evalrounds", "lost", "Complete", seconds=60)
    assert world.get("pods", pod["metadata"]["name"])["metadata"]["uid"] in first, "it is still there"
    assert {job["metadata"]["name"] for job in world.all("jobs", **BUILDS)} == {"lost-tasks", "lost-tasks-2"}


def test_pods_that_are_preempted_again_and_again_fail_no_round(world: World, outcomes: Outcomes) -> None:
    world.constants = {"bitagent_operator.manifests.task_set:PODS": 1}
    world.start_operator()
    condition = {"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler", "message": "by x"}
    removed = outcomes.crashed(137, "", "Error", {"conditions": [condition]})
    seen: set[str] = set()

    def script(pod: Obj, document: Obj) -> Exit | None:
        if builds(pod):
            seen.add(pod["metadata"]["uid"])
        return removed if builds(pod) and len(seen) <= 3 else outcomes.usual(pod, document)

    world.kubelet.script = script
    world.model("m-500")
    world.round("removed")
    world.until_condition("evalrounds", "removed", "Complete", seconds=60)
    jobs = sorted(world.all("jobs", **BUILDS), key=lambda job: str(job["metadata"]["name"]))
    assert [job["metadata"]["name"] for job in jobs] == [f"removed-tasks{n}" for n in ("", "-2", "-3", "-4")]
    assert "activeDeadlineSeconds" not in jobs[0]["spec"]


def test_a_node_that_runs_out_of_disk_again_and_again_ends_the_round(world: World, outcomes: Outcomes) -> None:
    """What the pod itself may have filled is tried as often as other failures, and bothers its neighbours no more."""
    world.constants = {"bitagent_operator.manifests.task_set:PODS": 1}
    world.start_operator()
    status = {"reason": "Evicted", "message": "The node was low on resource: ephemeral-storage."}
    removed = outcomes.crashed(137, "", "Error", status)
    world.kubelet.script = lambda pod, document: removed if builds(pod) else outcomes.usual(pod, document)
    world.model("m-500")
    world.round("pressed")
    world.until_condition("evalrounds", "pressed", "Failed", seconds=60)
    condition = world.condition("evalrounds", "pressed", "TasksReady")
    assert (condition["reason"], "ephemeral-storage" in condition["message"]) == ("NodePressure", True)
