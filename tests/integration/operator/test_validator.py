"""A Validator's objects on a real API server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.integration.operator.conftest import Obj, World

pytestmark = pytest.mark.integration

NAME = "bitagent-validator-main"


def validator(world: World, **more: object) -> Obj:
    tasks = {"sources": [{"bfcl": {"categories": ["simple_python"]}}], "count": 10}
    spec = {
        "netuid": 20,
        "chain": {"endpoints": ["ws://chain:9944"]},
        "wallet": {"hotkeySecretRef": {"name": "wallet", "key": "hot"}},
        "competitions": [
            {"id": "main", "schedule": {"everyBlocks": 360}, "round": {"models": {"matchLabels": {}}, "tasks": tasks}}
        ],
    }
    return world.create("validators", "Validator", "main", spec | more)


def pod_of(world: World) -> Obj:
    pods = world.all("pods", **{"bitagent.io/validator": "main"})
    found: Obj = pods[0] if pods else {}
    return found


def test_its_objects_are_made_and_kept(operator: World) -> None:
    owner = validator(operator)["metadata"]["uid"]
    deployment = operator.until("Deployment", lambda: operator.get("deployments", NAME))
    for kind in ("serviceaccounts", "roles", "rolebindings", "deployments"):
        made = operator.get(kind, NAME)
        assert [o["uid"] for o in made["metadata"]["ownerReferences"]] == [owner]
    spec = deployment["spec"]["template"]["spec"]
    assert spec["volumes"][0]["secret"] == {
        "secretName": "wallet",
        "defaultMode": 0o440,
        "items": [{"key": "hot", "path": "hotkey"}],
    }
    assert spec["containers"][0]["command"][:2] == ["bitagent-validator", "run"]
    path = operator.path("deployments", NAME)
    operator.api.merge(path, {"spec": {"replicas": 3}})
    operator.until("drift is corrected", lambda: operator.get("deployments", NAME)["spec"]["replicas"] == 1)


def test_its_pod_may_do_no_more_than_its_work(operator: World) -> None:
    validator(operator)
    operator.until("Role", lambda: operator.get("roles", NAME))
    rules = operator.get("roles", NAME)["rules"]
    resources = {r for rule in rules for r in rule["resources"]}
    assert resources.isdisjoint({"secrets", "pods", "jobs", "deployments", "*"})
    status = next(r for r in rules if r["resources"] == ["validators/status"])
    assert status["resourceNames"] == ["main"]


def test_a_refused_deployment_is_reported_and_made_later(operator: World) -> None:
    quota = {"metadata": {"name": "none"}, "spec": {"hard": {"count/deployments.apps": "0"}}}
    operator.api.create(operator.path("resourcequotas"), quota)
    operator.until("quota in force", lambda: operator.get("resourcequotas", "none")["status"]["hard"])
    validator(operator)
    messages = operator.until("the refusal is reported", lambda: operator.events_of("ValidatorNotRunning"))
    assert "exceeded quota" in messages[0]
    deployed = operator.condition("validators", "main", "Deployed")
    assert (deployed["status"], deployed["reason"]) == ("False", "InfrastructureFault")
    assert "exceeded quota" in deployed["message"]
    operator.api.delete(operator.path("resourcequotas", "none"))
    operator.until("Deployment", lambda: operator.get("deployments", NAME))


def test_deployed_follows_the_pod(operator: World) -> None:
    validator(operator)
    operator.until_condition("validators", "main", "Deployed", "False")
    pod = operator.until("pod", lambda: pod_of(operator))
    ready = {"conditions": [{"type": "Ready", "status": "True"}], "phase": "Running"}
    operator.api.merge(operator.path("pods", pod["metadata"]["name"]) + "/status", {"status": ready})
    operator.until_condition("validators", "main", "Deployed", "True")
    operator.api.merge(operator.path("validators", "main"), {"spec": {"suspend": True}})

    def stopped() -> bool:
        return bool(operator.condition("validators", "main", "Deployed")["reason"] == "Suspended")

    operator.until("suspended", stopped)
    assert operator.get("deployments", NAME)["spec"]["replicas"] == 0


def test_a_missing_secret_is_named(operator: World) -> None:
    validator(operator)
    pod = operator.until("pod", lambda: pod_of(operator))
    event = {
        "metadata": {"name": "mount"},
        "involvedObject": {
            "apiVersion": "v1",
            "kind": "Pod",
            "name": pod["metadata"]["name"],
            "namespace": operator.namespace,
            "uid": pod["metadata"]["uid"],
        },
        "reason": "FailedMount",
        "message": 'MountVolume.SetUp failed for volume "wallet" : secret "wallet" not found',
        "type": "Warning",
    }
    operator.api.create(operator.path("events"), event)

    def named() -> bool:
        return bool(operator.condition("validators", "main", "Deployed")["reason"] == "SecretNotFound")

    operator.until("the missing Secret is reported", named)
    assert 'secret "wallet" not found' in operator.condition("validators", "main", "Deployed")["message"]
