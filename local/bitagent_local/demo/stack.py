"""Installing the product and the world around it, as a user would: namespaces, volumes, world, chart, objects. Every step may be repeated."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template

from bitagent_local.cluster.api import Api
from bitagent_local.cluster.errors import ClusterError
from bitagent_local.cluster.node import Node
from bitagent_local.cluster.paths import SOURCES
from bitagent_local.cluster.volumes import ensure_volume
from bitagent_local.demo.kubectl import Kubectl, wait_until

ROOT = SOURCES.parent
NAMESPACE = "bitagent"
WORLD_NAMESPACE = "bitagent-world"
RELEASE = "bitagent-operator"
EXAMPLES = ROOT / "examples" / "demo"
ALTERED = ROOT / "examples" / "altered"
ALTERED_ROUNDS = ("plain-benchmark", "altered-benchmark")
MANIFESTS = SOURCES / "manifests"
MODELS_VOLUME = "bitagent-operator-models"
ARTIFACTS_VOLUME = "bitagent-operator-artifacts"
SITE_VOLUME = "bitagent-site"
REWRITER_VOLUME = "bitagent-rewriter"
REWRITER_MODEL = SOURCES / "models" / "tiny-rewriter"
CRDS = ("minermodels.bitagent.io", "evalrounds.bitagent.io", "validators.bitagent.io")
SITE_PACKAGES = ROOT / ".venv" / "lib" / "python3.11" / "site-packages"


@dataclass(frozen=True)
class Stack:
    """A cluster and the tools to work with it."""

    kubectl: Kubectl
    helm: Path
    python: Path
    """The environment's interpreter, for the wallet tool."""

    def run_helm(self, *args: str) -> str:
        """Standard output of `helm ARGS`.

        Raises:
            ClusterError: It failed.
        """
        done = subprocess.run(
            [str(self.helm), *args], env=self.kubectl.environment(), capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise ClusterError(f"helm {' '.join(args[:3])}: {done.stderr.strip()}")
        return done.stdout


def prepare_volumes(node: Node) -> Path:
    """Make the local node's volumes for cache, artifacts and the locked environment; returns the folder of the artifacts."""
    api = Api.from_kubeconfig(node.kubeconfig)
    ensure_volume(node, api, MODELS_VOLUME, namespace=NAMESPACE)
    artifacts = ensure_volume(node, api, ARTIFACTS_VOLUME, namespace=NAMESPACE)
    ensure_volume(node, api, SITE_VOLUME, namespace=NAMESPACE, path=SITE_PACKAGES, modes=("ReadOnlyMany",))
    return artifacts


def install_world(stack: Stack, *, image: str) -> None:
    """Simulated chain and model hub, as pods."""
    stack.kubectl.apply(Template((MANIFESTS / "world.yaml").read_text()).safe_substitute(WORLD_IMAGE=image))
    for name in ("chain", "hub"):
        stack.kubectl.run("rollout", "status", f"deploy/{name}", "-n", WORLD_NAMESPACE, "--timeout=120s")


def install_rewriter(stack: Stack, node: Node) -> None:
    """A language model that rewords questions, as a pod beside the operator. Does not wait: it is ready half a minute later.

    Raises:
        ClusterError: The operator is not installed.
    """
    api = Api.from_kubeconfig(node.kubeconfig)
    folder = ensure_volume(node, api, REWRITER_VOLUME, namespace=NAMESPACE)
    for file in REWRITER_MODEL.iterdir():  # A copy: the pod's user need not be able to read a checkout.
        (folder / file.name).write_bytes(file.read_bytes())
        (folder / file.name).chmod(0o644)
    image = evaluator_image(stack)
    stack.kubectl.apply(Template((MANIFESTS / "rewriter.yaml").read_text()).safe_substitute(EVALUATOR_IMAGE=image))


def remove_rewriter(stack: Stack) -> None:
    """The rewriter, and the file of tasks that its rounds use."""
    rewriter = (
        "deployment/rewriter",
        "service/rewriter",
        "networkpolicy/rewriter",
        "persistentvolumeclaim/bitagent-rewriter",
    )
    for name in (*rewriter, "configmap/demo-benchmark"):
        stack.kubectl.run("delete", name, "-n", NAMESPACE, "--ignore-not-found", "--timeout=60s")


def wait_rewriter(stack: Stack) -> None:
    """Until the rewriter answers."""
    stack.kubectl.run("rollout", "status", "deploy/rewriter", "-n", NAMESPACE, "--timeout=300s")


def evaluator_image(stack: Stack) -> str:
    """The image that the operator starts Jobs with, as Helm was told."""
    values: dict[str, dict[str, str]] = json.loads(
        stack.run_helm("get", "values", RELEASE, "-n", NAMESPACE, "-o", "json")
    )
    return values["images"]["evaluator"]


def install_operator(
    stack: Stack, images: Mapping[str, str], *, values: Path, extra: Mapping[str, str] | None = None
) -> None:
    """The namespace and the chart. Does not wait: what is applied next is there when the operator comes up."""
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
    """Until the operator is in sync."""
    stack.kubectl.run("rollout", "status", "deploy/bitagent-operator", "-n", NAMESPACE, "--timeout=180s")


def apply_demo(stack: Stack, scratch: Path) -> None:
    """Tasks, hotkey and the demo's objects."""
    kubectl = stack.kubectl
    kubectl.apply(_task_file(stack, "demo-tasks", SOURCES / "models" / "tasks.jsonl"))
    kubectl.apply(hotkey_secret(stack, "//Validator", scratch))
    kubectl.apply((EXAMPLES / "minermodels.yaml").read_text())
    kubectl.apply((EXAMPLES / "validator.yaml").read_text())


def apply_altered(stack: Stack) -> None:
    """The public benchmark, the two models, and the rounds that ask it as it is and altered (examples/altered)."""
    stack.kubectl.apply(_task_file(stack, "demo-benchmark", SOURCES / "models" / "benchmark.jsonl"))
    stack.kubectl.apply((ALTERED / "minermodels.yaml").read_text())
    stack.kubectl.apply((ALTERED / "evalrounds.yaml").read_text())


def wait_altered(stack: Stack) -> None:
    """Until both rounds are complete."""
    rounds = [f"evalround/{name}" for name in ALTERED_ROUNDS]
    stack.kubectl.run("wait", "--for=condition=Complete", *rounds, "-n", NAMESPACE, "--timeout=600s")


def _task_file(stack: Stack, name: str, path: Path) -> str:
    """Manifest of a ConfigMap with one file of tasks."""
    return stack.kubectl.run(
        "create", "configmap", name, "-n", NAMESPACE, "--dry-run=client", "-o", "yaml",
        f"--from-file=tasks.jsonl={path}",
    )  # fmt: skip


def hotkey_secret(stack: Stack, uri: str, scratch: Path) -> str:
    """Manifest of the Secret with a development hotkey, made as its owner would make it."""
    hotkey = scratch / "hotkey"
    hotkey.unlink(missing_ok=True)
    command = [str(stack.python), "-m", "bitagent_local.chain", "wallet", "--uri", uri, "--out", str(hotkey)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ClusterError(f"making the development hotkey failed: {done.stderr.strip()}")
    try:
        return stack.kubectl.run(
            "create", "secret", "generic", "demo-hotkey", "-n", NAMESPACE, "--dry-run=client", "-o", "yaml",
            f"--from-file=hotkey={hotkey}",
        )  # fmt: skip
    finally:
        hotkey.unlink(missing_ok=True)


def uninstall(stack: Stack) -> None:
    """Remove what the demo made on a cluster that stays: objects, release, namespaces and CRDs."""
    kubectl = stack.kubectl
    for kind in reversed(CRDS):
        kubectl.run("delete", kind, "--all", "-n", NAMESPACE, "--ignore-not-found", check=False)
    wait_until(
        lambda: (
            not kubectl.run(
                "get", "pods", "-n", NAMESPACE, "-l", "app.kubernetes.io/managed-by=bitagent-operator", "-o", "name"
            ).strip()
            or None
        ),
        seconds=120,
        what="pods of the demo to end",
    )
    stack.run_helm("uninstall", RELEASE, "-n", NAMESPACE, "--ignore-not-found", "--wait")
    kubectl.run("delete", "namespace", NAMESPACE, WORLD_NAMESPACE, "--ignore-not-found")
    kubectl.run(
        "delete",
        "crd",
        "minermodels.bitagent.io",
        "evalrounds.bitagent.io",
        "validators.bitagent.io",
        "--ignore-not-found",
    )
