"""Pods that try to connect: what network policies really let through."""

from __future__ import annotations

import json
from collections.abc import Mapping

from kit import SECONDS, Cluster

from bitagent_local.demo.kubectl import wait_until
from bitagent_local.demo.stack import NAMESPACE

_PROBE = """
import json, socket, sys
from concurrent.futures import ThreadPoolExecutor

def connected(target):
    try:
        socket.create_connection(tuple(target), timeout=10).close()
        return True
    except OSError:
        return False

targets = json.loads(sys.argv[1])
print(json.dumps(dict(zip(targets, ThreadPoolExecutor(len(targets)).map(connected, targets.values())))))
"""
_PROBE_LABEL = {"bitagent-e2e": "probe"}
NO_PROBE = "bitagent-e2e!=probe"
"""Label selector of all pods but these."""

SERVICES = {
    "hub": ("hub", "bitagent-world", 8080),
    "chain": ("chain", "bitagent-world", 9944),
    "api": ("kubernetes", "default", 443),
    "rewriter": ("demo-rewriter", NAMESPACE, 8000),
}
"""Service, namespace and port of each possible target."""


def _labels(component: str, *places: str) -> dict[str, str]:
    """Labels as the operator's pods have them; `places` are what a task-set pod may reach."""
    labels = {"app.kubernetes.io/managed-by": "bitagent-operator", "app.kubernetes.io/component": component}
    return labels | {f"bitagent.io/egress-{place}": "true" for place in places}


ISOLATION = {name: _labels(name) for name in ("evaluate", "task-set", "fetch", "validator", "other")}
"""Labels of the probes of the chart's policies, by name."""

OF_THE_VALIDATOR = {"bitagent.io/rewriter": "demo"}
"""Label of task-set pods of rounds that use the rewriter of Validator demo."""
REWRITER = {
    "tasks-that-need-nothing": _labels("task-set"),
    "tasks-of-the-hub": _labels("task-set", "hub"),
    "tasks-of-the-rewriter": _labels("task-set", "rewriter") | OF_THE_VALIDATOR,
    "tasks-of-another-validator": _labels("task-set", "rewriter") | {"bitagent.io/rewriter": "other"},
    "tasks-of-another-server": _labels("task-set", "rewriter"),
    "tasks-of-the-web": _labels("task-set", "web"),
    "tasks-of-all": _labels("task-set", "hub", "web", "rewriter") | OF_THE_VALIDATOR,
    "evaluation-with-labels-of-tasks": _labels("evaluate", "hub", "rewriter") | OF_THE_VALIDATOR,
    "another-app": {"app": "another"},
}
"""Labels of the probes beside a rewriter, by name."""


def reached(cluster: Cluster, probes: Mapping[str, Mapping[str, str]], *targets: str) -> dict[str, set[str]]:
    """Start a pod for each set of labels; return which of `targets` (names of SERVICES) each can connect to."""
    addresses = {}
    for target in targets:
        service, namespace, port = SERVICES[target]
        addresses[target] = [cluster.get("services", service, namespace=namespace)["spec"]["clusterIP"], port]
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
    pods = {name: f"probe-{name}" for name in probes}
    cluster.apply(
        *(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": pods[name], "namespace": NAMESPACE, "labels": {**labels, **_PROBE_LABEL}},
                "spec": spec,
            }
            for name, labels in probes.items()
        )
    )
    try:
        return {name: _connected(cluster, pod) for name, pod in pods.items()}
    finally:
        cluster.stack.kubectl.run(
            "delete", "pod", *pods.values(), "-n", NAMESPACE, "--wait=false", "--grace-period=0", "--force"
        )


def _connected(cluster: Cluster, pod: str) -> set[str]:
    wait_until(
        lambda: cluster.get("pods", pod)["status"]["phase"] in ("Succeeded", "Failed") or None,
        seconds=SECONDS,
        what=f"the end of pod {pod}",
    )
    seen: dict[str, bool] = json.loads(cluster.stack.kubectl.run("logs", pod, "-n", NAMESPACE))
    return {target for target, connected in seen.items() if connected}
