"""Configuration of containerd, the registry and the pods' network."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import yaml

from bitagent_local.cluster import runtime
from bitagent_local.cluster.node import Node

NODE = Node(cache=Path("/cache"), state=Path("/state"))


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
