"""NetworkPolicies hold on the node's real traffic: evaluation pods reach nothing, fetch pods reach the hub and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from kit import Cluster

from bitagent_local.demo.kubectl import wait_until
from bitagent_local.demo.stack import NAMESPACE

pytestmark = pytest.mark.e2e

PROBE = """
import json, socket, sys
seen = {}
for name, target in json.loads(sys.argv[1]).items():
    try:
        socket.create_connection(tuple(target), timeout=3).close()
        seen[name] = True
    except OSError:
        seen[name] = False
print(json.dumps(seen))
"""


def probe_pod(component: str, image: str, targets: str) -> dict[str, Any]:
    labels = {
        "app.kubernetes.io/managed-by": "bitagent-operator",
        "app.kubernetes.io/component": component,
        "probe": component,
    }
    container = {
        "name": "probe",
        "image": image,
        "command": ["python3", "-c", PROBE, targets],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    spec = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"probe-{component}", "namespace": NAMESPACE, "labels": labels},
        "spec": spec,
    }


@pytest.mark.parametrize(
    ("component", "reached"),
    [
        pytest.param("evaluate", set(), id="evaluate"),
        pytest.param("task-set", set(), id="task-set"),
        pytest.param("fetch", {"hub"}, id="fetch"),
        pytest.param("validator", {"api", "chain"}, id="validator"),
        pytest.param("nobody", {"hub", "chain", "api"}, id="without a policy"),
    ],
)
def test_who_reaches_what(cluster: Cluster, component: str, reached: set[str]) -> None:
    import json

    address = {
        name: cluster.stack.kubectl.get("service", service, "-n", namespace)["spec"]["clusterIP"]
        for name, service, namespace in (
            ("hub", "hub", "bitagent-world"),
            ("chain", "chain", "bitagent-world"),
            ("api", "kubernetes", "default"),
        )
    }
    targets = {"hub": [address["hub"], 8080], "chain": [address["chain"], 9944], "api": [address["api"], 443]}
    name = f"probe-{component}"
    cluster.apply(probe_pod(component, cluster.images["chain"], json.dumps(targets)))
    try:
        wait_until(
            lambda: cluster.get("pod", name)["status"]["phase"] in ("Succeeded", "Failed") or None,
            seconds=60,
            what=f"pod {name}",
        )
        seen = json.loads(cluster.stack.kubectl.run("logs", name, "-n", NAMESPACE))
    finally:
        cluster.stack.kubectl.run("delete", "pod", name, "-n", NAMESPACE, "--wait=false", "--grace-period=0", "--force")
    assert {target for target, ok in seen.items() if ok} == reached
