"""What the node needs inside Kubernetes: DNS as ordinary pods, and the right of the policy enforcer to read.

DNS pods carry the label `k8s-app: kube-dns`, by which network policies everywhere allow DNS. They answer for the cluster alone:
any other name does not exist here, at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .pki import NETPOL_USER

RBAC_GROUP = "rbac.authorization.k8s.io"
RBAC = f"/apis/{RBAC_GROUP}/v1"
LABELS = {"k8s-app": "kube-dns"}
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
    """Return the objects to apply by their API path, in this order. `api_address` is where the API server itself listens, port 6443."""
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
        # Not by the Service: a first connection before kube-proxy has its rules hangs for half a minute.
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
        # A safe sysctl instead of a capability: the pod's own network lets everybody bind port 53.
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
