"""Blocks of the documents that need a cluster, typed as they are: a real operator, and a double of the kubelet.

The namespace of the documents is that of the test, and the objects of `examples/demo` are there, as after `make demo`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from tests.documents import DOCUMENTS, ROOT, Block, blocks

if TYPE_CHECKING:
    from tests.integration.operator.conftest import Exit, Obj, Outcomes, World

pytestmark = pytest.mark.integration

ALL = (block for document in DOCUMENTS for block in blocks(document) if block.group == "cluster")
CLUSTER = [
    pytest.param(list(run), id=str(document.relative_to(ROOT)))
    for document, run in groupby(ALL, key=lambda block: block.document)
]
REFUSED = {
    "bad-missing": "RepositoryNotFound",
    "bad-nan": "NonFiniteWeights",
    "bad-pickle": "NoSafetensors",
    "bad-truncated": "CorruptWeights",
}


def test_documents_have_blocks_for_a_cluster() -> None:
    assert len(CLUSTER) >= 3


@pytest.fixture
def demo(operator: World, outcomes: Outcomes, tmp_path: Path) -> Path:
    """A checkout whose examples are in the test's namespace, and the demo's models and tasks in the cluster."""

    def script(pod: Obj, document: Obj) -> Exit | None:
        name = str(document.get("repo", "")).rpartition("/")[2]
        if document["kind"] == "Fetch" and f"bad-{name}" in REFUSED:
            return outcomes.refused(REFUSED[f"bad-{name}"], "what was wrong")
        if document["kind"] == "Evaluate":
            return outcomes.scored(f"0.{name.rpartition('-')[2]:0>4}00" if name[-1].isdigit() else "0.500000")
        return outcomes.usual(pod, document)

    operator.kubelet.script = script
    checkout = tmp_path / "checkout"
    shutil.copytree(ROOT / "examples", checkout / "examples")
    for file in (checkout / "examples").rglob("*.yaml"):
        file.write_text(_here(file.read_text(), operator.namespace))
    (checkout / "local").symlink_to(ROOT / "local")
    tasks = {"data": {"tasks.jsonl": (ROOT / "local/models/tasks.jsonl").read_text()}}
    operator.api.create(operator.path("configmaps"), {"metadata": {"name": "demo-tasks"}} | tasks)
    for model in yaml.safe_load_all((checkout / "examples/demo/minermodels.yaml").read_text()):
        operator.api.create(operator.path("minermodels"), model)
    return checkout


@pytest.mark.parametrize("run", CLUSTER)
def test_marked_blocks_run_against_a_cluster(run: list[Block], operator: World, demo: Path, tmp_path: Path) -> None:
    """With the rights of a cluster's administrator; the line that names the demo's kubeconfig is left out."""
    config = json.loads(operator.plane.kubeconfig.read_text())
    config["contexts"][0]["context"]["namespace"] = operator.namespace
    kubeconfig = tmp_path / "admin.kubeconfig"
    kubeconfig.write_text(json.dumps(config))
    lines = "".join(block.text for block in run).splitlines(keepends=True)
    script = _here("".join(line for line in lines if "export KUBECONFIG=" not in line), operator.namespace)
    path = f"{ROOT / '.venv' / 'bin'}:{operator.plane.binaries.kubectl.parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script.replace("/tmp/", f"{tmp_path}/")],
        cwd=demo,
        env=os.environ | {"PATH": path, "KUBECONFIG": str(kubeconfig), "HOME": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=90,
    )
    assert done.returncode == 0, done.stdout[-4000:]


def _here(text: str, namespace: str) -> str:
    """Return a text with the test's namespace in place of those of the documents."""
    return re.sub(r"(?m)((?:-n|--namespace|namespace:) )(?:bitagent|team)(?=$|[ ,}])", rf"\g<1>{namespace}", text)
