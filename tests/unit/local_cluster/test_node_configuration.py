"""What the components are told: the parts that hold each other, and those that keep the node apart from the machine."""

from __future__ import annotations

import ipaddress
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from bitagent_local.cluster import addons, components, kubelet, runtime
from bitagent_local.cluster.node import Node
from bitagent_local.cluster.volumes import manifest

NODE = Node(cache=Path("/cache"), state=Path("/state"))
PLANE = NODE.plane(Path("/bin/localkube"))


def flags(command: list[str]) -> dict[str, str]:
    return dict(word.removeprefix("--").partition("=")[::2] for word in command if word.startswith("--"))


def test_addresses_do_not_overlap() -> None:
    networks = [NODE.pods, NODE.services, NODE.link]
    for index, one in enumerate(networks):
        assert not any(one.overlaps(other) for other in networks[index + 1 :])
    assert ipaddress.ip_address(NODE.address) in NODE.pods
    assert ipaddress.ip_address(NODE.dns) in NODE.services
    assert ipaddress.ip_address(NODE.host_address) in NODE.link


def test_link_names_fit_the_kernel() -> None:
    assert max(len(f"{NODE.scope}-{end}") for end in ("h", "n", "br")) <= 15


def test_components_agree_on_the_store_and_the_server() -> None:
    etcd, server = flags(components.etcd(PLANE)), flags(components.api_server(PLANE))
    assert etcd["listen-client-urls"] == server["etcd-servers"] == "http://127.0.0.1:2379"
    assert PLANE.server == f"https://{server['bind-address']}:{server['secure-port']}"
    assert server["service-cluster-ip-range"] == str(NODE.services)


def test_extra_arguments_come_last_and_so_win() -> None:
    assert components.api_server(PLANE, extra=["--v=9"])[-1] == "--v=9"
    assert components.controller_manager(PLANE, extra=["--controllers=*"])[-1] == "--controllers=*"


def test_the_kubelet_lets_nobody_in_without_a_certificate() -> None:
    config = json.loads(kubelet.kubelet_config(NODE, PLANE))
    assert config["authentication"]["anonymous"] == {"enabled": False}
    assert (
        config["authentication"]["x509"]["clientCAFile"]
        == flags(components.api_server(PLANE))["kubelet-certificate-authority"]
    )


def test_the_kubelet_stays_in_the_nodes_cgroup_and_names_its_dns() -> None:
    config = json.loads(kubelet.kubelet_config(NODE, PLANE))
    assert config["cgroupRoot"] == f"/{NODE.scope}"
    assert config["clusterDNS"] == [NODE.dns]
    assert config["containerRuntimeEndpoint"] == f"unix://{NODE.containerd_socket}"
    assert config["maxPods"] < NODE.pods.num_addresses


def test_containerd_keeps_images_in_the_cache_and_the_rest_in_the_state() -> None:
    config = tomllib.loads(runtime.containerd_config(NODE, pause="pause:1"))
    assert config["root"] == "/cache/containerd"
    assert config["state"].startswith("/state/")
    assert config["grpc"]["address"] == str(NODE.containerd_socket)
    cri = config["plugins"]["io.containerd.grpc.v1.cri"]
    assert cri["sandbox_image"] == "pause:1"
    assert cri["registry"]["config_path"] == "/state/registry/hosts"


def test_the_registry_listens_where_images_are_named() -> None:
    config = yaml.safe_load(runtime.registry_config(NODE))
    assert config["storage"]["filesystem"]["rootdirectory"] == "/cache/registry"
    assert config["http"]["addr"].rpartition(":")[2] == NODE.registry.rpartition(":")[2]
    assert tomllib.loads(runtime.registry_hosts(NODE))["server"] == f"http://{NODE.registry}"


def test_policies_are_the_last_step_of_a_pods_network() -> None:
    plugins: list[dict[str, Any]] = json.loads(runtime.pod_network(NODE))["plugins"]
    assert [plugin["type"] for plugin in plugins] == ["bridge", "portmap", runtime.POLICY_PLUGIN]
    (pods,) = plugins[0]["ipam"]["ranges"]
    assert pods[0]["gateway"] == NODE.address


def test_built_in_paths_are_mounted_from_the_state() -> None:
    sources = [source for source in runtime.mounts(NODE).values() if source is not None]
    assert sources
    assert all(str(source).startswith("/state/") for source in sources)
    script = runtime.containerd_command(NODE)[-1].splitlines()
    assert script[0] == "mount --make-rshared /"
    assert script[-1].startswith("exec containerd")
    assert len(script) == len(runtime.mounts(NODE)) + 2


def test_addons_are_applied_where_they_say_they_are() -> None:
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


@pytest.mark.parametrize("modes", [("ReadOnlyMany",), ("ReadWriteMany", "ReadWriteOnce")], ids=str)
def test_a_volume_is_for_one_claim(modes: tuple[str, ...]) -> None:
    made = manifest("data", path=Path("/x"), size="1Gi", modes=modes, namespace="ns", claim="wanted")
    assert made["spec"]["claimRef"] == {"namespace": "ns", "name": "wanted"}
    assert made["spec"]["storageClassName"] == ""
    assert made["spec"]["accessModes"] == list(modes)
