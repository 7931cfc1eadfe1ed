"""Objects that the node needs inside Kubernetes."""

from __future__ import annotations

from pathlib import Path

from bitagent_local.cluster import addons
from bitagent_local.cluster.node import Node

NODE = Node(cache=Path("/cache"), state=Path("/state"))


def test_addons_are_applied_at_their_own_paths() -> None:
    for path, body in addons.objects(dns_image="dns:1", dns_address=NODE.dns, api_address=NODE.address).items():
        assert path.endswith(f"/{body['metadata']['name']}")
        assert path.startswith("/api/v1/" if body["apiVersion"] == "v1" else f"/apis/{body['apiVersion']}/")
        assert ("/namespaces/kube-system/" in path) == ("namespace" in body["metadata"])


def test_dns_pods_are_found_by_their_service_and_by_policies() -> None:
    made = addons.objects(dns_image="dns:1", dns_address=NODE.dns, api_address=NODE.address)
    service = made["/api/v1/namespaces/kube-system/services/kube-dns"]["spec"]
    template = made[addons.DEPLOYMENT]["spec"]["template"]
    assert service["clusterIP"] == NODE.dns
    assert service["selector"].items() <= template["metadata"]["labels"].items()
    assert template["metadata"]["labels"]["k8s-app"] == "kube-dns"
