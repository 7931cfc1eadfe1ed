"""The rewriter of the demo is the example's, with what a machine without a GPU needs changed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from bitagent_local.cluster.host import SOURCES, cache_root
from bitagent_local.demo import altered
from bitagent_local.demo.kubectl import Kubectl
from bitagent_local.demo.stack import NAMESPACE, Stack

IMAGE = "localhost:5000/bitagent/evaluator-thin:0123"
Objects = dict[str, dict[str, Any]]


def by_kind(text: str) -> Objects:
    return {each["kind"]: each for each in yaml.safe_load_all(text)}


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Objects:
    found = shutil.which("kubectl", path=str(cache_root() / "bin")) or shutil.which("kubectl")
    if found is None:
        pytest.fail(f"there is no kubectl on PATH or in {cache_root()}/bin: run 'make toolchain'")
    folder = tmp_path_factory.mktemp("stack")
    helm = folder / "helm"
    values = json.dumps({"images": {"evaluator": IMAGE}})
    helm.write_text(f"#!/bin/sh\ntest \"$1 $2\" = 'get values' && echo '{values}'\n")
    helm.chmod(0o755)
    stack = Stack(Kubectl(Path(found), folder / "none.kubeconfig"), helm, folder / "python")
    return by_kind(altered.rewriter_manifest(stack))


@pytest.fixture(scope="module")
def example() -> Objects:
    return by_kind((SOURCES.parent / "examples" / "rewriter" / "rewriter.yaml").read_text())


def container(objects: Objects) -> dict[str, Any]:
    (only,) = objects["Deployment"]["spec"]["template"]["spec"]["containers"]
    found: dict[str, Any] = only
    return found


def test_the_objects_are_the_examples(objects: Objects, example: Objects) -> None:
    assert {kind: each["metadata"] for kind, each in objects.items()} == {
        kind: each["metadata"] for kind, each in example.items()
    }
    assert objects["Service"] == example["Service"]
    for name in ("command", "ports", "securityContext"):
        assert container(objects)[name] == container(example)[name]


def test_the_server_is_the_operators_evaluator(objects: Objects) -> None:
    assert container(objects)["image"] == IMAGE
    assert "${" not in json.dumps(objects)


def test_no_gpu_is_requested(objects: Objects, example: Objects) -> None:
    assert "nvidia.com/gpu" in json.dumps(example)
    assert "nvidia.com/gpu" not in json.dumps(objects)
    assert container(objects)["resources"]["requests"] == {"cpu": "100m", "memory": "1Gi"}


def test_the_pod_reaches_nothing(objects: Objects) -> None:
    spec = objects["NetworkPolicy"]["spec"]
    assert "Egress" in spec["policyTypes"]
    assert "egress" not in spec
    variables = {each["name"] for each in container(objects)["env"]}
    assert "HF_HUB_OFFLINE" in variables
    assert not variables & {"HF_TOKEN", "HF_HOME"}


def test_the_model_is_the_nodes_volume(objects: Objects) -> None:
    claim = objects["PersistentVolumeClaim"]
    assert (claim["metadata"]["name"], claim["metadata"]["namespace"]) == (altered.REWRITER_VOLUME, NAMESPACE)
    assert (claim["spec"]["storageClassName"], claim["spec"]["volumeName"]) == ("", altered.REWRITER_VOLUME)
    pod = objects["Deployment"]["spec"]["template"]["spec"]
    claims = {each["name"]: each["persistentVolumeClaim"] for each in pod["volumes"] if "persistentVolumeClaim" in each}
    assert claims == {
        "models": {"claimName": altered.REWRITER_VOLUME, "readOnly": True},
        "site": {"claimName": "bitagent-site", "readOnly": True},
    }
    mounts = {each["name"]: each for each in container(objects)["volumeMounts"]}
    assert f"--model={mounts['models']['mountPath']}" in container(objects)["args"]
    assert mounts["models"]["readOnly"] and mounts["site"]["readOnly"]


def test_the_rounds_to_wait_for_are_the_examples() -> None:
    rounds = yaml.safe_load_all((altered.EXAMPLES / "evalrounds.yaml").read_text())
    assert [each["metadata"]["name"] for each in rounds] == list(altered.ROUNDS)
