"""Shards under the real controller of Jobs: one that fails, is deleted, is suspended, or has no pod."""

from __future__ import annotations

import threading
from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from bitagent_crds.jobs import EXIT_STOPPED, EvaluateSummary, termination_message

if TYPE_CHECKING:
    from tests.integration.operator.conftest import Exit, Obj, Outcomes, World

pytestmark = pytest.mark.integration

EVALUATE = {"app.kubernetes.io/component": "evaluate"}
INDEX = "batch.kubernetes.io/job-completion-index"


def index_of(pod: Obj) -> str:
    return str(pod["metadata"]["annotations"][INDEX])


class Shards:
    """Shards that end as they do: the last one of a Job has the result. `held`: indexes that do not end yet."""

    def __init__(self, outcomes: Outcomes) -> None:
        self._outcomes = outcomes
        self.held: set[str] = set()
        self.fails: dict[tuple[str, str], int] = {}
        """How often a shard fails, by repository and index."""
        self.ends: dict[tuple[str, str], list[Exit]] = {}
        """How the first pods of a shard end, by repository and index."""
        self.ran: dict[tuple[str, str], list[str]] = defaultdict(list)
        """Names of pods, by repository and index."""
        self._ended: dict[str, set[str]] = defaultdict(set)
        """Indexes by the name of their Job."""
        self._lock = threading.Lock()

    def __call__(self, pod: Obj, document: Obj) -> Exit | None:
        if document["kind"] != "Evaluate":
            return self._outcomes.usual(pod, document)
        index, job = index_of(pod), pod["metadata"]["labels"]["batch.kubernetes.io/job-name"]
        ran = self.ran[document["repo"], index]
        if pod["metadata"]["name"] not in ran:
            ran.append(pod["metadata"]["name"])
        if (number := ran.index(pod["metadata"]["name"])) < len(ends := self.ends.get((document["repo"], index), [])):
            return ends[number]
        if index in self.held:
            return None
        if len(ran) <= self.fails.get((document["repo"], index), 0):
            return self._outcomes.crashed(139, "core dumped", "Error")
        with self._lock:
            self._ended[job].add(index)
            if len(self._ended[job]) == document["shards"]:
                return self._outcomes.usual(pod, document)
        done = EvaluateSummary.model_validate({"reason": "ShardEvaluated", "total": 100})
        return self._outcomes.crashed(0, termination_message(done))


def running(pod: Obj) -> bool:
    return bool(pod["status"]["phase"] == "Running")


def ended(world: World) -> list[Obj]:
    return [pod for pod in world.all("pods", **EVALUATE) if pod["status"]["phase"] in ("Succeeded", "Failed")]


def jobs(world: World) -> list[Obj]:
    return world.all("jobs", **EVALUATE)


def finished(world: World, name: str) -> dict[str, tuple[str, str, str | None]]:
    """State, reason and score by model, once the round has ended well."""
    world.until_condition("evalrounds", name, "Complete")
    return {m: (r["state"], r["reason"], r.get("score")) for m, r in world.results(name).items()}


def test_a_shard_that_fails_for_good_and_one_that_recovers(operator: World, outcomes: Outcomes) -> None:
    """An index has attempts of its own; the failure of one ends the Job, and a control decides whose it is."""
    operator.kubelet.script = shards = Shards(outcomes)
    shards.fails = {("org/bad-100", "1"): 99, ("org/slow-200", "0"): 1}
    for model in ("bad-100", "slow-200", "good-300"):
        operator.model(model)
    operator.round("r", workload={"shards": 2, "maxAttempts": 2})
    # There is one node, and a shard of the control ends well on it: the failure is the model's own.
    assert finished(operator, "r") == {
        "bad-100": ("Unscored", "Crashed", None),
        "slow-200": ("Succeeded", "Evaluated", "0.200000"),
        "good-300": ("Succeeded", "Evaluated", "0.300000"),
    }
    assert {key: len(pods) for key, pods in shards.ran.items() if key[0] != "org/good-300"} == {
        ("org/bad-100", "0"): 2,
        ("org/bad-100", "1"): 3,
        ("org/slow-200", "0"): 2,
        ("org/slow-200", "1"): 1,
    }


def test_a_pod_that_is_deleted_and_a_round_that_is_suspended(operator: World, outcomes: Outcomes) -> None:
    operator.kubelet.script = shards = Shards(outcomes)
    operator.kubelet.stopped = outcomes.crashed(EXIT_STOPPED, "", "Error")
    shards.held = {"1"}
    operator.model("m-500")
    operator.round("r", workload={"shards": 2})
    ran, other = shards.ran["org/m-500", "1"], shards.ran["org/m-500", "0"]
    operator.until("shard 1 runs, and 0 has ended", lambda: len(ran) == 1 and len(other) == 1)
    operator.api.delete(operator.path("pods", ran[0]))
    operator.until("another pod of shard 1", lambda: len(ran) == 2)
    operator.api.merge(operator.path("evalrounds", "r"), {"spec": {"suspend": True}})
    operator.until("its pods are gone", lambda: all(index_of(p) == "0" for p in operator.all("pods", **EVALUATE)))
    operator.api.merge(operator.path("evalrounds", "r"), {"spec": {"suspend": False}})
    operator.until("a third pod of shard 1", lambda: len(ran) == 3)
    shards.held = set()
    assert finished(operator, "r") == {"m-500": ("Succeeded", "Evaluated", "0.500000")}
    assert len(other) == 1, "what has ended is not done again"


