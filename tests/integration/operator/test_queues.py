"""Queues on a real API server without Kueue: definitions of our own, and a test that writes what Kueue would.

`make test-ecosystem` has the same with Kueue itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.integration.operator.conftest import Exit, Obj, Outcomes, World

pytestmark = pytest.mark.integration

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
KUEUE = "/apis/kueue.x-k8s.io/v1beta2"
NOW = "2026-01-01T00:00:00Z"
OPEN = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def definition(kind: str) -> Obj:
    plural = f"{kind.lower()}s"
    schema = {"type": "object", "properties": {"spec": OPEN, "status": OPEN}}
    version = {"name": "v1beta2", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"}
    spec = {"group": "kueue.x-k8s.io", "scope": "Namespaced", "names": names, "versions": [version]}
    api = "api-approved.kubernetes.io"  # asked of groups that end in k8s.io
    return {"metadata": {"name": f"{plural}.kueue.x-k8s.io", "annotations": {api: "unapproved, test"}}, "spec": spec}


class Queues:
    """What Kueue would write."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.path = f"{KUEUE}/namespaces/{world.namespace}"

    def local_queue(self, *, active: bool, message: str = "") -> None:
        body = {"apiVersion": "kueue.x-k8s.io/v1beta2", "kind": "LocalQueue", "metadata": {"name": "gpus"}}
        body |= {"spec": {"clusterQueue": "cq"}, "status": {"conditions": [condition("Active", active, "r", message)]}}
        self.world.until("served", lambda: self.world.api.create(f"{self.path}/localqueues", body))

    def activate(self) -> None:
        change = {"status": {"conditions": [condition("Active", True, "Ready", "")]}}
        self.world.api.merge(f"{self.path}/localqueues/gpus", change)

    def workload(self, job: Obj, *conditions: Obj) -> None:
        owner = {"apiVersion": "batch/v1", "kind": "Job", "name": job["metadata"]["name"], "controller": True}
        meta = {"name": "w", "ownerReferences": [owner | {"uid": job["metadata"]["uid"]}]}
        body = {"apiVersion": "kueue.x-k8s.io/v1beta2", "kind": "Workload", "metadata": meta, "spec": {"active": True}}
        self.world.api.create(f"{self.path}/workloads", body | {"status": {"conditions": list(conditions)}})

    def says(self, *conditions: Obj) -> None:
        self.world.api.merge(f"{self.path}/workloads/w", {"status": {"conditions": list(conditions)}})

    def suspend(self, job: Obj, *, suspended: bool) -> None:
        self.world.api.merge(self.world.path("jobs", job["metadata"]["name"]), {"spec": {"suspend": suspended}})


def condition(kind: str, holds: bool, reason: str, message: str) -> Obj:
    status = "True" if holds else "False"
    return {"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": NOW}


@pytest.mark.changes_definitions
def test_a_round_says_what_its_queue_says(world: World, outcomes: Outcomes) -> None:
    queues, go = Queues(world), False

    def script(pod: Obj, document: Obj) -> Exit | None:
        return None if document["kind"] == "Evaluate" and not go else outcomes.usual(pod, document)

    world.kubelet.script = script
    world.start_operator()
    world.model("m-500")
    world.round("r", workload={"queueName": "gpus"})

    def until(state: str, reason: str, words: str = "") -> Obj:
        def holds() -> Any:
            found = world.results("r")["m-500"]
            return (found["state"], found["reason"], words in found.get("message", "")) == (
                state,
                reason,
                True,
            ) and found

        found: Obj = world.until(f"{state}, {reason}, {words}", holds, 40)
        return found

    until("Pending", "QueueNotFound", "not installed")
    assert world.condition("evalrounds", "r", "Stalled")["reason"] == "QueueNotFound"
    (job,) = world.all("jobs", **{"app.kubernetes.io/component": "evaluate"})
    for kind in ("LocalQueue", "Workload"):
        world.api.create(CRDS, definition(kind))
    until("Pending", "QueueNotFound", "no LocalQueue gpus")
    queues.local_queue(active=False, message="ClusterQueue cq is stopped")
    until("Pending", "QueueUnavailable", "ClusterQueue cq is stopped")
    queues.activate()
    until("Pending", "WaitingInQueue", "no Workload")
    assert world.condition("evalrounds", "r", "Stalled") == {}
    waits = condition("QuotaReserved", False, "Pending", "insufficient unused quota: 1 more needed")
    queues.workload(job, waits)
    until("Pending", "WaitingInQueue", "1 more needed")
    queues.suspend(job, suspended=False)
    until("Running", "Evaluating")
    for _ in range(2):
        preempted = condition("Preempted", True, "InClusterQueue", "Preempted for another")
        queues.says(condition("Evicted", True, "Preempted", "Preempted for another"), preempted, waits)
        queues.suspend(job, suspended=True)
        until("Pending", "Preempted", "Preempted for another")
        assert world.condition("evalrounds", "r", "Running")["status"] == "False", "nothing of it runs"
        queues.says(condition("QuotaReserved", True, "QuotaReserved", ""))
        queues.suspend(job, suspended=False)
        until("Running", "Evaluating")
    go = True
    world.until_condition("evalrounds", "r", "Complete")
    result = world.results("r")["m-500"]
    assert (result["state"], result["attempts"], result.get("disruptions", [])) == ("Succeeded", 1, [])
    assert len(world.events_of("RoundWaiting")) == 2, "QueueNotFound and QueueUnavailable, each once"
