"""`make demo-down` on a cluster that stays removes what the demo made, beside two releases of others with objects."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bitagent_local.cluster.control_plane import ControlPlane, control_plane
from bitagent_local.cluster.host import ClusterError
from bitagent_local.demo import removal, stack
from bitagent_local.demo.kubectl import Kubectl
from bitagent_local.demo.stack import CRDS, NAMESPACE, RELEASE, ROOT, WORLD_NAMESPACE, Stack

pytestmark = pytest.mark.integration

CHART = ROOT / "charts/bitagent-operator"
MODEL = {
    "apiVersion": "bitagent.io/v1alpha1",
    "kind": "MinerModel",
    "metadata": {"name": "theirs"},
    "spec": {"source": {"huggingFace": {"repo": "acme/tiny"}}},
}
IMAGES = {"operator": "localhost:5000/operator:1", "validator": "localhost:5000/validator:1"}


@pytest.fixture
def plane() -> Iterator[ControlPlane]:
    """One for each test: starting it takes less time than removing namespaces, which these controllers do."""
    with control_plane(controllers="persistentvolumeclaim-protection-controller,namespace-controller") as running:
        yield running


@pytest.fixture
def demo(plane: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    for name in ("CACHE", "CONFIG", "DATA"):
        monkeypatch.setenv(f"HELM_{name}_HOME", str(tmp_path / name.lower()))
    return Stack(Kubectl(plane.binaries.kubectl, plane.kubeconfig), plane.binaries.helm, tmp_path / "python")


def release(demo: Stack, namespace: str, *settings: str) -> None:
    """Install somebody's release with a model."""
    demo.run_helm("install", "theirs", str(CHART), "-n", namespace, "--create-namespace", *settings)
    demo.kubectl.run("wait", "--for=condition=Established", "crd", *CRDS, "--timeout=60s")
    demo.kubectl.apply(json.dumps(MODEL), "-n", namespace)


def install(demo: Stack) -> None:
    """Do what `make demo` does, without waiting for pods."""
    removal.refuse_namespaces_of_others(demo.kubectl)
    others = removal.another_release_has_the_definitions(demo.kubectl)
    extra = {"crds.install": "false"} if others else {}
    stack.install_operator(demo, IMAGES, values=stack.EXAMPLES / "values-cluster.yaml", extra=extra)
    world = (stack.MANIFESTS / "world.yaml").read_text().replace("${WORLD_IMAGE}", "localhost:5000/world:1")
    demo.kubectl.apply(world)
    demo.kubectl.apply((stack.EXAMPLES / "minermodels.yaml").read_text())
    demo.kubectl.apply((stack.EXAMPLES / "validator.yaml").read_text())


def remove(demo: Stack) -> list[str]:
    kept: list[str] = []
    removal.remove(demo, kept.append)
    return kept


def namespaces(demo: Stack) -> set[str]:
    return {item["metadata"]["name"] for item in demo.kubectl.get("namespaces")["items"]}


def uids(demo: Stack, namespace: str) -> set[str]:
    kinds = "minermodels,deployments,configmaps,secrets,serviceaccounts,persistentvolumeclaims"
    found: list[dict[str, Any]] = demo.kubectl.get(kinds, "-n", namespace)["items"]
    return {item["metadata"]["uid"] for item in found}


def test_two_releases_of_others_keep_their_objects(demo: Stack) -> None:
    release(demo, "one")
    release(demo, "two", "--set=crds.install=false")
    before = {namespace: uids(demo, namespace) for namespace in ("one", "two")}
    install(demo)
    assert {NAMESPACE, WORLD_NAMESPACE} <= namespaces(demo)
    kept = remove(demo)
    assert not {NAMESPACE, WORLD_NAMESPACE} & namespaces(demo)
    assert [name for name in CRDS if not any(name in line and "release theirs" in line for line in kept)] == []
    assert {namespace: uids(demo, namespace) for namespace in ("one", "two")} == before
    assert len(removal.definitions(demo.kubectl)) == len(CRDS)


def test_the_demos_definitions_go_with_it_unless_others_use_them(demo: Stack) -> None:
    install(demo)
    release(demo, "one", "--set=crds.install=false")
    before = uids(demo, "one")
    (kept,) = remove(demo)
    assert CRDS[0] in kept and "1 in one" in kept
    assert [found.name for found in removal.definitions(demo.kubectl)] == [CRDS[0]]
    assert uids(demo, "one") == before

    demo.run_helm("uninstall", "theirs", "-n", "one", "--wait")
    demo.kubectl.run("delete", CRDS[0], "--all", "-n", "one")
    install(demo)
    assert remove(demo) == []
    assert removal.definitions(demo.kubectl) == []
    assert remove(demo) == [], "a second time there is nothing"


def test_a_namespace_of_the_demos_name_that_is_not_the_demos_is_left_alone(demo: Stack) -> None:
    demo.run_helm("install", RELEASE, str(CHART), "-n", NAMESPACE, "--create-namespace")
    demo.kubectl.run("create", "secret", "generic", "hotkey", "-n", NAMESPACE, "--from-literal=hotkey=x")
    before = uids(demo, NAMESPACE)
    with pytest.raises(ClusterError, match=f"namespace {NAMESPACE} exists"):
        install(demo)
    (kept,) = remove(demo)
    assert NAMESPACE in kept
    assert uids(demo, NAMESPACE) == before
    assert len(removal.definitions(demo.kubectl)) == len(CRDS)