def test_a_quota_for_one_of_two_shards(operator: World, outcomes: Outcomes) -> None:
    operator.kubelet.script = shards = Shards(outcomes)
    operator.kubelet.stopped = outcomes.crashed(EXIT_STOPPED, "", "Error")
    shards.held = {"0", "1"}
    operator.model("m-500")
    operator.until_condition("minermodels", "m-500", "Fetched")
    operator.round("r", workload={"shards": 2})
    operator.until("two pods", lambda: len(shards.ran) == 2)
    quota = {"metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}}
    operator.api.create(operator.path("resourcequotas"), quota)
    operator.until("quota in force", lambda: operator.get("resourcequotas", "none")["status"]["hard"])
    (first,) = shards.ran["org/m-500", "1"]
    operator.api.delete(operator.path("pods", first))
    shards.held = {"1"}
    result = operator.until(
        "the round has the words", lambda: (r := operator.results("r")["m-500"])["reason"] == "PodRefused" and r
    )
    assert "exceeded quota" in result["message"] and "its pod" in result["message"]


def test_a_lost_node_takes_one_shard_with_it(world: World, outcomes: Outcomes) -> None:
    """The Job waits for its end for ever; another Job asks what that shard has not answered."""
    world.constants["bitagent_operator.plan.jobs.pods:LEAVING"] = timedelta(seconds=3)
    world.start_operator()
    world.kubelet.script = shards = Shards(outcomes)
    shards.held = {"1"}
    world.model("m-500")
    world.round("r", workload={"shards": 2})
    world.until("shard 0 has ended, and 1 runs", lambda: len(shards.ran) == 2 and len(ended(world)) == 1)
    (pod,) = [p for p in world.all("pods", **EVALUATE) if index_of(p) == "1"]
    lost = pod["metadata"]["uid"]
    world.kubelet.neglects = lambda pod: bool(pod["metadata"]["uid"] == lost)
    gone = {"type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager", "message": "no node"}
    path = world.path("pods", pod["metadata"]["name"])
    world.api.merge(f"{path}/status", {"status": {"conditions": [gone]}})
    world.api.delete(f"{path}?gracePeriodSeconds=1")
    shards.held = set()
    assert finished(world, "r") == {"m-500": ("Succeeded", "Evaluated", "0.500000")}
    assert world.results("r")["m-500"]["attempts"] == 2
    world.until(
        "the first Job is gone", lambda: [j["metadata"]["labels"]["bitagent.io/attempt"] for j in jobs(world)] == ["2"]
    )


def test_a_shard_that_reaches_its_deadline_ends_its_job(operator: World, outcomes: Outcomes) -> None:
    """It is final for the Job; the repetition has as many shards, and they score what all of them have answered."""
    operator.kubelet.script = shards = Shards(outcomes)
    pod = {"reason": "DeadlineExceeded", "message": "Pod was active on the node longer than the deadline"}
    shards.ends["org/m-500", "1"] = [outcomes.crashed(137, "", "Error", pod)]
    for model in ("m-500", "good-300"):
        operator.model(model)
    operator.round("r", workload={"shards": 2, "deadlineSeconds": 77})
    assert finished(operator, "r")["m-500"] == ("Succeeded", "Evaluated", "0.500000")
    assert operator.results("r")["m-500"]["attempts"] == 2
    assert {key: len(pods) for key, pods in shards.ran.items() if key[0] == "org/m-500"} == {
        ("org/m-500", "0"): 2,
        ("org/m-500", "1"): 2,
    }


def test_a_retry_does_again_what_one_failed_shard_has_failed(operator: World, outcomes: Outcomes) -> None:
    operator.kubelet.script = shards = Shards(outcomes)
    shards.ends["org/bad-100", "1"] = [outcomes.failed_evaluation("MemoryInUse", "another process")]
    for model in ("bad-100", "good-300"):
        operator.model(model)
    operator.round("r", workload={"shards": 2, "maxAttempts": 1})
    operator.until_condition("evalrounds", "r", "Failed")
    failed = operator.results("r")
    assert {m: (r["state"], r["reason"]) for m, r in failed.items()} == {
        "bad-100": ("InfraFault", "MemoryInUse"),
        "good-300": ("Succeeded", "Evaluated"),
    }
    operator.api.merge(operator.path("evalrounds", "r"), {"spec": {"retry": 1}})
    assert finished(operator, "r")["bad-100"] == ("Succeeded", "Evaluated", "0.100000")
    assert {key: len(pods) for key, pods in shards.ran.items()} == {
        ("org/bad-100", "0"): 2,
        ("org/bad-100", "1"): 2,
        ("org/good-300", "0"): 1,
        ("org/good-300", "1"): 1,
    }


def test_the_models_fault_in_one_shard_ends_the_others_and_is_one_attempt(operator: World, outcomes: Outcomes) -> None:
    operator.kubelet.script = shards = Shards(outcomes)
    operator.kubelet.stopped = outcomes.crashed(EXIT_STOPPED, "", "Error")
    shards.held = {"0", "2"}
    shards.ends["org/m-500", "1"] = [outcomes.refused_evaluation("NonFiniteWeights", "NaN in layer 3")]
    operator.model("m-500")
    operator.round("r", workload={"shards": 3})
    assert finished(operator, "r") == {"m-500": ("ModelFault", "NonFiniteWeights", "0.000000")}
    assert operator.results("r")["m-500"]["attempts"] == 1
    operator.until("no shard runs on", lambda: not [p for p in operator.all("pods", **EVALUATE) if running(p)])
