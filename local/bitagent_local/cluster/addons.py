"""Objects inside Kubernetes that the node needs: DNS pods, RBAC of the policy enforcer, and a number of GPUs.

DNS pods carry the label `k8s-app: kube-dns`, by which network policies everywhere allow DNS. They answer for the
cluster only: any other name is reported as not existing, at once.

GPUs are an extended resource of the node without devices, counted and scheduled by Kubernetes like real ones: a pod
that requests one is scheduled by it and holds it, but finds no device. The kubelet does not touch resources that no
device plugin has announced to it, so the count survives its restarts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bitagent_local.cluster.api import Api
from bitagent_local.cluster.node import NAME
from bitagent_local.cluster.pki import NETPOL_USER

RBAC_GROUP = "rbac.authorization.k8s.io"
RBAC = f"/apis/{RBAC_GROUP}/v1"
LABELS = {"k8s-app": "kube-dns"}
GPU_RESOURCE = "nvidia.com/gpu"
DEPLOYMENT = "/apis/apps/v1/namespaces/kube-system/deployments/coredns"
COREFILE = """\
cluster.local:53 in-addr.arpa:53 ip6.arpa:53 {
    errors
    health :8080
    ready :8181
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        pods insecure
        ttl 5
    }
    cache 5
}
.:53 {
    template ANY ANY {
        rcode NXDOMAIN
    }
}
"""


def objects(*, dns_image: str, dns_address: str, api_address: str) -> dict[str, Mapping[str, Any]]:
    """Return the objects to apply by their API path, in this order.

    `api_address` is where the API server listens, on port 6443.
    """
    core = "/api/v1/namespaces/kube-system"
    return {
        f"{RBAC}/clusterroles/bitagent:netpol": _watcher(
            "bitagent:netpol", {"": ["pods", "namespaces"], "networking.k8s.io": ["networkpolicies"]}
        ),
        f"{RBAC}/clusterrolebindings/bitagent:netpol": _binding(
            "bitagent:netpol", "bitagent:netpol", {"apiGroup": RBAC_GROUP, "kind": "User", "name": NETPOL_USER}
        ),
        f"{core}/serviceaccounts/coredns": _object("v1", "ServiceAccount", "coredns"),
        f"{RBAC}/clusterroles/system:coredns": _watcher(
            "system:coredns", {"": ["services", "pods", "namespaces"], "discovery.k8s.io": ["endpointslices"]}
        ),
        f"{RBAC}/clusterrolebindings/system:coredns": _binding(
            "system:coredns",
            "system:coredns",
            {"kind": "ServiceAccount", "name": "coredns", "namespace": "kube-system"},
        ),
        f"{core}/configmaps/coredns": {**_object("v1", "ConfigMap", "coredns"), "data": {"Corefile": COREFILE}},
        f"{core}/services/kube-dns": _service(dns_address),
        DEPLOYMENT: _deployment(dns_image, api_address),
    }


def _object(version: str, kind: str, name: str, *, namespace: str | None = "kube-system") -> dict[str, Any]:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": version, "kind": kind, "metadata": metadata}


def _binding(name: str, role: str, subject: Mapping[str, str]) -> dict[str, Any]:
    reference = {"apiGroup": RBAC_GROUP, "kind": "ClusterRole", "name": role}
    made = _object(f"{RBAC_GROUP}/v1", "ClusterRoleBinding", name, namespace=None)
    return {**made, "roleRef": reference, "subjects": [subject]}


def _watcher(name: str, resources: Mapping[str, list[str]]) -> dict[str, Any]:
    verbs = ["list", "watch"]
    rules = [{"apiGroups": [group], "resources": kinds, "verbs": verbs} for group, kinds in resources.items()]
    return {**_object(f"{RBAC_GROUP}/v1", "ClusterRole", name, namespace=None), "rules": rules}


def _service(address: str) -> dict[str, Any]:
    ports = [{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53, "protocol": "TCP"}]
    return {**_object("v1", "Service", "kube-dns"), "spec": {"clusterIP": address, "selector": LABELS, "ports": ports}}


def _deployment(image: str, api_address: str) -> dict[str, Any]:
    container = {
        "name": "coredns",
        "image": image,
        "imagePullPolicy": "Never",
        "args": ["-conf", "/etc/coredns/Corefile"],
        # Not the Service: a first connection before kube-proxy has its rules hangs for half a minute.
        "env": [
            {"name": "KUBERNETES_SERVICE_HOST", "value": api_address},
            {"name": "KUBERNETES_SERVICE_PORT", "value": "6443"},
        ],
        "ports": [
            {"containerPort": 53, "name": "dns", "protocol": "UDP"},
            {"containerPort": 53, "name": "dns-tcp", "protocol": "TCP"},
        ],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8181}, "periodSeconds": 1},
        "livenessProbe": {"httpGet": {"path": "/health", "port": 8080}, "timeoutSeconds": 5},
        "resources": {"limits": {"memory": "170Mi"}, "requests": {"cpu": "10m", "memory": "30Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "config", "mountPath": "/etc/coredns", "readOnly": True}],
    }
    pod = {
        "serviceAccountName": "coredns",
        "priorityClassName": "system-cluster-critical",
        "dnsPolicy": "Default",
        "enableServiceLinks": False,
        # A safe sysctl instead of a capability: any process may bind port 53 in the pod's own network.
        "securityContext": {
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
            "sysctls": [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}],
        },
        "containers": [container],
        "volumes": [{"name": "config", "configMap": {"name": "coredns"}}],
    }
    template = {"metadata": {"labels": LABELS}, "spec": pod}
    made = _object("apps/v1", "Deployment", "coredns")
    made["metadata"]["labels"] = LABELS
    return {**made, "spec": {"replicas": 1, "selector": {"matchLabels": LABELS}, "template": template}}


def set_gpus(api: Api, count: int) -> None:
    """Set the node's number of GPUs. Raises ApiError if the node cannot be changed."""
    resources = {GPU_RESOURCE: str(count)}
    api.merge(f"/api/v1/nodes/{NAME}/status", {"status": {"capacity": resources, "allocatable": resources}})


def get_gpus(api: Api) -> int:
    """Return the node's number of GPUs. Raises ApiError if the node cannot be read."""
    return int(api.get(f"/api/v1/nodes/{NAME}")["status"].get("capacity", {}).get(GPU_RESOURCE, "0"))
