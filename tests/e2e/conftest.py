"""One node, one installation, one demo round for all end-to-end tests; everything is removed at the end."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bitagent_local.cluster.down import leftovers, tear_down
from bitagent_local.cluster.node import Node
from bitagent_local.demo import toolchain
from bitagent_local.demo.__main__ import local_world
from bitagent_local.demo.kubectl import wait_until
from bitagent_local.demo.phases import Phases
from bitagent_local.demo.stack import ARTIFACTS_VOLUME

sys.path.insert(0, str(Path(__file__).parent))

from kit import Cluster


@pytest.fixture(scope="session")
def cluster(pytestconfig: pytest.Config) -> Iterator[Cluster]:
    node = Node()
    assert not leftovers(node), "a local node is there already; 'make demo-down' removes it"
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")
    phases = Phases(toolchain.log_folder())
    try:
        with capture.global_and_fixture_disabled():
            print()
            stack = local_world(phases)
        images = {
            c["name"]: c["image"]
            for d in stack.kubectl.get("deployments", "-A")["items"]
            for c in d["spec"]["template"]["spec"]["containers"]
        }
        yield Cluster(node=node, stack=stack, artifacts=node.state / "volumes" / ARTIFACTS_VOLUME, images=images)
    finally:
        tear_down(node)
    assert not leftovers(node)


@pytest.fixture(scope="session")
def demo_round(cluster: Cluster) -> dict[str, Any]:
    """The validator's first round, complete."""

    def first() -> str | None:
        rounds = cluster.items("evalrounds")
        return sorted(r["metadata"]["name"] for r in rounds)[0] if rounds else None

    name = wait_until(first, seconds=60, what="the validator's first round")
    return cluster.wait_round(name)


@pytest.fixture(scope="session")
def paid_round(cluster: Cluster, demo_round: dict[str, Any]) -> dict[str, Any]:
    """The same, once its weights are on the chain."""
    name = demo_round["metadata"]["name"]

    def paid() -> bool:
        validator = cluster.get("validators", "demo")
        return name in validator.get("status", {}).get("lastWeights", {}).get("rounds", ())

    wait_until(lambda: paid() or None, seconds=60, what=f"weights of {name}")
    return demo_round
