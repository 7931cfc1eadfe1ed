"""One node, one installation, one demo round for all end-to-end tests; everything is removed at the end."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from bitagent_local.cluster.down import leftovers, tear_down
from bitagent_local.cluster.node import Node
from bitagent_local.cluster.status import inspect
from bitagent_local.demo import altered as demo
from bitagent_local.demo import toolchain
from bitagent_local.demo.__main__ import local_world
from bitagent_local.demo.kubectl import wait_until
from bitagent_local.demo.phases import Phases
from bitagent_local.demo.stack import ARTIFACTS_VOLUME

sys.path.insert(0, str(Path(__file__).parent))

from attackers import AttackedRound
from kit import NO_FURTHER_EPOCH, SECONDS, Cluster
from scenarios import SCENARIOS, USERS_OF_THE_REWRITER, KeyedRound, KilledEvaluation, NextEpoch
from volumes import ModelVolumes

Obj = dict[str, Any]
NODE = "bagent-e2e"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each test the time of the node's start, the demo round and its scenario: any may be the first."""
    for item in items:
        if item.get_closest_marker("e2e") is not None:
            item.add_marker(pytest.mark.timeout(3 * SECONDS))


@pytest.fixture(scope="session")
def cluster(pytestconfig: pytest.Config) -> Iterator[Cluster]:
    # A node of its own, beside a demo that may be running; what a killed test run left is removed by the start.
    os.environ["BITAGENT_NODE"] = NODE
    node = Node()
    assert not inspect(node).running, f"another test run has the node {NODE}"
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
def demo_round(cluster: Cluster) -> Obj:
    """The validator's first round, complete. No other follows by itself until a scenario shortens the epochs."""

    def first() -> str | None:
        rounds = cluster.items("evalrounds")
        return sorted(r["metadata"]["name"] for r in rounds)[0] if rounds else None

    name = wait_until(first, seconds=SECONDS, what="the validator's first round")
    cluster.set_epochs(NO_FURTHER_EPOCH)
    return cluster.wait_round(name)


@pytest.fixture(scope="session")
def paid_round(cluster: Cluster, demo_round: Obj) -> Obj:
    """The same, once its weights are on the chain."""
    name = demo_round["metadata"]["name"]

    def paid() -> bool:
        return name in cluster.get("validators", "demo").get("status", {}).get("lastWeights", {}).get("rounds", ())

    wait_until(lambda: paid() or None, seconds=SECONDS, what=f"weights of {name}")
    return demo_round


@pytest.fixture(scope="session")
def background(
    request: pytest.FixtureRequest, cluster: Cluster, paid_round: Obj
) -> Iterator[Mapping[str, Future[Any]]]:
    """The scenarios that the selected tests use, side by side; each test then waits for its own."""
    used = {name for item in request.session.items for name in getattr(item, "fixturenames", ())}
    if used & USERS_OF_THE_REWRITER:
        demo.install_rewriter(cluster.stack)
    pool = ThreadPoolExecutor(len(SCENARIOS))
    yield {run.__name__: pool.submit(run, cluster) for run in SCENARIOS if run.__name__ in used}
    pool.shutdown(wait=False, cancel_futures=True)  # A failed run must not wait: without a node they end by themselves.


@pytest.fixture(scope="session")
def killed_evaluation(background: Mapping[str, Future[KilledEvaluation]]) -> KilledEvaluation:
    return background["killed_evaluation"].result()


@pytest.fixture(scope="session")
def next_epoch(background: Mapping[str, Future[NextEpoch]]) -> NextEpoch:
    return background["next_epoch"].result()


@pytest.fixture(scope="session")
def altered_round(background: Mapping[str, Future[Obj]]) -> Obj:
    return background["altered_round"].result()


@pytest.fixture(scope="session")
def attacked_round(background: Mapping[str, Future[AttackedRound]]) -> AttackedRound:
    return background["attacked_round"].result()


@pytest.fixture(scope="session")
def benchmarks(background: Mapping[str, Future[dict[str, Obj]]]) -> dict[str, Obj]:
    return background["benchmarks"].result()


@pytest.fixture(scope="session")
def keyed_round(background: Mapping[str, Future[KeyedRound]]) -> KeyedRound:
    return background["keyed_round"].result()


@pytest.fixture(scope="session")
def isolation(background: Mapping[str, Future[dict[str, set[str]]]]) -> dict[str, set[str]]:
    return background["isolation"].result()


@pytest.fixture(scope="session")
def isolation_with_rewriter(background: Mapping[str, Future[dict[str, set[str]]]]) -> dict[str, set[str]]:
    return background["isolation_with_rewriter"].result()


@pytest.fixture(scope="session")
def model_volumes(background: Mapping[str, Future[ModelVolumes]]) -> ModelVolumes:
    return background["model_volumes"].result()
