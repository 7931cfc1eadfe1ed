"""Rounds under real Kueue: admission within a quota, wrong and stopped queues, preemption, and the way back."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.jobs import EXIT_STOPPED

sys.path.insert(0, str(Path(__file__).parent))

from kueue import apply

if TYPE_CHECKING:
    from tests.integration.operator.conftest import Exit, Outcomes, World

pytestmark = pytest.mark.ecosystem

Obj = dict[str, Any]
VERSION = "kueue.x-k8s.io/v1beta2"
GPU = "nvidia.com/gpu"
PLENTY = {"cpu": "100", "memory": "1000Gi", "ephemeral-storage": "10000Gi"}
SMALL: Obj = {"gpus": 1, "cpu": "1", "memory": "1Gi"}


def cluster_queue(name: str, *, gpus: int, **spec: Any) -> Obj:
    quota = [{"name": each, "nominalQuota": amount} for each, amount in (PLENTY | {GPU: str(gpus)}).items()]
    group = {"coveredResources": [*PLENTY, GPU], "flavors": [{"name": "any", "resources": quota}]}
    spec = {"namespaceSelector": {}, "resourceGroups": [group]} | spec
    spec["preemption"] = {"withinClusterQueue": "LowerPriority"}
    return {"apiVersion": VERSION, "kind": "ClusterQueue", "metadata": {"name": name}, "spec": spec}


def local_queue(world: World, *, to: str = "") -> Obj:
    meta = {"name": "gpus", "namespace": world.namespace}
    return {
        "apiVersion": VERSION,
        "kind": "LocalQueue",
        "metadata": meta,
        "spec": {"clusterQueue": to or world.namespace},
    }


def install(world: World, *objects: Obj) -> None:
    """Create the queue objects; priority classes and the flavour are the same for all tests."""
    priorities = [("low", 1), ("high", 1000)]
    classes = [
        {"apiVersion": VERSION, "kind": "WorkloadPriorityClass", "metadata": {"name": name}, "value": value}
        for name, value in priorities
    ]
    flavor = {"apiVersion": VERSION, "kind": "ResourceFlavor", "metadata": {"name": "any"}}
    apply(world.plane, [flavor, *classes, *objects])


def running(world: World) -> list[str]:
    """Names of the evaluation Jobs that are admitted and have not ended."""
    jobs = world.all("jobs", **{"app.kubernetes.io/component": "evaluate"})
    open_ = [j for j in jobs if not j["status"].get("completionTime")]
    return sorted(j["metadata"]["name"] for j in open_ if not j["spec"].get("suspend"))


def states(world: World, name: str) -> dict[str, tuple[str, str]]:
    return {model: (r["state"], r["reason"]) for model, r in world.results(name).items()}


class Held:
    """Evaluations that run until they are let go."""

    def __init__(self, world: World, outcomes: Outcomes) -> None:
        self.go, self._usual = threading.Event(), outcomes.usual
        world.kubelet.script = self
        world.kubelet.stopped = outcomes.crashed(EXIT_STOPPED)  # as the evaluator ends by SIGTERM

    def __call__(self, pod: Obj, document: Obj) -> Exit | None:
        held = document["kind"] == "Evaluate" and not self.go.is_set()
        return None if held else self._usual(pod, document)


def other_work(world: World, *, gpus: int) -> Obj:
    """A Job of somebody else, which comes first."""
    labels = {"kueue.x-k8s.io/queue-name": "gpus", "kueue.x-k8s.io/priority-class": "high"}
    container = {"name": "c", "image": "none", "resources": {"limits": {GPU: str(gpus)}}}
    meta = {"name": "urgent", "namespace": world.namespace, "labels": labels}
    pod = {"restartPolicy": "Never", "containers": [container]}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": meta,
        "spec": {"suspend": True, "template": {"spec": pod}},
    }


def test_a_quota_of_one_gpu_admits_one_after_the_other(world: World, outcomes: Outcomes) -> None:
    install(world, cluster_queue(world.namespace, gpus=1), local_queue(world))
    held = Held(world, outcomes)
    world.start_operator()
    for score in ("100", "200", "300"):
        world.model(f"m-{score}")
    world.round("queued", workload={"queueName": "gpus", "resources": SMALL})

    def one_runs() -> bool:
        found = states(world, "queued")
        waiting = [s for s in found.values() if s == ("Pending", "WaitingInQueue")]
        return ("Running", "Evaluating") in found.values() and len(waiting) == 2

    world.until("one runs, two wait in the queue", one_runs)
    messages = [r["message"] for r in world.results("queued").values() if r["state"] == "Pending"]
    world.until(
        "in Kueue's words",
        lambda: all(
            "insufficient" in r["message"] for r in world.results("queued").values() if r["state"] == "Pending"
        ),
    )
    assert messages
    assert len(running(world)) == 1
    held.go.set()
    status = world.until_condition("evalrounds", "queued", "Complete")["status"]
    assert {r["model"]: (r["score"], r["attempts"]) for r in status["results"]} == {
        f"m-{n}00": (f"0.{n}00000", 1) for n in (1, 2, 3)
    }


def test_a_queue_that_does_not_exist_heals_when_it_comes(world: World) -> None:
    world.start_operator()
    world.model("m-500")
    world.round("wrong", workload={"queueName": "gpus", "resources": SMALL})
    found = world.until(
        "said", lambda: (c := world.condition("evalrounds", "wrong", "Running"))["reason"] == "QueueNotFound" and c, 30
    )
    assert "gpus" in found["message"]
    assert states(world, "wrong") == {"m-500": ("Pending", "QueueNotFound")}
    assert world.condition("evalrounds", "wrong", "Ready")["reason"] == "QueueNotFound"
    assert world.condition("evalrounds", "wrong", "Stalled")["status"] == "True"
    install(world, local_queue(world))
    found = world.until(
        "its ClusterQueue is missing", lambda: world.results("wrong")["m-500"]["reason"] == "QueueUnavailable", 30
    )
    assert "ClusterQueue" in world.results("wrong")["m-500"]["message"]
    install(world, cluster_queue(world.namespace, gpus=1))
    world.until_condition("evalrounds", "wrong", "Complete")
    assert world.condition("evalrounds", "wrong", "Stalled") == {}
    warnings = world.events_of("RoundWaiting")
    assert len(warnings) == 2, "one Event for each trouble"


def test_a_stopped_queue_is_said_and_left_to_whoever_stopped_it(world: World) -> None:
    install(world, cluster_queue(world.namespace, gpus=1, stopPolicy="Hold"), local_queue(world))
    world.start_operator()
    world.model("m-500")
    world.round("held", workload={"queueName": "gpus", "resources": SMALL})
    world.until("said", lambda: states(world, "held") == {"m-500": ("Pending", "QueueUnavailable")}, 30)
    apply(world.plane, [cluster_queue(world.namespace, gpus=1, stopPolicy="None")])
    world.until_condition("evalrounds", "held", "Complete")


def test_a_missing_queue_has_the_start_timeout(world: World) -> None:
    world.start_operator()
    world.model("m-500")
    world.round("bounded", workload={"queueName": "gpus", "resources": SMALL, "startTimeoutSeconds": 10})
    world.until_condition("evalrounds", "bounded", "Failed")
    assert states(world, "bounded") == {"m-500": ("InfraFault", "QueueNotFound")}


@pytest.mark.parametrize("times", [1, 4], ids=["once", "more often than maxAttempts"])
def test_preemption_costs_no_attempt_and_no_answer(world: World, outcomes: Outcomes, times: int) -> None:
    """The pod of a Job that is suspended ends with a failure, which its controller does not count."""
    install(world, cluster_queue(world.namespace, gpus=2), local_queue(world))
    held = Held(world, outcomes)
    world.start_operator()
    for score in ("100", "200", "300", "400"):
        world.model(f"m-{score}")
    workload = {"queueName": "gpus", "resources": SMALL, "queuePriorityClassName": "low", "maxAttempts": 2}
    world.round("queued", workload=workload)

    def jobs() -> list[Obj]:
        return world.all("jobs", **{"app.kubernetes.io/component": "evaluate"})

    for _ in range(times):
        world.until(
            "two of four run: the quota",
            lambda: [*states(world, "queued").values()].count(("Running", "Evaluating")) == 2,
        )
        apply(world.plane, [other_work(world, gpus=2)])
        world.until(
            "both are preempted, and say so",
            lambda: [*states(world, "queued").values()].count(("Pending", "Preempted")) >= 2,
        )
        assert not [s for s in states(world, "queued").values() if s[0] == "Running"], "what is suspended does not run"
        assert running(world) == []
        world.api.delete(world.path("jobs", "urgent") + "?propagationPolicy=Background")
        world.until("it is gone", lambda: not [j for j in world.all("jobs") if j["metadata"]["name"] == "urgent"])
    held.go.set()
    status = world.until_condition("evalrounds", "queued", "Complete")["status"]
    assert {r["model"]: (r["score"], r["attempts"]) for r in status["results"]} == {
        f"m-{n}00": (f"0.{n}00000", 1) for n in (1, 2, 3, 4)
    }
    assert len(jobs()) == 4, "the same Jobs, whose answers are kept"
    assert all(not j["status"].get("failed") for j in jobs())


def test_a_round_of_higher_priority_comes_first(world: World, outcomes: Outcomes) -> None:
    install(world, cluster_queue(world.namespace, gpus=1), local_queue(world))
    held = Held(world, outcomes)
    world.start_operator()
    world.model("m-500")
    workload = {"queueName": "gpus", "resources": SMALL}
    world.round("low", workload=workload | {"queuePriorityClassName": "low"})
    world.until("it runs", lambda: states(world, "low") == {"m-500": ("Running", "Evaluating")})
    world.round("high", workload=workload | {"queuePriorityClassName": "high"})
    world.until("the other runs", lambda: states(world, "high") == {"m-500": ("Running", "Evaluating")})
    world.until("and the first says why not", lambda: states(world, "low") == {"m-500": ("Pending", "Preempted")})
    held.go.set()
    for name in ("high", "low"):
        world.until_condition("evalrounds", name, "Complete")
    assert world.results("low")["m-500"]["attempts"] == 1


def test_a_priority_class_that_is_missing_is_asked_about(world: World) -> None:
    install(world, cluster_queue(world.namespace, gpus=1), local_queue(world))
    world.start_operator()
    world.model("m-500")
    world.round("r", workload={"queueName": "gpus", "resources": SMALL, "queuePriorityClassName": "none"})
    world.until("asked", lambda: "priority class" in world.results("r")["m-500"]["message"], 30)
    assert states(world, "r") == {"m-500": ("Pending", "WaitingInQueue")}
