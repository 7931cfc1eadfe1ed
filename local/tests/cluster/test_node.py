"""Addresses and names of the nodes."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest

from bitagent_local.cluster.api import Api
from bitagent_local.cluster.node import Node
from bitagent_local.cluster.pki import make_credentials

DEMO = Node(cache=Path("/cache"), state=Path("/state"), scope="bitagent")
TESTS = Node(cache=Path("/cache"), state=Path("/other"), scope="bagent-e2e")
nodes = pytest.mark.parametrize("node", [DEMO, TESTS], ids=lambda node: node.scope)


@nodes
def test_addresses_are_in_their_networks(node: Node) -> None:
    assert ipaddress.ip_address(node.address) in node.pods
    assert ipaddress.ip_address(node.dns) in node.services
    assert ipaddress.ip_address(node.host_address) in node.link


def test_networks_of_two_nodes_do_not_overlap() -> None:
    networks = [network for node in (DEMO, TESTS) for network in (node.pods, node.services, node.link)]
    for index, one in enumerate(networks):
        assert not any(one.overlaps(other) for other in networks[index + 1 :])


def test_two_nodes_share_pushed_images_only() -> None:
    assert DEMO.registry_storage == TESTS.registry_storage
    assert DEMO.containerd_root != TESTS.containerd_root
    assert DEMO.lock != TESTS.lock


@nodes
def test_link_names_fit_the_kernel(node: Node) -> None:
    assert max(len(f"{node.scope}-{end}") for end in ("h", "n", "br")) <= 15


def test_the_environment_names_the_node(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BITAGENT_NODE", "other")
    monkeypatch.delenv("BITAGENT_STATE", raising=False)
    assert Node().scope == "other"
    assert Node().state == Path("/var/lib/other-local")
    monkeypatch.delenv("BITAGENT_NODE")
    assert Node().scope == "bitagent"
    assert Node().state == Path("/var/lib/bitagent-local")


def test_what_people_do_to_their_kubeconfig_is_not_met_by_the_nodes_programs(tmp_path: Path) -> None:
    node = Node(state=tmp_path)
    make_credentials(tmp_path / "pki", addresses=["127.0.0.1"], server="https://127.0.0.1:6443", node="local")
    node.kubeconfig.write_text("apiVersion: v1\n")
    assert Api.from_kubeconfig(node.own_kubeconfig).server == "https://127.0.0.1:6443"
