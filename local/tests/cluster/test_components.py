"""Command lines and configuration of Kubernetes' components: the parts that refer to each other."""

from __future__ import annotations

import json
from pathlib import Path

from bitagent_local.cluster import components
from bitagent_local.cluster.node import Node

NODE = Node(cache=Path("/cache"), state=Path("/state"))


PLANE = NODE.plane(Path("/bin/localkube"))


def flags(command: list[str]) -> dict[str, str]:
    return dict(word.removeprefix("--").partition("=")[::2] for word in command if word.startswith("--"))


def test_components_agree_on_the_store_and_the_server() -> None:
    etcd, server = flags(components.etcd(PLANE)), flags(components.api_server(PLANE))
    assert etcd["listen-client-urls"] == server["etcd-servers"] == "http://127.0.0.1:2379"
    assert PLANE.server == f"https://{server['bind-address']}:{server['secure-port']}"
    assert server["service-cluster-ip-range"] == str(NODE.services)


def test_extra_arguments_come_last_and_so_win() -> None:
    assert components.api_server(PLANE, extra=["--v=9"])[-1] == "--v=9"
    assert components.controller_manager(PLANE, extra=["--controllers=*"])[-1] == "--controllers=*"


def test_the_kubelet_requires_a_client_certificate() -> None:
    config = json.loads(components.kubelet_config(NODE, PLANE))
    assert config["authentication"]["anonymous"] == {"enabled": False}
    assert (
        config["authentication"]["x509"]["clientCAFile"]
        == flags(components.api_server(PLANE))["kubelet-certificate-authority"]
    )


def test_the_kubelet_stays_in_the_nodes_cgroup_and_names_its_dns() -> None:
    config = json.loads(components.kubelet_config(NODE, PLANE))
    assert config["cgroupRoot"] == f"/{NODE.scope}"
    assert config["clusterDNS"] == [NODE.dns]
    assert config["containerRuntimeEndpoint"] == f"unix://{NODE.containerd_socket}"
    assert config["maxPods"] < NODE.pods.num_addresses
