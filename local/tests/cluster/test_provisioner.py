"""Which volumes a provisioner makes and removes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bitagent_local.cluster.provisioner import PROVISIONER, storage_class, volumes_to_make, volumes_to_remove

Obj = dict[str, Any]
CHOSEN = {"volume.kubernetes.io/selected-node": "local"}
FOLDER = Path("/node/volumes")


def claim(*, annotations: Obj | None = None, deleting: bool = False, **spec: Any) -> Obj:
    meta = {"namespace": "n", "name": "c", "uid": "u1", "annotations": CHOSEN if annotations is None else annotations}
    meta |= {"deletionTimestamp": "2026-01-01T00:00:00Z"} if deleting else {}
    usual = {"storageClassName": "folders", "accessModes": ["ReadWriteOnce"]}
    return {"metadata": meta, "spec": usual | {"resources": {"requests": {"storage": "1Gi"}}} | spec}


def volume(phase: str, *, by: str = PROVISIONER, deleting: bool = False) -> Obj:
    meta: Obj = {"name": "pvc-u1", "annotations": {"pv.kubernetes.io/provisioned-by": by}}
    meta |= {"deletionTimestamp": "2026-01-01T00:00:00Z"} if deleting else {}
    return {"metadata": meta, "status": {"phase": phase}}


@pytest.mark.parametrize(
    ("found", "volumes", "made"),
    [
        pytest.param(claim(), [], True, id="a pod of it has a node"),
        pytest.param(claim(annotations={}), [], False, id="no pod of it has a node"),
        pytest.param(claim(storageClassName="other"), [], False, id="another class"),
        pytest.param(claim(volumeName="pvc-u1"), [], False, id="bound"),
        pytest.param(claim(deleting=True), [], False, id="being deleted"),
        pytest.param(claim(), [volume("Available")], False, id="its volume is there"),
    ],
)
def test_what_is_made(found: Obj, volumes: list[Obj], made: bool) -> None:
    assert bool(volumes_to_make([found], volumes, name="folders", folder=FOLDER)) == made


def test_a_volume_is_bound_to_its_claim_and_its_node() -> None:
    (made,) = volumes_to_make([claim()], [], name="folders", folder=FOLDER)
    spec = made["spec"]
    assert spec["claimRef"] == {"namespace": "n", "name": "c", "uid": "u1"}
    assert spec["hostPath"]["path"] == "/node/volumes/pvc-u1"
    (term,) = spec["nodeAffinity"]["required"]["nodeSelectorTerms"]
    assert term["matchExpressions"][0]["values"] == ["local"]
    assert (spec["capacity"], spec["persistentVolumeReclaimPolicy"]) == ({"storage": "1Gi"}, "Delete")
    assert storage_class("folders")["provisioner"] == PROVISIONER


@pytest.mark.parametrize(
    ("found", "removed"),
    [
        pytest.param(volume("Released"), True, id="its claim is gone"),
        pytest.param(volume("Bound"), False, id="bound"),
        pytest.param(volume("Released", by="another"), False, id="of another provisioner"),
        pytest.param(volume("Released", deleting=True), False, id="being deleted"),
    ],
)
def test_what_is_removed(found: Obj, removed: bool) -> None:
    assert bool(volumes_to_remove([found])) == removed
