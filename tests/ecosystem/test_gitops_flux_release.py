"""The operator's release by Flux: what source-controller makes of a pushed chart, and what the API server takes.

helm-controller and the image automation cannot be had as modules. Their kinds are served with the definitions of the
published types, source-controller and kustomize-controller are real, and Helm does what a HelmRelease asks for.
"""

from __future__ import annotations

import os
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from tests.ecosystem.fleet import EXAMPLES, Fleet
from tests.ecosystem.flux import flux
from tests.ecosystem.programs import install
from tests.ecosystem.registry import registry as serving_charts
from tests.ecosystem.test_gitops_flux import CHART, Flux

from bitagent_local.cluster.control_plane import ControlPlane
from bitagent_local.cluster.git_server import serving
from bitagent_local.cluster.gitops import ensure_flux, ensure_flux_types

if TYPE_CHECKING:
    from tests.integration.operator.conftest import World

pytestmark = pytest.mark.ecosystem

Obj = dict[str, Any]
OFFICIAL = "oci://registry.example.org/bitagent/charts/bitagent-operator"


@pytest.fixture(scope="module")
def plane(
    bare_plane: Callable[[], AbstractContextManager[ControlPlane]], built: Callable[[Callable[[], Any]], Any]
) -> Iterator[ControlPlane]:
    """The API server with all kinds of Flux; two of its controllers run."""
    program, types = built(ensure_flux), built(ensure_flux_types)
    with bare_plane() as running, flux(running, program):
        install(running, f"--filename={types}")
        yield running


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving_charts(tmp_path_factory.mktemp("registry")) as address:
        yield address


@pytest.fixture
def engine(world: World, tmp_path: Path) -> Iterator[Flux]:
    with serving(tmp_path) as server:
        made = Flux(Fleet.create(world, server.create(world.namespace), "operator"))
        yield made
        for name in made.created:
            made.remove(name.removeprefix(f"{world.namespace}-"))


def refused(world: World, text: str) -> str:
    """What the API server says of objects, field by field; empty if it takes them."""
    options = ("apply", "--server-side", "--dry-run=server", "--validate=strict", "--filename=-")
    done = subprocess.run(world.plane.kubectl(*options), input=text, capture_output=True, text=True, check=False)
    return done.stderr if done.returncode else ""


FILES = ["flux/images.yaml", "flux/source.yaml", "flux/operator.yaml", "flux/fleet.yaml", "operator/release.yaml"]


@pytest.mark.parametrize("name", FILES)
def test_the_api_server_takes_the_objects(engine: Flux, name: str) -> None:
    text = engine.fleet.text(name).replace("namespace: flux-system", f"namespace: {engine.world.namespace}")
    assert refused(engine.world, text) == ""


@pytest.mark.parametrize(
    ("name", "right", "wrong", "field"),
    [
        pytest.param("operator/release.yaml", "valuesFrom:", "valueFrom:", "spec.valueFrom", id="release"),
        pytest.param("operator/release.yaml", "retries: 3", "retries: x", "retries", id="a number"),
        pytest.param("flux/images.yaml", "strategy: Setters", "strategy: Setter", "strategy", id="strategy"),
        pytest.param("flux/images.yaml", "IfNotPresent", "Sometimes", "digestReflectionPolicy", id="digests"),
        pytest.param("flux/images.yaml", "messageTemplate:", "message:", "message", id="commit"),
    ],
)
def test_and_refuses_mistakes(engine: Flux, name: str, right: str, wrong: str, field: str) -> None:
    text = engine.fleet.text(name).replace("namespace: flux-system", f"namespace: {engine.world.namespace}")
    assert right in text
    assert field in refused(engine.world, text.replace(right, wrong))


