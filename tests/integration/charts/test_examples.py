"""The examples of rewriter and altered round, as an API server with Pod Security takes them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

if TYPE_CHECKING:
    from bitagent_local.cluster.control_plane import ControlPlane

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = ROOT / "examples"


@pytest.fixture(scope="module")
def namespace(plane: ControlPlane) -> None:
    """The demo's: restricted."""
    apply(plane, (EXAMPLES / "demo/namespace.yaml").read_text())


def apply(plane: ControlPlane, manifest: str, *options: str) -> None:
    """Strictly; a warning of the server is a failure."""
    command = plane.kubectl("apply", "--server-side", "--validate=strict", "--warnings-as-errors", *options, "-f", "-")
    done = subprocess.run(command, input=manifest, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("file", ["altered/minermodels.yaml", "altered/evalrounds.yaml", "rewriter/rewriter.yaml"])
def test_taken_without_a_warning(plane: ControlPlane, namespace: None, file: str) -> None:
    apply(plane, (EXAMPLES / file).read_text())


@pytest.mark.parametrize("folder", ["examples/rewriter", "local/manifests/rewriter"])
def test_the_rewriters_pod_is_let_into_a_restricted_namespace(
    plane: ControlPlane, namespace: None, folder: str
) -> None:
    command = plane.kubectl("kustomize", str(ROOT / folder))
    rendered = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    (deployment,) = [o for o in yaml.safe_load_all(rendered) if o["kind"] == "Deployment"]
    template = deployment["spec"]["template"]
    metadata = {"name": "rewriter", "namespace": "bitagent", "labels": template["metadata"]["labels"]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}
    plane.api.apply(
        "/api/v1/namespaces/bitagent/serviceaccounts/default", {"apiVersion": "v1", "kind": "ServiceAccount"}
    )
    apply(plane, json.dumps(pod), "--dry-run=server")
