"""Install the product and the simulated world as a user would: namespaces, volumes, world, chart, objects.

Every step may be repeated.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template

from bitagent_local.cluster.api import Api
from bitagent_local.cluster.host import SOURCES, ClusterError
from bitagent_local.cluster.node import Node
from bitagent_local.cluster.volumes import ensure_volume
from bitagent_local.demo.kubectl import Kubectl

ROOT = SOURCES.parent
NAMESPACE = "bitagent"
WORLD_NAMESPACE = "bitagent-world"
RELEASE = "bitagent-operator"
EXAMPLES = ROOT / "examples" / "demo"
MANIFESTS = SOURCES / "manifests"
MODELS = SOURCES / "models"
MODELS_VOLUME = "bitagent-operator-models"
ARTIFACTS_VOLUME = "bitagent-operator-artifacts"
SITE_VOLUME = "bitagent-site"
CRDS = ("minermodels.bitagent.io", "evalrounds.bitagent.io", "validators.bitagent.io")
SITE_PACKAGES = ROOT / ".venv" / "lib" / "python3.11" / "site-packages"


@dataclass(frozen=True)
class Stack:
    """A cluster and the tools to work with it."""

    kubectl: Kubectl
    helm: Path
    python: Path
    """The environment's interpreter, which runs the wallet tool."""

    def run_helm(self, *args: str) -> str:
        """Return the standard output of `helm ARGS`. Raises ClusterError if it fails."""
        done = subprocess.run(
            [str(self.helm), *args], env=self.kubectl.environment(), capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise ClusterError(f"helm {' '.join(args[:3])}: {done.stderr.strip()}")
        return done.stdout


def prepare_volumes(node: Node) -> Path:
    """Create the local node's volumes for models, artifacts and the environment; return the folder of the artifacts."""
    api = Api.from_kubeconfig(node.own_kubeconfig)
    ensure_volume(node, api, MODELS_VOLUME, namespace=NAMESPACE)
    artifacts = ensure_volume(node, api, ARTIFACTS_VOLUME, namespace=NAMESPACE)
    ensure_volume(node, api, SITE_VOLUME, namespace=NAMESPACE, path=SITE_PACKAGES, modes=("ReadOnlyMany",))
    return artifacts


def install_world(stack: Stack, *, image: str) -> None:
    """Install the simulated chain and the model hub, and wait until they are ready."""
    stack.kubectl.apply(Template((MANIFESTS / "world.yaml").read_text()).safe_substitute(WORLD_IMAGE=image))
    for name in ("chain", "hub"):
        stack.kubectl.run("rollout", "status", f"deploy/{name}", "-n", WORLD_NAMESPACE, "--timeout=120s")


def evaluator_image(stack: Stack) -> str:
    """Return the image of the operator's Jobs, from the values of the Helm release."""
    values: dict[str, dict[str, str]] = json.loads(
        stack.run_helm("get", "values", RELEASE, "-n", NAMESPACE, "-o", "json")
    )
    return values["images"]["evaluator"]


def install_operator(
    stack: Stack, images: Mapping[str, str], *, values: Path, extra: Mapping[str, str] | None = None
) -> None:
    """Install the namespace and the chart, and return at once; objects may be applied before the operator runs."""
    stack.kubectl.apply((EXAMPLES / "namespace.yaml").read_text())
    if values.name == "values-local.yaml":
        stack.kubectl.apply((MANIFESTS / "site.yaml").read_text())
    settings = {f"images.{name}": reference for name, reference in images.items()} | dict(extra or {})
    flags = [f"--set={key}={value}" for key, value in settings.items()]
    stack.run_helm(
        "upgrade", "--install", RELEASE, str(ROOT / "charts" / "bitagent-operator"), "-n", NAMESPACE,
        "-f", str(values), *flags,
    )  # fmt: skip
    stack.kubectl.run("wait", "--for=condition=Established", "crd", *CRDS, "--timeout=60s")


def wait_operator(stack: Stack) -> None:
    """Wait until the operator is ready: its cache is in sync."""
    stack.kubectl.run("rollout", "status", "deploy/bitagent-operator", "-n", NAMESPACE, "--timeout=180s")


def apply_demo(stack: Stack, scratch: Path) -> None:
    """Apply the task file, the hotkey and the demo's objects."""
    kubectl = stack.kubectl
    kubectl.apply(task_file(stack, "demo-tasks", MODELS / "tasks.jsonl"))
    kubectl.apply(hotkey_secret(stack, "//Validator", scratch))
    kubectl.apply((EXAMPLES / "minermodels.yaml").read_text())
    kubectl.apply((EXAMPLES / "validator.yaml").read_text())


def task_file(stack: Stack, name: str, path: Path) -> str:
    """Return the manifest of a ConfigMap with one file of tasks."""
    return stack.kubectl.run(
        "create", "configmap", name, "-n", NAMESPACE, "--dry-run=client", "-o", "yaml",
        f"--from-file=tasks.jsonl={path}",
    )  # fmt: skip


def hotkey_secret(
    stack: Stack, uri: str, scratch: Path, *, name: str = "demo-hotkey", namespace: str = NAMESPACE
) -> str:
    """Return the manifest of a Secret with a development hotkey, made with the same tool that its owner would use."""
    hotkey = scratch / name
    hotkey.unlink(missing_ok=True)
    command = [str(stack.python), "-m", "bitagent_local.chain", "wallet", "--uri", uri, "--out", str(hotkey)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ClusterError(f"making the development hotkey failed: {done.stderr.strip()}")
    try:
        return stack.kubectl.run(
            "create", "secret", "generic", name, "-n", namespace, "--dry-run=client", "-o", "yaml",
            f"--from-file=hotkey={hotkey}",
        )  # fmt: skip
    finally:
        hotkey.unlink(missing_ok=True)
