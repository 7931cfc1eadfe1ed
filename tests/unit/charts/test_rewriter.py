"""The rewriter, for clusters and for the local node: only task-set pods that need it may connect to it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from bitagent_crds.names import Component, Egress
from bitagent_operator import naming

LOCAL = "local/manifests/rewriter"
FOLDERS = ["examples/rewriter", LOCAL]
ASKS = naming.labels(Component.TASK_SET, {}) | {Egress.REWRITER.value: "true"}


@pytest.fixture(scope="session")
def render() -> Callable[[Path], dict[str, dict[str, Any]]]:
    """Function: the objects of a folder by kind, as kustomize renders them."""
    cache = Path(os.environ.get("BITAGENT_CACHE", Path.home() / ".cache/bitagent"))
    kubectl = shutil.which("kubectl", path=str(cache / "bin")) or shutil.which("kubectl")
    if kubectl is None:
        pytest.fail(f"there is no kubectl on PATH or in {cache}/bin: run 'make toolchain'")

    def kustomize(folder: Path) -> dict[str, dict[str, Any]]:
        done = subprocess.run([kubectl, "kustomize", str(folder)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return {o["kind"]: o for o in yaml.safe_load_all(done.stdout)}

    return kustomize


@pytest.fixture(params=FOLDERS)
def objects(
    request: pytest.FixtureRequest, root: Path, render: Callable[[Path], dict[str, dict[str, Any]]]
) -> dict[str, dict[str, Any]]:
    return render(root / request.param)


def container(objects: dict[str, Any]) -> dict[str, Any]:
    (only,) = objects["Deployment"]["spec"]["template"]["spec"]["containers"]
    found: dict[str, Any] = only
    return found


def options(objects: dict[str, Any]) -> dict[str, str]:
    return dict(argument.removeprefix("--").partition("=")[::2] for argument in container(objects)["args"])


def test_pod_is_restricted(objects: dict[str, Any], unrestricted: Callable[..., list[str]]) -> None:
    assert unrestricted(tuple(objects.values())) == []
    pod = objects["Deployment"]["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False


def test_the_charts_policy_finds_the_pod(objects: dict[str, Any], root: Path) -> None:
    values = yaml.safe_load((root / "charts/bitagent-operator/values.yaml").read_text())
    ((rule),) = values["networkPolicy"]["rewriter"]
    labels = objects["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert rule["to"][0]["podSelector"]["matchLabels"].items() <= labels.items()
    assert [p["port"] for p in rule["ports"]] == [p["containerPort"] for p in container(objects)["ports"]] == [8000]


def test_only_task_set_pods_with_a_rewrite_come_in(objects: dict[str, Any]) -> None:
    spec = objects["NetworkPolicy"]["spec"]
    labels = objects["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert spec["podSelector"]["matchLabels"].items() <= labels.items()
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    ((peer,),) = [rule["from"] for rule in spec["ingress"]]
    wanted = peer["podSelector"]["matchLabels"].items()
    assert wanted <= ASKS.items()
    for component in Component:
        assert not wanted <= naming.labels(component, {}).items()


def test_the_service_is_the_address_in_the_round(objects: dict[str, Any], root: Path) -> None:
    service, (port,) = objects["Service"], objects["Service"]["spec"]["ports"]
    labels = objects["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items()
    address = f"http://{service['metadata']['name']}.{service['metadata']['namespace']}:{port['port']}/v1"
    _, round_ = yaml.safe_load_all((root / "examples/altered/evalrounds.yaml").read_text())
    (rewrite,) = [a["rewrite"] for a in round_["spec"]["tasks"]["alterations"] if "rewrite" in a]
    assert (rewrite["url"], rewrite["model"]) == (address, options(objects)["served-model-name"])


def test_the_local_one_has_no_egress(root: Path, render: Callable[[Path], dict[str, dict[str, Any]]]) -> None:
    example, local = render(root / "examples/rewriter"), render(root / LOCAL)
    assert "egress" in example["NetworkPolicy"]["spec"]
    assert "egress" not in local["NetworkPolicy"]["spec"]


def test_ports_of_probes_and_server_agree(objects: dict[str, Any]) -> None:
    own = container(objects)
    probes = [own[p]["httpGet"] for p in ("startupProbe", "readinessProbe")]
    assert {p["path"] for p in probes} == {"/health"}
    assert {p["port"] for p in probes} == {port["name"] for port in own["ports"]}
    assert int(options(objects)["port"]) == own["ports"][0]["containerPort"]
