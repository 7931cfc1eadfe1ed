"""The rewriter's way through a server in memory: fetched, served, idle, needed, removed."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from tests.unit.operator.reconcilers.test_reconcile import Killed
from tests.unit.operator.reconcilers.test_validators import Applying, Watched

from bitagent_crds.names import COMPONENT_LABEL, VALIDATOR_LABEL
from bitagent_kube.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.unit.operator.conftest import Make

    from bitagent_kube.resources import ApiResource

Obj = dict[str, Any]
COMMIT = "a" * 40
SPEC: Obj = {"source": {"huggingFace": {"repo": "org/rewriter", "revision": "main"}}}
NAME = "v-rewriter"
KINDS = ("Deployment", "NetworkPolicy", "PodDisruptionBudget", "Service")


class Cluster(Applying):
    """A server on which fetch Jobs and Deployments do what a test says."""

    async def create_or_get(self, obj: Obj) -> Obj:
        self.requests[f"create {obj['kind']}"] += 1
        return await super().create_or_get(obj)

    async def delete(self, resource: ApiResource, name: str, *, uid: str) -> None:
        self._alive()
        self.requests[f"delete {resource.kind}"] += 1
        found = self.objects.get((resource.kind, name))
        if found is not None and found["metadata"]["uid"] == uid:
            self.remove(resource.kind, name)

    async def apply(self, obj: Obj) -> Obj:
        self._alive()
        return await super().apply(obj)

    def fetch_job(self) -> Obj | None:
        jobs = [j for j in self.of("Job") if j["metadata"]["labels"][COMPONENT_LABEL] == "fetch"]
        return jobs[0] if jobs else None

    def end_fetch(self, message: str, *, code: int = 0) -> None:
        """End the fetch Job and its pod."""
        job = self.fetch_job()
        assert job is not None
        at = self.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        state = {"exitCode": code, "message": message, "startedAt": at, "finishedAt": at}
        status = {"phase": "Failed" if code else "Succeeded", "containerStatuses": [{"state": {"terminated": state}}]}
        owner = [{"uid": job["metadata"]["uid"], "controller": True}]
        meta = {"name": "fetch-pod", "labels": job["metadata"]["labels"], "ownerReferences": owner}
        self.put("Pod", {"metadata": meta, "spec": {"nodeName": "n"}, "status": status})
        end = {"type": "Failed" if code else "Complete", "status": "True", "lastTransitionTime": at}
        end |= {"reason": "PodFailurePolicy"} if code else {}
        self.put("Job", job | {"status": {"conditions": [end]}})

    def serve(self) -> None:
        """Let the Deployment's pods become ready."""
        found = json.loads(json.dumps(self.objects["Deployment", NAME]))
        generation, replicas = found["metadata"]["generation"], found["spec"]["replicas"]
        status = {"observedGeneration": generation, "updatedReplicas": replicas, "availableReplicas": replicas}
        self.put("Deployment", found | {"status": status})

    def ready(self) -> tuple[str, str]:
        conditions = self.objects["Validator", "v"]["status"]["conditions"]
        (found,) = [c for c in conditions if c["type"] == "RewriterReady"]
        return found["status"], found["reason"]

    def change_spec(self, **changes: Any) -> None:
        """Change the Validator's spec; None removes a member."""
        old = json.loads(json.dumps(self.objects["Validator", "v"]))
        old["metadata"]["generation"] += 1
        old["spec"] = {k: v for k, v in (old["spec"] | changes).items() if v is not None}
        self.put("Validator", old)


class Operator(Watched):
    """An operator that sees every change at once, and works until nothing is new."""

    async def settle(self) -> float | None:
        wait: float | None = 0.0
        for _ in range(6):
            for kind in ("EvalRound", "Job"):
                self.deliver(kind, 1000)
            wait = await self.work()
        return wait


@pytest.fixture
def cluster(make: Make) -> Cluster:
    return Cluster(make)


def begin(make: Make, cluster: Cluster, **spec: Any) -> Operator:
    operator = Operator(cluster)
    cluster.put("Validator", make.validator_raw("v", rewriter=SPEC | spec) | {"kind": "Validator"})
    return operator


def of_rewriter(cluster: Cluster) -> Iterator[tuple[str, str]]:
    yield from ((k, n) for k, n in cluster.objects if k in KINDS and n.startswith(NAME))


async def test_it_is_fetched_then_served_then_ready(make: Make, cluster: Cluster) -> None:
    operator = begin(make, cluster)
    await operator.settle()
    assert cluster.ready() in (("False", "Fetching"), ("False", "Starting"))
    assert list(of_rewriter(cluster)) == []
    job = cluster.fetch_job()
    assert job is not None
    assert job["metadata"]["labels"][VALIDATOR_LABEL] == "v"

    cluster.end_fetch(make.fetched())
    await operator.settle()
    assert cluster.ready() == ("False", "RewriterLoading")
    assert {kind for kind, _ in of_rewriter(cluster)} == set(KINDS)
    assert cluster.objects["Validator", "v"]["status"]["rewriter"]["resolved"]["commit"] == COMMIT
    assert cluster.fetch_job() is None, "its result is recorded"

    cluster.serve()
    await operator.settle()
    assert cluster.ready() == ("True", "RewriterReady")
    assert await operator.requests_of(20) == {}, "nothing is new"


