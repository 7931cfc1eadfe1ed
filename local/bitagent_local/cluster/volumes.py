"""Volumes of the node: folders below its state, as PersistentVolumes bound in advance to one claim each.

There is no provisioner and no StorageClass: a claim with `storageClassName: ""` of the volume's name gets it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .api import Api
from .node import Node

MODES = ("ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany")


def folder_of(node: Node, name: str) -> Path:
    """Return the folder that a volume has unless another is given."""
    return node.state / "volumes" / name


def manifest(name: str, *, path: Path, size: str, modes: tuple[str, ...], namespace: str, claim: str) -> dict[str, Any]:
    """Return the PersistentVolume for one claim; deleting the claim leaves folder and volume."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": size},
            "accessModes": list(modes),
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": "",
            "claimRef": {"namespace": namespace, "name": claim},
            "hostPath": {"path": str(path), "type": "Directory"},
        },
    }


def ensure_volume(
    node: Node,
    api: Api,
    name: str,
    *,
    namespace: str,
    claim: str | None = None,
    path: Path | None = None,
    size: str = "10Gi",
    modes: tuple[str, ...] = MODES,
) -> Path:
    """Make a volume for the claim (of the same name unless told) and return its folder.

    A folder of the node's own is made with mode 0777, since pods of any user write to it; a given one is left as it is.

    Raises:
        ApiError: The API server refused it.
    """
    folder = path or folder_of(node, name)
    if path is None:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o777)
    body = manifest(name, path=folder, size=size, modes=modes, namespace=namespace, claim=claim or name)
    api.apply(f"/api/v1/persistentvolumes/{name}", body)
    return folder
