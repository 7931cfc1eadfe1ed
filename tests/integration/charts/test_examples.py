"""The examples of altered rounds and their rewriter, as an API server takes them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

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


@pytest.mark.parametrize(
    "file",
    [
        "altered/minermodels.yaml",
        "altered/evalrounds.yaml",
        "subnets/nous/validator.yaml",
        "subnets/bitagent/validator.yaml",
    ],
)
def test_taken_without_a_warning(plane: ControlPlane, namespace: None, file: str) -> None:
    apply(plane, (EXAMPLES / file).read_text())


def test_the_rewriter_is_a_part_of_the_demos_validator(plane: ControlPlane, namespace: None) -> None:
    apply(plane, (EXAMPLES / "demo/validator.yaml").read_text())
    patch = ("--type=merge", f"--patch-file={EXAMPLES / 'altered/rewriter.yaml'}")
    command = plane.kubectl("patch", "validator", "demo", "-n", "bitagent", *patch, "-o", "json")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["spec"]["rewriter"]["source"]["huggingFace"]["repo"] == "world/tiny-rewriter"
