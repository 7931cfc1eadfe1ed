"""The second part of the demo: a language model that rewords questions, and the same tasks as published and altered."""

from __future__ import annotations

from string import Template

from bitagent_local.cluster.api import Api
from bitagent_local.cluster.node import Node
from bitagent_local.cluster.volumes import ensure_volume
from bitagent_local.demo.stack import MANIFESTS, MODELS, NAMESPACE, ROOT, Stack, evaluator_image, task_file

EXAMPLES = ROOT / "examples" / "altered"
ROUNDS = ("plain-benchmark", "altered-benchmark")
REWRITER_VOLUME = "rewriter-models"
REWRITER_MODEL = MODELS / "tiny-rewriter"


def install_rewriter(stack: Stack, node: Node) -> None:
    """Start the rewriter as a pod beside the operator, and return at once: it is ready half a minute later.

    Raises ClusterError if the operator is not installed.
    """
    folder = ensure_volume(node, Api.from_kubeconfig(node.kubeconfig), REWRITER_VOLUME, namespace=NAMESPACE)
    for file in REWRITER_MODEL.iterdir():  # A copy: the pod's user need not be able to read a checkout.
        (folder / file.name).write_bytes(file.read_bytes())
        (folder / file.name).chmod(0o644)
    stack.kubectl.apply(rewriter_manifest(stack))


def rewriter_manifest(stack: Stack) -> str:
    """Render the objects of examples/rewriter for the local node.

    Raises ClusterError if the operator is not installed.
    """
    rendered = stack.kubectl.run("kustomize", str(MANIFESTS / "rewriter"))
    return Template(rendered).safe_substitute(EVALUATOR_IMAGE=evaluator_image(stack))


def wait_rewriter(stack: Stack) -> None:
    """Wait until the rewriter answers."""
    stack.kubectl.run("rollout", "status", "deploy/rewriter", "-n", NAMESPACE, "--timeout=300s")


def apply_rounds(stack: Stack) -> None:
    """Apply the public benchmark, two models, and two rounds: one with the benchmark as published, one altered."""
    stack.kubectl.apply(task_file(stack, "demo-benchmark", MODELS / "benchmark.jsonl"))
    stack.kubectl.apply((EXAMPLES / "minermodels.yaml").read_text())
    stack.kubectl.apply((EXAMPLES / "evalrounds.yaml").read_text())


def wait_rounds(stack: Stack) -> None:
    """Wait until both rounds are complete."""
    rounds = [f"evalround/{name}" for name in ROUNDS]
    stack.kubectl.run("wait", "--for=condition=Complete", *rounds, "-n", NAMESPACE, "--timeout=600s")
