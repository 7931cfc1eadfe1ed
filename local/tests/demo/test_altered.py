"""The demo's altered rounds: the Validator gets the example's rewriter, and the rounds name that Validator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from bitagent_local.cluster.host import SOURCES
from bitagent_local.demo import altered
from bitagent_local.demo.kubectl import Kubectl
from bitagent_local.demo.stack import EXAMPLES, NAMESPACE, Stack


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    """A stack whose kubectl writes its arguments to a file."""
    kubectl = tmp_path / "kubectl"
    kubectl.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\n')
    kubectl.chmod(0o755)
    return Stack(Kubectl(kubectl, tmp_path / "none.kubeconfig"), tmp_path / "helm", tmp_path / "python")


def test_the_validator_is_given_the_examples_rewriter(stack: Stack, tmp_path: Path) -> None:
    altered.install_rewriter(stack)
    altered.wait_rewriter(stack)
    patch, wait = (tmp_path / "calls").read_text().splitlines()
    assert f"patch validator {altered.VALIDATOR} -n {NAMESPACE} --type=merge" in patch
    assert f"--patch-file={altered.EXAMPLES / 'rewriter.yaml'}" in patch
    assert f"wait --for=condition=RewriterReady validator/{altered.VALIDATOR}" in wait


def test_the_rewriter_is_a_model_of_the_demos_hub_on_the_cpu() -> None:
    spec: dict[str, Any] = yaml.safe_load((altered.EXAMPLES / "rewriter.yaml").read_text())["spec"]["rewriter"]
    listed = yaml.safe_load((SOURCES / "models" / "repositories.yaml").read_text())["repositories"]
    assert spec["source"]["huggingFace"]["repo"] in {each["repo"] for each in listed}
    assert spec["resources"]["gpus"] == 0


def test_the_round_names_the_demos_validator() -> None:
    plain, reworded = yaml.safe_load_all((altered.EXAMPLES / "evalrounds.yaml").read_text())
    assert [plain["metadata"]["name"], reworded["metadata"]["name"]] == list(altered.ROUNDS)
    validator = yaml.safe_load((EXAMPLES / "validator.yaml").read_text())
    assert reworded["metadata"]["labels"] == {"bitagent.io/rewriter": validator["metadata"]["name"]}
    assert validator["metadata"]["name"] == altered.VALIDATOR
    (rewrite,) = [a["rewrite"] for a in reworded["spec"]["tasks"]["alterations"] if "rewrite" in a]
    assert "url" not in rewrite