async def test_an_unsafe_model_is_never_served(make: Make, cluster: Cluster) -> None:
    operator = begin(make, cluster)
    await operator.settle()
    cluster.end_fetch(make.fetch_fault("CustomCode"), code=78)
    await operator.settle()
    assert cluster.ready() == ("False", "CustomCode")
    assert list(of_rewriter(cluster)) == []
    assert (await operator.requests_of(5)).get("create Job") is None, "another attempt would end the same"


async def test_a_fetch_that_waits_on_a_wrong_image_is_made_again(make: Make, cluster: Cluster) -> None:
    await begin(make, cluster).settle()
    wrong = cluster.fetch_job()
    assert wrong is not None
    images = {"evaluator": "e:2", "validator": "v:1"}
    operator = Operator(cluster)
    operator.context = replace(operator.context, config=make.config(images=images))
    for kind in ("Validator", "Deployment", "Job"):
        operator.cache.replace(kind, cluster.of(kind), known=frozenset())
    await operator.settle()
    again = cluster.fetch_job()
    assert again is not None
    assert again["metadata"]["uid"] != wrong["metadata"]["uid"]
    assert again["spec"]["template"]["spec"]["containers"][0]["image"] == "e:2"


async def test_a_source_that_changes_is_fetched_while_the_old_one_is_served(make: Make, cluster: Cluster) -> None:
    operator = begin(make, cluster)
    await operator.settle()
    cluster.end_fetch(make.fetched())
    await operator.settle()
    cluster.serve()
    await operator.settle()
    cluster.change_spec(rewriter={"source": {"huggingFace": {"repo": "org/other", "revision": "main"}}})
    await operator.settle()
    assert cluster.ready() in (("False", "Fetching"), ("False", "Starting"))
    mounts = cluster.objects["Deployment", NAME]["spec"]["template"]["spec"]["containers"][0]["volumeMounts"]
    assert mounts[0]["subPath"] == f"org/rewriter/{COMMIT}"
    cluster.end_fetch(make.fetched())
    await operator.settle()
    mounts = cluster.objects["Deployment", NAME]["spec"]["template"]["spec"]["containers"][0]["volumeMounts"]
    assert mounts[0]["subPath"] == f"org/other/{COMMIT}"


async def test_without_a_round_no_pod_runs_and_a_round_starts_it(make: Make, cluster: Cluster) -> None:
    operator = begin(make, cluster, scaleToZeroAfterSeconds=60)
    await operator.settle()
    cluster.end_fetch(make.fetched())
    wait = await operator.settle()
    assert cluster.objects["Deployment", NAME]["spec"]["replicas"] == 1
    assert wait is not None
    assert wait <= 60
    cluster.time += 60
    await operator.settle()
    assert cluster.objects["Deployment", NAME]["spec"]["replicas"] == 0
    assert cluster.ready() == ("False", "RewriterIdle")

    raw = make.round_raw("r", spec_tasks={"seed": "1", "alterations": [{"rewrite": {}}]})
    raw["metadata"]["labels"] = {VALIDATOR_LABEL: "v"}
    cluster.put("EvalRound", raw | {"kind": "EvalRound"})
    await operator.settle()
    assert cluster.objects["Deployment", NAME]["spec"]["replicas"] == 1
    assert cluster.ready() == ("False", "RewriterLoading")


async def test_one_that_the_spec_no_longer_has_is_removed(make: Make, cluster: Cluster) -> None:
    operator = begin(make, cluster)
    await operator.settle()
    cluster.end_fetch(make.fetched())
    await operator.settle()
    cluster.put("Service", cluster.objects["Service", NAME] | {"metadata": {"name": "v-rewriter-of-others"}})
    cluster.change_spec(rewriter=None)
    await operator.settle()
    assert list(of_rewriter(cluster)) == [("Service", "v-rewriter-of-others")]
    status = cluster.objects["Validator", "v"]["status"]
    assert "rewriter" not in status
    assert "RewriterReady" not in {c["type"] for c in status["conditions"]}
    assert await operator.requests_of(5) == {}


async def test_what_the_server_rejects_is_said(make: Make, cluster: Cluster) -> None:
    operator = begin(make, cluster)
    await operator.settle()
    cluster.end_fetch(make.fetched())
    cluster.refuses = ApiError(code=403, reason="Forbidden", message="exceeded quota: services")
    for _ in range(2):
        with pytest.raises(ApiError, match="exceeded quota"):
            await operator.settle()
    assert cluster.ready() == ("False", "InfrastructureFault")


@pytest.mark.parametrize("writes", range(12))
async def test_killed_anywhere_it_ends_the_same(make: Make, cluster: Cluster, writes: int) -> None:
    cluster.put("Validator", make.validator_raw("v", rewriter=SPEC) | {"kind": "Validator"})

    async def go(times: int) -> None:
        """Work as one process after the other; each dies after its first writes, the last one lives."""
        for left in [*[writes] * times, None]:
            operator = Operator(cluster)
            for kind in ("Validator", "Deployment"):
                operator.cache.replace(kind, cluster.of(kind), known=frozenset())
            cluster.writes_left = left
            try:
                await operator.settle()
            except* Killed:
                assert left is not None
            cluster.writes_left = None

    await go(2)
    cluster.end_fetch(make.fetched())
    await go(2)
    cluster.serve()
    await go(2)
    assert cluster.ready() == ("True", "RewriterReady")
    assert sum(n for name, n in cluster.created.items() if name.startswith(NAME)) == 1
    assert {kind for kind, _ in of_rewriter(cluster)} == set(KINDS)
