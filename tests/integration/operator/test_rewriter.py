"""A Validator's rewriter on a real API server: its objects, its readiness, and a round that waits for it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.jobs import JOB_ANNOTATION
from bitagent_local.cluster.api import ApiError

if TYPE_CHECKING:
    from tests.integration.operator.conftest import Obj, Outcomes, World

pytestmark = pytest.mark.integration

NAME = "main-rewriter"
KINDS = {
    "deployments": "/apis/apps/v1",
    "services": "/api/v1",
    "networkpolicies": "/apis/networking.k8s.io/v1",
    "poddisruptionbudgets": "/apis/policy/v1",
}
OWN: dict[str, Any] = {"alterations": [{"rewrite": {}}]}


def path(world: World, kind: str, name: str = NAME) -> str:
    return f"{KINDS[kind]}/namespaces/{world.namespace}/{kind}/{name}"


def exists(world: World, kind: str) -> bool:
    try:
        world.api.get(path(world, kind))
    except ApiError as error:
        if error.status != 404:
            raise
        return False
    return True


def validator(world: World, **rewriter: Any) -> Obj:
    tasks = {"sources": [{"bfcl": {"categories": ["simple_python"]}}], "count": 10}
    source = {"huggingFace": {"repo": "org/rewriter", "revision": "a" * 40}}
    spec = {
        "netuid": 20,
        "chain": {"endpoints": ["ws://chain:9944"]},
        "wallet": {"hotkeySecretRef": {"name": "wallet", "key": "hot"}},
        "competitions": [
            {
                "id": "main",
                "schedule": {"everyBlocks": 360},
                "round": {"models": {"matchLabels": {}}, "tasks": tasks | OWN},
            }
        ],
        "rewriter": {"source": source, "resources": {"gpus": 0, "cpu": "10m", "memory": "64Mi"}} | rewriter,
    }
    return world.create("validators", "Validator", "main", spec)


def round_of(world: World, *, label: str = "bitagent.io/rewriter", name: str = "main") -> Obj:
    tasks = {"sources": [{"bfcl": {"categories": ["simple_python"]}}], "count": 200, "seed": "1"} | OWN
    labels = {label: name} if name else {}
    return world.create("evalrounds", "EvalRound", "r", {"models": {"matchLabels": {}}, "tasks": tasks}, labels)


def answer(world: World) -> None:
    """Let the rewriter's pods be ready."""

    def pods() -> list[Obj]:
        return world.all("pods", **{"app.kubernetes.io/component": "rewriter"})

    for pod in world.until("the rewriter's pods", pods):
        ready = {"conditions": [{"type": "Ready", "status": "True"}], "phase": "Running"}
        world.api.merge(world.path("pods", pod["metadata"]["name"]) + "/status", {"status": ready})


def until_reason(world: World, plural: str, name: str, kind: str, reason: str) -> Obj:
    def found() -> Obj | None:
        condition = world.condition(plural, name, kind)
        return condition if condition.get("reason") == reason else None

    made: Obj = world.until(f"{plural}/{name} {kind}: {reason}", found)
    return made


def test_a_round_waits_for_it_and_is_told_its_commit(operator: World) -> None:
    operator.model("m-5")
    owner = validator(operator)["metadata"]["uid"]
    round_of(operator)
    waiting = until_reason(operator, "evalrounds", "r", "TasksReady", "WaitingForRewriter")
    assert "Validator main" in waiting["message"]
    until_reason(operator, "validators", "main", "RewriterReady", "RewriterLoading")
    for kind in KINDS:
        made = operator.api.get(path(operator, kind))
        assert [o["uid"] for o in made["metadata"]["ownerReferences"]] == [owner]
    assert operator.all("jobs", **{"bitagent.io/key": "tasks"}) == []

    answer(operator)
    operator.until_condition("validators", "main", "RewriterReady")
    operator.until_condition("evalrounds", "r", "Complete")
    (job,) = operator.all("jobs", **{"bitagent.io/key": "tasks"})
    template = job["spec"]["template"]["metadata"]
    document = json.loads(template["annotations"][JOB_ANNOTATION])
    assert (document["rewriter"]["repo"], document["rewriter"]["commit"]) == ("org/rewriter", "a" * 40)
    assert document["rewriter"]["url"] == f"http://{NAME}.{operator.namespace}:8000/v1"
    policy = operator.api.get(path(operator, "networkpolicies"))
    callers = policy["spec"]["ingress"][0]["from"][0]["podSelector"]["matchLabels"]
    assert callers.items() <= template["labels"].items()


