"""What an installation says of the cluster's storage classes, before a claim waits for one that does not exist."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bitagent_local.cluster.control_plane import ControlPlane, control_plane

pytestmark = pytest.mark.integration

CHART = Path(__file__).resolve().parents[3] / "charts/bitagent-operator"
CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
DEFAULT = {"storageclass.kubernetes.io/is-default-class": "true"}


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    with control_plane() as running:
        yield running


@pytest.fixture
def notes(plane: ControlPlane, tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Function: the notes of an installation, with these storage classes by name: provisioner and whether default."""
    made: list[str] = []

    def installed(classes: dict[str, tuple[str, bool]], **values: Any) -> str:
        for name, (provisioner, default) in classes.items():
            meta = {"name": name, "annotations": DEFAULT if default else {}}
            plane.api.create(CLASSES, {"metadata": meta, "provisioner": provisioner})
            made.append(name)
        folders = {f"HELM_{name}_HOME": str(tmp_path / name.lower()) for name in ("CACHE", "CONFIG", "DATA")}
        command = [plane.binaries.helm, "install", "bitagent-operator", CHART, "--dry-run=server", "--values=-"]
        done = subprocess.run(
            [str(word) for word in command],
            env={**os.environ, **folders, "KUBECONFIG": str(plane.kubeconfig)},
            input=json.dumps(values), capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.partition("NOTES:")[2]

    yield installed
    for name in made:
        plane.api.delete(f"{CLASSES}/{name}")


ONE_NODE, MANY = ("rancher.io/local-path", True), ("nfs.csi.k8s.io", True)
CLAIM = {"existingClaim": "mine"}


@pytest.mark.parametrize(
    ("classes", "values", "said"),
    [
        pytest.param({}, {}, ["no default StorageClass"] * 2, id="none"),
        pytest.param({"fast": ("nfs.csi.k8s.io", False)}, {}, ["no default StorageClass"] * 2, id="no default"),
        pytest.param({"disk": ONE_NODE}, {}, ["one node at a time"] * 2, id="for one node"),
        pytest.param({"nfs": MANY}, {}, [], id="for many nodes"),
        pytest.param({}, {"cache": CLAIM, "artifacts": CLAIM}, [], id="claims of one's own"),
        pytest.param({}, {"cache": CLAIM}, ["no default StorageClass"], id="one claim of one's own"),
        pytest.param({"nfs": MANY}, {"cache": {"storageClassName": "nsf"}}, ["has no StorageClass nsf"], id="misspelt"),
        pytest.param(
            {"disk": ONE_NODE},
            {"cache": {"accessModes": ["ReadWriteOnce"]}, "artifacts": {"accessModes": ["ReadWriteOnce"]}},
            [],
            id="one node is meant",
        ),
        pytest.param({}, {"crds": {"install": False}}, [], id="an installer without rights on the cluster"),
    ],
)
def test_storage_is_named(
    notes: Callable[..., str], classes: dict[str, tuple[str, bool]], values: dict[str, Any], said: list[str]
) -> None:
    text = notes(classes, **values)
    phrases = ("no default StorageClass", "one node at a time", "has no StorageClass nsf")
    assert [phrase for phrase in phrases for _ in range(text.count(phrase))] == said
    assert text.count("no Job") == len(said)
