"""What `doctor` finds on a real API server: with all rights, with few, and by its probes."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from bitagent_cli.parser import Exit
from bitagent_crds.permissions import OPERATOR_RULES

if TYPE_CHECKING:
    from tests.integration.cli.conftest import Cluster, Done

pytestmark = pytest.mark.integration

LABELS = {"app.kubernetes.io/name": "bitagent-operator"}
COMPONENT = "app.kubernetes.io/component"
RBAC = "/apis/rbac.authorization.k8s.io/v1"


def found(done: Done) -> dict[str, list[tuple[str, str]]]:
    """Level and text of each finding, by area."""
    areas: dict[str, list[tuple[str, str]]] = {}
    for each in json.loads(done.out)["findings"]:
        areas.setdefault(each["area"], []).append((each["level"], each["text"]))
    return areas


def install(cluster: Cluster, rules: list[dict[str, Any]]) -> None:
    """What the operator's chart makes, with these rules in its Role."""
    config = {"cache": {"claimName": "models"}, "artifacts": {"claimName": "files"}, "hub": {"endpoint": "http://hub"}}
    namespace = cluster.namespace
    data = {"config.yaml": yaml.safe_dump(config)}
    cluster.api.create(cluster.path("configmaps"), {"metadata": {"name": "op", "labels": LABELS}, "data": data})
    template = {
        "metadata": {"labels": LABELS},
        "spec": {"serviceAccountName": "op", "containers": [{"name": "operator", "image": "operator:1"}]},
    }
    spec = {"replicas": 1, "selector": {"matchLabels": LABELS}, "template": template}
    deployment = {"metadata": {"name": "op", "labels": LABELS}, "spec": spec}
    cluster.api.create(f"/apis/apps/v1/namespaces/{namespace}/deployments", deployment)
    page = {"metadata": {"name": "op-leaderboard", "labels": LABELS | {COMPONENT: "leaderboard"}}, "spec": spec}
    cluster.api.create(f"/apis/apps/v1/namespaces/{namespace}/deployments", page)
    cluster.api.create(f"{RBAC}/namespaces/{namespace}/roles", {"metadata": {"name": "op"}, "rules": rules})
    subject = {"kind": "ServiceAccount", "name": "op", "namespace": namespace}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "op"}
    binding = {"metadata": {"name": "op"}, "roleRef": reference, "subjects": [subject]}
    cluster.api.create(f"{RBAC}/namespaces/{namespace}/rolebindings", binding)
    claim = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}
    for name in ("models", "files"):
        cluster.api.create(cluster.path("persistentvolumeclaims"), {"metadata": {"name": name}, "spec": claim})
    now = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime())
    lease = {"holderIdentity": "op/pod", "leaseDurationSeconds": 15, "renewTime": now, "acquireTime": now}
    leases = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
    cluster.api.create(leases, {"metadata": {"name": "bitagent-operator"}, "spec": lease})


def test_a_namespace_without_an_operator(cluster: Cluster) -> None:
    done = cluster.run("doctor", "-o", "json")
    areas = found(done)
    assert done.code == Exit.NEGATIVE
    assert [level for level, _ in areas["definitions"]] == ["ok"] * 3
    assert areas["server"][0][0] == "ok"
    assert areas["operator"][0] == ("bad", f"namespace {cluster.namespace} has no operator")
    assert areas["policies"][0][0] == "bad"
    assert areas["pod security"][0][0] == "warn"


def test_an_operator_and_its_rights(cluster: Cluster) -> None:
    install(cluster, [rule for rule in OPERATOR_RULES if rule["resources"] != ["jobs"]])
    areas = found(cluster.run("doctor", "-o", "json"))
    assert ("ok", "op/pod holds the Lease") in [(level, text.partition(",")[0]) for level, text in areas["operator"]]
    several = [text for _, text in areas["operator"] if "several operators" in text]
    assert not several, "the public page is not a second operator"
    assert [(level, text) for level, text in areas["rights"] if level != "ok"] == [
        ("bad", "the operator may not create, delete, get, list, patch, watch batch/jobs")
    ]
    assert {level for level, _ in areas["storage"]} == {"bad"}
    assert len(areas["storage"]) == 2


def test_few_rights_stop_nothing(cluster: Cluster, reader_kubeconfig: Path) -> None:
    install(cluster, OPERATOR_RULES)
    done = cluster.run("doctor", "-o", "json", kubeconfig=reader_kubeconfig)
    areas = found(done)
    assert "Traceback" not in done.err
    for area in ("storage", "gpus", "images", "pod security"):
        assert "unknown" in [level for level, _ in areas[area]], area
    assert ("ok", "0 evalrounds, 0 of them stand still") in areas["objects"]
    text = cluster.run("doctor", kubeconfig=reader_kubeconfig).out
    assert "you may not create pods/exec, which these verbs need: fetch, report" in text


@pytest.mark.parametrize(
    ("enforced", "hub", "levels"),
    [
        pytest.param(True, True, ("ok", "ok"), id="enforced"),
        pytest.param(False, False, ("bad", "bad"), id="not enforced, and no hub"),
    ],
)
def test_probes(cluster: Cluster, enforced: bool, hub: bool, levels: tuple[str, str]) -> None:
    install(cluster, OPERATOR_RULES)

    def ends(pod: dict[str, Any]) -> dict[str, Any]:
        name = pod["metadata"]["name"]
        reached = hub if name.endswith("-hub") else not (enforced and name.endswith("-denied"))
        return {"exitCode": 0, "message": json.dumps({"open": reached, "message": "tried"})}

    cluster.kubelet.ends = ends
    areas = found(cluster.run("doctor", "--probe", "--timeout", "30", "-o", "json"))
    assert (areas["policies"][-1][0], areas["hub"][-1][0]) == levels
    pods = {pod["metadata"]["name"].rpartition("-")[2]: pod for pod in cluster.kubelet.made}
    assert pods["hub"]["metadata"]["labels"]["app.kubernetes.io/component"] == "fetch"
    assert pods["denied"]["spec"]["containers"][0]["image"] == "operator:1"
    policies = f"/apis/networking.k8s.io/v1/namespaces/{cluster.namespace}/networkpolicies"
    assert cluster.api.get(policies)["items"] == []
    assert all("deletionTimestamp" in pod["metadata"] for pod in cluster.api.get(cluster.path("pods"))["items"])


def test_a_probe_that_cannot_be_made(cluster: Cluster) -> None:
    cluster.kubelet.keeps = lambda pod: {"reason": "ImagePullBackOff", "message": "no such image"}
    install(cluster, OPERATOR_RULES)
    areas = found(cluster.run("doctor", "--probe", "--timeout", "1", "-o", "json"))
    assert areas["hub"][-1][0] == areas["policies"][-1][0] == "unknown"
    assert "no such image" in areas["hub"][-1][1]