def test_what_others_change_is_reverted_and_an_end_removes_everything(operator: World) -> None:
    validator(operator, replicas=2)
    operator.until("Deployment", lambda: exists(operator, "deployments"))
    operator.api.merge(path(operator, "deployments"), {"spec": {"replicas": 5}})

    def replicas() -> bool:
        return bool(operator.api.get(path(operator, "deployments"))["spec"]["replicas"] == 2)

    operator.until("its replicas", replicas)
    competition = operator.get("validators", "main")["spec"]["competitions"][0]
    competition["round"]["tasks"].pop("alterations")
    change = {"spec": {"rewriter": None, "competitions": [competition]}}
    operator.api.merge(operator.path("validators", "main"), change)
    operator.until("its objects to go", lambda: not any(exists(operator, kind) for kind in KINDS))

    def forgotten() -> bool:
        status = operator.get("validators", "main")["status"]
        return "rewriter" not in status and not operator.condition("validators", "main", "RewriterReady")

    operator.until("its status to go", forgotten)


def test_an_unsafe_model_is_not_served(world: World, outcomes: Outcomes) -> None:
    world.kubelet.script = lambda pod, document: outcomes.refused("CustomCode", "auto_map")
    world.start_operator()
    validator(world)
    until_reason(world, "validators", "main", "RewriterReady", "CustomCode")
    assert not exists(world, "deployments")


def test_it_runs_only_while_a_round_needs_it(operator: World) -> None:
    validator(operator, scaleToZeroAfterSeconds=60)
    operator.api.merge(operator.path("validators", "main"), {"spec": {"suspend": True}})
    until_reason(operator, "validators", "main", "RewriterReady", "RewriterIdle")
    operator.model("m-5")
    round_of(operator)
    until_reason(operator, "validators", "main", "RewriterReady", "RewriterLoading")
    answer(operator)
    operator.until_condition("evalrounds", "r", "Complete")
    until_reason(operator, "validators", "main", "RewriterReady", "RewriterIdle")


def test_a_round_of_no_validator_is_refused(operator: World) -> None:
    operator.model("m-5")
    round_of(operator, name="")
    until_reason(operator, "evalrounds", "r", "TasksReady", "NoRewriter")
    operator.until_condition("evalrounds", "r", "Failed")


@pytest.mark.parametrize(
    ("rewrite", "words"),
    [
        pytest.param({"url": "http://x:1/v1"}, "url and model belong together", id="url alone"),
        pytest.param({"model": "m"}, "url and model belong together", id="model alone"),
        pytest.param(
            {"apiKeySecretRef": {"name": "bitagent-job-x", "key": "k"}}, "belongs to a url", id="key without url"
        ),
    ],
)
def test_what_contradicts_itself_is_refused_with_words(world: World, rewrite: Obj, words: str) -> None:
    tasks = {"sources": [{"bfcl": {"categories": ["simple_python"]}}], "count": 1, "seed": "1"}
    spec = {"models": {"matchLabels": {}}, "tasks": tasks | {"alterations": [{"rewrite": rewrite}]}}
    with pytest.raises(ApiError, match=words):
        world.create("evalrounds", "EvalRound", "r", spec)


def test_a_competition_that_rewords_needs_a_rewriter(world: World) -> None:
    with pytest.raises(ApiError, match=r"spec\.rewriter, or a url"):
        world.create("validators", "Validator", "main", spec_without_rewriter())


def spec_without_rewriter() -> Obj:
    tasks = {"sources": [{"bfcl": {"categories": ["simple_python"]}}], "count": 10}
    template = {"models": {"matchLabels": {}}, "tasks": tasks | OWN}
    return {
        "netuid": 20,
        "chain": {"endpoints": ["ws://chain:9944"]},
        "wallet": {"hotkeySecretRef": {"name": "wallet", "key": "hot"}},
        "competitions": [{"id": "main", "schedule": {"everyBlocks": 360}, "round": template}],
    }