class Release:
    """The chart in the registry, and what Flux holds for helm-controller."""

    def __init__(self, engine: Flux, registry: str, folder: Path) -> None:
        self.engine, self.world, self.folder = engine, engine.world, folder
        self.url = f"oci://{registry}/{engine.world.namespace}"
        self.names = {"ocirepositories": "source.toolkit.fluxcd.io/v1", "helmreleases": "helm.toolkit.fluxcd.io/v2"}

    def helm(self, *arguments: str) -> str:
        command = [str(self.world.plane.binaries.helm), *arguments]
        homes = {f"HELM_{name}_HOME": str(self.folder / name) for name in ("CACHE", "CONFIG", "DATA")}
        environment = os.environ | homes | {"KUBECONFIG": str(self.world.plane.kubeconfig)}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    def push(self, version: str) -> bytes:
        """Package and push the operator's chart; its archive."""
        self.helm("package", str(CHART), f"--version={version}", "--destination", str(self.folder))
        archive = self.folder / f"bitagent-operator-{version}.tgz"
        self.helm("push", str(archive), self.url, "--plain-http")
        return archive.read_bytes()

    def commit(self) -> None:
        """Commit the example with the address of this registry, which has no TLS."""
        text = self.engine.fleet.repository.read("operator/release.yaml").replace(OFFICIAL, f"{self.url}/{CHART.name}")
        text = text.replace("spec:\n  url:", "spec:\n  insecure: true\n  url:").replace("interval: 10m", "interval: 1s")
        self.engine.fleet.repository.commit("this registry", {"operator/release.yaml": text})

    def path(self, plural: str) -> str:
        return f"/apis/{self.names[plural]}/namespaces/{self.world.namespace}/{plural}/bitagent-operator"

    def artifact(self, version: str) -> bytes:
        """Wait for an artifact of a version; what helm-controller downloads."""
        read = self.world.api.get
        found = self.world.until(
            f"the artifact of {version}",
            lambda: (
                (a := read(self.path("ocirepositories"))["status"]["artifact"])["revision"].startswith(f"{version}@")
                and a
            ),
        )
        with urllib.request.urlopen(found["url"], timeout=60) as answer:  # a port of this machine
            return bytes(answer.read())


def test_the_release_is_the_pushed_chart_with_the_values_of_git(
    engine: Flux, registry: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("charts")
    release, world = Release(engine, registry, folder), engine.world
    pushed = release.push("0.1.0")
    release.commit()
    engine.start("operator", wait=True)
    assert release.artifact("0.1.0") == pushed
    spec = world.until("the release is there", lambda: world.api.get(release.path("helmreleases")))["spec"]
    assert spec["chartRef"] == {"kind": "OCIRepository", "name": "bitagent-operator"}
    (source,) = spec["valuesFrom"]
    values = world.get("configmaps", source["name"])["data"]["values.yaml"]
    assert values == (EXAMPLES / "operator/values.yaml").read_text()

    # As helm-controller does with both; the cluster has no Prometheus operator.
    (folder / "values.yaml").write_text(values)
    (folder / "chart.tgz").write_bytes(release.artifact("0.1.0"))
    off = [f"--set=metrics.{name}.enabled=false" for name in ("podMonitor", "prometheusRule")]
    where = [f"--namespace={world.namespace}", f"--values={folder}/values.yaml", "--set=crds.install=false"]
    release.helm("upgrade", "--install", "bitagent-operator", str(folder / "chart.tgz"), *where, *off)
    (deployment,) = world.all("deployments")
    images = {each["image"] for each in deployment["spec"]["template"]["spec"]["containers"]}
    assert images == {yaml.safe_load(values)["images"]["operator"]}

    assert engine.ready("operator")["status"] != "True", "others wait until the release is ready"
    status = {
        "observedGeneration": world.api.get(release.path("helmreleases"))["metadata"]["generation"],
        "conditions": [
            {"type": "Ready", "status": "True", "reason": "InstallSucceeded", "message": "of a test",
             "lastTransitionTime": "2026-01-01T00:00:00Z"}
        ],
    }  # fmt: skip
    world.api.merge(release.path("helmreleases") + "/status", {"status": status})
    engine.until_ready("operator")

    later = release.push("0.2.0")
    assert release.artifact("0.2.0") == later, "a newer chart in the registry follows by itself"
    release.helm("uninstall", "bitagent-operator", f"--namespace={world.namespace}")
    engine.remove("operator")
    engine.created.clear()
    listed = release.path("helmreleases").rpartition("/")[0]
    world.until("the release is pruned", lambda: not world.api.get(listed)["items"])
