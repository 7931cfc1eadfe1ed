"""The second part of the demo: a language model that rewords questions, and the same tasks as published and altered."""

from __future__ import annotations

from bitagent_local.demo.stack import MODELS, NAMESPACE, ROOT, Stack, task_file

EXAMPLES = ROOT / "examples" / "altered"
ROUNDS = ("plain-benchmark", "altered-benchmark")
VALIDATOR = "demo"
"""The Validator whose rewriter is used."""
LIMIT = "--timeout=1200s"
"""Two busy cores, with rounds of the demo beside it, have taken more than five minutes to start the rewriter."""


def install_rewriter(stack: Stack) -> None:
    """Give the demo's Validator a rewriter, and return at once: it is ready a minute later."""
    patch = ("--type=merge", f"--patch-file={EXAMPLES / 'rewriter.yaml'}")
    stack.kubectl.run("patch", "validator", VALIDATOR, "-n", NAMESPACE, *patch)


def wait_rewriter(stack: Stack) -> None:
    """Wait until the rewriter answers."""
    ready = "--for=condition=RewriterReady"
    stack.kubectl.run("wait", ready, f"validator/{VALIDATOR}", "-n", NAMESPACE, LIMIT)


def apply_rounds(stack: Stack) -> None:
    """Apply the public benchmark, two models, and two rounds: one with the benchmark as published, one altered."""
    stack.kubectl.apply(task_file(stack, "demo-benchmark", MODELS / "benchmark.jsonl"))
    stack.kubectl.apply((EXAMPLES / "minermodels.yaml").read_text())
    stack.kubectl.apply((EXAMPLES / "evalrounds.yaml").read_text())


def wait_rounds(stack: Stack) -> None:
    """Wait until both rounds are complete."""
    rounds = [f"evalround/{name}" for name in ROUNDS]
    stack.kubectl.run("wait", "--for=condition=Complete", *rounds, "-n", NAMESPACE, LIMIT)
