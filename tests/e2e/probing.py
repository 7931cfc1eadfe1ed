"""Pods that try to connect: what network policies really let through."""

from __future__ import annotations

import json
from collections.abc import Mapping

from kit import Cluster

from bitagent_local.demo.kubectl import wait_until
from bitagent_local.demo.stack import NAMESPACE

_PROBE = """
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

SERVICES = {
    "hub": ("hub", "bitagent-world", 8080),
    "chain": ("chain", "bitagent-world", 9944),
    "api": ("kubernetes", "default", 443),
    "rewriter": ("rewriter", NAMESPACE, 8000),
}
"""Service, namespace and port of what may be tried."""


def reached(cluster: Cluster, name: str, labels: Mapping[str, str], *targets: str) -> set[str]:
    """Which of `targets` (names of SERVICES) a pod with these labels can connect to."""
    kubectl = cluster.stack.kubectl
    addresses = {}
    for target in targets:
        service, namespace, port = SERVICES[target]
        addresses[target] = [kubectl.get("service", service, "-n", namespace)["spec"]["clusterIP"], port]
    container = {
        "name": "probe",
        "image": cluster.images["chain"],
        "command": ["python3", "-c", _PROBE, json.dumps(addresses)],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    spec = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
    }
    metadata = {"name": name, "namespace": NAMESPACE, "labels": dict(labels)}
    cluster.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    try:
        wait_until(
            lambda: cluster.get("pod", name)["status"]["phase"] in ("Succeeded", "Failed") or None,
            seconds=60,
            what=f"pod {name}",
        )
        seen: dict[str, bool] = json.loads(kubectl.run("logs", name, "-n", NAMESPACE))
    finally:
        kubectl.run("delete", "pod", name, "-n", NAMESPACE, "--wait=false", "--grace-period=0", "--force")
    return {target for target, connected in seen.items() if connected}
